"""Label maps moved onto another grid: every voxel takes the value of the nearest one.

A label map of any number of axes and the matrix from the new grid's indices to its own enter,
a label map of the new shape leaves. Voxels outside of the old grid are background.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Cancelled

Array = NDArray[Any]
Matrix = NDArray[np.float64]

ROUNDING = 1e-6
"""Where two voxels are equally near, the one with the higher index is taken, whatever the
last digits say."""


def index_matrix(to: Matrix, of: Matrix) -> Matrix:
    """Return the matrix from indices of one grid to indices of another.

    Parameters
    ----------
    to, of
        (n+1, n+1) matrices from indices to one common world: of the grid whose voxels are
        asked for, and of the grid that has them.
    """
    return np.linalg.solve(of, to).astype(np.float64)


def nearest_onto(
    labels: Array,
    matrix: Matrix,
    shape: Sequence[int],
    *,
    out: Array | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Array:
    """Return the labels on another grid.

    Parameters
    ----------
    labels
        An integer label map of n axes.
    matrix
        (n+1, n+1), from indices of the new grid to (fractions of) indices of `labels`;
        `index_matrix` makes it.
    shape
        The new grid's.
    out
        Where to write, of that shape; a new array of the labels' type when left out.

    Raises
    ------
    Cancelled
        When `should_stop`, asked between planes, answered yes.
    """
    result = np.zeros(tuple(shape), labels.dtype) if out is None else out
    rest = matrix[:-1]  # (n, n + 1)
    straight = (np.abs(rest[:, :-1]) > 1e-9).sum(axis=1).max() <= 1
    columns = np.argmax(np.abs(rest[:, :-1]), axis=1)
    if straight and len(set(columns.tolist())) == labels.ndim:
        _along_axes(labels, rest, columns, result)
        return result
    grids = np.indices(result.shape[1:], dtype=np.float64).reshape(result.ndim - 1, -1)
    flat = rest[:, 1:-1] @ grids + rest[:, -1:]  # (n, voxels of a plane)
    size = np.array(labels.shape)[:, None]
    for plane in range(result.shape[0]):
        if should_stop is not None and should_stop():
            raise Cancelled("resampling")
        places = _nearest(flat + rest[:, :1] * plane)
        inside = np.all((places >= 0) & (places < size), axis=0)
        values = np.zeros(places.shape[1], labels.dtype)
        values[inside] = labels[tuple(places[:, inside])]
        result[plane] = values.reshape(result.shape[1:])
    return result


def _along_axes(labels: Array, rest: Matrix, columns: Array, result: Array) -> None:
    """Fill `result` where every axis of one grid runs along an axis of the other."""
    turned = labels.transpose(np.argsort(columns))  # the labels' axes in the new grid's order
    sources, targets = [], []
    for axis, length in enumerate(result.shape):
        own = int(np.flatnonzero(columns == axis)[0])
        places = _nearest(rest[own, axis] * np.arange(length) + rest[own, -1])
        inside = (places >= 0) & (places < labels.shape[own])
        sources.append(places[inside])
        targets.append(np.flatnonzero(inside))
    result[...] = 0
    if all(target.size for target in targets):
        box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in targets)
        result[box] = turned[np.ix_(*sources)]


def _nearest(places: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.floor(places + 0.5 + ROUNDING).astype(np.intp)
