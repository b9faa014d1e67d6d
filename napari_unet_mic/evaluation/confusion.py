"""The K x K confusion table: true class (rows) against predicted class (columns), in voxels.

Two label maps of one shape enter. The table leaves, or the code array
``reference * K + prediction`` that holds the same facts voxel by voxel: it tells
which cell of the table a voxel belongs to (`napari_unet_mic.evaluation.shadow` keeps it up
to date while someone paints). A voxel whose reference is the ignore label enters no table;
in the code array it is `ignored_code`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.errors import BadInput, GridMismatch, UnknownClass
from napari_unet_mic.evaluation.memory_order import MemoryOrder

LabelArray = npt.NDArray[Any]
CodeArray = npt.NDArray[np.unsignedinteger[Any]]
Table = npt.NDArray[np.int64]
Box = tuple[slice, ...]
Names = tuple[str, str]

SLAB_VOXELS = 1 << 18
"""Voxels handled at once: small enough for the processor's cache, whatever the volume."""

MOST_CLASSES = 255
"""Codes of more classes than this would not fit into 16 bits beside the ignored one."""


def confusion_table(
    reference: LabelArray,
    prediction: LabelArray,
    n_classes: int,
    ignore: int | None = None,
    *,
    names: Names = ("reference", "prediction"),
) -> Table:
    """Count the voxels of every pair (true class, predicted class).

    Parameters
    ----------
    reference, prediction
        Integer label maps of one shape, any number of axes, any memory layout.
        They are read in slabs; a few megabytes are allocated whatever their size.
    n_classes
        K, background included: values 0 … K-1 may occur.
    ignore
        The reference value that excludes a voxel.
    names
        What the two maps are called in an error, for example their files.

    Returns
    -------
    ndarray (K, K) int64
        Cell ``[t, p]``: voxels of true class t that were predicted as p. Empty
        arrays give a table of zeros.

    Raises
    ------
    GridMismatch
        The shapes differ.
    UnknownClass
        A value outside 0 … K-1 (other than an ignored voxel).
    """
    check_pair(reference, prediction, n_classes, names)
    dtype = code_dtype(n_classes)
    counts = np.zeros(n_classes * n_classes, np.int64)
    for slab_reference, slab_prediction in slabs(reference, prediction):
        codes = np.empty(slab_reference.shape, dtype)
        encode(slab_reference, slab_prediction, n_classes, ignore, names, codes)
        counts += count_codes(codes, n_classes)
    return counts.reshape(n_classes, n_classes)


def code_array(
    reference: LabelArray,
    prediction: LabelArray,
    n_classes: int,
    ignore: int | None = None,
    *,
    names: Names = ("reference", "prediction"),
) -> CodeArray:
    """Return ``reference * K + prediction`` for every voxel.

    Parameters are those of `confusion_table`. The result is uint8 up to 15 classes,
    otherwise uint16, of the maps' shape and memory order; ignored voxels hold
    ``ignored_code(n_classes)``.
    """
    check_pair(reference, prediction, n_classes, names)
    codes: CodeArray = MemoryOrder.of(reference).empty(code_dtype(n_classes))
    for slab_reference, slab_prediction, slab_codes in slabs(reference, prediction, codes):
        encode(slab_reference, slab_prediction, n_classes, ignore, names, slab_codes)
    return codes


def table_of_codes(codes: CodeArray, n_classes: int) -> Table:
    """Count a code array into its (K, K) table; ignored voxels are left out."""
    counts = np.zeros(n_classes * n_classes, np.int64)
    for (slab,) in slabs(codes):
        counts += count_codes(np.ascontiguousarray(slab), n_classes)
    return counts.reshape(n_classes, n_classes)


def code_dtype(n_classes: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the type of a code array: uint8 up to 15 classes, else uint16."""
    return np.dtype(np.uint8 if n_classes <= 15 else np.uint16)


def ignored_code(n_classes: int) -> int:
    """Return the code of a voxel that enters no table: the largest value of the type."""
    return int(np.iinfo(code_dtype(n_classes)).max)


def check_pair(reference: LabelArray, prediction: LabelArray, n_classes: int, names: Names) -> None:
    """Refuse maps that are no integers or of two shapes, and more classes than fit."""
    for array, name in zip((reference, prediction), names, strict=True):
        if array.dtype.kind not in "iub":
            raise BadInput(
                name,
                expected="a label map of integers",
                got=f"values of type {array.dtype}",
                advice="open it as labels",
            )
    check_shape(prediction, reference.shape, names[1], f"as in {names[0]}")
    if not 1 <= n_classes <= MOST_CLASSES:
        raise BadInput(
            "the confusion table",
            expected=f"1 to {MOST_CLASSES} classes",
            got=f"{n_classes}",
            advice="compare class maps, not maps of numbered objects",
        )


def check_shape(labels: Any, shape: Sequence[int], name: str, whose: str) -> None:
    """Refuse a map of another shape; `whose` says which one was expected."""
    if tuple(labels.shape) != tuple(shape):
        raise GridMismatch(
            name,
            expected=f"shape {tuple(shape)} {whose}",
            got=f"shape {tuple(labels.shape)}",
            advice="compare maps of one grid, or resample the prediction onto the reference",
        )


def slabs(*arrays: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """Yield matching views of some `SLAB_VOXELS` voxels, along the slowest axis in memory.

    Counting does not depend on order, so axes are taken as the first array lies in memory.
    """
    first = arrays[0]
    if first.size == 0:
        return
    order = MemoryOrder.of(first)
    arrays = tuple(order.view(array) for array in arrays)
    if all(array.flags.c_contiguous for array in arrays):
        arrays = tuple(array.reshape(-1) for array in arrays)
    per_step = max(1, arrays[0].size // arrays[0].shape[0])
    step = max(1, SLAB_VOXELS // per_step)
    for start in range(0, arrays[0].shape[0], step):
        yield tuple(array[start : start + step] for array in arrays)


def encode(
    reference: LabelArray,
    prediction: LabelArray,
    n_classes: int,
    ignore: int | None,
    names: Names,
    codes: CodeArray,
) -> None:
    """Write the codes of one slab into `codes`."""
    reference, prediction, ignored = _without_ignored(
        reference, prediction, n_classes, ignore, names
    )
    np.multiply(reference, n_classes, out=codes, casting="unsafe", dtype=codes.dtype)
    np.add(codes, prediction, out=codes, casting="unsafe", dtype=codes.dtype)
    if ignored is not None:
        codes[ignored] = ignored_code(n_classes)


def _without_ignored(
    reference: LabelArray,
    prediction: LabelArray,
    n_classes: int,
    ignore: int | None,
    names: Names,
) -> tuple[LabelArray, LabelArray, npt.NDArray[np.bool_] | None]:
    """Return the two maps with 0 where ignored, and where that is; all values are checked."""
    ignored = None
    if ignore is not None:
        mask = reference == ignore
        if mask.any():
            ignored = mask
            reference = np.where(mask, 0, reference)
            prediction = np.where(mask, 0, prediction)
    check_values(reference, n_classes, names[0])
    check_values(prediction, n_classes, names[1])
    return reference, prediction, ignored


def check_values(labels: LabelArray, n_classes: int, name: str) -> None:
    """Refuse a map with a value outside 0 … K-1, naming the value."""
    if labels.size == 0:
        return
    lowest = int(labels.min()) if labels.dtype.kind == "i" else 0
    highest = int(labels.max())
    if lowest < 0 or highest >= n_classes:
        raise UnknownClass(
            name,
            expected=f"class values 0 to {n_classes - 1}",
            got=f"a voxel of value {lowest if lowest < 0 else highest}",
            advice="correct the label, or declare the class in dataset.json",
        )


def count_codes(codes: CodeArray, n_classes: int) -> Table:
    """Count contiguous codes of K x K cells."""
    return count_values(codes, n_classes * n_classes)


def count_values(codes: CodeArray, n_cells: int) -> Table:
    """Count contiguous codes below `n_cells`; words of eight zeros are counted as one."""
    flat = codes.reshape(-1)
    background = 0
    if flat.dtype == np.uint8 and flat.size >= 64:
        whole = flat.size - flat.size % 8
        words = flat[:whole].view(np.uint64)
        rest = words[words != 0].view(np.uint8)
        background = whole - rest.size
        flat = np.concatenate([rest, flat[whole:]])
    counts = np.bincount(flat, minlength=n_cells)[:n_cells].astype(np.int64)
    counts[0] += background
    return counts
