"""The shadow of two label maps: their codes and table as last seen, brought up to date by looks.

Two label maps enter; a code array and its table leave (`napari_unet_mic.evaluation.confusion`).
A look compares the maps, or a box of them, with the codes; what differs is written down and
counted. So the table is right after any change of the maps, whoever made it and however. Looks
may run in several threads at once: every slab is one step, after which codes and table agree.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_unet_mic.evaluation.confusion import (
    SLAB_VOXELS,
    Box,
    CodeArray,
    LabelArray,
    Names,
    Table,
    check_pair,
    check_shape,
    code_array,
    count_codes,
    encode,
    slabs,
    table_of_codes,
)


class Shadow:
    """What two label maps held when they were last looked at.

    Parameters
    ----------
    codes
        ``reference * K + prediction`` of every voxel; the shadow changes it in place.
    table
        (K, K) its count; the shadow changes it in place.
    n_classes
        K: values 0 … K-1 may occur.
    ignore
        The reference value that excludes a voxel.
    """

    def __init__(
        self, codes: CodeArray, table: Table, n_classes: int, ignore: int | None = None
    ) -> None:
        self.codes = codes
        self.n_classes = n_classes
        self.ignore = ignore
        self._table = table
        self._touched: set[int] = set()
        self._lock = threading.Lock()

    @staticmethod
    def of(
        reference: LabelArray,
        prediction: LabelArray,
        n_classes: int,
        ignore: int | None = None,
        *,
        names: Names = ("reference", "prediction"),
    ) -> Shadow:
        """Count two maps whole; parameters and errors as `confusion_table`."""
        codes = code_array(reference, prediction, n_classes, ignore, names=names)
        return Shadow(codes, table_of_codes(codes, n_classes), n_classes, ignore)

    @property
    def table(self) -> Table:
        """The (K, K) table as of now, as a copy."""
        with self._lock:
            return self._table.copy()

    def look(
        self,
        reference: Any,
        prediction: Any,
        *,
        box: Box | None = None,
        names: Names = ("reference", "prediction"),
    ) -> bool:
        """Bring codes and table up to date with the maps; return whether anything differed.

        Parameters
        ----------
        reference, prediction
            Arrays, or anything that gives arrays when indexed (read a few slices at a time).
        box
            Slices to look at; the whole volume when left out.

        Raises
        ------
        GridMismatch
            The maps have another shape than the codes.
        UnknownClass
            A value outside 0 … K-1. What was looked at before it is written down; the maps
            must be counted anew with more classes.
        """
        for name, labels in zip(names, (reference, prediction), strict=True):
            check_shape(labels, self.codes.shape, name, "as before")
        changed = False
        for part in self._parts(reference, prediction, box):
            one, other = np.asarray(reference[part]), np.asarray(prediction[part])
            check_pair(one, other, self.n_classes, names)
            for codes, true, predicted in slabs(self.codes[part], one, other):
                with self._lock:
                    changed |= self._see(codes, true, predicted, names)
        return changed

    def take_touched(self) -> set[int]:
        """Return the classes that lost or won a voxel since this was asked last."""
        with self._lock:
            touched, self._touched = self._touched, set()
        return touched

    def _see(
        self, codes: CodeArray, reference: LabelArray, prediction: LabelArray, names: Names
    ) -> bool:
        """Bring one slab up to date."""
        new = np.empty(codes.shape, codes.dtype)
        encode(reference, prediction, self.n_classes, self.ignore, names, new)
        different = new != codes
        if not different.any():
            return False
        won = count_codes(new[different], self.n_classes)
        lost = count_codes(codes[different], self.n_classes)
        codes[...] = new
        self._table += (won - lost).reshape(self._table.shape)
        true, predicted = np.divmod(np.flatnonzero(won + lost), self.n_classes)
        self._touched.update(true.tolist(), predicted.tolist())
        return True

    def _parts(self, reference: Any, prediction: Any, box: Box | None) -> Iterator[Box]:
        """Yield what is read at once: everything of arrays, a few slices of anything else."""
        box = box if box is not None else (slice(None),) * self.codes.ndim
        if isinstance(reference, np.ndarray) and isinstance(prediction, np.ndarray):
            yield box
            return
        start, stop, _ = box[0].indices(self.codes.shape[0])
        rows = max(1, 16 * SLAB_VOXELS // max(1, self.codes[:1].size))
        for first in range(start, stop, rows):
            yield (slice(first, min(first + rows, stop)), *box[1:])
