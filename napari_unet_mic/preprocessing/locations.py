"""Where the classes of a case lie: voxels to centre training patches on.

In: a label map on the network's grid and the classes to look for. Out: for each class a
sample of its voxels, drawn as nnU-Net draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANNOTATED = -1
"""The key under which the voxels of a partly annotated case are kept: all but ignored ones."""

_SEED = 1234
_ENOUGH = 10_000
_LEAST_SHARE = 0.01


def sample_locations(
    labels: NDArray[np.integer[Any]], classes: Sequence[int], *, annotated: bool = False
) -> dict[int, NDArray[np.int32]]:
    """Draw voxels of each class, without repetition.

    Parameters
    ----------
    labels
        (z, y, x).
    classes
        Foreground values in the order the dataset declares them.
    annotated
        Also draw from the voxels that hold a class, background or -1, for datasets with an
        ignore value; kept under `ANNOTATED`.

    Returns
    -------
    dict
        Class to (n, 3) voxel indices; n = 0 for an absent class.

    Notes
    -----
    nnU-Net's ``_sample_foreground_locations``: 10 000 voxels of each class or 1 % of them,
    whichever is more, or all where there are fewer; RandomState(1234) for the whole case.
    """
    random = np.random.RandomState(_SEED)
    flat = labels.reshape(-1)
    found = {}
    for value in classes:
        found[value] = _drawn(np.flatnonzero(flat == value), random, labels.shape)
    if annotated:
        known = [np.flatnonzero(flat == value) for value in (-1, 0, *classes)]
        found[ANNOTATED] = _drawn(np.concatenate(known), random, labels.shape)
    return found


def _drawn(
    at: NDArray[np.intp], random: np.random.RandomState, shape: tuple[int, ...]
) -> NDArray[np.int32]:
    if len(at) == 0:
        return np.zeros((0, 3), dtype=np.int32)
    wanted = max(min(_ENOUGH, len(at)), ceil(len(at) * _LEAST_SHARE))
    chosen = at[random.choice(len(at), wanted, replace=False)]
    return np.stack(np.unravel_index(chosen, shape), axis=1).astype(np.int32)
