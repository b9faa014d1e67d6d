"""The order in which an array lies in memory, and views that follow it.

Label maps shown in napari are transposed and flipped views of what the file holds.
Counting, comparing and labelling do not depend on orientation, and run several times
faster along memory: arrays go through `view`, results come back through `unview`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

AnyIndex = TypeVar("AnyIndex", int, npt.NDArray[np.intp])


@dataclass(frozen=True)
class MemoryOrder:
    """Axes sorted by their stride, slowest first, and which of them run backwards."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    backwards: tuple[bool, ...]

    @staticmethod
    def of(array: npt.NDArray[Any]) -> MemoryOrder:
        """Read the order of one array; axes of length one come first."""
        strides = array.strides
        axes = sorted(
            range(array.ndim), key=lambda axis: (array.shape[axis] > 1, -abs(strides[axis]))
        )
        return MemoryOrder(array.shape, tuple(axes), tuple(stride < 0 for stride in strides))

    @property
    def _flips(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else None) for flip in self.backwards)

    def view(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view along memory (of this array, or of another of its shape)."""
        return array[self._flips].transpose(self.axes)

    def unview(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the view in the original orientation of an array that lies along memory."""
        return array.transpose(np.argsort(self.axes))[self._flips]

    def empty(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array of the original orientation that lies in memory in the same order."""
        return self.unview(np.empty([self.shape[axis] for axis in self.axes], dtype))

    def unview_index(self, index: tuple[AnyIndex, ...]) -> tuple[AnyIndex, ...]:
        """Turn an index along memory (or many at once) into one of the original array."""
        found = list(index)
        for axis, position in zip(self.axes, index, strict=True):
            last = self.shape[axis] - 1
            found[axis] = last - position if self.backwards[axis] else position
        return tuple(found)

    def unview_box(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        """Turn slices along memory into slices of the original array."""
        found = [slice(0, 0)] * len(self.axes)
        for axis, one in zip(self.axes, box, strict=True):
            size = self.shape[axis]
            backwards = self.backwards[axis]
            found[axis] = slice(size - one.stop, size - one.start) if backwards else one
        return tuple(found)
