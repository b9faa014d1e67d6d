"""The surface of a mask as small elements between its voxels, each with a place and an area.

A boolean mask enters; lattice points between voxels leave, with the area (2-D: the length)
of surface in the cell around each. A cell's eight (four) voxels make a code, and marching
cubes give the surface in it; the areas are those of DeepMind's surface-distance
(Apache-2.0, ``lookup_tables.py``), written down once per case up to symmetry.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Lattice = npt.NDArray[np.intp]

Triangle = tuple[int, int, int]

_CASES: dict[int, tuple[Triangle, ...]] = {
    0b00000001: ((1, 1, 1),),
    0b00000011: ((2, 2, 0), (2, 2, 0)),
    0b00000110: ((1, 1, 1), (1, 1, 1)),
    0b00000111: ((1, 1, 1), (2, 2, 2), (4, 0, 0)),
    0b00001111: ((4, 0, 0), (4, 0, 0)),
    0b00010110: ((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    0b00010111: ((1, 1, 1), (1, 1, 1), (2, 2, 2), (2, 2, 2)),
    0b00011000: ((1, 1, 1), (1, 1, 1)),
    0b00011001: ((0, 2, 2), (0, 2, 2), (1, 1, 1)),
    0b00011011: ((0, 2, 2), (1, 1, 1), (2, 0, 2), (3, 3, 3)),
    0b00011110: ((1, 1, 1), (1, 1, 1), (2, 2, 2), (4, 0, 0)),
    0b00111100: ((2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)),
    0b01101001: ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
}
"""Triangles of the marching-cubes cases: sizes of their normals' components, in eighths.

Bit 7 - (4 z + 2 y + x) of a code is the voxel at (z, y, x) of the cell; every other code is a
turned, mirrored or inverted one of these.
"""


@dataclass(frozen=True)
class SurfaceElements:
    """Places (n, ndim) on the lattice between voxels, and area (mm² or mm) of each."""

    places: Lattice
    areas: npt.NDArray[np.float64]


def surface_elements(mask: Mask, spacing_mm: Sequence[float]) -> SurfaceElements:
    """Return the elements of a mask's surface.

    Parameters
    ----------
    mask
        (Z, Y, X) or (Y, X). What lies outside the array counts as outside the mask.
    spacing_mm
        Voxel size along each axis.

    Notes
    -----
    Place p of the lattice lies between voxels p - 1 and p of every axis.
    """
    codes = cell_codes(mask)
    areas = element_areas(tuple(float(s) for s in spacing_mm))
    places = np.flatnonzero((codes != 0) & (codes != len(areas) - 1))
    return SurfaceElements(
        np.stack(np.unravel_index(places, codes.shape), axis=1),
        areas[codes.reshape(-1)[places]],
    )


def cell_codes(mask: Mask) -> npt.NDArray[np.uint8]:
    """Return, for every lattice point, which voxels around it belong to the mask (as bits).

    The result is one longer than the mask along every axis.
    """
    codes = np.pad(mask.view(np.uint8), 1)
    for step, axis in enumerate(reversed(range(mask.ndim))):
        before: list[slice] = [slice(None)] * mask.ndim
        after: list[slice] = [slice(None)] * mask.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        codes = (codes[tuple(before)] << np.uint8(1 << step)) | codes[tuple(after)]
    return codes


@lru_cache(maxsize=32)
def element_areas(spacing_mm: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the area (3-D, mm²) or length (2-D, mm) of surface in a cell of each code."""
    if len(spacing_mm) == 2:
        return _lengths(*spacing_mm)
    depth, height, width = spacing_mm
    faces = np.array([height * width, depth * width, depth * height]) / 8
    areas = np.zeros(256)
    for code, triangles in _all_cases().items():
        areas[code] = sum(float(np.linalg.norm(faces * normal)) for normal in triangles)
    return areas


def _lengths(vertical: float, horizontal: float) -> npt.NDArray[np.float64]:
    """Lengths of marching squares; bits 8 4 / 2 1 are the upper and lower pair of pixels."""
    corner = float(np.hypot(vertical, horizontal)) / 2
    lengths = np.full(16, corner)
    lengths[[0b0000, 0b1111]] = 0
    lengths[[0b0011, 0b1100]] = horizontal
    lengths[[0b0101, 0b1010]] = vertical
    lengths[[0b0110, 0b1001]] = 2 * corner
    return lengths


def _all_cases() -> dict[int, tuple[Triangle, ...]]:
    """Turn and mirror the cases into all 254 codes that hold surface."""
    found: dict[int, tuple[Triangle, ...]] = {}
    turns = itertools.product(itertools.permutations(range(3)), range(8))
    for (axes, mirrored), (code, triangles) in itertools.product(turns, _CASES.items()):
        turned = 0
        for corner in range(8):
            if code >> corner & 1:
                bits = [corner >> (2 - axis) & 1 for axis in range(3)]
                place = sum(bits[axes[axis]] << (2 - axis) for axis in range(3))
                turned |= 1 << (place ^ mirrored)
        normals = tuple((one[axes[0]], one[axes[1]], one[axes[2]]) for one in triangles)
        found[turned] = found[255 - turned] = normals
    return found
