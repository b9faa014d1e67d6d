"""Memory of a run: what it holds now, and which batch or patch would fit when it is too much."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from napari_unet_mic.planning.configuration import Configuration
from napari_unet_mic.planning.topology import BYTES_PER_VALUE, describe

_MARGIN = 0.9  # of the memory there is, since estimates err


def process_bytes() -> int:
    """Return the memory that this process holds now (its highest mark where that is unknown)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def gpu_bytes(device: torch.device) -> int:
    """Return what torch holds of a GPU now; 0 on another device."""
    return int(torch.cuda.memory_reserved(device)) if device.type == "cuda" else 0


def usable_bytes(device: torch.device) -> int | None:
    """Return what this process could hold on a device in all; None where nobody knows."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        return free * 1024 + process_bytes()
    except (OSError, ValueError, StopIteration):
        return None


def needed_bytes(
    configuration: Configuration, n_channels: int, n_classes: int, *, precision: torch.dtype
) -> int:
    """Return the plan's estimate of a training's memory; float32 holds its maps twice as wide."""
    facts = describe(configuration, n_channels, n_classes)
    wide = facts.feature_map_values * configuration.batch_size * BYTES_PER_VALUE
    return facts.memory_bytes_estimate + (wide if precision == torch.float32 else 0)


def what_would_fit(
    configuration: Configuration,
    n_channels: int,
    n_classes: int,
    *,
    usable: int,
    precision: torch.dtype,
) -> Configuration | None:
    """Return the largest smaller batch, else the largest smaller patch, that fits; None: neither.

    Parameters
    ----------
    configuration
        The one that did not fit. What it is estimated to need is taken to be just too much,
        and smaller ones in proportion.
    usable
        Bytes there are.
    """
    size = (n_channels, n_classes)
    asked = needed_bytes(configuration, *size, precision=precision)
    scale = max(1.0, 1.02 * usable / asked)

    def fits(one: Configuration) -> bool:
        return scale * needed_bytes(one, *size, precision=precision) <= _MARGIN * usable

    for batch in range(
        configuration.batch_size - 1, 1, -1
    ):  # one alone never holds foreground by force
        smaller = dataclasses.replace(configuration, batch_size=batch)
        if fits(smaller):
            return smaller
    return next((one for one in smaller_patches(configuration) if fits(one)), None)


def smaller_patches(configuration: Configuration) -> Iterator[Configuration]:
    """Yield the configuration with ever smaller patches, two a batch, largest axis first."""
    steps = configuration.patch_steps
    patch = list(configuration.patch_size)
    batch = min(2, configuration.batch_size)
    while True:
        shrinkable = [axis for axis, n in enumerate(patch) if n - steps[axis] >= 4 * steps[axis]]
        if not shrinkable:
            return
        axis = max(shrinkable, key=lambda a: patch[a])
        patch[axis] -= steps[axis]
        yield dataclasses.replace(configuration, batch_size=batch, patch_size=tuple(patch))
