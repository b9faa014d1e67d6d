"""How much memory a prediction needs at its peak, before it starts.

The sizes of a case, of the network and of the patch enter; a `MemoryEstimate` leaves, part by
part, each an upper bound measured on real runs (`benchmarks/inference.py`). On a GPU the sums
and the network lie in its memory, everything else in that of the computer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.architecture import Architecture
from napari_unet_mic.planning.plan import Configuration, Plan
from napari_unet_mic.preprocessing.pipeline import target_spacing
from napari_unet_mic.preprocessing.resample import resampled_shape

GB = 1e9
_VOXELS_AT_ONCE = {"cpu": 2**17, "cuda": 2**21, "mps": 2**20}
_PROCESS = int(0.45e9)  # Python, torch and what they loaded
_SLABS = int(0.25e9)  # planes being resampled and decided
_LIVE_MAPS = 6  # feature maps of the first stage that exist together in the decoder's last step


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes at the peak of one case.

    Parameters
    ----------
    process
        The program itself.
    weights
        Of all folds.
    image
        The prepared image (C, z, y, x) float32.
    preparing
        What reading and preparing need beside it, given back before the network starts.
    network
        Feature maps of the tiles that go through the network together.
    sums
        Logits of one patch's depth.
    labels, probabilities
        The result on the source's grid, and slabs on their way there.
    """

    process: int
    weights: int
    image: int
    preparing: int
    network: int
    sums: int
    labels: int
    probabilities: int

    @property
    def peak(self) -> int:
        """Bytes that exist together: while preparing, or while the network works."""
        working = self.network + self.sums + self.labels + self.probabilities
        return self.process + self.weights + self.image + max(self.preparing, working)

    def __str__(self) -> str:
        parts = [
            f"{field.name} {getattr(self, field.name) / GB:.1f}"
            for field in fields(self)
            if getattr(self, field.name) >= 0.05 * GB
        ]
        return f"about {self.peak / GB:.1f} GB of memory at the peak ({', '.join(parts)})"


def images_at_once(device_type: str, patch_size: Sequence[int]) -> int:
    """How many tiles, mirror images of one, or slices go through a network together."""
    return max(1, _VOXELS_AT_ONCE.get(device_type, 2**17) // math.prod(patch_size))


def shape_on_grid(
    shape: Sequence[int], spacing_mm: Sequence[float], plan: Plan, configuration: Configuration
) -> tuple[int, ...]:
    """Return the shape (z, y, x) that an image (Z, Y, X) has for the network, nothing cropped."""
    forward = plan.transpose_forward
    spacing = [spacing_mm[axis] for axis in forward]
    wanted = target_spacing(configuration, spacing)
    found = resampled_shape([shape[axis] for axis in forward], spacing, wanted)
    return tuple(max(1, n) for n in found)


def estimate(
    configuration: Configuration,
    *,
    source_shape: Sequence[int],
    source_bytes_per_voxel: int,
    shape: Sequence[int],
    n_channels: int,
    n_classes: int,
    n_parameters: int,
    at_once: int = 1,
    exact: bool = True,
    sum_bytes: int = 4,
    probabilities: bool = False,
) -> MemoryEstimate:
    """Estimate the peak of one case.

    Parameters
    ----------
    source_shape, source_bytes_per_voxel
        The image on disk (Z, Y, X); bytes of one stored voxel of one channel.
    shape
        (z, y, x) on the network's grid.
    n_parameters
        Of all folds together.
    at_once
        Tiles or slices that go through the network together.
    exact
        Feature maps are float32, not a shorter type.
    sum_bytes
        4 for float32 sums, 2 for float16.
    """
    source, on_grid = math.prod(source_shape), math.prod(shape)
    patch = configuration.patch_size
    padded = [max(n, p) for n, p in zip(shape[-len(patch) :], patch, strict=True)]
    depth = at_once if len(patch) == 2 else min(patch[0], padded[0])
    tile = math.prod(patch)
    one_tile_holds_all = len(patch) == 3 and all(n <= p for n, p in zip(shape, patch, strict=True))
    sums = 0 if one_tile_holds_all else depth * math.prod(padded[-2:]) * n_classes * sum_bytes
    maps = _feature_maps(configuration.architecture)
    per_value = 4 if exact else 3  # autocast keeps normalisations in float32
    return MemoryEstimate(
        process=_PROCESS,
        weights=4 * n_parameters,
        image=4 * n_channels * on_grid * (2 if tuple(padded) != tuple(shape[-len(patch) :]) else 1),
        preparing=source * (2 * n_channels * source_bytes_per_voxel + 4 + n_channels),
        network=int(at_once * tile * (maps * per_value + 4 * (n_channels + 2 * n_classes))),
        sums=sums,
        labels=source * (1 if n_classes <= 256 else 2) * 2 + _SLABS,
        probabilities=4 * n_classes * source if probabilities else 0,
    )


def _feature_maps(architecture: Architecture) -> float:
    """Values per voxel of the patch that exist together: all skips, and the last step's own."""
    volume, skips = 1.0, 0.0
    for features, stride in zip(architecture.features_per_stage, architecture.strides, strict=True):
        volume /= math.prod(stride)
        skips += features * volume
    return skips + _LIVE_MAPS * architecture.features_per_stage[0]


def fitting(
    configuration: Configuration, *, memory_bytes: float, thing: str, **sizes: Any
) -> tuple[MemoryEstimate, np.dtype[Any]]:
    """Choose what the sums are kept in so that a case fits: float32, else float16.

    Parameters are those of `estimate`, without `sum_bytes`.

    Raises
    ------
    BadInput
        Even with float16 sums the peak is above `memory_bytes`.
    """
    for dtype in (np.dtype(np.float32), np.dtype(np.float16)):
        found = estimate(configuration, sum_bytes=dtype.itemsize, **sizes)
        if found.peak <= memory_bytes:
            return found, dtype
    raise BadInput(
        thing,
        expected=f"a peak of at most {memory_bytes / GB:.1f} GB (--memory-gb)",
        got=str(found),
        advice="allow more memory"
        + (", or predict without probabilities" if sizes.get("probabilities") else "")
        + ("" if sizes.get("at_once", 1) == 1 else ", or predict without mirroring"),
    )
