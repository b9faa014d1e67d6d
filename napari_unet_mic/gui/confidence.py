"""The network's probability for the true class of every wrong voxel, where it was kept.

Wrong voxels and a prediction's label file enter, one probability a voxel leaves, or None
where the prediction kept none. Reading takes seconds: what was read before serves again as
long as no new voxel is wrong. For a thread; no Qt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.probabilities import probabilities_at, probabilities_beside

if TYPE_CHECKING:
    from napari_unet_mic.data.display import Display
    from napari_unet_mic.evaluation.mistakes import Mistakes


@dataclass(frozen=True, eq=False)
class Confidence:
    """What was read: the wrong voxels (flat, ascending), their true class, its probability."""

    file: Path
    modified_ns: int
    flat: npt.NDArray[np.integer]
    true: npt.NDArray[np.integer]
    values: npt.NDArray[np.floating]


def look_up(
    mistakes: Mistakes,
    label_file: Path | None,
    display: Display,
    before: Confidence | None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Confidence | None:
    """Return the confidence of every wrong voxel; None where no probabilities are kept.

    Parameters
    ----------
    mistakes
        Wrong voxels along the axes in which `display` shows the prediction.
    before
        What was read last.
    """
    file = probabilities_beside(label_file)
    if file is None:
        return None
    errors, modified_ns = mistakes.errors, file.stat().st_mtime_ns
    if before is not None and (before.file, before.modified_ns) == (file, modified_ns):
        values = _known(before, errors.flat, errors.true)
        if values is not None:
            return Confidence(file, modified_ns, errors.flat, errors.true, values)
    places = display.array_index(mistakes.places().T).T.astype(np.intp)
    values = probabilities_at(
        file, places, errors.true, display.array_shape, should_stop=should_stop
    )
    return Confidence(file, modified_ns, errors.flat, errors.true, values)


def _known(
    before: Confidence, flat: npt.NDArray[np.integer], true: npt.NDArray[np.integer]
) -> npt.NDArray[np.floating] | None:
    """Return the values at other voxels if all of them were read before."""
    if flat.size == 0 or before.flat.size == 0:
        return None
    at = np.minimum(np.searchsorted(before.flat, flat), before.flat.size - 1)
    if not (np.array_equal(before.flat[at], flat) and np.array_equal(before.true[at], true)):
        return None
    return before.values[at]
