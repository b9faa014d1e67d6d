"""What a second prediction mends and what it breaks: a state for every voxel, by true class.

A reference and two predictions of one grid enter. A table (K, 4) leaves, rows true class,
columns states, cells voxels; or the code array ``4 * reference + state`` that tells the state
of every voxel. The states of a voxel, by its true class:

both right
    neither prediction errs
fixed
    the first prediction is wrong, the second is right
broken
    the first is right, the second is wrong
still wrong
    both are wrong, in the same way or not

The background is a true class like the others: a lesion that only the first prediction made
up is "fixed" there. A voxel whose reference is the ignore label enters no table.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import (
    SLAB_VOXELS,
    Box,
    CodeArray,
    LabelArray,
    Table,
    check_pair,
    check_shape,
    check_values,
    count_values,
    slabs,
)
from napari_unet_mic.evaluation.memory_order import MemoryOrder

STATES = ("both right", "fixed", "broken", "still wrong")
BOTH_RIGHT, FIXED, BROKEN, STILL_WRONG = range(4)
N_STATES = len(STATES)
Three = tuple[str, str, str]
NAMES: Three = ("reference", "prediction", "second prediction")


def difference_table(
    reference: LabelArray,
    first: LabelArray,
    second: LabelArray,
    n_classes: int,
    ignore: int | None = None,
    *,
    names: Three = NAMES,
) -> Table:
    """Count the voxels of every true class by what happened to them.

    Parameters
    ----------
    reference, first, second
        Integer label maps of one shape, any number of axes and memory layout.
    n_classes
        K: the reference holds 0 … K-1 (the predictions may hold other values: wrong ones).
    ignore
        The reference value that excludes a voxel.

    Returns
    -------
    ndarray (K, 4) int64
        Columns as `STATES`. Empty arrays give zeros.

    Raises
    ------
    GridMismatch
        The shapes differ.
    UnknownClass
        A reference value outside 0 … K-1.
    """
    _check(reference, first, second, n_classes, names)
    counts = np.zeros(n_classes * N_STATES, np.int64)
    for true, one, other in slabs(reference, first, second):
        codes = np.empty(true.shape, difference_dtype(n_classes))
        _encode(true, one, other, n_classes, ignore, names[0], codes)
        counts += count_values(codes, n_classes * N_STATES)
    return counts.reshape(n_classes, N_STATES)


def difference_dtype(n_classes: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the type of a code array: uint8 up to 63 classes, else uint16."""
    return np.dtype(np.uint8 if n_classes * N_STATES <= np.iinfo(np.uint8).max else np.uint16)


def difference_code(true_class: int, state: int) -> int:
    """Return the code of the voxels of a true class in a state."""
    return N_STATES * true_class + state


class DifferenceShadow:
    """What three label maps held when last looked at; brought up to date by looks.

    One look at a time; `codes` may be read meanwhile (every slab is right before or after).

    Parameters
    ----------
    codes
        ``4 * reference + state`` of every voxel, the type's largest value where ignored; the
        shadow changes it in place.
    """

    def __init__(
        self, codes: CodeArray, table: Table, n_classes: int, ignore: int | None = None
    ) -> None:
        self.codes = codes
        self.n_classes = n_classes
        self.ignore = ignore
        self._table = table
        self._lock = threading.Lock()

    @staticmethod
    def of(
        reference: LabelArray,
        first: LabelArray,
        second: LabelArray,
        n_classes: int,
        ignore: int | None = None,
        *,
        names: Three = NAMES,
    ) -> DifferenceShadow:
        """Look at three maps for the first time; parameters and errors as `difference_table`."""
        _check(reference, first, second, n_classes, names)
        order = MemoryOrder.of(reference)
        codes: CodeArray = order.empty(difference_dtype(n_classes))
        counts = np.zeros(n_classes * N_STATES, np.int64)
        for true, one, other, slab in slabs(reference, first, second, codes):
            _encode(true, one, other, n_classes, ignore, names[0], slab)
            counts += count_values(np.ascontiguousarray(slab), n_classes * N_STATES)
        return DifferenceShadow(codes, counts.reshape(n_classes, N_STATES), n_classes, ignore)

    @property
    def table(self) -> Table:
        """The (K, 4) table as of now, as a copy."""
        with self._lock:
            return self._table.copy()

    def look(self, reference: Any, first: Any, second: Any, *, names: Three = NAMES) -> bool:
        """Bring codes and table up to date; return whether anything differed.

        Maps are arrays, or anything that gives arrays when indexed (read some slices at a time).

        Raises
        ------
        GridMismatch
            The maps have another shape than the codes.
        UnknownClass
            A reference value outside 0 … K-1: look anew with more classes.
        """
        maps = (reference, first, second)
        for name, labels in zip(names, maps, strict=True):
            check_shape(labels, self.codes.shape, name, "as before")
        changed = False
        for part in _parts(maps, self.codes.shape):
            arrays = [np.asarray(labels[part]) for labels in maps]
            for codes, true, one, other in slabs(self.codes[part], *arrays):
                changed |= self._see(codes, true, one, other, names[0])
        return changed

    def _see(
        self,
        codes: CodeArray,
        reference: LabelArray,
        first: LabelArray,
        second: LabelArray,
        name: str,
    ) -> bool:
        new = np.empty(codes.shape, codes.dtype)
        _encode(reference, first, second, self.n_classes, self.ignore, name, new)
        different = new != codes
        if not different.any():
            return False
        n_cells = self.n_classes * N_STATES
        won = count_values(new[different], n_cells) - count_values(codes[different], n_cells)
        with self._lock:
            codes[...] = new
            self._table += won.reshape(self._table.shape)
        return True


def _check(
    reference: LabelArray, first: LabelArray, second: LabelArray, n_classes: int, names: Three
) -> None:
    check_pair(reference, first, n_classes, (names[0], names[1]))
    check_pair(reference, second, n_classes, (names[0], names[2]))


def _encode(
    reference: LabelArray,
    first: LabelArray,
    second: LabelArray,
    n_classes: int,
    ignore: int | None,
    name: str,
    codes: CodeArray,
) -> None:
    """Write the codes of one slab into `codes`."""
    ignored: npt.NDArray[np.bool_] | None = None
    if ignore is not None:
        mask = reference == ignore
        if mask.any():
            ignored, reference = mask, np.where(mask, 0, reference)
    check_values(reference, n_classes, name)
    np.multiply(reference, N_STATES, out=codes, casting="unsafe", dtype=codes.dtype)
    codes += (reference != first).view(np.uint8) * codes.dtype.type(FIXED)
    codes += (reference != second).view(np.uint8) * codes.dtype.type(BROKEN)
    if ignored is not None:
        codes[ignored] = np.iinfo(codes.dtype).max


def _parts(maps: tuple[Any, Any, Any], shape: tuple[int, ...]) -> Iterator[Box]:
    """Yield what is read at once: everything of arrays, a few slices of anything else."""
    if all(isinstance(labels, np.ndarray) for labels in maps):
        yield (slice(None),) * len(shape)
        return
    rows = max(1, 16 * SLAB_VOXELS // max(1, int(np.prod(shape[1:]))))
    for start in range(0, shape[0], rows):
        yield (slice(start, start + rows),)
