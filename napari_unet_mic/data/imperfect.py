"""Imperfect predictions: a reference made wrong on purpose, in the ways networks are wrong.

In comes a reference, out comes a label map with wavy rims, a missed small lesion, a part
of a lesion taken for its organ and the reverse, and a spurious lesion: something to look
at in the sample data. Or, with the lesions and a rule for each, a label map in which every
lesion's IoU is known: something to find again in tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter, label

from .tumours import blob, nearest_voxels
from .volume import Volume

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Generator = np.random.Generator


def imperfect_prediction(
    reference: Volume, seed: int = 0, *, lesion_class: int | None = None
) -> Volume:
    """Return a deliberately imperfect prediction of a reference (Z, Y, X).

    The highest class there (or `lesion_class`) counts as the lesion, the one below as its
    organ. The smallest lesion of several is missed, a piece of the largest is called organ,
    a part of the organ is called lesion, a small lesion is invented, and every rim is off
    by about a voxel. A reference without any class gets the invented lesion only. The same
    seed gives the same prediction; geometry, header and dtype are the reference's.
    """
    rng = np.random.default_rng([seed, 3])
    labels = reference.array
    spacing_mm = reference.spacing_mm
    lesion = lesion_class or max(int(labels.max()), 1)
    organ = lesion - 1
    wrong = _wavy(rng, labels, spacing_mm)
    parts, n_parts = label(labels == lesion)
    if n_parts:
        sizes = np.bincount(parts.ravel())[1:]
        largest = parts == int(sizes.argmax()) + 1
        if organ > 0:
            wrong[_piece(rng, largest, spacing_mm)] = organ
        if n_parts > 1:
            smallest = parts == int(sizes.argmin()) + 1
            wrong[smallest & (labels == lesion)] = organ
            wrong[(wrong == lesion) & _grown(smallest, spacing_mm)] = organ
    if organ > 0:
        _swap_at(rng, wrong, labels == organ, lesion, spacing_mm, share=0.02)
    far = distance_transform_edt(labels != lesion, sampling=spacing_mm)
    away = (labels == organ) & (far > min(6.0, 0.5 * float(far.max())))
    _swap_at(rng, wrong, away, lesion, spacing_mm, share=0.004)
    return replace(reference, array=wrong, file=None)


def resized_lesions(
    reference: Volume, lesions: Volume, shares: Mapping[int, float], *, lesion_class: int = 2
) -> Volume:
    """Return a prediction that has a known share of each lesion and is right elsewhere.

    Parameters
    ----------
    reference
        (Z, Y, X) label map; the class below `lesion_class` is the organ around the lesions.
    lesions
        (Z, Y, X) number of the lesion that each voxel is in, 0 for none.
    shares
        For each number the predicted voxels as a share of the lesion's, rounded: 0 misses it;
        below 1 those nearest to its deepest voxel are kept; above 1 it grows into the organ,
        nearest voxels first. A lesion of another number is predicted as it is.

    Notes
    -----
    With n voxels in the lesion and m predicted the IoU is m/n when smaller, n/m when larger,
    unless the organ is used up or the lesion grows onto another one's place.
    """
    spacing_mm, predicted = reference.spacing_mm, reference.array.copy()
    for number, share in shares.items():
        lesion = lesions.array == number
        n_voxels = round(share * int(lesion.sum()))
        if share < 1:
            predicted[lesion & ~_core(lesion, n_voxels, spacing_mm)] = lesion_class - 1
        elif share > 1:
            away_mm = distance_transform_edt(~lesion, sampling=spacing_mm)
            inside = np.flatnonzero(lesion | (reference.array == lesion_class - 1))
            nearest = np.argsort(away_mm.flat[inside], kind="stable")[:n_voxels]
            predicted.flat[inside[nearest]] = lesion_class
    return replace(reference, array=predicted, file=None)


def _core(lesion: Mask, n_voxels: int, spacing_mm: Sequence[float]) -> Mask:
    """Return so many voxels of a lesion: those nearest to its deepest one."""
    core = np.zeros(lesion.shape, dtype=bool)
    if n_voxels:
        (box,) = find_objects(lesion.astype(np.uint8))
        inside = np.pad(lesion[box], 1)
        depth = distance_transform_edt(inside, sampling=spacing_mm)
        centre = np.array(np.unravel_index(int(depth.argmax()), depth.shape)) - 1
        core[box] = nearest_voxels(lesion[box], centre, spacing_mm, n_voxels)
    return core


def _wavy(rng: Generator, labels: Array, spacing_mm: Sequence[float]) -> Array:
    """Move every class's rim in and out by about a voxel, smoothly along the rim."""
    wrong = labels.copy()
    reach_mm = float(min(spacing_mm))
    sigma = [3 * reach_mm / step for step in spacing_mm]
    for value in range(1, int(labels.max()) + 1):
        mask = labels >= value  # classes nest: a lesion is part of its organ
        if not mask.any() or mask.all():
            continue
        outside = distance_transform_edt(~mask, sampling=spacing_mm)
        inside = distance_transform_edt(mask, sampling=spacing_mm)
        waves = gaussian_filter(rng.standard_normal(labels.shape, dtype=np.float32), sigma)
        moved = inside - outside + waves * (reach_mm / max(float(waves.std()), 1e-6)) > 0
        wrong[moved & (wrong < value)] = value
        wrong[~moved & (wrong >= value)] = value - 1
    return wrong


def _piece(rng: Generator, region: Mask, spacing_mm: Sequence[float]) -> Mask:
    """Return about a fifth of a region: what lies beyond a plane."""
    along_mm = np.argwhere(region) * np.array(spacing_mm) @ rng.standard_normal(3)
    piece = region.copy()
    piece[region] = along_mm > np.quantile(along_mm, 0.8)
    return piece


def _grown(region: Mask, spacing_mm: Sequence[float]) -> Mask:
    near: Mask = distance_transform_edt(~region, sampling=spacing_mm) < 2.5 * min(spacing_mm)
    return near


def _swap_at(
    rng: Generator,
    wrong: Array,
    where: Mask,
    value: int,
    spacing_mm: Sequence[float],
    *,
    share: float,
) -> None:
    """Give `value` to a blob inside `where` that takes about this share of it."""
    places = np.argwhere(where)
    if not len(places):
        return
    volume_mm3 = max(share * len(places), 4.0) * math.prod(spacing_mm)
    radius_mm = (volume_mm3 * 3 / (4 * math.pi)) ** (1 / 3)
    centre = places[rng.integers(len(places))]
    wrong[blob(rng, where.shape, centre, radius_mm, spacing_mm) & where] = value
