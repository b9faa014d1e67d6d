"""What this machine computes with: versions, devices, CPU features.

Ran in a child process by the panels (``unet-mic info --json``), since asking torch
for its devices imports torch.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    "napari-unet-mic",
    "torch",
    "monai",
    "numpy",
    "scipy",
    "nibabel",
    "blosc2",
    "pandas",
    "connected-components-3d",
    "napari",
    "npe2",
    "PySide6_Essentials",
)


def environment() -> dict[str, Any]:
    """Return versions, devices and CPU features as a JSON-ready record.

    ``devices`` is a list of ``{"name", "title", "memory_bytes", "fast_types"}``, the
    first being the one that ``auto`` takes; ``fast_types`` are the element types the
    device multiplies natively.
    """
    import torch

    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "versions": versions,
        "platform": platform.platform(),
        "executable": sys.executable,
        "devices": [*_cuda_devices(), *_mps_devices(), _cpu_device()],
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _cuda_devices() -> list[dict[str, Any]]:
    import torch

    if not torch.cuda.is_available():
        return []
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        types = ["float32", "float16"]
        if properties.major >= 8:
            types.append("bfloat16")
        found.append(
            {
                "name": f"cuda:{index}",
                "title": properties.name,
                "memory_bytes": properties.total_memory,
                "fast_types": types,
            }
        )
    return found


def _mps_devices() -> list[dict[str, Any]]:
    import torch

    if not torch.backends.mps.is_available():
        return []
    return [
        {
            "name": "mps",
            "title": "Apple GPU",
            "memory_bytes": None,
            "fast_types": ["float32", "float16"],
        }
    ]


def _cpu_device() -> dict[str, Any]:
    types = ["float32"]
    if cpu_has_bfloat16():
        types.append("bfloat16")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "name": "cpu",
        "title": f"{platform.processor() or platform.machine()}, {cores} cores",
        "memory_bytes": _memory_bytes(),
        "fast_types": types,
    }


def cpu_has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 natively (AVX512-BF16 or AMX)."""
    import torch

    cpu = torch.cpu
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(cpu, name)()) for name in checks if hasattr(cpu, name))


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def environment_text(facts: dict[str, Any]) -> str:
    """Return the record of `environment` as lines for a bug report."""
    lines = [f"{name:24} {number or 'not installed'}" for name, number in facts["versions"].items()]
    lines.append(f"{'platform':24} {facts['platform']}")
    lines.append(f"{'CPU features':24} {facts['cpu_capability']}, {facts['threads']} threads")
    for device in facts["devices"]:
        memory = device["memory_bytes"]
        size = f", {memory / 2**30:.0f} GiB" if memory else ""
        fast = ", ".join(device["fast_types"])
        lines.append(f"{'device ' + device['name']:24} {device['title']}{size}; fast in {fast}")
    return "\n".join(lines)
