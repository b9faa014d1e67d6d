"""Connected components of scattered voxels, without a label volume.

Sorted flat indices of voxels enter, the component of each leaves. Voxels are first joined
into runs along memory; runs of neighbouring rows that touch are joined into components.
Time and memory follow the number of voxels, not the volume they are scattered in.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Indices = npt.NDArray[np.intp]


def components(flat: Indices, keys: npt.NDArray[np.integer], shape: Sequence[int]) -> Indices:
    """Number the 26-connected components of voxels with equal keys, from 0.

    Parameters
    ----------
    flat
        (n,) ascending indices into a C-ordered volume of `shape` (Z, Y, X).
    keys
        (n,) Voxels of different keys never belong together.

    Returns
    -------
    ndarray (n,)
        The component of every voxel; the first voxel is in component 0.
    """
    if flat.size == 0:
        return np.zeros(0, np.intp)
    width = shape[2]
    begins = np.ones(flat.size, bool)
    begins[1:] = (np.diff(flat) != 1) | (keys[1:] != keys[:-1]) | (flat[1:] % width == 0)
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=flat.size)
    first, keys = flat[starts], keys[starts]
    pairs = [
        _touching(first, first + lengths - 1, keys, step, shape)
        for step in itertools.product((-1, 0), (-1, 0, 1))
        if step < (0, 0)
    ]
    ones, others = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = coo_array((np.ones(ones.size, bool), (ones, others)), shape=(starts.size, starts.size))
    _, numbers = connected_components(graph, directed=False)
    return np.repeat(numbers.astype(np.intp), lengths)


def _touching(
    first: Indices,
    last: Indices,
    keys: npt.NDArray[np.integer],
    step: tuple[int, int],
    shape: Sequence[int],
) -> tuple[Indices, Indices]:
    """Return which runs touch which of the row that lies `step` (z, y) away, with equal keys."""
    _, height, width = shape
    row = first // width
    into_y = row % height + step[1]
    inside = (into_y >= 0) & (into_y < height) & (row // height + step[0] >= 0)
    shift = (step[0] * height + step[1]) * width
    lowest = np.maximum(first - 1, row * width) + shift
    highest = np.minimum(last + 1, (row + 1) * width - 1) + shift
    low = np.searchsorted(last, lowest, side="left")
    high = np.where(inside, np.searchsorted(first, highest, side="right"), low)
    counts = np.maximum(high - low, 0)
    ones = np.repeat(np.arange(first.size), counts)
    within = np.arange(ones.size) - np.repeat(np.cumsum(counts) - counts, counts)
    others = np.repeat(low, counts) + within
    alike = keys[ones] == keys[others]
    return ones[alike], others[alike]
