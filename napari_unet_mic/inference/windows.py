"""Where the patches of a sliding window begin, and how many there are. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence


def window_starts(size: int, patch: int, step: float = 0.5) -> tuple[int, ...]:
    """First voxels of the patches along an axis: evenly spread, at most `step` patches apart.

    Notes
    -----
    nnU-Net's `compute_steps_for_sliding_window`: 110 voxels with patches of 64 give 0, 23, 46.
    """
    n = math.ceil((size - patch) / (patch * step)) + 1
    if n == 1:
        return (0,)
    # halves go to the even neighbour, as numpy rounds
    return tuple(round((size - patch) / (n - 1) * i) for i in range(n))


def number_of_windows(shape: Sequence[int], patch_size: Sequence[int]) -> int:
    """Return how many patches cover (z, y, x) voxels; a 2-D patch covers slice after slice."""
    slices = math.prod(shape[: len(shape) - len(patch_size)])
    axes = zip(shape[-len(patch_size) :], patch_size, strict=True)
    return slices * math.prod(len(window_starts(max(n, p), p)) for n, p in axes)
