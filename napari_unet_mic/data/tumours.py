"""Tumours of a phantom: of random volumes, or of given ones in exactly so many voxels.

In come a generator, an organ and its spacing, out comes a mask a tumour. All arrays are in
display order (Z, Y, X); tumours lie inside the organ and do not touch each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt, label

from ..errors import BadInput

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Generator = np.random.Generator

SMALLEST_ML, LARGEST_ML = 0.05, 50.0
_GAP_MM = 7.0  # between given tumours: a prediction may make them larger without joining them
_TRIES = 20


def random_tumours(rng: Generator, organ: Mask, spacing_mm: Sequence[float]) -> list[Mask]:
    """Place two to six tumours of very different sizes, 0.05 to 50 ml where there is room."""
    organ_ml = float(organ.sum()) * math.prod(spacing_mm) / 1000
    largest_ml = min(LARGEST_ML, 0.15 * organ_ml)
    if largest_ml < SMALLEST_ML:
        return []
    decades = rng.uniform(0.0, [0.3, 0.6, 1.0, 1.0, 1.0, 1.0][: rng.integers(2, 7)])
    volumes_ml = largest_ml * (SMALLEST_ML / largest_ml) ** decades
    volumes_ml[-1] = max(SMALLEST_ML, min(float(volumes_ml[-1]), 0.3))
    depth_mm = distance_transform_edt(organ, sampling=spacing_mm)
    free, tumours = organ.copy(), []
    for volume_ml in volumes_ml:
        radius_mm = _radius_mm(float(volume_ml))
        places = np.argwhere(free & (depth_mm > min(1.1 * radius_mm, 0.7 * depth_mm.max())))
        if not len(places):
            continue
        centre = places[rng.integers(len(places))]
        tumours.append(blob(rng, organ.shape, centre, radius_mm, spacing_mm) & organ)
        free &= ~blob(rng, organ.shape, centre, 1.8 * radius_mm + 4.0, spacing_mm)
    return tumours


def tumours_of(
    rng: Generator, organ: Mask, spacing_mm: Sequence[float], volumes_ml: Sequence[float]
) -> list[Mask]:
    """Place a tumour of each volume, in its order; each is one connected component.

    A volume is rounded to whole voxels, to one at least; 7 mm lie between two tumours.

    Raises
    ------
    BadInput
        When the organ has no room for one of them.
    """
    voxel_ml = math.prod(spacing_mm) / 1000
    room_mm = distance_transform_edt(organ, sampling=spacing_mm)  # to what is taken
    placed: dict[int, Mask] = {}
    for index in sorted(range(len(volumes_ml)), key=lambda one: -volumes_ml[one]):
        made = _placed(rng, room_mm, spacing_mm, max(1, round(volumes_ml[index] / voxel_ml)))
        if made is None:
            raise BadInput(
                f"a tumour of {volumes_ml[index]:g} ml",
                expected=f"room for it in an organ of {float(organ.sum()) * voxel_ml:.0f} ml",
                got=f"none beside {len(placed)} larger ones",
                advice="give smaller or fewer volumes",
            )
        placed[index] = made
        away_mm = distance_transform_edt(~made, sampling=spacing_mm)
        room_mm = np.minimum(room_mm, away_mm - _GAP_MM)
    return [placed[index] for index in range(len(volumes_ml))]


def _placed(
    rng: Generator, room_mm: Array, spacing_mm: Sequence[float], n_voxels: int
) -> Mask | None:
    """Return an ellipsoid of so many free voxels, around one with its radius of room if any."""
    free: Mask = room_mm > 0
    if free.sum() < n_voxels:
        return None
    radius_mm = _radius_mm(n_voxels * math.prod(spacing_mm) / 1000)
    places = np.argwhere(room_mm >= min(1.1 * radius_mm, 0.9 * float(room_mm.max())))
    for _ in range(_TRIES):
        stretched_mm = np.array(spacing_mm) * np.exp(rng.normal(0.0, 0.12, size=3))
        centre = places[rng.integers(len(places))]
        made = nearest_voxels(free, centre, stretched_mm, n_voxels)
        if label(made, np.ones((3, 3, 3)))[1] == 1:
            return made
    return None


def _radius_mm(volume_ml: float) -> float:
    return float((volume_ml * 1000 * 3 / (4 * math.pi)) ** (1 / 3))


def blob(
    rng: Generator,
    shape: Sequence[int],
    centre: Sequence[float] | Array,
    radius_mm: float,
    spacing_mm: Sequence[float],
) -> Mask:
    """Return an ellipsoid of that mean radius around a voxel; at least the voxel itself."""
    radii_mm = radius_mm * np.exp(rng.normal(0.0, 0.12, size=3))
    distance = np.zeros(tuple(shape), dtype=np.float32)
    for axis, (n, c, step, r) in enumerate(zip(shape, centre, spacing_mm, radii_mm, strict=True)):
        along = ((np.arange(n) - c) * step / r) ** 2
        distance += along.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    inside: Mask = distance <= 1.0
    inside[tuple(int(c) for c in centre)] = True
    return inside


def nearest_voxels(
    inside: Mask, centre: Sequence[Any] | Array, spacing_mm: ArrayLike, n_voxels: int
) -> Mask:
    """Return those `n_voxels` voxels of a mask that are nearest to a voxel (ties: in order)."""
    places = np.argwhere(inside)
    away_mm2 = ((places - np.array(centre)) ** 2 * np.square(spacing_mm)).sum(axis=1)
    nearest = places[np.argsort(away_mm2, kind="stable")[:n_voxels]]
    made = np.zeros(inside.shape, dtype=bool)
    made[tuple(nearest.T)] = True
    return made
