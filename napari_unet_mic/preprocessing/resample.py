"""Resampling of images, labels and logits, equal to nnU-Net's.

In: an array on one grid, its spacing, the new shape and spacing. Out: the array
on the new grid. Images take a cubic spline, logits a linear one, labels the class
whose linearly resampled indicator is largest. Where one axis is much coarser than
the others (*separate-z*), planes are resampled on their own and that axis takes the
nearest plane.

A spline resampling is separable, so each axis is one banded matrix (`spline`).
Work goes plane by plane and block by block: beyond input and output, memory holds a
few dozen planes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.preprocessing.spline import (
    AxisOperator,
    FloatArray,
    axis_operator,
    linear_corners,
    nearest_index,
)

ANISOTROPY_THRESHOLD = 3
"""Ratio of spacings above which nnU-Net calls a grid anisotropic."""

LabelArray = NDArray[np.int16]
# Output voxels of a label map settled at a time.
_LABEL_SLAB_VOXELS = 8_000_000


def resampled_shape(
    shape: Sequence[int], current_spacing_mm: Sequence[float], new_spacing_mm: Sequence[float]
) -> tuple[int, ...]:
    """Return ``round(current / new · size)`` per axis (halves to even, as nnU-Net rounds)."""
    return tuple(
        round(current / new * size)
        for current, new, size in zip(current_spacing_mm, new_spacing_mm, shape, strict=True)
    )


def coarse_axis(
    current_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    *,
    force_separate_z: bool | None = None,
) -> int | None:
    """Return the axis that is resampled on its own, or None where all go together.

    Notes
    -----
    nnU-Net's rule: the current spacing is asked first, then the new one; the grid is
    anisotropic above a ratio of 3, and then exactly one axis must be the coarsest.
    """
    if force_separate_z is False:
        return None
    if force_separate_z or _is_anisotropic(current_spacing_mm):
        spacing = current_spacing_mm
    elif _is_anisotropic(new_spacing_mm):
        spacing = new_spacing_mm
    else:
        return None
    coarsest = [axis for axis, value in enumerate(spacing) if max(spacing) / value == 1]
    return coarsest[0] if len(coarsest) == 1 else None


def _is_anisotropic(spacing_mm: Sequence[float]) -> bool:
    return max(spacing_mm) / min(spacing_mm) > ANISOTROPY_THRESHOLD


def resample_image(
    image: NDArray[Any],
    new_shape: Sequence[int],
    current_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    *,
    order: int = 3,
    order_z: int = 0,
    force_separate_z: bool | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Resample an image (C, Z, Y, X) to `new_shape` with a cubic spline.

    Parameters
    ----------
    image
        Channels first; any real dtype, computed in float32.
    new_shape
        Three sizes, normally from `resampled_shape`.
    current_spacing_mm, new_spacing_mm
        Decide only whether an axis is coarse; the scale comes from the shapes.
    order, order_z
        Spline order (0, 1 or 3), and the order along a coarse axis.
    out
        Where to write; a new array without it.

    Returns
    -------
    ndarray
        float32 (C, *new_shape), the image itself where nothing had to change; never beyond the
        channel's own minimum and maximum (the plane's own, where an axis is coarse).

    Notes
    -----
    ``resample_data_or_seg_to_shape`` with ``skimage.transform.resize``. float32 products
    stay within 1e-6 of the range of its float64 result.
    """
    shape = image.shape[1:]
    if tuple(new_shape) == tuple(shape):
        if out is None:
            return image.astype(np.float32, copy=False)
        out[...] = image
        return out
    axis = coarse_axis(current_spacing_mm, new_spacing_mm, force_separate_z=force_separate_z)
    if out is None:
        out = np.empty((len(image), *new_shape), dtype=np.float32)  # (C, Z, Y, X)
    for channel, target in zip(image, out, strict=True):
        if axis is None:
            _resample_volume(channel, target, _operators(shape, new_shape, order), clip=True)
        else:
            _resample_planes(channel, target, axis, order, order_z)
    return out


def resample_logits(
    logits: NDArray[Any],
    new_shape: Sequence[int],
    current_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    *,
    order: int = 1,
    order_z: int = 0,
    force_separate_z: bool | None = None,
    rows: slice | None = None,
) -> FloatArray:
    """Resample logits (K, z, y, x) to `new_shape`, or only some planes of it.

    Parameters
    ----------
    rows
        Planes of the first output axis to make; all without it. Making a few at a time
        and taking their argmax keeps the logits from ever existing whole.

    Returns
    -------
    ndarray
        float32 (K, rows, y, x).
    """
    start, stop, _ = (rows or slice(None)).indices(new_shape[0])
    shape = logits.shape[1:]
    axis = coarse_axis(current_spacing_mm, new_spacing_mm, force_separate_z=force_separate_z)
    orders = [order_z if a == axis else order for a in range(3)]
    operators = [
        axis_operator(n_in, n_out, o)
        for n_in, n_out, o in zip(shape, new_shape, orders, strict=True)
    ]
    operators[0] = operators[0].rows(start, stop)
    lower, upper = operators[0].needs if stop > start else (0, 0)
    out = np.empty((len(logits), stop - start, *new_shape[1:]), dtype=np.float32)
    if out.size == 0:
        return out
    operators[0] = operators[0].shifted(lower, upper)
    for channel, target in zip(logits, out, strict=True):
        _resample_volume(channel[lower:upper], target, operators, clip=False)
    return out


def _operators(shape: Sequence[int], new_shape: Sequence[int], order: int) -> list[AxisOperator]:
    return [axis_operator(a, b, order) for a, b in zip(shape, new_shape, strict=True)]


def _resample_planes(
    channel: NDArray[Any], target: FloatArray, axis: int, order: int, order_z: int
) -> None:
    """Separate-z: each plane on its own and clipped to its own range, then along `axis`."""
    source, out = np.moveaxis(channel, axis, 0), np.moveaxis(target, axis, 0)
    in_plane = _operators(source.shape[1:], out.shape[1:], order)
    along = axis_operator(source.shape[0], out.shape[0], order_z)
    if not along.is_selection:
        planes = np.empty((len(source), *out.shape[1:]), dtype=np.float32)
        for plane, made in zip(source, planes, strict=True):
            made[...] = _resample_plane(plane, *in_plane, clip=True)
        out[...] = along.resample_rows(planes.reshape(len(planes), -1)).reshape(out.shape)
        return
    last = -1
    for position, index in enumerate(along.lower):
        if index == last:
            out[position] = out[position - 1]
        else:
            out[position] = _resample_plane(source[index], *in_plane, clip=True)
        last = int(index)


def _resample_volume(
    source: NDArray[Any], out: FloatArray, operators: Sequence[AxisOperator], *, clip: bool
) -> None:
    """Fill `out` (contiguous) along its first axis, keeping only the planes a block needs."""
    along, over_rows, over_columns = operators
    low, high = (float(source.min()), float(source.max())) if clip else (0.0, 0.0)
    if along.is_selection:
        for position, index in enumerate(along.lower):
            if position and index == along.lower[position - 1]:
                out[position] = out[position - 1]
            else:
                out[position] = _resample_plane(source[index], over_rows, over_columns)
        if clip:
            np.clip(out, low, high, out=out)
        return
    widest = max(block.upper - block.lower for block in along.blocks)
    window = np.empty((widest, *out.shape[1:]), dtype=np.float32)  # planes lower:upper
    held_lower, held_upper = 0, 0
    for block in along.blocks:
        kept = max(0, held_upper - block.lower)
        if kept:
            window[:kept] = window[block.lower - held_lower : held_upper - held_lower].copy()
        for plane in range(block.lower + kept, block.upper):
            window[plane - block.lower] = _resample_plane(source[plane], over_rows, over_columns)
        held_lower, held_upper = block.lower, block.upper
        made = out[block.start : block.stop]
        lines = window[: block.upper - block.lower].reshape(block.upper - block.lower, -1)
        block.apply(lines, made.reshape(len(made), -1))
        if clip:
            np.clip(made, low, high, out=made)


def _resample_plane(
    plane: NDArray[Any], over_rows: AxisOperator, over_columns: AxisOperator, *, clip: bool = False
) -> FloatArray:
    """Resample one plane (Y, X) along both of its axes."""
    plane = np.ascontiguousarray(plane, dtype=np.float32)
    result = over_rows.resample_rows(over_columns.resample_columns(plane))
    if clip and result is not plane:
        np.clip(result, plane.min(), plane.max(), out=result)
    return result


def resample_labels(
    labels: NDArray[Any],
    new_shape: Sequence[int],
    current_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    *,
    order: int = 1,
    order_z: int = 0,
    force_separate_z: bool | None = None,
) -> LabelArray:
    """Resample a label map (Z, Y, X): the class with the largest resampled indicator wins.

    Parameters
    ----------
    labels
        Integers; -1 (outside the non-zero region) is a class like the others.
    order
        1 for indicators, 0 for the nearest voxel. Along a coarse axis it is always the
        nearest plane.

    Returns
    -------
    ndarray
        int16 (*new_shape).

    Raises
    ------
    ValueError
        For another `order`, or an `order_z` other than 0 along a coarse axis.

    Notes
    -----
    batchgenerators 0.25.5 ``resize_segmentation``: one linear indicator per class, argmax;
    a tie goes to the nearest voxel's class if it is among the tied, else to the smallest.
    Only voxels whose neighbours differ are computed, so the cost does not grow with the
    number of classes. Scores are added in scipy's order in float64, since ties are decided
    by exact equality.
    """
    labels = labels.astype(np.int16, copy=False)
    if tuple(new_shape) == labels.shape:
        return labels
    axis = coarse_axis(current_spacing_mm, new_spacing_mm, force_separate_z=force_separate_z)
    if order not in (0, 1) or (axis is not None and order_z != 0):
        raise ValueError(f"labels are resampled with order 0 or 1, not {order} ({order_z} along z)")
    in_plane_shape = [n if a == axis else new_shape[a] for a, n in enumerate(labels.shape)]
    if order == 0:
        result = _take(labels, labels.shape, in_plane_shape)
    else:
        result = _argmax_of_indicators(labels, in_plane_shape)
    return _take(result, in_plane_shape, new_shape)


def _take(labels: LabelArray, shape: Sequence[int], new_shape: Sequence[int]) -> LabelArray:
    for axis, (n_in, n_out) in enumerate(zip(shape, new_shape, strict=True)):
        if n_in != n_out:
            labels = labels.take(nearest_index(n_in, n_out), axis=axis)
    return labels


@dataclass(frozen=True)
class _LinearAxis:
    """Where output voxels lie between input voxels along one axis."""

    nearest: NDArray[np.intp]
    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    weights: NDArray[np.float64]  # (2, n_out): of lower, of upper

    @classmethod
    def of(cls, n_in: int, n_out: int) -> _LinearAxis:
        lower, fraction = linear_corners(n_in, n_out)
        upper = lower if n_in == n_out else np.minimum(lower + 1, n_in - 1)
        return cls(nearest_index(n_in, n_out), lower, upper, np.stack([1.0 - fraction, fraction]))


def _argmax_of_indicators(labels: LabelArray, new_shape: Sequence[int]) -> LabelArray:
    axes = [_LinearAxis.of(a, b) for a, b in zip(labels.shape, new_shape, strict=True)]
    mixed = _cells_with_several_labels(labels, axes)
    out = np.empty(tuple(new_shape), dtype=np.int16)
    rows = max(1, _LABEL_SLAB_VOXELS // max(1, int(np.prod(new_shape[1:]))))
    for start in range(0, new_shape[0], rows):
        stop = min(start + rows, new_shape[0])
        slab = _pick(labels, [axes[0].nearest[start:stop], axes[1].nearest, axes[2].nearest])
        unsure = _pick(mixed, [axes[0].lower[start:stop], axes[1].lower, axes[2].lower])
        at = np.nonzero(unsure)
        if len(at[0]):
            slab[at] = _winner(labels, axes, (at[0] + start, at[1], at[2]), slab[at])
        out[start:stop] = slab
    return out


def _pick(array: NDArray[Any], index: Sequence[NDArray[np.intp]]) -> NDArray[Any]:
    return array.take(index[0], axis=0).take(index[1], axis=1).take(index[2], axis=2)


def _cells_with_several_labels(
    labels: LabelArray, axes: Sequence[_LinearAxis]
) -> NDArray[np.bool_]:
    """Mark voxels that, with the next one along every resampled axis, hold more than one label."""
    low = high = labels
    for axis, along in enumerate(axes):
        if along.upper is along.lower:
            continue
        following = np.minimum(np.arange(labels.shape[axis]) + 1, labels.shape[axis] - 1)
        low = np.minimum(low, low.take(following, axis=axis))
        high = np.maximum(high, high.take(following, axis=axis))
    return np.not_equal(low, high)


def _winner(
    labels: LabelArray,
    axes: Sequence[_LinearAxis],
    at: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
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
