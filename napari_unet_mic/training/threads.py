"""How many cores a helper thread computes on: one, so that the network keeps the others.

Small patches spread over all cores cost six times the processor time that one core takes
for them (the cores wait for each other), and that time is the network's.
"""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import torch

_RUNTIMES = ("libgomp*.so*", "libiomp5*", "libomp.*")


def compute_alone() -> bool:
    """Let torch use one core for what the calling thread asks of it; other threads keep theirs.

    Returns whether that was possible: torch brings its OpenMP runtime along, and that has
    a setting per thread, which ``torch.set_num_threads`` would set for all.
    """
    torch.get_num_threads()  # sets the thread up, and would undo what follows if it came later
    for pattern in _RUNTIMES:
        for file in (Path(torch.__file__).parent / "lib").glob(pattern):
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(str(file)).omp_set_num_threads(1)
                return True
    return False
