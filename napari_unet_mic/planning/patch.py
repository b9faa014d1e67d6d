"""Rules about the patch: its first size, how it is made to fit, and the batch.

Every rule returns its value and its reason. Source of all: nnU-Net 2.8.1,
default_experiment_planner.py and residual_encoder_unet_planners.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.presets import (
    BASE_FEATURES,
    MAX_FEATURES,
    MIN_BATCH_SIZE,
    REFERENCE_BATCH,
    Preset,
    Ruled,
)
from napari_unet_mic.planning.stages import Stages, divide_stages

FIRST_EDGE = {2: 2048, 3: 256}
Cost = Callable[[Stages], int]


def first_patch(
    spacing: Sequence[float], median_shape: Sequence[float]
) -> Ruled[tuple[float, ...]]:
    """The patch the search starts from: cubic in millimetres, within the median image."""
    ndim = len(spacing)
    edge = FIRST_EDGE[ndim]
    inverse = 1 / np.asarray(spacing, dtype=np.float64)
    scaled = inverse * (edge**ndim / np.prod(inverse)) ** (1 / ndim)
    patch = tuple(
        float(min(round(n), limit)) for n, limit in zip(scaled, median_shape, strict=True)
    )
    return Ruled(
        patch,
        f"as many voxels as {times([edge] * ndim)} with equal edges in millimetres, "
        f"no larger than the median image {times(median_shape)}",
    )


def features_per_stage(n_stages: int, ndim: int) -> Ruled[tuple[int, ...]]:
    """32 feature maps, doubled at every stage up to 320 (3-D) or 512 (2-D)."""
    most = MAX_FEATURES[ndim]
    features = tuple(min(most, BASE_FEATURES * 2**i) for i in range(n_stages))
    return Ruled(features, f"{BASE_FEATURES}, doubled at every stage, at most {most} in {ndim}-D")


def reference_cost(preset: Preset, ndim: int, gpu_memory_gb: float) -> Ruled[float]:
    """The feature-map values that train in the given memory."""
    reference = preset.reference_cost[ndim] * (gpu_memory_gb / preset.memory_gb)
    return Ruled(
        reference,
        f"{preset.reference_cost[ndim] / 1e6:g} million feature-map values train in "
        f"{preset.memory_gb:g} GB, so {reference / 1e6:g} million in {gpu_memory_gb:g} GB",
    )


def fitted_patch(
    spacing: Sequence[float],
    median_shape: Sequence[float],
    preset: Preset,
    budget: float,
    cost_of: Cost,
) -> Ruled[Stages]:
    """Shrink the first patch until its feature maps fit the memory.

    The axis that is largest relative to the median image shrinks, the last one
    of equals (a stable sort, so that every processor agrees), by the smallest
    step that keeps it divisible.

    Raises
    ------
    BadInput
        No patch is small enough for the budget.
    """
    ndim = len(spacing)
    first = first_patch(spacing, median_shape)
    stages = divide_stages(spacing, first.value)
    # the default planner's reference was measured at its own batch size; a batch has at least 2
    scale = 1.0 if preset.residual else MIN_BATCH_SIZE / REFERENCE_BATCH[ndim]
    shrunk = 0
    while _load(cost_of(stages), preset, ndim) > budget:
        ratios = [n / m for n, m in zip(stages.patch, median_shape, strict=True)]
        axis = int(np.argsort(ratios, kind="stable")[-1])
        smaller = list(stages.patch)
        smaller[axis] -= stages.divisors[axis]
        # a large step may skip valid sizes (256 - 64 = 192, but 224 is valid too): the step
        # is that of the smaller patch
        step = divide_stages(spacing, smaller).divisors[axis] if smaller[axis] > 0 else 0
        smaller[axis] = stages.patch[axis] - step
        if step == 0 or smaller[axis] < 1:
            raise BadInput(
                "GPU memory",
                expected="enough for the smallest patch",
                got=f"a budget of {budget / 1e6:.3g} million feature-map values",
                advice="raise the memory target",
            )
        stages = divide_stages(spacing, smaller)
        shrunk += 1
    cost = cost_of(stages)
    reason = first.reason
    if shrunk:
        reason += (
            f"; shrunk {shrunk} times where it was largest relative to the median, until its "
            f"{cost / 1e6:.4g} million feature-map values fit {budget / 1e6 / scale:.4g} million"
        )
    reason += f"; divisible by {times(stages.divisors)} (2 to the number of poolings)"
    return Ruled(stages, reason)


def _load(cost: int, preset: Preset, ndim: int) -> float:
    """What is held against the budget (ResEnc planners skip the correction for the batch)."""
    return float(cost) if preset.residual else cost / REFERENCE_BATCH[ndim] * MIN_BATCH_SIZE


def batch_size(
    cost: int,
    budget: float,
    patch: Sequence[int],
    dataset_voxels: float,
    covered: float,
) -> Ruled[int]:
    """As many patches as fit, at most a share of the dataset's voxels, at least two.

    Parameters
    ----------
    cost, budget
        Feature-map values of one patch, and those the memory holds.
    dataset_voxels
        Median image voxels times training cases.
    covered
        The largest share of the dataset that one batch may hold.
    """
    ndim = len(patch)
    fitting = round(budget / cost * REFERENCE_BATCH[ndim])
    most = round(dataset_voxels * covered / math.prod(patch))
    size = max(min(fitting, most), MIN_BATCH_SIZE)
    if size > min(fitting, most):
        reason = f"never fewer than {MIN_BATCH_SIZE}"
    elif most < fitting:
        reason = f"{fitting} would fit, but a batch holds at most {covered:.0%} of the dataset"
    else:
        reason = f"as many patches as fit the memory ({cost / 1e6:.4g} million values each)"
    return Ruled(size, reason)


def times(numbers: Sequence[float]) -> str:
    """Sizes as people write them: 40×56×40."""
    return "×".join(f"{n:g}" for n in numbers)
