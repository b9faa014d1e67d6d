"""HD95 and NSD: how far two surfaces of one class lie apart, in millimetres.

Two label maps (or two masks) enter, a `SurfaceScore` per class leaves. With the class in
only one of the two maps HD95 is not defined (None) and NSD is 0; in neither, both are None.
The background has no surface figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import Box, LabelArray
from napari_unet_mic.evaluation.memory_order import MemoryOrder
from napari_unet_mic.evaluation.results import SurfaceScore
from napari_unet_mic.evaluation.surface_elements import Lattice, Mask, surface_elements

Distances = npt.NDArray[np.float64]


def surface_scores(
    reference: LabelArray,
    prediction: LabelArray,
    values: Iterable[int],
    spacing_mm: Sequence[float],
    *,
    tolerance_mm: float = 1.0,
    ignore: int | None = None,
) -> dict[int, SurfaceScore]:
    """Measure HD95 and NSD of every class but the background.

    Parameters
    ----------
    reference, prediction
        Integer label maps of one shape, (Z, Y, X) or (Y, X).
    values
        The classes to measure; 0 is passed over.
    spacing_mm
        Voxel size along each axis.
    tolerance_mm
        What the NSD allows a surface to be displaced.
    ignore
        Voxels of this reference value belong to no class in either map.
    """
    return dict(
        each_surface_score(
            reference, prediction, values, spacing_mm, tolerance_mm=tolerance_mm, ignore=ignore
        )
    )


def each_surface_score(
    reference: LabelArray,
    prediction: LabelArray,
    values: Iterable[int],
    spacing_mm: Sequence[float],
    *,
    tolerance_mm: float = 1.0,
    ignore: int | None = None,
) -> Iterator[tuple[int, SurfaceScore]]:
    """Yield class and score one by one, for whoever cannot wait for all; see `surface_scores`."""
    order = MemoryOrder.of(reference)
    reference, prediction = order.view(reference), order.view(prediction)
    spacing = [float(spacing_mm[axis]) for axis in order.axes]
    if ignore is not None:
        prediction = np.where(reference == ignore, 0, prediction)
    boxes = [_boxes(labels, ignore) for labels in (reference, prediction)]
    for value in values:
        if value == 0:
            continue
        box = _both(boxes[0].get(value), boxes[1].get(value))
        if box is None:
            yield value, SurfaceScore()
            continue
        yield (
            value,
            surface_score(
                np.asarray(reference[box] == value),
                np.asarray(prediction[box] == value),
                spacing,
                tolerance_mm=tolerance_mm,
            ),
        )


def surface_score(
    reference: Mask, prediction: Mask, spacing_mm: Sequence[float], *, tolerance_mm: float = 1.0
) -> SurfaceScore:
    """Measure HD95 and NSD of two masks of one shape (whatever surrounds them is outside)."""
    in_reference, in_prediction = bool(reference.any()), bool(prediction.any())
    if not (in_reference and in_prediction):
        nsd = 0.0 if in_reference or in_prediction else None
        return SurfaceScore(None, nsd)
    return SurfaceScore(
        hd95_mm(reference, prediction, spacing_mm),
        surface_dice(reference, prediction, spacing_mm, tolerance_mm),
    )


def hd95_mm(reference: Mask, prediction: Mask, spacing_mm: Sequence[float]) -> float:
    """Return the larger of the two directed 95th percentiles of surface distances.

    Both masks must hold a voxel.

    Notes
    -----
    MONAI's ``compute_hausdorff_distance(percentile=95, spacing=…)``: the surface is every
    voxel of the mask with a face neighbour outside; percentiles interpolate linearly.
    torch counts ranks in 32 bits, which moves the answer by up to some 1e-5 mm; so do we.
    """
    edges = [np.argwhere(_edge(mask)) for mask in (reference, prediction)]
    there = nearest_mm(edges[0], edges[1], spacing_mm)
    back = nearest_mm(edges[1], edges[0], spacing_mm)
    return max(_percentile_95(there), _percentile_95(back))


def _percentile_95(distances: Distances) -> float:
    """Return ``torch.quantile(distances, 0.95)`` of 32-bit distances."""
    rank = np.float32(0.95) * np.float32(len(distances) - 1)
    below, above = int(np.floor(rank)), int(np.ceil(rank))
    ordered = np.partition(distances, (below, above))
    weight = float(rank - np.float32(below))
    return float(ordered[below] + weight * (ordered[above] - ordered[below]))


def surface_dice(
    reference: Mask, prediction: Mask, spacing_mm: Sequence[float], tolerance_mm: float
) -> float:
    """Return the share of both surfaces within `tolerance_mm` of the other (NSD).

    Both masks must hold a voxel.

    Notes
    -----
    DeepMind's ``compute_surface_dice_at_tolerance``: surface elements between voxels,
    weighted by area, with distances from lattice point to lattice point.
    """
    surfaces = [surface_elements(mask, spacing_mm) for mask in (reference, prediction)]
    close, whole = 0.0, 0.0
    for one, other in (surfaces, surfaces[::-1]):
        distances = nearest_mm(one.places, other.places, spacing_mm, up_to_mm=tolerance_mm)
        close += float(one.areas[distances <= tolerance_mm].sum())
        whole += float(one.areas.sum())
    return close / whole


def nearest_mm(
    places: Lattice,
    others: Lattice,
    spacing_mm: Sequence[float],
    *,
    up_to_mm: float = np.inf,
) -> Distances:
    """Return the distance from each place (n, ndim) to the nearest of the others, in mm.

    Distances above `up_to_mm` may be given as infinite. All are computed from differences
    of whole voxels, as a distance transform does, so that a tolerance equal to a
    multiple of the spacing is met exactly.

    Notes
    -----
    Two surfaces of one organ mostly lie within a few voxels: those steps are looked up
    nearest first, and only what is further away asks a tree.
    """
    spacing = np.asarray(spacing_mm, np.float64)
    distances = np.full(len(places), np.inf)
    left = np.arange(len(places))
    steps, lengths = _steps(tuple(spacing.tolist()))
    reach = np.abs(steps).max(axis=0)
    lowest = np.minimum(places.min(axis=0), others.min(axis=0)) - reach
    shape = np.maximum(places.max(axis=0), others.max(axis=0)) - lowest + reach + 1
    there = np.zeros(shape, bool)
    there[tuple((others - lowest).T)] = True
    there = there.reshape(-1)
    strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
    here = (places - lowest) @ strides
    for step, length in zip((steps @ strides).tolist(), lengths.tolist(), strict=True):
        if left.size == 0 or length > up_to_mm:
            return distances
        hit = there[here + step]
        distances[left[hit]] = length
        left, here = left[~hit], here[~hit]
    if left.size:
        distances[left] = _far_mm(places[left], others, spacing, up_to_mm)
    return distances


@lru_cache(maxsize=32)
def _steps(spacing_mm: tuple[float, ...]) -> tuple[Lattice, Distances]:
    """Return the steps to about 150 nearest lattice points, nearest first, and their lengths."""
    spacing = np.array(spacing_mm)
    ndim = len(spacing)
    ball = np.pi if ndim == 2 else 4 / 3 * np.pi
    radius_mm = max(float((150 * spacing.prod() / ball) ** (1 / ndim)), float(spacing.min()))
    reach = np.minimum(radius_mm / spacing, 75).astype(np.intp)
    radius_mm = min(radius_mm, float(((reach + 1) * spacing).min()) * (1 - 1e-9))
    steps = np.indices((2 * reach + 1).tolist()).reshape(ndim, -1).T - reach
    lengths = np.sqrt(np.square(steps * spacing).sum(axis=1))
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] <= radius_mm]
    return steps[order], lengths[order]


def _far_mm(
    places: Lattice, others: Lattice, spacing: npt.NDArray[np.float64], up_to_mm: float
) -> Distances:
    from scipy.spatial import cKDTree  # here: slow to import, panels need it late

    tree = cKDTree(others * spacing, leafsize=32, balanced_tree=False, compact_nodes=False)
    bound = up_to_mm * (1 + 1e-9)
    nearest = np.asarray(tree.query(places * spacing, distance_upper_bound=bound)[1])
    found = nearest < len(others)
    distances = np.full(found.shape, np.inf)
    steps = (places[found] - others[nearest[found]]) * spacing
    distances[found] = np.sqrt(np.square(steps).sum(axis=1))
    return distances


def _edge(mask: Mask) -> Mask:
    """Return the voxels of a mask with a face neighbour outside of it."""
    inside = mask.copy()
    for axis in range(mask.ndim):
        before: list[slice] = [slice(None)] * mask.ndim
        after: list[slice] = [slice(None)] * mask.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        inside[tuple(after)] &= mask[tuple(before)]
        inside[tuple(before)] &= mask[tuple(after)]
        for end in (0, -1):
            inside[(slice(None),) * axis + (end,)] = False
    return mask & ~inside


def _boxes(labels: LabelArray, ignore: int | None) -> dict[int, Box]:
    """Return the bounding box of every class but the background."""
    outer = _foreground_box(labels)
    if outer is None:
        return {}
    from scipy import ndimage  # here: slow to import, panels need it late

    found = ndimage.find_objects(labels[outer])
    boxes = {}
    for value, inner in enumerate(found, start=1):
        if inner is not None and value != ignore:
            boxes[value] = tuple(
                slice(whole.start + one.start, whole.start + one.stop)
                for whole, one in zip(outer, inner, strict=True)
            )
    return boxes


def _foreground_box(labels: LabelArray) -> Box | None:
    """Return the box of everything that is not background, read slab by slab."""
    hits = [np.zeros(size, bool) for size in labels.shape]
    for index in range(labels.shape[0]):
        inside = labels[index].any(axis=-1)
        if inside.any():
            hits[0][index] = True
            if labels.ndim == 3:
                hits[1] |= inside
            hits[-1] |= labels[index].any(axis=0) if labels.ndim == 3 else labels[index] != 0
    if not hits[0].any():
        return None
    ends = [np.flatnonzero(one)[[0, -1]] for one in hits]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


def _both(one: Box | None, other: Box | None) -> Box | None:
    """Return the smallest box around two."""
    if one is None or other is None:
        return one if other is None else other
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
