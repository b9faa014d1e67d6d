"""Where a region of wrong voxels is best looked at: its largest slice, its deepest voxel.

Voxels enter as flat indices of a `napari_unet_mic.evaluation.error_voxels.Crop`, sorted by
region; places inside the crop leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import LabelArray
from napari_unet_mic.evaluation.error_voxels import Crop, Indices


def common_value(values: LabelArray, starts: Indices) -> list[int | None]:
    """Return the one value of each region (beginning at `starts`), or None where it has several."""
    if starts.size == 0:
        return []
    lowest, highest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return [int(low) if low == high else None for low, high in zip(lowest, highest, strict=True)]


def deepest_points(
    crop: Crop,
    voxels: Indices,
    groups: LabelArray,
    places: Indices,
    labels: npt.NDArray[Any],
    axis: int,
) -> Indices:
    """Return one voxel of each region: the deepest on its slice of largest area.

    Parameters
    ----------
    voxels, groups, places
        Flat indices in the crop sorted by region, the region of each, and its (3, N) places
        in the crop.
    labels
        Region of every voxel of the crop; used as scratch and restored.
    axis
        The axis across which slices are taken.

    Returns
    -------
    ndarray (3, n regions)
        Places in the crop. Equally deep voxels: the one nearest to the slice's centroid.
    """
    if voxels.size == 0:
        return np.zeros((3, 0), np.intp)
    by_slice = np.lexsort((places[axis], groups))
    changes = np.diff(groups[by_slice], prepend=0) | np.diff(places[axis, by_slice], prepend=-1)
    runs = np.flatnonzero(changes)
    areas = np.diff(runs, append=voxels.size)
    largest_first = np.lexsort((-areas, groups[by_slice[runs]]))
    best = largest_first[np.flatnonzero(np.diff(groups[by_slice[runs]][largest_first], prepend=0))]
    chosen = np.concatenate([by_slice[runs[n] : runs[n] + areas[n]] for n in best])
    depth = depth_in_slice(crop, labels, voxels[chosen], axis)
    first = np.concatenate([[0], np.cumsum(areas[best])[:-1]])
    middle = np.add.reduceat(places[:, chosen], first, axis=1) / areas[best]
    away = np.square(places[:, chosen] - np.repeat(middle, areas[best], axis=1)).sum(axis=0)
    deepest_first = np.lexsort((away, -depth, groups[chosen]))
    return np.asarray(places[:, chosen[deepest_first[first]]])


def depth_in_slice(
    crop: Crop, labels: npt.NDArray[Any], voxels: Indices, axis: int
) -> npt.NDArray[np.int32]:
    """Count how many layers must be peeled off a region's slice before a voxel goes.

    Parameters
    ----------
    labels
        Region of every voxel of the crop; used as scratch and restored.
    voxels
        Flat indices, of each region all voxels of one slice across `axis`.
    """
    flat = labels.reshape(-1)
    regions = flat[voxels]
    depth = np.zeros(voxels.shape, np.int32)
    left = np.arange(voxels.size)
    while left.size:
        depth[left] += 1
        inside = np.ones(left.shape, bool)
        for offset in crop.neighbours_in_slice(axis):
            inside &= flat[voxels[left] + offset] == regions[left]
        flat[voxels[left[~inside]]] = 0
        left = left[inside]
    flat[voxels] = regions
    return depth
