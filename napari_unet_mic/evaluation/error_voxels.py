"""Wrong voxels inside a bounding box, as flat indices: which objects they are, which are rim.

A `Crop` holds two label maps inside a box with one voxel more on every side, so that the
26 neighbours of a voxel are fixed offsets in the flattened arrays. Work then follows the
number of wrong voxels, not the volume. The words are those of
`napari_unet_mic.evaluation.mistakes`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import Box, LabelArray

Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Query:
    """A cell, row (`predicted_class` None), column (`true_class` None) or all errors (both)."""

    true_class: int | None
    predicted_class: int | None
    ignore: int | None

    @property
    def correct(self) -> bool:
        """Whether a cell of the diagonal is asked for."""
        return self.true_class is not None and self.true_class == self.predicted_class

    def selects(self, true: LabelArray, predicted: LabelArray) -> Flags:
        """Whether voxels belong to the cell, row or column."""
        if self.correct:
            return np.asarray((true == self.true_class) & (predicted == self.true_class))
        chosen = self._wrong(true, predicted)
        if self.true_class is not None:
            chosen &= true == self.true_class
        if self.predicted_class is not None:
            chosen &= predicted == self.predicted_class
        return chosen

    def concerns(self, true: LabelArray, predicted: LabelArray) -> Flags:
        """Whether voxels are asked for, or are errors of a class that is."""
        if self.correct:
            return self.selects(true, predicted)
        chosen = self._wrong(true, predicted)
        if self.true_class is not None and self.predicted_class is not None:
            # the background is no object: its other errors decide nothing
            of_class = np.zeros(true.shape, bool)
            if self.true_class:
                of_class |= true == self.true_class
            if self.predicted_class:
                of_class |= predicted == self.predicted_class
            chosen &= of_class
        return chosen

    def _wrong(self, true: LabelArray, predicted: LabelArray) -> Flags:
        wrong = true != predicted
        if self.ignore is not None:
            wrong &= true != self.ignore
        return np.asarray(wrong)


def bounding_box(reference: LabelArray, prediction: LabelArray, query: Query) -> Box | None:
    """Return the box of all voxels that concern a query, read slice by slice."""
    hits = [np.zeros(size, bool) for size in reference.shape]
    for index in range(reference.shape[0]):
        chosen = query.concerns(reference[index], prediction[index])
        rows = chosen.any(axis=1)
        if rows.any():
            hits[0][index] = True
            hits[1] |= rows
            hits[2] |= chosen.any(axis=0)
    if not hits[0].any():
        return None
    ends = [np.flatnonzero(one)[[0, -1]] for one in hits]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


@dataclass(frozen=True)
class Crop:
    """Two label maps (Z, Y, X) inside `box`, one voxel wider on every side.

    Outside the volume the margin repeats the edge, so it neither makes a border nor a hit.
    """

    true: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    box: Box
    ignore: int | None = None

    @staticmethod
    def cut(
        reference: LabelArray, prediction: LabelArray, box: Box, ignore: int | None = None
    ) -> Crop:
        """Copy the inside of a box out of two label maps, in the smallest type that holds them."""
        wider, missing = [], []
        for one, size in zip(box, reference.shape, strict=True):
            wide = slice(max(0, one.start - 1), min(size, one.stop + 1))
            wider.append(wide)
            missing.append((wide.start - one.start + 1, one.stop + 1 - wide.stop))
        true, predicted = (
            np.pad(_small(array[tuple(wider)]), missing, mode="edge")
            for array in (reference, prediction)
        )
        return Crop(true, predicted, box, ignore)

    @property
    def errors(self) -> Flags:
        """Which voxels inside the box are wrong (not the ignored ones, not the margin)."""
        true = self.true[INSIDE_MARGIN]
        wrong = true != self.predicted[INSIDE_MARGIN]
        if self.ignore is not None:
            wrong &= true != self.ignore
        return np.asarray(wrong)

    def neighbours(self) -> list[int]:
        """Return the offsets of the 26 neighbours in the flattened crop, nearest first."""
        steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
        steps.sort(key=lambda step: sum(map(abs, step)))
        _, rows, columns = self.true.shape
        return [(z * rows + y) * columns + x for z, y, x in steps]

    def neighbours_in_slice(self, axis: int) -> list[int]:
        """Return the offsets of the four nearest voxels of a slice across `axis`."""
        _, rows, columns = self.true.shape
        steps = (rows * columns, columns, 1)
        return [sign * steps[other] for other in range(3) if other != axis for sign in (-1, 1)]


INSIDE_MARGIN = (slice(1, -1),) * 3
"""The inside of a crop, without its margin."""


def _small(labels: LabelArray) -> npt.NDArray[Any]:
    if labels.dtype.itemsize == 1 or labels.size == 0 or labels.min() < 0:
        return labels
    return labels.astype(np.min_scalar_type(labels.max()))


def within_lost_objects(
    crop: Crop, voxels: Indices, *, of_prediction: bool, wanted: int | None
) -> Flags:
    """Whether voxels belong to an object that the other map has no voxel of.

    Parameters
    ----------
    voxels
        Flat indices of wrong voxels in the crop, which must hold all errors of `wanted`.
    of_prediction
        False: objects of the reference without a predicted voxel (missed). True: objects of
        the prediction without a true voxel (spurious).
    wanted
        Only objects of this class; None for every foreground class.

    Notes
    -----
    An object (26-connected component of a class) is lost exactly when one of its pieces
    made of errors touches no correct voxel of the class, so only errors are labelled.
    """
    own = crop.predicted if of_prediction else crop.true
    if wanted == 0 or voxels.size == 0:
        return np.zeros(voxels.shape, bool)
    errors = crop.errors
    if wanted is not None:
        errors &= own[INSIDE_MARGIN] == wanted
    pieces = np.zeros_like(own)
    np.copyto(pieces[INSIDE_MARGIN], own[INSIDE_MARGIN], where=errors)
    labels, n_pieces = cc3d.connected_components(pieces, connectivity=26, return_N=True)
    labels = labels.reshape(-1)
    lost = np.zeros(n_pieces + 1, bool)
    lost[labels[voxels]] = True
    lost[0] = False
    left = np.flatnonzero(lost[labels]) if lost.any() else np.zeros(0, np.intp)
    _strike_touching(crop, own.reshape(-1), labels, left, lost)
    return np.asarray(lost[labels[voxels]])


def _strike_touching(
    crop: Crop,
    own: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    left: Indices,
    lost: Flags,
) -> None:
    """Clear `lost` of every piece beside a voxel where both maps hold the piece's class."""
    true, predicted = crop.true.reshape(-1), crop.predicted.reshape(-1)
    for offset in crop.neighbours():
        beside = left + offset
        hit = (true[beside] == own[left]) & (predicted[beside] == own[left])
        lost[labels[left[hit]]] = False
        left = left[lost[labels[left]]]
        if left.size == 0:
            return


def near_border(crop: Crop, voxels: Indices) -> Flags:
    """Whether one of a voxel's 26 neighbours has another class in the reference."""
    true = crop.true.reshape(-1)
    near = np.zeros(voxels.shape, bool)
    left = np.arange(voxels.size)
    for offset in crop.neighbours():
        beside = true[voxels[left] + offset]
        hit = beside != true[voxels[left]]
        if crop.ignore is not None:
            hit &= beside != crop.ignore
        near[left[hit]] = True
        left = left[~hit]
        if left.size == 0:
            break
    return near
