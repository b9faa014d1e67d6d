"""Perceptual fingerprints: an image as a small raster of cells, however it was stored.

An image enters with its place in space; a *raster* leaves: cells of one size in
millimetres for the whole dataset, along axes near LPS, grey values from 0 to 1. A *detail
picture* is a raster without its slow and its finest changes, in units of the local
contrast: flips, crops, gain, gamma and noise leave it recognisable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .display import Display, display_of
from .grid import Grid

Array = NDArray[Any]
Floats = NDArray[np.float32]
Shape = tuple[int, int, int]

CELLS_ACROSS = 40
"""Cells along the longest side of the median case."""
MOST_CELLS = 96
_BLOCK_VOXELS = 2_000_000


def choose_cell_mm(grids: Iterable[Grid]) -> float:
    """Return the cell size for a dataset: the median longest side in `CELLS_ACROSS` parts."""
    longest = [max(n * mm for n, mm in zip(g.shape, g.spacing_mm, strict=True)) for g in grids]
    return float(np.median(longest)) / CELLS_ACROSS if longest else 1.0


def raster_of(channel: Array, grid: Grid, cell_mm: float) -> NDArray[np.float16]:
    """Average one channel (Z, Y, X) into cells of `cell_mm`, grey values 0 to 1.

    Values that are not finite count as the lowest. A volume of one value gives zeros.

    Returns
    -------
    raster
        (Z, Y, X) near LPS, at most `MOST_CELLS` along an axis (about the middle).
    """
    display = display_of(grid)
    view = display.view(channel)
    cells = _cells(display, cell_mm)
    z, y, x = (
        _averaging(n, step / cell_mm, m)
        for n, step, m in zip(display.shape, display.scale, cells, strict=True)
    )
    flat = np.empty((view.shape[0], cells[1], cells[2]), dtype=np.float32)
    planes = max(1, _BLOCK_VOXELS // max(1, view.shape[1] * view.shape[2]))
    for k in range(0, view.shape[0], planes):
        block = np.ascontiguousarray(view[k : k + planes], dtype=np.float32)
        if not np.isfinite(block.sum(dtype=np.float64)):
            block = _finite(block)
        flat[k : k + planes] = along(y, along(x, block, 2), 1)
    whole = along(z, flat, 0)
    low, high = np.percentile(whole, (0.5, 99.5))
    if not high > low:
        return np.zeros(whole.shape, dtype=np.float16)
    grey: NDArray[np.float16] = ((np.clip(whole, low, high) - low) / (high - low)).astype(
        np.float16
    )
    return grey


def _finite(block: Floats) -> Floats:
    good = block[np.isfinite(block)]
    lowest = float(good.min()) if good.size else 0.0
    return np.nan_to_num(block, nan=lowest, posinf=lowest, neginf=lowest)


def _cells(display: Display, cell_mm: float) -> Shape:
    a, b, c = (
        min(MOST_CELLS, max(1, round(n * step / cell_mm)))
        for n, step in zip(display.shape, display.scale, strict=True)
    )
    return a, b, c


@lru_cache(maxsize=256)
def _averaging(n: int, step: float, cells: int) -> Floats:
    """Weights (cells, n) of a tent about each cell's middle; `step` is in cells."""
    here = (np.arange(n) - (n - 1) / 2) * step
    there = np.arange(cells) - (cells - 1) / 2
    weights = np.maximum(1 - np.abs(there[:, None] - here[None, :]) / max(1.0, step), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 1e-6, total, 1)).astype(np.float32)


def resized(raster: Array, shape: Sequence[int]) -> Floats:
    """Average (or interpolate) a raster into another number of cells along each axis."""
    out = np.asarray(raster, dtype=np.float32)
    for axis, cells in enumerate(shape):
        out = along(_averaging(out.shape[axis], cells / out.shape[axis], cells), out, axis)
    return out


def halved(raster: Array) -> Floats:
    """Return a raster of cells twice the size."""
    return resized(raster, [max(1, round(n / 2)) for n in raster.shape])


def detail(raster: Array, *, reach: float) -> Floats:
    """Return the detail picture of a raster.

    Parameters
    ----------
    reach
        Over how many cells the local contrast is taken.

    Notes
    -----
    The difference of two Gaussians (sigma 0.5 and 1.5 cells), divided by its own local
    root mean square plus a twentieth of the global one (so that empty regions stay quiet).
    """
    values = np.asarray(raster, dtype=np.float32)
    band = smoothed(values, 0.5) - smoothed(values, 1.5)
    power = band * band
    contrast = np.sqrt(np.maximum(smoothed(power, reach), 0))
    floor = 0.05 * float(np.sqrt(power.mean())) + 1e-6
    picture: Floats = (band / (contrast + floor)).astype(np.float32)
    return picture


def smoothed(values: Floats, sigma: float) -> Floats:
    """Return values under a Gaussian of `sigma` cells; at the border it is cut and renormed."""
    for axis in range(values.ndim):
        values = along(_gaussian(values.shape[axis], sigma), values, axis)
    return values


@lru_cache(maxsize=256)
def _gaussian(n: int, sigma: float) -> Floats:
    place = np.arange(n)
    weights = np.exp(-0.5 * ((place[:, None] - place[None, :]) / sigma) ** 2)
    normed: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normed


def along(matrix: Floats, values: Floats, axis: int) -> Floats:
    """Multiply one axis of a volume by a matrix.

    As many small products: BLAS keeps those in one thread. One product of middling size would
    wake all of its threads, and their waiting costs several times the work.
    """
    out: Floats
    if axis == 0:
        out = np.matmul(matrix, values.transpose(1, 0, 2)).transpose(1, 0, 2)
    elif axis == 1:
        out = np.matmul(matrix, values)
    else:
        out = np.matmul(values, matrix.T)
    return out


def unit(values: Floats) -> Floats:
    """Return rows (..., n) of mean 0 and length 1, so that products are correlations."""
    centred = values - values.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.einsum("...i,...i->...", centred, centred))[..., None]
    rows: Floats = centred / np.maximum(length, np.float32(1e-9))
    return rows


def correlations(rows: Floats, one: Floats) -> Floats:
    """Return the correlation of each row (m, n) with one (1, n), all made by `unit`.

    By einsum, which stays in its thread (see `along`).
    """
    products: Floats = np.einsum("mn,n->m", rows, one[0])
    return products
