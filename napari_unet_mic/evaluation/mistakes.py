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
    near a border of the reference and in no lost object: another class of the reference is
    one of the 26 neighbours, or lies within the tolerance (millimetres, voxel centre to voxel
    centre). Most wrong voxels of a usable prediction are of this kind and hang together as a
    shell, so they are taken out before regions are formed, and are one entry, the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import SLAB_VOXELS, Box, LabelArray, check_shape
from napari_unet_mic.evaluation.error_voxels import (
    MISSED,
    RIM,
    SPURIOUS,
    ErrorVoxels,
    Flags,
    find_errors,
)
from napari_unet_mic.evaluation.memory_order import MemoryOrder
from napari_unet_mic.evaluation.region import KINDS, Kind, Region, RegionMap
from napari_unet_mic.evaluation.region_places import (
    common_value,
    deepest_in_slice,
    deepest_points,
)
from napari_unet_mic.evaluation.runs import Indices, components

__all__ = ["KINDS", "Kind", "Mistakes", "Region", "RegionMap", "regions_of"]


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
    tolerance_mm: float = 0.0,
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
        Take the rim out first (see the module); when False its voxels stay part of the
        regions around them.
    axis
        The axis across which slices are looked at (a 2-D map is its own slice 0).
    ignore
        The reference value that excludes a voxel.
    tolerance_mm
        How far the rim reaches, at least one voxel.

    Raises
    ------
    GridMismatch
        The shapes differ.
    """
    mistakes = Mistakes.of(
        reference, prediction, spacing_mm, ignore=ignore, tolerance_mm=tolerance_mm
    )
    return mistakes.regions(true_class, predicted_class, split_rim=split_rim, axis=axis).regions


@dataclass(frozen=True, eq=False)
class Mistakes:
    """All wrong voxels of one comparison, found once and then asked cell by cell.

    Make it with `Mistakes.of`; it is stale as soon as one of the maps changes.
    """

    errors: ErrorVoxels
    maps: tuple[LabelArray, LabelArray]
    order: MemoryOrder
    voxel_ml: float
    flat: bool

    @staticmethod
    def of(
        reference: LabelArray,
        prediction: LabelArray,
        spacing_mm: Sequence[float],
        *,
        ignore: int | None = None,
        tolerance_mm: float = 0.0,
    ) -> Mistakes:
        """Find the wrong voxels of two label maps; parameters as `regions_of`.

        Notes
        -----
        One pass over the maps; then time and memory follow the number of wrong voxels: some
        fifty bytes each while searching, about ten afterwards.
        """
        check_shape(prediction, reference.shape, "prediction", "as in the reference")
        flat = reference.ndim == 2
        if flat:
            reference, prediction = reference[None], prediction[None]
        order = MemoryOrder.of(reference)
        maps = order.view(reference), order.view(prediction)
        sizes_mm = [1.0, *map(float, spacing_mm)][-3:]
        errors = find_errors(
            *maps,
            ignore,
            spacing_mm=[sizes_mm[axis] for axis in order.axes],
            tolerance_mm=tolerance_mm,
        )
        return Mistakes(errors, maps, order, float(np.prod(spacing_mm)) / 1000, flat)

    @property
    def nbytes(self) -> int:
        """Memory of the list of wrong voxels (the maps themselves are not counted)."""
        errors = self.errors
        arrays = (errors.flat, errors.true, errors.predicted, errors.kinds, errors.kinds_with_rim)
        return sum(array.nbytes for array in arrays)

    def with_confidence(self, values: npt.NDArray[np.floating] | None) -> Mistakes:
        """Return the same, knowing the probability of every wrong voxel's true class (n,)."""
        return replace(self, errors=replace(self.errors, confidence=values))

    def places(self) -> Indices:
        """Return the index of every wrong voxel in the caller's orientation, (ndim, n)."""
        return self._places(self.errors.flat)[1 if self.flat else 0 :]

    def _places(self, flat: npt.NDArray[np.integer]) -> Indices:
        along = np.unravel_index(flat, self.errors.shape)
        return np.stack(self.order.unview_index(along))

    def regions(
        self,
        true_class: int | None,
        predicted_class: int | None,
        *,
        split_rim: bool = True,
        axis: int = 0,
        most: int | None = None,
    ) -> RegionMap:
        """Form the regions of one cell, row or column; parameters as `regions_of`.

        With `most`, only so many are described: the largest, and the rim.
        """
        axis = 0 if self.flat else axis
        if true_class is not None and true_class == predicted_class:
            return self._correct(true_class, axis)
        errors = self.errors
        chosen = np.ones(errors.flat.size, bool)
        if true_class is not None:
            chosen &= errors.true == true_class
        if predicted_class is not None:
            chosen &= errors.predicted == predicted_class
        which = np.flatnonzero(chosen)
        kinds = (errors.kinds if split_rim else errors.kinds_with_rim)[which]
        groups = _groups(errors, which, kinds)
        n_regions, n_voxels = int(groups.max(initial=-1)) + 1, which.size
        if most is not None and n_regions > most:
            kept = _largest(groups, most, has_rim=bool((kinds == RIM).any()))
            which, kinds, groups = which[kept], kinds[kept], groups[kept]
        order = np.argsort(groups, kind="stable")
        which, kinds, groups = which[order], kinds[order], groups[order]
        regions = self._measured(which, kinds, groups, self.order.axes.index(axis), axis)
        sequence = sorted(range(len(regions)), key=lambda n: _before(regions[n]))
        starts = np.append(_starts(groups), groups.size)
        voxels = [errors.indices(which[starts[n] : starts[n + 1]]) for n in sequence]
        ranked = tuple(replace(regions[n], rank=rank) for rank, n in enumerate(sequence, 1))
        return RegionMap(
            ranked,
            n_regions,
            n_voxels,
            lambda region: self._scattered(region, voxels[region.rank - 1]),
        )

    def _measured(
        self,
        which: Indices,
        kinds: npt.NDArray[np.uint8],
        groups: Indices,
        along: int,
        axis: int,
    ) -> list[Region]:
        """Describe the regions in the order of their groups; ranks are given later."""
        errors = self.errors
        starts = _starts(groups)
        if starts.size == 0:
            return []
        places = np.stack(np.unravel_index(errors.indices(which), errors.shape))
        counts = np.diff(starts, append=groups.size)
        lowest = np.minimum.reduceat(places, starts, axis=1)
        highest = np.maximum.reduceat(places, starts, axis=1)
        points = deepest_points(groups, places, along)
        true = common_value(errors.true[which], starts)
        predicted = common_value(errors.predicted[which], starts)
        sure: list[float] | None = None
        if errors.confidence is not None:
            sums = np.add.reduceat(errors.confidence[which], starts, dtype=np.float64)
            sure = (sums / counts).tolist()
        return [
            self._region(
                int(counts[n]),
                tuple(
                    slice(int(first), int(last) + 1)
                    for first, last in zip(lowest[:, n], highest[:, n], strict=True)
                ),
                tuple(points[:, n].tolist()),
                axis,
                KINDS[kinds[starts[n]]],
                (true[n], predicted[n]),
                None if sure is None else sure[n],
            )
            for n in range(starts.size)
        ]

    def _region(
        self,
        voxels: int,
        box: Box,
        point: tuple[int, ...],
        axis: int,
        kind: Kind,
        classes: tuple[int | None, int | None],
        confidence: float | None = None,
    ) -> Region:
        """Give a region in the caller's orientation (without the added axis of a 2-D map)."""
        keep = slice(1, None) if self.flat else slice(None)
        point = self.order.unview_index(point)
        box = self.order.unview_box(box)
        ml = voxels * self.voxel_ml
        return Region(
            1, voxels, ml, box[keep], point[axis], point[keep], kind, *classes, confidence
        )

    def _scattered(self, region: Region, flat: Indices) -> Flags:
        whole = (slice(0, 1), *region.box) if self.flat else region.box
        mask = np.zeros([one.stop - one.start for one in whole], bool)
        first = [one.start for one in whole]
        mask[tuple(self._places(flat) - np.array(first)[:, None])] = True
        return mask[0] if self.flat else mask

    def _correct(self, value: int, axis: int) -> RegionMap:
        """Return the voxels of a diagonal cell as one region, without listing them."""
        reference, prediction = self.maps
        along = self.order.axes.index(axis)
        areas = [np.zeros(size, np.int64) for size in reference.shape]
        rows = max(1, SLAB_VOXELS // max(1, reference[:1].size))
        for start in range(0, reference.shape[0], rows):
            slab = slice(start, start + rows)
            chosen = (reference[slab] == value) & (prediction[slab] == value)
            areas[0][slab] = np.count_nonzero(chosen, axis=(1, 2))
            by_row = np.count_nonzero(chosen, axis=0)
            areas[1] += by_row.sum(axis=1)
            areas[2] += by_row.sum(axis=0)
        total = int(areas[0].sum())
        if total == 0:
            return RegionMap((), 0, 0, self._no_mask)
        best = int(np.argmax(areas[along]))
        on_slice = tuple(map(np.take, (reference, prediction), (best, best), (along, along)))
        deepest = list(deepest_in_slice((on_slice[0] == value) & (on_slice[1] == value)))
        deepest.insert(along, best)
        ends = [np.flatnonzero(one)[[0, -1]] for one in areas]
        box = tuple(slice(int(first), int(last) + 1) for first, last in ends)
        region = self._region(total, box, tuple(deepest), axis, "correct", (value, value))

        def mask(_: Region) -> Flags:
            found = (reference[box] == value) & (prediction[box] == value)
            turned = found.transpose(np.argsort(self.order.axes))
            turned = turned[tuple(slice(None, None, -1 if b else 1) for b in self.order.backwards)]
            return np.asarray(turned[0] if self.flat else turned)

        return RegionMap((region,), 1, total, mask)

    @staticmethod
    def _no_mask(region: Region) -> Flags:
        raise KeyError(region)


def _groups(errors: ErrorVoxels, which: Indices, kinds: npt.NDArray[np.uint8]) -> Indices:
    """Number the regions: touching voxels of one kind and one pair of classes.

    A missed lesion is one region whatever it was taken for, a spurious one wherever it
    lies, and all rim voxels are one region.
    """
    true = np.where((kinds == SPURIOUS) | (kinds == RIM), 0, errors.true[which])
    predicted = np.where((kinds == MISSED) | (kinds == RIM), 0, errors.predicted[which])
    most = int(max(true.max(initial=0), predicted.max(initial=0))) + 1
    keys = (kinds.astype(np.int64) * most + true) * most + predicted
    rest = kinds != RIM
    groups = np.zeros(which.size, np.intp)
    groups[rest] = components(errors.indices(which[rest]), keys[rest], errors.shape)
    groups[~rest] = groups.max(initial=-1) + 1
    return groups


def _largest(groups: Indices, most: int, *, has_rim: bool) -> Flags:
    """Return which voxels are in the largest groups, or in the last one if that is the rim."""
    sizes = np.bincount(groups)
    largest_first = np.argsort(-sizes[:-1] if has_rim else -sizes, kind="stable")
    kept = np.zeros(sizes.size, bool)
    kept[largest_first[: most - has_rim]] = True
    kept[-1] |= has_rim
    return np.asarray(kept[groups])


def _starts(groups: Indices) -> Indices:
    return np.flatnonzero(np.diff(groups, prepend=-1))


def _before(region: Region) -> tuple[Any, ...]:
    """Largest first, the rim last; of equal size, as they lie."""
    return region.kind == "rim", -region.voxels, region.point
