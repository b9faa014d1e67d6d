"""Where a region is best looked at: its slice of largest area, its deepest voxel there.

Voxels enter as flat indices with the region of each; one voxel of each region leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unet_mic.evaluation.confusion import LabelArray
from napari_unet_mic.evaluation.runs import Indices


def common_value(values: LabelArray, starts: Indices) -> list[int | None]:
    """Return the one value of each group (beginning at `starts`), None where it has several."""
    if starts.size == 0:
        return []
    lowest, highest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return [int(low) if low == high else None for low, high in zip(lowest, highest, strict=True)]


def deepest_points(groups: Indices, places: Indices, axis: int) -> Indices:
    """Return one voxel of each region: the deepest on its slice of largest area.

    Parameters
    ----------
    groups, places
        (n,) region of each voxel, ascending, and (3, n) its place.
    axis
        The axis across which slices are taken.

    Returns
    -------
    ndarray (3, n regions)
        Of equally deep voxels the one nearest to the slice's centroid.
    """
    if groups.size == 0:
        return np.zeros((3, 0), np.intp)
    keys = groups * (int(places[axis].max()) + 1) + places[axis]
    in_order = bool((keys[1:] >= keys[:-1]).all())
    by_slice = np.arange(keys.size) if in_order else np.argsort(keys, kind="stable")
    group, place = groups[by_slice], places[axis, by_slice]
    begins = np.ones(group.size, bool)
    begins[1:] = (group[1:] != group[:-1]) | (place[1:] != place[:-1])
    runs = np.flatnonzero(begins)
    areas = np.diff(runs, append=group.size)
    largest_first = np.lexsort((-areas, group[runs]))
    best = largest_first[_first_of_each(group[runs][largest_first])]
    chosen = np.concatenate([by_slice[runs[n] : runs[n] + areas[n]] for n in best])
    groups, places = groups[chosen], places[:, chosen]
    first = np.concatenate([[0], np.cumsum(areas[best])[:-1]])
    middle = np.add.reduceat(places, first, axis=1) / areas[best]
    away = np.square(places - np.repeat(middle, areas[best], axis=1)).sum(axis=0)
    depth = _depths(groups, places, axis)
    deepest_first = np.lexsort((away, -depth, groups))
    return np.asarray(places[:, deepest_first[first]])


def _first_of_each(groups: LabelArray) -> Indices:
    begins = np.ones(groups.size, bool)
    begins[1:] = groups[1:] != groups[:-1]
    return np.flatnonzero(begins)


def _depths(groups: Indices, places: Indices, axis: int) -> Indices:
    """Count the layers of a slice that must be peeled off until a voxel goes.

    Every region has voxels on one slice only; a voxel goes when one of the four beside it
    in the slice is not, or no longer, there.
    """
    rows, columns = (places[other] - places[other].min() + 1 for other in range(3) if other != axis)
    width, height = int(columns.max()) + 2, int(rows.max()) + 2
    codes = (groups.astype(np.int64) * height + rows) * width + columns
    order = np.argsort(codes)
    ascending = codes[order]
    beside = []
    for step in (-width, -1, 1, width):
        found = np.searchsorted(ascending, codes + step)
        found[found == codes.size] = 0
        beside.append(np.where(ascending[found] == codes + step, order[found], codes.size))
    there = np.ones(codes.size + 1, bool)
    there[-1] = False
    depth = np.zeros(codes.size, np.intp)
    left = np.arange(codes.size)
    while left.size:
        depth[left] += 1
        stays = there[beside[0][left]] & there[beside[1][left]]
        stays &= there[beside[2][left]] & there[beside[3][left]]
        there[left[~stays]] = False
        left = left[stays]
    return depth


def deepest_in_slice(inside: npt.NDArray[np.bool_]) -> Sequence[int]:
    """Return the place (row, column) furthest from the outside of one slice's mask."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))
    row, column = np.unravel_index(int(np.argmax(depth)), np.asarray(depth).shape)
    return int(row) - 1, int(column) - 1
