"""The wrong voxels of two label maps as a list: where, what for what, and of which kind.

Two label maps (Z, Y, X) enter; the list leaves, with the kind of every voxel as
`napari_unet_mic.evaluation.mistakes` defines them. Work follows the number of wrong voxels,
after one pass over the maps; the list takes some ten bytes a wrong voxel.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import SLAB_VOXELS, LabelArray
from napari_unet_mic.evaluation.runs import Indices, components
from napari_unet_mic.evaluation.surface import nearest_mm

Flags = npt.NDArray[np.bool_]
Kinds = npt.NDArray[np.uint8]

MISSED, SPURIOUS, SWAPPED, INSIDE, RIM, CORRECT = range(6)

MANY_VOXELS = 1_000_000
"""From this many wrong voxels on it is quicker to look at all neighbours in dense slabs."""

_STEPS = sorted(
    (step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)),
    key=lambda step: sum(map(abs, step)),
)
"""To the 26 neighbours, nearest first."""


@dataclass(frozen=True, eq=False)
class ErrorVoxels:
    """Every wrong voxel of a comparison.

    Parameters
    ----------
    shape
        Shape (Z, Y, X) of the maps.
    flat
        (n,) ascending index of each wrong voxel in C order.
    true, predicted
        (n,) its two classes.
    kinds
        (n,) lost objects first, then the rim, then what is left.
    kinds_with_rim
        (n,) the same where rim voxels stay part of what surrounds them.
    confidence
        (n,) the network's probability for the true class there; None when not known.
    """

    shape: tuple[int, ...]
    flat: npt.NDArray[np.integer]
    true: LabelArray
    predicted: LabelArray
    kinds: Kinds
    kinds_with_rim: Kinds
    confidence: npt.NDArray[np.floating] | None = None

    def indices(self, which: Indices) -> Indices:
        """Return the flat indices of some of the voxels, for arithmetic."""
        return self.flat[which].astype(np.intp, copy=False)


def find_errors(
    reference: LabelArray,
    prediction: LabelArray,
    ignore: int | None = None,
    *,
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
    tolerance_mm: float = 0.0,
) -> ErrorVoxels:
    """List the wrong voxels of two label maps (Z, Y, X) of one shape, read in slabs.

    Parameters
    ----------
    ignore
        The reference value that excludes a voxel.
    spacing_mm
        Voxel size along each axis.
    tolerance_mm
        A voxel is on the rim when another class of the reference lies within this distance
        (voxel centre to voxel centre), or is one of its 26 neighbours.
    """
    flat, true, predicted = _wrong(reference, prediction, ignore)
    search = _Search(
        (reference, prediction), flat, true, predicted, ignore, tuple(spacing_mm), tolerance_mm
    )
    return ErrorVoxels(
        reference.shape,
        flat.astype(np.uint32) if reference.size < 1 << 32 else flat,
        _small(true),
        _small(predicted),
        search.kinds,
        search.kinds_with_rim,
    )


@dataclass(frozen=True, eq=False)
class _Search:
    """Looks around the wrong voxels; lives as long as that takes."""

    maps: tuple[LabelArray, LabelArray]
    flat: Indices
    true: LabelArray
    predicted: LabelArray
    ignore: int | None
    spacing_mm: tuple[float, ...]
    tolerance_mm: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.maps[0].shape

    @cached_property
    def kinds(self) -> Kinds:
        kinds = self.kinds_with_rim.copy()
        rim = (kinds > SPURIOUS) & self._beside_border
        if self.tolerance_mm >= 2 * min(self.spacing_mm):  # else neighbours are all there is
            deeper = np.flatnonzero((kinds > SPURIOUS) & ~rim)
            rim[deeper] = self._within_tolerance(deeper)
        kinds[rim] = RIM
        return kinds

    @cached_property
    def kinds_with_rim(self) -> Kinds:
        both = (self.true != 0) & (self.predicted != 0)
        kinds = np.where(both, SWAPPED, INSIDE).astype(np.uint8)
        kinds[self._in_lost_objects(self.predicted)] = SPURIOUS
        kinds[self._in_lost_objects(self.true)] = MISSED
        return kinds

    def _within_tolerance(self, which: Indices) -> Flags:
        """Whether another class of the reference lies within the tolerance.

        The nearest voxel of another class has a face neighbour of the voxel's own class (or
        an ignored one): only voxels at borders are asked for.
        """
        near = np.zeros(which.size, bool)
        if which.size == 0:
            return near
        places = np.stack(np.unravel_index(self.flat[which], self.shape), axis=1)
        reach = np.floor(self.tolerance_mm / np.array(self.spacing_mm)).astype(np.intp) + 1
        lowest = np.maximum(places.min(axis=0) - reach, 0)
        ends = np.minimum(places.max(axis=0) + reach + 1, self.shape)
        around = self.maps[0][tuple(map(slice, lowest, ends))]
        borders = _borders(around)
        if self.ignore is not None:
            borders &= around != self.ignore
        others, values = np.argwhere(borders), around[borders]
        for value in np.unique(self.true[which]):
            mine = np.flatnonzero(self.true[which] == value)
            beyond = others[values != value]
            if len(beyond):
                distances = nearest_mm(
                    places[mine] - lowest, beyond, self.spacing_mm, up_to_mm=self.tolerance_mm
                )
                near[mine] = distances <= self.tolerance_mm
        return near

    @cached_property
    def _beside_border(self) -> Flags:
        """Whether one of a voxel's 26 neighbours has another class in the reference."""
        if self.flat.size > MANY_VOXELS:
            return self._looked_up(self._border)
        near = np.zeros(self.flat.size, bool)
        left = np.arange(self.flat.size)
        for step in _STEPS:
            inside, beside = self._beside(left, step)
            there = at(self.maps[0], beside)
            hit = there != self.true[left[inside]]
            if self.ignore is not None:
                hit &= there != self.ignore
            near[left[inside][hit]] = True
            left = left[~near[left]]
            if left.size == 0:
                break
        return near

    def _in_lost_objects(self, own: npt.NDArray[Any]) -> Flags:
        """Whether a voxel belongs to an object the other map has no voxel of.

        An object (26-connected component of one foreground class of one map) is lost
        exactly when a piece of it made of wrong voxels touches no voxel that both maps give
        that class: so only wrong voxels are joined.
        """
        here = np.flatnonzero(own)
        lost_voxel = np.zeros(self.flat.size, bool)
        if here.size == 0:
            return lost_voxel
        pieces = components(self.flat[here], own[here], self.shape)
        lost = np.ones(pieces.max() + 1, bool)
        left = np.arange(here.size)
        if self.flat.size > MANY_VOXELS:
            left = np.flatnonzero(self._looked_up(_beside_correct)[here])
        for step in _STEPS:
            inside, beside = self._beside(here[left], step)
            value = own[here[left[inside]]]
            hit = (at(self.maps[0], beside) == value) & (at(self.maps[1], beside) == value)
            lost[pieces[left[inside][hit]]] = False
            left = left[lost[pieces[left]]]
            if left.size == 0:
                break
        lost_voxel[here] = lost[pieces]
        return lost_voxel

    def _border(self, reference: LabelArray, prediction: LabelArray) -> Flags:
        """Return the voxels of a slab with another class around them in the reference."""
        highest = lowest = reference
        if self.ignore is not None:
            ignored = reference == self.ignore
            highest = np.where(ignored, reference.min(), reference)
            lowest = np.where(ignored, reference.max(), reference)
        return np.asarray(_spread(highest, np.maximum) > _spread(lowest, np.minimum))

    def _looked_up(self, dense: Callable[[LabelArray, LabelArray], Flags]) -> Flags:
        """Return what `dense` says of every wrong voxel, slab by slab with a margin of a slice."""
        reference, prediction = self.maps
        found = np.zeros(self.flat.size, bool)
        area = reference[0].size
        rows = max(1, 4 * SLAB_VOXELS // max(1, area))
        for start in range(0, self.shape[0], rows):
            first, last = np.searchsorted(self.flat, [start * area, (start + rows) * area])
            if first < last:
                wide = slice(max(0, start - 1), start + rows + 1)
                flags = dense(reference[wide], prediction[wide])
                found[first:last] = at(flags, self.flat[first:last] - wide.start * area)
        return found

    @cached_property
    def _faces(self) -> npt.NDArray[np.uint8]:
        """On which of the volume's six faces a voxel lies, as bits (two an axis)."""
        faces = np.zeros(self.flat.size, np.uint8)
        for start in range(0, self.flat.size, SLAB_VOXELS):
            part = slice(start, start + SLAB_VOXELS)
            for axis, place in enumerate(np.unravel_index(self.flat[part], self.shape)):
                faces[part] |= (place == 0).astype(np.uint8) << np.uint8(2 * axis)
                last = place == self.shape[axis] - 1
                faces[part] |= last.astype(np.uint8) << np.uint8(2 * axis + 1)
        return faces

    def _beside(self, which: Indices, step: tuple[int, ...]) -> tuple[Flags, Indices]:
        """Return which voxels have a neighbour one step away, and its flat index for those."""
        blocked = sum(1 << (2 * axis + (way > 0)) for axis, way in enumerate(step) if way)
        inside = (self._faces[which] & np.uint8(blocked)) == 0
        _, height, width = self.shape
        offset = (step[0] * height + step[1]) * width + step[2]
        return inside, self.flat[which[inside]] + offset


def _beside_correct(reference: LabelArray, prediction: LabelArray) -> Flags:
    return np.asarray(_spread(reference == prediction, np.logical_or))


def _spread(slab: npt.NDArray[Any], combine: np.ufunc) -> npt.NDArray[Any]:
    """Combine every voxel with its 26 neighbours, axis after axis."""
    for axis in range(3):
        lines = np.moveaxis(slab, axis, 0)
        slab = slab.copy()
        spread = np.moveaxis(slab, axis, 0)
        combine(spread[1:], lines[:-1], out=spread[1:])
        combine(spread[:-1], lines[1:], out=spread[:-1])
    return slab


def _borders(labels: LabelArray) -> Flags:
    """Return the voxels with a face neighbour of another value."""
    borders = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        lines, found = np.moveaxis(labels, axis, 0), np.moveaxis(borders, axis, 0)
        changes = lines[1:] != lines[:-1]
        found[1:] |= changes
        found[:-1] |= changes
    return borders


def _wrong(
    reference: LabelArray, prediction: LabelArray, ignore: int | None
) -> tuple[Indices, LabelArray, LabelArray]:
    """Return flat index, true and predicted class of the voxels that differ."""
    rows = max(1, SLAB_VOXELS // max(1, reference[:1].size))
    found: list[tuple[Indices, LabelArray, LabelArray]] = []
    for start in range(0, reference.shape[0], rows):
        true, predicted = reference[start : start + rows], prediction[start : start + rows]
        wrong = true != predicted
        if ignore is not None:
            wrong &= true != ignore
        inside = np.flatnonzero(wrong)
        if inside.size:
            offset = start * reference[0].size
            found.append((inside + offset, at(true, inside), at(predicted, inside)))
    if not found:
        nothing = np.zeros(0, np.uint8)
        return np.zeros(0, np.intp), nothing, nothing
    flat, true, predicted = (np.concatenate(part) for part in zip(*found, strict=True))
    return flat, true, predicted


def _small(labels: LabelArray) -> LabelArray:
    """Return class values in the smallest unsigned type that holds them (as they are if none)."""
    lowest, highest = int(labels.min(initial=0)), int(labels.max(initial=0))
    return labels if lowest < 0 else labels.astype(np.min_scalar_type(highest))


def at(array: LabelArray, flat: Indices) -> npt.NDArray[Any]:
    """Return the values at flat (C order) indices, without copying an array of other layout."""
    if array.flags.c_contiguous:
        return np.asarray(array.reshape(-1)[flat])
    return np.asarray(array[np.unravel_index(flat, array.shape)])
