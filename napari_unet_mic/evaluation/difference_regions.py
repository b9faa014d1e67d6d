"""Regions of voxels that a second prediction fixed, broke or left wrong.

The code array of `napari_unet_mic.evaluation.difference` and the codes that are meant enter;
regions leave, largest first, as `napari_unet_mic.evaluation.region` describes them: touching
voxels of one true class and one state. A region's `predicted_class` is its state, and its kind
is "inside": what is compared here is two predictions, so no rim is taken out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from napari_unet_mic.evaluation.confusion import SLAB_VOXELS, CodeArray
from napari_unet_mic.evaluation.difference import N_STATES
from napari_unet_mic.evaluation.error_voxels import INSIDE, ErrorVoxels
from napari_unet_mic.evaluation.memory_order import MemoryOrder
from napari_unet_mic.evaluation.mistakes import Mistakes
from napari_unet_mic.evaluation.region import RegionMap


def difference_regions(
    codes: CodeArray,
    wanted: Collection[int],
    spacing_mm: Sequence[float],
    *,
    axis: int = 0,
    most: int | None = None,
) -> RegionMap:
    """Form the regions of voxels with one of the `wanted` codes.

    Parameters
    ----------
    codes
        (Z, Y, X) or (Y, X).
    spacing_mm
        Voxel size along each axis of the array.
    axis
        The axis across which slices are looked at.
    most
        Describe only so many, the largest.
    """
    flat_map = codes.ndim == 2
    if flat_map:
        codes = codes[None]
    order = MemoryOrder.of(codes)
    along = order.view(codes)
    flat, values = _voxels(along, wanted)
    kinds = np.full(flat.size, INSIDE, np.uint8)
    true, states = np.divmod(values, N_STATES)
    errors = ErrorVoxels(along.shape, flat, true, states, kinds, kinds)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    found = Mistakes(errors, (along, along), order, voxel_ml, flat_map)
    return found.regions(None, None, axis=axis, most=most)


def _voxels(
    codes: CodeArray, wanted: Collection[int]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], CodeArray]:
    """Return flat index and code of the voxels with a wanted code, read in slabs."""
    is_wanted = np.zeros(int(np.iinfo(codes.dtype).max) + 1, bool)
    is_wanted[list(wanted)] = True
    area = codes[0].size
    rows = max(1, SLAB_VOXELS // max(1, area))
    places, values = [np.zeros(0, np.intp)], [np.zeros(0, codes.dtype)]
    for start in range(0, codes.shape[0], rows):
        slab = np.ascontiguousarray(codes[start : start + rows]).reshape(-1)
        inside = np.flatnonzero(is_wanted[slab])
        if inside.size:
            places.append(inside + start * area)
            values.append(slab[inside])
    return np.concatenate(places), np.concatenate(values)
