"""Lesions of two label maps: connected components of chosen classes, matched to each other.

Two label maps enter; `FoundLesions` leaves: every lesion of both maps as a record, with its
IoU and partners as `napari_unet_mic.evaluation.lesion` defines them. After one pass over the
maps, time and memory follow the number of voxels of the chosen classes, not the volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.confusion import SLAB_VOXELS, Box, LabelArray, check_shape
from napari_unet_mic.evaluation.error_voxels import at
from napari_unet_mic.evaluation.lesion import SOURCES, Lesion, LesionQuestion, Source
from napari_unet_mic.evaluation.memory_order import MemoryOrder
from napari_unet_mic.evaluation.probabilities import probabilities_at, probabilities_beside
from napari_unet_mic.evaluation.region_places import deepest_points
from napari_unet_mic.evaluation.runs import Indices, components

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ClassVoxels:
    """The voxels that one class has in either map.

    Parameters
    ----------
    flat
        (n,) ascending index of each along memory.
    numbers
        For each source (n,) the number of the lesion it is in, 0 for none.
    """

    value: int
    flat: npt.NDArray[np.integer]
    numbers: tuple[Numbers, Numbers]


@dataclass(frozen=True, eq=False)
class FoundLesions:
    """The lesions of two maps; make it with `lesions_of`.

    `lesions` are ordered by class, reference before prediction, largest first.
    """

    lesions: tuple[Lesion, ...]
    voxels: tuple[ClassVoxels, ...]
    order: MemoryOrder
    flat: bool

    @property
    def nbytes(self) -> int:
        """Memory of the lists of voxels."""
        return sum(
            one.flat.nbytes + sum(numbers.nbytes for numbers in one.numbers) for one in self.voxels
        )

    @property
    def n_voxels(self) -> int:
        """How many voxels are in a lesion of either map."""
        return sum(one.flat.size for one in self.voxels)

    def without_voxels(self) -> FoundLesions:
        """Return the records alone."""
        return replace(self, voxels=())

    def places(self) -> Indices:
        """Return the index of every voxel in the caller's orientation, (ndim, n)."""
        shape = [self.order.shape[axis] for axis in self.order.axes]
        flat = np.concatenate([np.zeros(0, np.intp), *(one.flat for one in self.voxels)])
        along = np.unravel_index(flat.astype(np.intp), shape)
        return np.stack(self.order.unview_index(along))[1 if self.flat else 0 :]

    def classes(self) -> npt.NDArray[np.int64]:
        """Return the class of every voxel, (n,)."""
        values, counts = [one.value for one in self.voxels], [one.flat.size for one in self.voxels]
        return np.repeat(np.array(values, np.int64), counts)

    def with_confidence(self, probabilities: npt.NDArray[np.floating]) -> FoundLesions:
        """Return the same, knowing the probability of its class at every voxel (n,)."""
        known: dict[tuple[int, Source, int], tuple[float | None, float | None]] = {}
        start = 0
        for one in self.voxels:
            values = probabilities[start : start + one.flat.size]
            start += one.flat.size
            for source, numbers in zip(SOURCES, one.numbers, strict=True):
                for number, figures in enumerate(_mean_and_highest(values, numbers), 1):
                    known[one.value, source, number] = figures
        lesions = []
        for lesion in self.lesions:
            mean, highest = known[lesion.value, lesion.source, lesion.number]
            lesions.append(replace(lesion, confidence=mean, highest=highest))
        return replace(self, lesions=tuple(lesions))

    def lesion_at(self, value: int, source: Source, point: Sequence[int]) -> Lesion | None:
        """Return the lesion of a class and map that holds a voxel (caller's orientation)."""
        whole = (0, *point) if self.flat else tuple(point)
        forward = [
            self.order.shape[axis] - 1 - whole[axis] if self.order.backwards[axis] else whole[axis]
            for axis in self.order.axes
        ]
        shape = [self.order.shape[axis] for axis in self.order.axes]
        if not all(0 <= place < size for place, size in zip(forward, shape, strict=True)):
            return None
        flat = int(np.ravel_multi_index(forward, shape))
        for one in self.voxels:
            place = int(np.searchsorted(one.flat, flat))
            if one.value == value and place < one.flat.size and one.flat[place] == flat:
                number = int(one.numbers[SOURCES.index(source)][place])
                for lesion in self.lesions:
                    if (lesion.value, lesion.source, lesion.number) == (value, source, number):
                        return lesion
        return None


def lesions_of(
    reference: LabelArray,
    prediction: LabelArray,
    values: Iterable[int],
    spacing_mm: Sequence[float],
    *,
    ignore: int | None = None,
    axis: int = 0,
) -> FoundLesions:
    """Find the lesions of some classes in two label maps and match them.

    Parameters
    ----------
    reference, prediction
        Integer label maps of one shape, (Z, Y, X) or (Y, X), any memory layout. A class that
        is empty in a map has no lesion there; a map full of it has one.
    values
        The classes.
    spacing_mm
        Voxel size along each axis of the arrays.
    ignore
        The reference value whose voxels belong to no lesion of either map.
    axis
        The axis across which a lesion's slice is chosen (a 2-D map is its own slice).

    Raises
    ------
    GridMismatch
        The shapes differ.
    """
    check_shape(prediction, reference.shape, "prediction", "as in the reference")
    flat = reference.ndim == 2
    if flat:
        reference, prediction, axis = reference[None], prediction[None], 0
    order = MemoryOrder.of(reference)
    maps = order.view(reference), order.view(prediction)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    lesions: list[Lesion] = []
    voxels = []
    for value in sorted({int(value) for value in values}):
        found = _numbered(maps, value, ignore)
        if found.flat.size:
            voxels.append(found)
            lesions += _records(found, order, axis, voxel_ml, flat)
    return FoundLesions(tuple(lesions), tuple(voxels), order, flat)


def lesions_of_case(
    reference: Volume,
    prediction: Volume,
    question: LesionQuestion,
    *,
    name: str,
    ignore: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Lesion, ...]:
    """Return the lesions of a case, with probabilities where the question's folder holds them.

    Raises
    ------
    GridMismatch, UnreadableFile
        When the probabilities do not fit, or cannot be read.
    """
    found = lesions_of(
        reference.array, prediction.array, question.classes, reference.spacing_mm, ignore=ignore
    )
    file = _probabilities(question, name)
    if file is None or not found.lesions:
        return found.lesions
    values = probabilities_at(
        file, found.places(), found.classes(), prediction.array.shape, should_stop=should_stop
    )
    return found.with_confidence(values).lesions


def without_probabilities(question: LesionQuestion, cases: Sequence[str]) -> list[str]:
    """Say which cases the question's folder has no probabilities of.

    Raises
    ------
    BadInput
        When there is no such folder.
    """
    folder = question.probabilities
    if folder is None:
        return []
    if not folder.is_dir():
        raise BadInput(
            folder,
            expected="a folder with <case>.npz",
            got="no such folder",
            advice="predict with --probabilities, and name the folder it wrote into",
        )
    without = [name for name in cases if _probabilities(question, name) is None]
    if not without:
        return []
    named = ", ".join(without[:5]) + (", …" if len(without) > 5 else "")
    return [f"{folder}: no probabilities of {len(without)} of {len(cases)} cases ({named})"]


def _probabilities(question: LesionQuestion, name: str) -> Path | None:
    if question.probabilities is None:
        return None
    return probabilities_beside(question.probabilities / f"{name.rsplit('/', 1)[-1]}.nii.gz")


def _numbered(maps: tuple[LabelArray, LabelArray], value: int, ignore: int | None) -> ClassVoxels:
    """List the voxels of a class in either map, and number its components in both."""
    flat, inside = _voxels_of(maps, value, ignore)
    shape = maps[0].shape
    numbers = []
    for mine in inside:
        own = np.zeros(flat.size, np.int32)
        parts = components(flat[mine], np.zeros(int(mine.sum()), np.uint8), shape)
        largest_first = np.argsort(-np.bincount(parts), kind="stable") if parts.size else parts
        rank = np.empty(largest_first.size, np.int32)
        rank[largest_first] = np.arange(1, largest_first.size + 1)
        own[mine] = rank[parts]
        numbers.append(own)
    small = flat.astype(np.uint32) if maps[0].size < 1 << 32 else flat
    return ClassVoxels(value, small, (numbers[0], numbers[1]))


def _voxels_of(
    maps: tuple[LabelArray, LabelArray], value: int, ignore: int | None
) -> tuple[Indices, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Return the flat indices at which a class is in either map, and in which; slab by slab."""
    reference, prediction = maps
    area = reference[:1].size
    rows = max(1, SLAB_VOXELS // max(1, area))
    nothing = np.zeros(0, bool)
    parts: list[tuple[Any, Any, Any]] = [(np.zeros(0, np.intp), nothing, nothing)]
    for start in range(0, reference.shape[0], rows):
        true, predicted = reference[start : start + rows], prediction[start : start + rows]
        in_one, in_other = true == value, predicted == value
        if ignore is not None:
            ignored = true == ignore
            in_one &= ~ignored
            in_other &= ~ignored
        flat = np.flatnonzero(in_one | in_other)
        if flat.size:
            parts.append((flat + start * area, at(in_one, flat), at(in_other, flat)))
    flat, in_one, in_other = (np.concatenate(part) for part in zip(*parts, strict=True))
    return flat, (in_one, in_other)


def _records(
    found: ClassVoxels, order: MemoryOrder, axis: int, voxel_ml: float, flat: bool
) -> list[Lesion]:
    """Describe the lesions of both maps: size, IoU, partners, place."""
    keep = slice(1, None) if flat else slice(None)
    sizes = [np.bincount(numbers, minlength=1) for numbers in found.numbers]
    touching = _touching(*found.numbers)
    lesions = []
    for side, source in enumerate(SOURCES):
        mine, others = touching[side], touching[1 - side]
        n_shared = np.bincount(mine, touching[2], minlength=sizes[side].size).astype(np.int64)
        n_others = np.bincount(mine, sizes[1 - side][others], minlength=sizes[side].size)
        union = sizes[side] + n_others.astype(np.int64) - n_shared
        in_order = np.argsort(mine, kind="stable")
        ends = np.cumsum(np.bincount(mine, minlength=sizes[side].size))[:-1]
        partners = [sorted(part.tolist()) for part in np.split(others[in_order], ends)]
        points, boxes = _placed(found, side, order, axis)
        for number in range(1, sizes[side].size):
            lesions.append(
                Lesion(
                    found.value,
                    number,
                    source,
                    int(sizes[side][number]),
                    int(sizes[side][number]) * voxel_ml,
                    int(n_shared[number]) / int(union[number]),
                    tuple(partners[number]),
                    points[number - 1][keep],
                    boxes[number - 1][keep],
                )
            )
    return lesions


def _touching(reference: Numbers, prediction: Numbers) -> tuple[Indices, Indices, Indices]:
    """Return which lesions touch, as numbers in both maps, and in how many voxels."""
    both = np.flatnonzero((reference > 0) & (prediction > 0))
    width = int(prediction.max(initial=0)) + 1
    keys, counts = np.unique(
        reference[both].astype(np.intp) * width + prediction[both], return_counts=True
    )
    return keys // width, keys % width, counts.astype(np.intp)


def _placed(
    found: ClassVoxels, side: int, order: MemoryOrder, axis: int
) -> tuple[list[tuple[int, ...]], list[Box]]:
    """Return a point in every lesion of one map and the box around it, in the caller's axes."""
    numbers = found.numbers[side]
    inside = np.flatnonzero(numbers)
    if inside.size == 0:
        return [], []
    by_lesion = inside[np.argsort(numbers[inside], kind="stable")]
    groups = numbers[by_lesion].astype(np.intp)
    shape = [order.shape[one] for one in order.axes]
    places = np.stack(np.unravel_index(found.flat[by_lesion].astype(np.intp), shape))
    starts = np.flatnonzero(np.diff(groups, prepend=0))
    lowest = np.minimum.reduceat(places, starts, axis=1).T.tolist()
    highest = np.maximum.reduceat(places, starts, axis=1).T.tolist()
    points = deepest_points(groups, places, order.axes.index(axis)).T.tolist()
    boxes = [
        tuple(slice(low, high + 1) for low, high in zip(*ends, strict=True))
        for ends in zip(lowest, highest, strict=True)
    ]
    return (
        [order.unview_index(tuple(point)) for point in points],
        [order.unview_box(box) for box in boxes],
    )


def _mean_and_highest(
    values: npt.NDArray[np.floating], numbers: Numbers
) -> list[tuple[float | None, float | None]]:
    """Return mean and highest value of each lesion, in the order of their numbers."""
    inside = np.flatnonzero(numbers)
    if inside.size == 0:
        return []
    by_lesion = inside[np.argsort(numbers[inside], kind="stable")]
    starts = np.flatnonzero(np.diff(numbers[by_lesion], prepend=0))
    ordered = values[by_lesion].astype(np.float64)
    means = np.add.reduceat(ordered, starts) / np.diff(starts, append=ordered.size)
    highest = np.maximum.reduceat(ordered, starts)
    figures = zip(means.tolist(), highest.tolist(), strict=True)
    return [(None, None) if mean != mean else (mean, top) for mean, top in figures]
