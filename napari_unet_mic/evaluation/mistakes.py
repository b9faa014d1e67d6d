"""Regions of wrong voxels: their kind, size, place, and the slice to look at.

Two label maps and one cell of the confusion table enter (or a row, a column, every
error); the regions leave, largest first. A region is a set of voxels that touch
(26-neighbourhood) and are wrong in the same way. Its kind is the first that applies:

missed lesion
    a reference object (connected component of one class) of which the prediction has no
    voxel
spurious lesion
    a predicted object of which the reference has no voxel
swapped class
    one foreground class taken for another
inside
    foreground taken for background, or background for foreground
rim
    within one voxel of a border of the reference, and of no lost object. Most wrong voxels
    of a usable prediction are of this kind and hang together as a shell, so they are taken
    out before regions are formed, and are one entry, the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt

from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.evaluation.confusion import Box, LabelArray
from napari_unet_mic.evaluation.error_voxels import (
    INSIDE_MARGIN,
    Crop,
    Flags,
    Indices,
    Query,
    bounding_box,
    near_border,
    within_lost_objects,
)
from napari_unet_mic.evaluation.memory_order import MemoryOrder
from napari_unet_mic.evaluation.region_places import common_value, deepest_points

Kind = Literal["missed lesion", "spurious lesion", "swapped class", "inside", "rim", "correct"]
KINDS: tuple[Kind, ...] = (
    "missed lesion",
    "spurious lesion",
    "swapped class",
    "inside",
    "rim",
    "correct",
)
MISSED, SPURIOUS, SWAPPED, INSIDE, RIM, CORRECT = range(6)


@dataclass(frozen=True)
class Region:
    """One region of voxels of a cell, row or column of the confusion table.

    Parameters
    ----------
    rank
        1 for the largest; the rim comes last.
    voxels, ml
        Size; millilitres from the spacing (a 2-D map counts as 1 mm thick).
    box
        Bounding box, one slice an axis.
    slice
        Index, along the asked axis, of the slice on which the region has its largest area.
    point
        A voxel OF the region on that slice, as deep inside as possible.
    kind
        See the module's words; ``"correct"`` for a cell of the diagonal.
    true_class, predicted_class
        None where voxels of several classes make one region (a missed lesion may have been
        taken for two classes, the rim of a row borders on several).
    """

    rank: int
    voxels: int
    ml: float
    box: Box
    slice: int
    point: tuple[int, ...]
    kind: Kind
    true_class: int | None
    predicted_class: int | None


@dataclass(frozen=True)
class RegionMap:
    """Regions, and the voxels of each.

    `labels` covers `box` only: a voxel holds the rank of its region, 0 elsewhere.
    """

    regions: tuple[Region, ...]
    labels: npt.NDArray[np.unsignedinteger[Any]]
    box: Box

    def mask(self, region: Region) -> Flags:
        """Return which voxels inside ``region.box`` belong to the region."""
        inside = tuple(
            slice(one.start - whole.start, one.stop - whole.start)
            for one, whole in zip(region.box, self.box, strict=True)
        )
        return np.asarray(self.labels[inside] == region.rank)


def regions_of(
    reference: LabelArray,
    prediction: LabelArray,
    true_class: int | None,
    predicted_class: int | None,
    spacing_mm: Sequence[float],
    *,
    split_rim: bool = True,
    axis: int = 0,
    ignore: int | None = None,
) -> tuple[Region, ...]:
    """Return the regions of one cell of the confusion table, largest first.

    Parameters
    ----------
    reference, prediction
        Integer label maps of one shape, (Z, Y, X) or (Y, X).
    true_class, predicted_class
        The cell. `predicted_class` None: all errors of the row; `true_class` None: all
        errors of the column; both None: every wrong voxel. A cell of the diagonal is one
        region of correct voxels.
    spacing_mm
        Voxel size along each axis of the arrays.
    split_rim
        Take voxels within one voxel of a reference border out first (see the module);
        when False they stay part of the regions around them.
    axis
        The axis across which slices are looked at (a 2-D map is its own slice 0).
    ignore
        The reference value that excludes a voxel.

    Raises
    ------
    GridMismatch
        The shapes differ.
    """
    return map_regions(
        reference,
        prediction,
        true_class,
        predicted_class,
        spacing_mm,
        split_rim=split_rim,
        axis=axis,
        ignore=ignore,
    ).regions


def map_regions(
    reference: LabelArray,
    prediction: LabelArray,
    true_class: int | None,
    predicted_class: int | None,
    spacing_mm: Sequence[float],
    *,
    split_rim: bool = True,
    axis: int = 0,
    ignore: int | None = None,
) -> RegionMap:
    """Find the regions of a cell and the voxels of each; parameters as `regions_of`.

    Notes
    -----
    Memory follows the bounding box of the errors of the classes asked for: some ten
    bytes for each of its voxels.
    """
    if reference.shape != prediction.shape:
        raise GridMismatch(
            "prediction",
            expected=f"shape {reference.shape} as in the reference",
            got=f"shape {prediction.shape}",
            advice="compare maps of one grid, or resample the prediction onto the reference",
        )
    flat = reference.ndim == 2
    if flat:
        reference, prediction, axis = reference[None], prediction[None], 0
    order = MemoryOrder.of(reference)
    query = Query(true_class, predicted_class, ignore)
    reference, prediction = order.view(reference), order.view(prediction)
    box = bounding_box(reference, prediction, query)
    if box is None:
        empty = np.zeros((0,) * (3 - flat), np.uint8)
        return RegionMap((), empty, (slice(0, 0),) * (3 - flat))
    crop = Crop.cut(reference, prediction, box, ignore)
    along = order.axes.index(axis)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    found = _regions_in(crop, query, along, voxel_ml, split_rim)
    return _turn_back(found, order, axis, flat)


def _regions_in(crop: Crop, query: Query, axis: int, voxel_ml: float, split_rim: bool) -> RegionMap:
    """Form the regions of one crop; boxes and points are those of the whole volume."""
    chosen = query.selects(crop.true[INSIDE_MARGIN], crop.predicted[INSIDE_MARGIN])
    if query.correct:
        return _correct_region(crop, chosen, query, axis, voxel_ml)
    voxels = np.flatnonzero(np.pad(chosen, 1))
    kinds = _kinds_of(crop, voxels, query, split_rim)
    labels = _label(crop, voxels, kinds)
    groups = labels.reshape(-1)[voxels]
    regions = _measure(crop, voxels, kinds, labels, axis, voxel_ml)
    sizes = [(region.kind == "rim", -region.voxels) for region in regions]
    order = sorted(range(len(regions)), key=sizes.__getitem__)
    ranks = np.zeros(len(regions) + 1, labels.dtype)
    ranks[np.array(order, np.intp) + 1] = np.arange(1, len(regions) + 1)
    labels.reshape(-1)[voxels] = ranks[groups]
    ranked = tuple(replace(regions[old], rank=rank) for rank, old in enumerate(order, 1))
    return RegionMap(ranked, labels[INSIDE_MARGIN], crop.box)


def _kinds_of(crop: Crop, voxels: Indices, query: Query, split_rim: bool) -> npt.NDArray[np.uint8]:
    true, predicted = crop.true.reshape(-1)[voxels], crop.predicted.reshape(-1)[voxels]
    kinds = np.where((true != 0) & (predicted != 0), SWAPPED, INSIDE).astype(np.uint8)
    if split_rim:
        kinds[near_border(crop, voxels)] = RIM
    spurious = within_lost_objects(crop, voxels, of_prediction=True, wanted=query.predicted_class)
    missed = within_lost_objects(crop, voxels, of_prediction=False, wanted=query.true_class)
    kinds[spurious] = SPURIOUS
    kinds[missed] = MISSED
    return kinds


def _label(crop: Crop, voxels: Indices, kinds: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Number the regions 1 … n over the crop: touching voxels of one kind and one class pair.

    A missed lesion is one region whatever it was taken for, a spurious one wherever it lies,
    and all rim voxels are one region.
    """
    true, predicted = crop.true.reshape(-1)[voxels], crop.predicted.reshape(-1)[voxels]
    keys = np.zeros(voxels.shape, [("kind", np.uint8), ("true", np.int32), ("as", np.int32)])
    keys["kind"] = kinds
    keys["true"] = np.where((kinds == SPURIOUS) | (kinds == RIM), 0, true)
    keys["as"] = np.where((kinds == MISSED) | (kinds == RIM), 0, predicted)
    rim = kinds == RIM
    distinct, alike = np.unique(keys[~rim], return_inverse=True)
    sorts = np.zeros(crop.true.shape, np.min_scalar_type(distinct.size + 1))
    sorts.reshape(-1)[voxels[~rim]] = alike + 1
    labels, n_regions = cc3d.connected_components(sorts, connectivity=26, return_N=True)
    if rim.any():
        labels = labels.astype(np.promote_types(labels.dtype, np.min_scalar_type(n_regions + 1)))
        labels.reshape(-1)[voxels[rim]] = n_regions + 1
    return np.asarray(labels)


def _measure(
    crop: Crop,
    voxels: Indices,
    kinds: npt.NDArray[np.uint8],
    labels: npt.NDArray[Any],
    axis: int,
    voxel_ml: float,
) -> list[Region]:
    """Describe regions 1 … n in the order of their labels; ranks are given later."""
    groups = labels.reshape(-1)[voxels]
    order = np.argsort(groups, kind="stable")
    voxels, kinds, groups = voxels[order], kinds[order], groups[order]
    starts = np.flatnonzero(np.diff(groups, prepend=0))
    counts = np.diff(starts, append=groups.size)
    places = np.stack(np.unravel_index(voxels, crop.true.shape))
    lowest = np.minimum.reduceat(places, starts, axis=1) if starts.size else places
    highest = np.maximum.reduceat(places, starts, axis=1) if starts.size else places
    points = deepest_points(crop, voxels, groups, places, labels, axis)
    classes = [
        common_value(side.reshape(-1)[voxels], starts) for side in (crop.true, crop.predicted)
    ]
    origin = np.array([one.start - 1 for one in crop.box])[:, None]
    lowest, highest, points = lowest + origin, highest + origin, points + origin
    return [
        Region(
            rank=0,
            voxels=int(counts[n]),
            ml=int(counts[n]) * voxel_ml,
            box=tuple(
                slice(int(first), int(last) + 1)
                for first, last in zip(lowest[:, n], highest[:, n], strict=True)
            ),
            slice=int(points[axis, n]),
            point=tuple(points[:, n].tolist()),
            kind=KINDS[kinds[starts[n]]],
            true_class=classes[0][n],
            predicted_class=classes[1][n],
        )
        for n in range(starts.size)
    ]


def _correct_region(
    crop: Crop, chosen: Flags, query: Query, axis: int, voxel_ml: float
) -> RegionMap:
    """Return the voxels of a diagonal cell as one region, without listing them."""
    areas = np.count_nonzero(chosen, axis=tuple(other for other in range(3) if other != axis))
    best = int(np.argmax(areas))
    on_slice = np.zeros_like(chosen)
    inside: list[slice | int] = [slice(None)] * 3
    inside[axis] = slice(best, best + 1)
    on_slice[tuple(inside)] = chosen[tuple(inside)]
    scratch = np.pad(on_slice.view(np.uint8), 1)
    voxels = np.flatnonzero(scratch)
    places = np.stack(np.unravel_index(voxels, scratch.shape))
    groups = np.ones(voxels.shape, np.uint8)
    origin = np.array([one.start - 1 for one in crop.box])
    point = deepest_points(crop, voxels, groups, places, scratch, axis)[:, 0] + origin
    total = int(areas.sum())
    region = Region(
        1,
        total,
        total * voxel_ml,
        crop.box,
        int(point[axis]),
        tuple(point.tolist()),
        "correct",
        query.true_class,
        query.predicted_class,
    )
    return RegionMap((region,), chosen.view(np.uint8), crop.box)


def _turn_back(found: RegionMap, order: MemoryOrder, axis: int, flat: bool) -> RegionMap:
    """Give places in the caller's orientation (and without the added axis of a 2-D map)."""
    keep = slice(1, None) if flat else slice(None)

    def turned(region: Region) -> Region:
        point = order.unview_index(region.point)
        return replace(
            region,
            box=order.unview_box(region.box)[keep],
            point=point[keep],
            slice=point[axis],
        )

    labels = found.labels.transpose(np.argsort(order.axes))
    labels = labels[tuple(slice(None, None, -1 if one else None) for one in order.backwards)]
    return RegionMap(
        tuple(turned(region) for region in found.regions),
        labels[0] if flat else labels,
        order.unview_box(found.box)[keep],
    )
