"""The label with the largest resampled indicator: linear resampling of a label map.

In: an int16 label map and a new shape. Out: the label map on that shape. An *indicator*
is 1 where a label is and 0 elsewhere; a *mixed cell* is a voxel that, with its following
neighbours, holds more than one label.

Only voxels that lie in a mixed cell are computed, all others copy the nearest voxel: the
cost does not grow with the number of labels. Scores are added in scipy's order and in
float64, since ties are decided by exact equality.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.data.crop import Box, box_of
from napari_unet_mic.preprocessing.spline import linear_corners, nearest_index

LabelArray = NDArray[np.int16]
# Voxels settled at a time.
_SLAB_VOXELS = 8_000_000


def argmax_of_indicators(labels: LabelArray, new_shape: Sequence[int]) -> LabelArray:
    """Give each new voxel the label whose linearly resampled indicator is largest there.

    Parameters
    ----------
    labels
        int16 (Z, Y, X).
    new_shape
        Three sizes.

    Returns
    -------
    ndarray
        int16 (*new_shape). A tie goes to the nearest voxel's label if it is among the tied,
        else to the smallest of them.
    """
    axes = [_LinearAxis.of(a, b) for a, b in zip(labels.shape, new_shape, strict=True)]
    out = np.zeros(tuple(new_shape), dtype=np.int16)
    reached = _reached(labels, axes)
    if out[reached].size == 0:
        return out
    _, in_rows, in_columns = (axis.part(where) for axis, where in zip(axes, reached, strict=True))
    planes = max(1, _SLAB_VOXELS // (len(in_rows.nearest) * len(in_columns.nearest)))
    for start in range(reached[0].start, reached[0].stop, planes):
        rows = slice(start, min(start + planes, reached[0].stop))
        here = (axes[0].part(rows), in_rows, in_columns)
        slab = _pick(labels, [axis.nearest for axis in here])
        first, last = int(here[0].lower[0]), int(here[0].upper[-1])
        mixed = _mixed_cells(labels[first : last + 1], axes)
        unsure = _pick(mixed, [here[0].lower - first, in_rows.lower, in_columns.lower])
        at = np.unravel_index(np.flatnonzero(unsure), unsure.shape)
        if len(at[0]):
            slab[at] = _winner(labels, here, at, slab[at])
        out[rows, reached[1], reached[2]] = slab
    return out


@dataclass(frozen=True)
class _LinearAxis:
    """Where output voxels lie between input voxels along one axis."""

    nearest: NDArray[np.intp]
    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    weights: NDArray[np.float64]  # (2, n_out): of lower, of upper

    def part(self, where: slice) -> _LinearAxis:
        """Return the output voxels `where` only."""
        lower = self.lower[where]
        upper = lower if self.upper is self.lower else self.upper[where]
        return _LinearAxis(self.nearest[where], lower, upper, self.weights[:, where])

    @classmethod
    def of(cls, n_in: int, n_out: int) -> _LinearAxis:
        lower, fraction = linear_corners(n_in, n_out)
        upper = lower if n_in == n_out else np.minimum(lower + 1, n_in - 1)
        return cls(nearest_index(n_in, n_out), lower, upper, np.stack([1.0 - fraction, fraction]))


def _reached(labels: LabelArray, axes: Sequence[_LinearAxis]) -> tuple[slice, slice, slice]:
    """Return the output box that any label other than 0 can reach."""
    box = box_of(labels != 0) if labels.any() else Box((0, 0, 0), (0, 0, 0))
    z, y, x = (
        slice(int(np.searchsorted(axis.upper, low)), int(np.searchsorted(axis.lower, high)))
        for axis, low, high in zip(axes, box.lower, box.upper, strict=True)
    )
    return z, y, x


def _pick(array: NDArray[Any], index: Sequence[NDArray[np.intp]]) -> NDArray[Any]:
    """Return ``array[np.ix_(*index)]`` for ascending indices, each plane gathered once."""
    first, last = int(index[0][0]), int(index[0][-1]) + 1
    planes = array[first:last].take(index[2], axis=2, mode="clip").take(index[1], axis=1)
    return planes.take(index[0] - first, axis=0)


def _mixed_cells(labels: LabelArray, axes: Sequence[_LinearAxis]) -> NDArray[np.bool_]:
    """Mark voxels that, with the next one along every resampled axis, hold more than one label."""
    mixed = np.zeros(labels.shape, dtype=bool)
    for axis, along in enumerate(axes):
        if along.upper is along.lower:
            continue
        this, following = [slice(None)] * 3, [slice(None)] * 3
        this[axis], following[axis] = slice(None, -1), slice(1, None)
        here, there = tuple(this), tuple(following)
        mixed[here] |= mixed[there]
        mixed[here] |= labels[here] != labels[there]
    return mixed


def _winner(
    labels: LabelArray,
    axes: Sequence[_LinearAxis],
    at: tuple[NDArray[np.intp], ...],
    nearest: LabelArray,
) -> LabelArray:
    """Return the class of largest indicator at the output voxels `at`."""
    corners, weights = [], []
    sides = [(0,) if a.upper is a.lower else (0, 1) for a in axes]
    for corner in itertools.product(*sides):
        index, weight = [], np.ones(len(nearest))
        for side, along, where in zip(corner, axes, at, strict=True):
            index.append((along.upper if side else along.lower)[where])
            weight = weight * along.weights[side][where]
        corners.append(labels[tuple(index)])
        weights.append(weight)
    scores = []
    for label in corners:
        score = np.zeros(len(nearest))
        for other, weight in zip(corners, weights, strict=True):
            score += np.where(other == label, weight, 0.0)
        scores.append(np.minimum(score, 1.0))  # skimage clips to the indicator's range
    best = np.max(scores, axis=0)
    winner = np.full(len(nearest), np.iinfo(np.int16).max, dtype=np.int16)
    nearest_leads = np.zeros(len(nearest), dtype=bool)
    for label, score in zip(corners, scores, strict=True):
        leads = score == best
        np.minimum(winner, label, out=winner, where=leads)
        nearest_leads |= leads & (label == nearest)
    return np.where(nearest_leads, nearest, winner)
