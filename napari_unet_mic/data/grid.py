"""Grids: where voxels lie in space, and whether two volumes share a place.

In come two volumes or headers, out comes how far their corners lie apart in voxels, or an
error that names both. Prediction, reference and image are never combined otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import GridMismatch

SAME_GRID_VOXELS = 0.01
"""Two grids whose corners lie closer than this are the same grid."""
COMPARABLE_GRID_VOXELS = 0.5
"""Two grids whose corners lie further apart than this are never combined."""


class OnGrid(Protocol):
    """Anything with voxels in space: a `Volume` or a `Grid`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (Z, Y, X)."""

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) float64, file voxel (i, j, k) to RAS mm."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along (Z, Y, X)."""

    @property
    def file(self) -> Path | None:
        """Where it came from."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a file lie, read from its header alone.

    Attributes
    ----------
    shape
        Voxels along (Z, Y, X).
    affine
        (4, 4) float64, file voxel (i, j, k) to RAS mm.
    spacing_mm
        Voxel size along (Z, Y, X), as SimpleITK gives it: the header's own voxel sizes.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    n_channels: int
    file: Path | None = None


def displacement_voxels(a: OnGrid, b: OnGrid) -> float:
    """Return how far the corners of two volumes lie apart, in voxels.

    The largest distance in millimetres between the eight outer corners of `a`'s box of
    voxels and `b`'s, divided by the smallest spacing of both; infinite when the shapes
    differ.
    """
    if a.shape != b.shape:
        return math.inf
    k, j, i = a.shape
    edges = [(-0.5, i - 0.5), (-0.5, j - 0.5), (-0.5, k - 0.5)]
    corners = np.stack(np.meshgrid(*edges, indexing="ij"), axis=-1).reshape(-1, 3)
    difference = a.affine - b.affine
    moved_mm = corners @ difference[:3, :3].T + difference[:3, 3]
    smallest_mm = min(*a.spacing_mm, *b.spacing_mm)
    return float(np.linalg.norm(moved_mm, axis=1).max() / smallest_mm)


def check_same_grid(
    a: OnGrid,
    b: OnGrid,
    *,
    what: str | Path | None = None,
    advice: str = "export it again on that grid, or resample it first",
) -> float:
    """Return the displacement of `b` against `a` in voxels, or refuse to combine them.

    Above `SAME_GRID_VOXELS` the caller should note the displacement.

    Parameters
    ----------
    what
        What to call `b` in the sentence; its file by default.

    Raises
    ------
    GridMismatch
        When the shapes differ, or a corner is displaced by more than half a voxel.
    """
    name = what or b.file or "volume"
    reference = str(a.file) if a.file else "the image"
    if a.shape != b.shape:
        raise GridMismatch(
            name, expected=f"the shape {a.shape} of {reference}", got=f"{b.shape}", advice=advice
        )
    displacement = displacement_voxels(a, b)
    if not displacement <= COMPARABLE_GRID_VOXELS:
        raise GridMismatch(
            name,
            expected=f"the grid of {reference}",
            got=f"one whose corner lies {displacement:.3g} voxels away",
            advice=advice,
            displacement_voxels=displacement,
        )
    return displacement
