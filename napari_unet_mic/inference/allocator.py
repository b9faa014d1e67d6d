"""The C allocator, told to keep what it has.

torch on a CPU asks glibc for large blocks and gives them back at every layer. By default
each of them is mapped fresh and zeroed page by page, which costs up to half the time.
"""

from __future__ import annotations

import ctypes
import sys

# parameters of mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1  # mallopt takes a C int


def tune() -> bool:
    """Let the allocator reuse large blocks; call it when a process starts.

    Returns
    -------
    bool
        Whether it was done: on Linux with glibc. Elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False  # musl has no mallopt
    mallopt = library.mallopt
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    mallopt.restype = ctypes.c_int
    wishes = (
        (_M_MMAP_THRESHOLD, _LARGEST),
        (_M_TRIM_THRESHOLD, _LARGEST),
        (_M_TOP_PAD, 64 * 2**20),
    )
    done = [mallopt(parameter, value) == 1 for parameter, value in wishes]
    return all(done)
