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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.preprocessing.indicators import LabelArray, argmax_of_indicators
from napari_unet_mic.preprocessing.spline import (
    AxisOperator,
    FloatArray,
    axis_operator,
    nearest_index,
)

ANISOTROPY_THRESHOLD = 3
"""Ratio of spacings above which nnU-Net calls a grid anisotropic."""
SPLINE_ORDERS = (0, 1, 3)


@dataclass(frozen=True)
class Interpolation:
    """Between the voxels of a grid: which splines, and whether one axis goes on its own.

    Parameters
    ----------
    order
        Spline order: 0 takes the nearest voxel, 1 is linear, 3 cubic.
    order_z
        The order along a coarse axis.
    force_separate_z
        Whether the coarsest axis always (True) or never (False) goes on its own; None: where
        the grid is anisotropic.
    """

    order: int
    order_z: int = 0
    force_separate_z: bool | None = None

    def __post_init__(self) -> None:
        if self.order not in SPLINE_ORDERS or self.order_z not in SPLINE_ORDERS:
            raise ValueError(f"expected spline orders 0, 1 or 3, got {self.words}")

    @property
    def words(self) -> str:
        """The orders as words."""
        return f"order {self.order}, order_z {self.order_z}"

    def coarse_axis(
        self, current_spacing_mm: Sequence[float], new_spacing_mm: Sequence[float]
    ) -> int | None:
        """Return the axis that is resampled on its own, or None where all go together.

        Notes
        -----
        nnU-Net's rule: the current spacing is asked first, then the new one; the grid is
        anisotropic above a ratio of 3, and then exactly one axis must be the coarsest.
        """
        if self.force_separate_z is False:
            return None
        if self.force_separate_z or _is_anisotropic(current_spacing_mm):
            spacing = current_spacing_mm
        elif _is_anisotropic(new_spacing_mm):
            spacing = new_spacing_mm
        else:
            return None
        coarsest = [axis for axis, value in enumerate(spacing) if max(spacing) / value == 1]
        return coarsest[0] if len(coarsest) == 1 else None


CUBIC, LINEAR = Interpolation(3), Interpolation(1)


def resampled_shape(
    shape: Sequence[int], current_spacing_mm: Sequence[float], new_spacing_mm: Sequence[float]
) -> tuple[int, ...]:
    """Return ``round(current / new · size)`` per axis (halves to even, as nnU-Net rounds)."""
    return tuple(
        round(current / new * size)
        for current, new, size in zip(current_spacing_mm, new_spacing_mm, shape, strict=True)
    )


def _is_anisotropic(spacing_mm: Sequence[float]) -> bool:
    return max(spacing_mm) / min(spacing_mm) > ANISOTROPY_THRESHOLD


def resample_image(
    image: NDArray[Any],
    new_shape: Sequence[int],
    current_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    *,
    how: Interpolation = CUBIC,
    out: FloatArray | None = None,
) -> FloatArray:
    """Resample an image (C, Z, Y, X) to `new_shape`, with a cubic spline unless told otherwise.

    Parameters
    ----------
    image
        Channels first; any real dtype, computed in float32.
    new_shape
        Three sizes, normally from `resampled_shape`.
    current_spacing_mm, new_spacing_mm
        Decide only whether an axis is coarse; the scale comes from the shapes.
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
    axis = how.coarse_axis(current_spacing_mm, new_spacing_mm)
    if out is None:
        out = np.empty((len(image), *new_shape), dtype=np.float32)  # (C, Z, Y, X)
    for channel, target in zip(image, out, strict=True):
        if axis is None:
            _resample_volume(channel, target, _operators(shape, new_shape, how.order), clip=True)
        else:
            _resample_planes(channel, target, axis, how)
    return out


def resample_logits(
    logits: NDArray[Any],
    new_shape: Sequence[int],
    current_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    *,
    how: Interpolation = LINEAR,
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
    grid = LogitGrid.between(
        logits.shape[1:], new_shape, current_spacing_mm, new_spacing_mm, how=how
    )
    start, stop, _ = (rows or slice(None)).indices(new_shape[0])
    if stop <= start:
        return np.empty((len(logits), 0, *new_shape[1:]), dtype=np.float32)
    lower, upper = grid.needs(start, stop)
    return grid.resample(logits[:, lower:upper], start, stop)


@dataclass(frozen=True)
class LogitGrid:
    """How logits on one grid become logits on another, some planes at a time.

    `operators` are those of the three axes.
    """

    operators: tuple[AxisOperator, AxisOperator, AxisOperator]

    @classmethod
    def between(
        cls,
        shape: Sequence[int],
        new_shape: Sequence[int],
        current_spacing_mm: Sequence[float],
        new_spacing_mm: Sequence[float],
        *,
        how: Interpolation = LINEAR,
    ) -> LogitGrid:
        """From a shape (z, y, x) to a new one; the other parameters are `resample_logits`'s."""
        coarse = how.coarse_axis(current_spacing_mm, new_spacing_mm)
        along, rows, columns = (
            axis_operator(n_in, n_out, how.order_z if axis == coarse else how.order)
            for axis, (n_in, n_out) in enumerate(zip(shape, new_shape, strict=True))
        )
        return cls((along, rows, columns))

    @property
    def new_shape(self) -> tuple[int, int, int]:
        """Size of the new grid."""
        along, rows, columns = self.operators
        return along.n_out, rows.n_out, columns.n_out

    @property
    def changes_nothing(self) -> bool:
        """Whether both grids are the same."""
        return all(operator.is_identity for operator in self.operators)

    def ready(self, n_planes: int) -> int:
        """How many output planes can be made when the first `n_planes` planes are known."""
        along = self.operators[0]
        ends = along.lower + along.weights.shape[1]
        return int(np.searchsorted(ends, n_planes, side="right"))

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """The half-open range of planes that output planes ``start:stop`` are made of."""
        return self.operators[0].rows(start, stop).needs

    def resample(self, planes: NDArray[Any], start: int, stop: int) -> FloatArray:
        """Make output planes ``start:stop`` (K, n, y, x) of just the planes they need."""
        along, rows, columns = self.operators
        along = along.rows(start, stop)
        operators = [along.shifted(*along.needs), rows, columns]
        out = np.empty((len(planes), stop - start, *self.new_shape[1:]), dtype=np.float32)
        for channel, target in zip(planes, out, strict=True):
            _resample_volume(channel, target, operators, clip=False)
        return out


def _operators(shape: Sequence[int], new_shape: Sequence[int], order: int) -> list[AxisOperator]:
    return [axis_operator(a, b, order) for a, b in zip(shape, new_shape, strict=True)]


def _resample_planes(
    channel: NDArray[Any], target: FloatArray, axis: int, how: Interpolation
) -> None:
    """Separate-z: each plane on its own and clipped to its own range, then along `axis`."""
    source, out = np.moveaxis(channel, axis, 0), np.moveaxis(target, axis, 0)
    in_plane = _operators(source.shape[1:], out.shape[1:], how.order)
    along = axis_operator(source.shape[0], out.shape[0], how.order_z)
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
    how: Interpolation = LINEAR,
) -> LabelArray:
    """Resample a label map (Z, Y, X): the class with the largest resampled indicator wins.

    Parameters
    ----------
    labels
        Integers; -1 (outside the non-zero region) is a class like the others.
    how
        Order 1 for indicators, 0 for the nearest voxel. Along a coarse axis it is always the
        nearest plane.

    Returns
    -------
    ndarray
        int16 (*new_shape).

    Raises
    ------
    ValueError
        For another order, or an `order_z` other than 0 along a coarse axis.

    Notes
    -----
    batchgenerators 0.25.5 ``resize_segmentation``: one linear indicator per class, argmax;
    a tie goes to the nearest voxel's class if it is among the tied, else to the smallest.
    """
    labels = labels.astype(np.int16, copy=False)
    if tuple(new_shape) == labels.shape:
        return labels
    axis = how.coarse_axis(current_spacing_mm, new_spacing_mm)
    if how.order == 3 or (axis is not None and how.order_z != 0):
        raise ValueError(f"labels are resampled with order 0 or 1, not {how.words}")
    in_plane_shape = [n if a == axis else new_shape[a] for a, n in enumerate(labels.shape)]
    if how.order == 0:
        result = _take(labels, labels.shape, in_plane_shape)
    else:
        result = argmax_of_indicators(labels, in_plane_shape)
    return _take(result, in_plane_shape, new_shape)


def _take(labels: LabelArray, shape: Sequence[int], new_shape: Sequence[int]) -> LabelArray:
    for axis, (n_in, n_out) in enumerate(zip(shape, new_shape, strict=True)):
        if n_in != n_out:
            labels = labels.take(nearest_index(n_in, n_out), axis=axis)
    return labels
