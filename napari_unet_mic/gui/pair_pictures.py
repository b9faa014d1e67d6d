"""Two images side by side as grey pictures: the same slice of both, however one was turned.

No Qt here: a dataset and a finding about two cases enter, arrays of grey values leave; call
`pair_pictures` in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.data.volume import display_of, read_image

Grey = NDArray[np.uint8]
MOST_PIXELS = 320


@dataclass(frozen=True, eq=False)
class PairPictures:
    """Two grey pictures (rows, columns), and which cases they show."""

    first: str
    second: str
    left: Grey = field(repr=False)
    right: Grey = field(repr=False)


def pair_pictures(
    dataset: Dataset, first: str, second: str, evidence: Mapping[str, Any], *, laid: bool
) -> PairPictures:
    """Read two cases and cut the same slice out of both, seen from below.

    Parameters
    ----------
    evidence
        Of the finding: `axes`, `flips` and `shift_mm` say how the case that comes first in the
        dataset lies on the other.
    laid
        Turn and mirror the first as it lies on the second; otherwise both are shown as they
        are.

    Raises
    ------
    UNetMicError
        When one of them cannot be read.
    """
    order = [case.name for case in dataset.cases]
    one, other = sorted((first, second), key=order.index)
    axes = tuple(evidence.get("axes", (0, 1, 2))) if laid else (0, 1, 2)
    flips = tuple(evidence.get("flips", (1, 1, 1))) if laid else (1, 1, 1)
    shift_mm = evidence.get("shift_mm", (0.0, 0.0, 0.0))
    moved, moved_mm = _upright(dataset, one)
    moved, moved_mm = _turned(moved, moved_mm, axes, flips)
    still, still_mm = _upright(dataset, other)
    place = len(moved) // 2 - round(float(shift_mm[0]) / moved_mm[0]) if laid else len(moved) // 2
    slices = {
        one: _picture(moved[min(len(moved) - 1, max(0, place))], moved_mm[1:]),
        other: _picture(still[len(still) // 2], still_mm[1:]),
    }
    return PairPictures(first, second, slices[first], slices[second])


def _upright(dataset: Dataset, name: str) -> tuple[NDArray[Any], tuple[float, ...]]:
    """Return a case's first channel along axes near LPS, and its voxel size."""
    volume = read_image(dataset.case(name).images[0])
    display = display_of(volume)
    return display.view(volume.array[0]), display.scale


def _turned(
    array: NDArray[Any], scale: Sequence[float], axes: Sequence[int], flips: Sequence[int]
) -> tuple[NDArray[Any], tuple[float, ...]]:
    z, y, x = (slice(None, None, step) for step in flips)
    return array.transpose(axes)[z, y, x], tuple(scale[axis] for axis in axes)


def _picture(plane: NDArray[Any], scale: Sequence[float]) -> Grey:
    """Show a plane (y, x) with square pixels, the darkest percent black, the brightest white."""
    extent = [n * mm for n, mm in zip(plane.shape, scale, strict=True)]
    pixel = max(min(scale), max(extent) / MOST_PIXELS)
    rows, columns = (
        np.minimum(np.arange(max(1, round(size / pixel))) * pixel / mm, n - 1).astype(int)
        for size, mm, n in zip(extent, scale, plane.shape, strict=True)
    )
    values = np.nan_to_num(np.asarray(plane[np.ix_(rows, columns)], dtype=np.float64))
    low, high = np.percentile(values, (1, 99))
    grey = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.ascontiguousarray(np.clip(255 * grey, 0, 255).astype(np.uint8))
