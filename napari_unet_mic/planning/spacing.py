"""Rules about spacing: the target, the axis order, and the coarser grid of 3d_lowres.

Every rule returns its value and its reason. Source of all: nnU-Net 2.8.1,
default_experiment_planner.py. The numbers are numpy's float64, operation for
operation as there, since a last digit decides some roundings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.planning.presets import Ruled

ANISOTROPY_THRESHOLD = 3
LOWRES_THRESHOLD = 0.25
LOWRES_STEP = 1.03
Floats = NDArray[np.float64]


def target_spacing(
    spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]]
) -> Ruled[Floats]:
    """The spacing every case is resampled to: (z, y, x) in millimetres.

    The median of each axis; the coarsest axis takes its 10th percentile when it
    is both much coarser and much shorter than the others.
    """
    table = np.vstack(spacings).astype(np.float64)
    target: Floats = np.percentile(table, 50, 0)
    size = np.percentile(np.vstack(shapes), 50, 0)
    worst = int(np.argmax(target))
    others = [i for i in range(len(target)) if i != worst]
    finer = max(target[i] for i in others)
    coarse = target[worst] > ANISOTROPY_THRESHOLD * finer
    short = size[worst] * ANISOTROPY_THRESHOLD < min(size[i] for i in others)
    if not (coarse and short):
        return Ruled(target, f"the median spacing of the {len(table)} training cases on each axis")
    chosen = np.percentile(table[:, worst], 10)
    median = target[worst]
    reason = (
        f"the median on each axis, but axis {'zyx'[worst]} is more than three times coarser "
        f"({median:g} mm against {finer:g} mm) and three times shorter than the others, "
        f"so it takes its 10th percentile, {chosen:g} mm"
    )
    if chosen < finer:
        chosen = finer + 1e-5
        reason += f", though not below the others' {finer:g} mm"
    target[worst] = chosen
    return Ruled(target, reason)


def axis_order(target: Floats) -> Ruled[tuple[int, ...]]:
    """`transpose_forward`: the coarsest axis comes first, the others keep their order."""
    coarsest = int(np.argmax(target))
    order = (coarsest, *(i for i in range(3) if i != coarsest))
    if order == (0, 1, 2):
        reason = f"z is already the coarsest axis ({target[0]:g} mm) or all are equal"
    else:
        reason = f"axis {'zyx'[coarsest]} is the coarsest ({target[coarsest]:g} mm): it comes first"
    return Ruled(order, reason)


def resampled_median(
    spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]], target: Floats
) -> Ruled[Floats]:
    """The median size of the cases once resampled to the target spacing, in voxels."""
    resampled = [
        [round(old / new * n) for old, new, n in zip(spacing, target, shape, strict=True)]
        for spacing, shape in zip(spacings, shapes, strict=True)
    ]
    return Ruled(
        np.median(resampled, 0), f"the median over {len(resampled)} cases at the target spacing"
    )


def lowres_grid(
    fullres_spacing: Floats,
    median_shape: Floats,
    fullres_patch: Sequence[int],
    plan_at: Callable[[Floats, tuple[int, ...], float], Any],
    patch_of: Callable[[Any], Sequence[int]],
) -> Ruled[Any | None]:
    """The 3d_lowres configuration, or None where the full resolution is enough.

    Parameters
    ----------
    fullres_spacing, median_shape
        Spacing (mm) and median size (voxels) of 3d_fullres, in network order.
    fullres_patch
        The 3d_fullres patch in voxels.
    plan_at
        Plans a configuration from spacing, median shape and median voxels.
    patch_of
        The patch of what `plan_at` gave.

    Returns
    -------
    The configuration at the finest spacing (in steps of 3 %, the finer axes
    first until they are within a factor 2) whose patch holds a quarter of the
    median image; None if the patch already does, or if less than half of the
    voxels would be saved.
    """
    all_voxels = np.prod(median_shape, dtype=np.float64)
    voxels, patch_voxels = all_voxels, np.prod(fullres_patch, dtype=np.float64)
    share = patch_voxels / voxels
    if share >= LOWRES_THRESHOLD:
        return Ruled(
            None,
            f"the full-resolution patch already holds {share:.0%} of the median image, "
            f"at least {LOWRES_THRESHOLD:.0%}",
        )
    spacing = fullres_spacing.copy()
    found: Any = None
    while patch_voxels / voxels < LOWRES_THRESHOLD:
        coarsest = max(spacing)
        behind = coarsest / spacing > 2
        if np.any(behind):
            spacing[behind] *= LOWRES_STEP
        else:
            spacing *= LOWRES_STEP
        shape = fullres_spacing / spacing * median_shape
        voxels = np.prod(shape, dtype=np.float64)
        found = plan_at(spacing.copy(), tuple(round(n) for n in shape), float(voxels))
        patch_voxels = np.prod(patch_of(found), dtype=np.float64)
    saved = all_voxels / voxels
    if saved < 2:
        return Ruled(
            None,
            f"a coarser grid would save only a factor {saved:.2g} of the voxels, less than 2",
        )
    return Ruled(
        found,
        f"the full-resolution patch holds only {share:.1%} of the median image; coarsened in "
        f"steps of 3 % until a patch holds a quarter ({saved:.1f} times fewer voxels)",
    )
