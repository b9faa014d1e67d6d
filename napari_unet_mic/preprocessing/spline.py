"""One axis of a spline resampling as a narrow band of weights.

In: the number of voxels before and after, and the spline order. Out: an
`AxisOperator`, whose row *i* says which neighbouring input voxels make output
voxel *i*, and with what weight. A three-dimensional resampling is one operator
per axis, applied one after the other.

The weights are those of ``skimage.transform.resize(mode="edge",
anti_aliasing=False)``, which is ``scipy.ndimage.zoom(mode="nearest",
grid_mode=True)``: voxel areas are mapped onto each other (not voxel centres),
the edge voxel is repeated, and order 3 interpolates with a cubic B-spline whose
coefficients come from the line padded by 12 repeated edge voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float32]

# Beyond this many voxels from its centre a cubic interpolation weight is below 1e-9.
_NEGLIGIBLE = 1e-9
# scipy repeats the edge this often before it looks for spline coefficients.
_EDGE_PADDING = 12
# Voxels that one matrix product reads or makes along its axis, at most: large enough for BLAS,
# narrow enough to stay banded.
_BLOCK = 48
# OpenBLAS hands larger products (rows x columns x depth) to several threads, which then wait for
# each other: hundreds of times slower on a busy machine, and gaining nothing at these sizes.
_SINGLE_THREADED_PRODUCT = 262_144


@dataclass(frozen=True)
class Block:
    """Output voxels ``start:stop`` as a dense product over input voxels ``lower:upper``."""

    start: int
    stop: int
    lower: int
    upper: int
    weights: FloatArray  # (stop - start, upper - lower)

    def apply(self, lines: FloatArray, out: FloatArray) -> None:
        """Write ``weights @ lines`` to `out`: (upper - lower, N) becomes (stop - start, N)."""
        size = self._lines_at_once
        whole = lines.shape[1] // size * size
        if whole:
            parts, made = (_columns_in_parts(a[:, :whole], size) for a in (lines, out))
            np.matmul(self.weights, parts, out=made)
        if whole < lines.shape[1]:
            np.matmul(self.weights, lines[:, whole:], out=out[:, whole:])

    def apply_across(self, lines: FloatArray, out: FloatArray) -> None:
        """Write ``lines @ weights.T`` to `out`: (N, upper - lower) becomes (N, stop - start)."""
        size = self._lines_at_once
        whole = len(lines) // size * size
        if whole:
            parts, made = (_rows_in_parts(a[:whole], size) for a in (lines, out))
            np.matmul(parts, self.weights.T, out=made)
        if whole < len(lines):
            np.matmul(lines[whole:], self.weights.T, out=out[whole:])

    @property
    def _lines_at_once(self) -> int:
        return max(16, _SINGLE_THREADED_PRODUCT // self.weights.size // 16 * 16)


def _columns_in_parts(array: FloatArray, size: int) -> FloatArray:
    """View (K, N) as (N / size, K, size)."""
    down, right = array.strides
    shape = (array.shape[1] // size, len(array), size)
    return np.lib.stride_tricks.as_strided(array, shape, (size * right, down, right))


def _rows_in_parts(array: FloatArray, size: int) -> FloatArray:
    """View (N, K) as (N / size, size, K)."""
    down, right = array.strides
    shape = (len(array) // size, size, array.shape[1])
    return np.lib.stride_tricks.as_strided(array, shape, (size * down, down, right))


@dataclass(frozen=True)
class AxisOperator:
    """A banded matrix: output voxel *i* is ``weights[i] @ line[lower[i] : lower[i] + width]``."""

    n_in: int
    lower: NDArray[np.intp]  # (n_out,)
    weights: NDArray[np.float64]  # (n_out, width)

    @property
    def n_out(self) -> int:
        """Number of output voxels."""
        return len(self.lower)

    @property
    def is_identity(self) -> bool:
        """Whether the line leaves as it came."""
        return (
            self.is_selection
            and self.n_in == self.n_out
            and bool((self.lower == np.arange(self.n_in)).all())
        )

    @property
    def is_selection(self) -> bool:
        """Whether every output voxel is a copy of the input voxel ``lower[i]``."""
        return bool(self.weights.shape[1] == 1)

    def rows(self, start: int, stop: int) -> AxisOperator:
        """Return the operator that makes only the output voxels ``start:stop``."""
        return AxisOperator(self.n_in, self.lower[start:stop], self.weights[start:stop])

    def shifted(self, lower: int, upper: int) -> AxisOperator:
        """Return the operator for a line of which only ``lower:upper`` is at hand."""
        return AxisOperator(upper - lower, self.lower - lower, self.weights)

    @property
    def needs(self) -> tuple[int, int]:
        """The half-open range of input voxels that any output voxel reads."""
        return int(self.lower.min()), int(self.lower.max()) + self.weights.shape[1]

    def dense(self) -> FloatArray:
        """Return the whole matrix (n_out, n_in)."""
        matrix = np.zeros((self.n_out, self.n_in), dtype=np.float32)
        columns = self.lower[:, None] + np.arange(self.weights.shape[1])
        matrix[np.arange(self.n_out)[:, None], columns] = self.weights
        return matrix

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The matrix cut into dense blocks along its band."""
        size = max(4, min(_BLOCK, _BLOCK * self.n_out // self.n_in))
        return tuple(
            self._block(start, min(start + size, self.n_out))
            for start in range(0, self.n_out, size)
        )

    def resample_rows(self, array: FloatArray) -> FloatArray:
        """Resample (n_in, N) along its first axis to (n_out, N)."""
        if self.is_selection:
            return array if self.is_identity else array[self.lower]
        out = np.empty((self.n_out, array.shape[1]), dtype=np.float32)
        for block in self.blocks:
            block.apply(array[block.lower : block.upper], out[block.start : block.stop])
        return out

    def resample_columns(self, array: FloatArray) -> FloatArray:
        """Resample (N, n_in) along its last axis to (N, n_out)."""
        if self.is_selection:
            return array if self.is_identity else array[:, self.lower]
        out = np.empty((len(array), self.n_out), dtype=np.float32)
        for block in self.blocks:
            block.apply_across(
                array[:, block.lower : block.upper], out[:, block.start : block.stop]
            )
        return out

    def _block(self, start: int, stop: int) -> Block:
        lower, upper = self.rows(start, stop).needs
        dense = np.zeros((stop - start, upper - lower), dtype=np.float32)
        columns = (self.lower[start:stop] - lower)[:, None] + np.arange(self.weights.shape[1])
        dense[np.arange(stop - start)[:, None], columns] = self.weights[start:stop]
        return Block(start, stop, lower, upper, dense)


@lru_cache(maxsize=64)
def axis_operator(n_in: int, n_out: int, order: int) -> AxisOperator:
    """Make the operator that takes a line of `n_in` voxels to `n_out`.

    Parameters
    ----------
    n_in, n_out
        Voxels before and after; both at least 1.
    order
        0 (nearest), 1 (linear) or 3 (cubic B-spline).

    Raises
    ------
    ValueError
        For another order.

    Notes
    -----
    Equal lengths give the identity at every order, as an interpolating spline must.
    """
    if n_in == n_out:
        return _selection(n_in, np.arange(n_in))
    if order == 0:
        return _selection(n_in, nearest_index(n_in, n_out))
    if order == 1:
        lower, fraction = linear_corners(n_in, n_out)
        if n_in == 1:
            return _selection(1, lower)
        inside = np.minimum(lower, n_in - 2)
        fraction = fraction + (lower - inside)
        return AxisOperator(n_in, inside, np.stack([1.0 - fraction, fraction], axis=1))
    if order == 3:
        return _cubic(n_in, n_out)
    raise ValueError(f"spline order {order} is not one of 0, 1, 3")


def positions(n_in: int, n_out: int) -> NDArray[np.float64]:
    """Return where each output voxel's centre lies on the input line, in input voxels."""
    return np.asarray((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5, dtype=np.float64)


def nearest_index(n_in: int, n_out: int) -> NDArray[np.intp]:
    """Return the input voxel nearest to each output voxel; halves go up, as scipy rounds."""
    index = np.floor(np.clip(positions(n_in, n_out), 0, n_in - 1) + 0.5)
    return np.minimum(index, n_in - 1).astype(np.intp)


def linear_corners(n_in: int, n_out: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return for each output voxel the input voxel at or before it, and how far beyond it lies."""
    at = np.clip(positions(n_in, n_out), 0.0, n_in - 1.0)
    lower = np.floor(at)
    return lower.astype(np.intp), at - lower


def _selection(n_in: int, index: NDArray[np.intp]) -> AxisOperator:
    return AxisOperator(n_in, index, np.ones((len(index), 1)))


def _cubic(n_in: int, n_out: int) -> AxisOperator:
    """Return B-spline values at the positions times the prefilter's response to each voxel."""
    padded = np.pad(np.eye(n_in), ((_EDGE_PADDING, _EDGE_PADDING), (0, 0)), mode="edge")
    coefficients = ndimage.spline_filter1d(padded, order=3, axis=0, mode="nearest")
    at = positions(n_in, n_out) + _EDGE_PADDING
    first = np.floor(at).astype(np.intp) - 1
    basis = _cubic_basis(at - np.floor(at))  # (n_out, 4)
    dense = sum(
        (basis[:, k, None] * coefficients[first + k] for k in range(4)),
        start=np.zeros((n_out, n_in)),
    )
    return _banded(dense)


def _cubic_basis(fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the four cubic B-splines that overlap a point `fraction` beyond a knot."""
    t, s = fraction, 1.0 - fraction
    return np.stack(
        [s**3 / 6, 2 / 3 - t**2 * (2 - t) / 2, 2 / 3 - s**2 * (2 - s) / 2, t**3 / 6], axis=1
    )


def _banded(dense: NDArray[np.float64]) -> AxisOperator:
    n_in = dense.shape[1]
    counts = np.abs(dense) > _NEGLIGIBLE
    first = counts.argmax(axis=1)
    last = n_in - counts[:, ::-1].argmax(axis=1)
    width = int((last - first).max())
    lower = np.minimum(first, n_in - width)
    weights = np.take_along_axis(dense, lower[:, None] + np.arange(width), axis=1)
    return AxisOperator(n_in, lower.astype(np.intp), weights)
