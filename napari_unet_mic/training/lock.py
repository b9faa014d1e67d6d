"""One trainer per run: a lock that dies with its process, and who holds it.

The lock is a POSIX record lock (`fcntl.lockf`; a byte lock on Windows): the system drops
it when the process ends however it ends, and a forked data-loading worker does not
inherit it. A process's identity is its host, its id and a token of its creation time, so
that a process id used again by someone else is not mistaken for the trainer.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from napari_unet_mic.errors import RunLocked

_HELD: set[Path] = set()  # this process's own locks: closing a second handle would drop them


@dataclass(frozen=True)
class Holder:
    """A process that works, or worked, on a run."""

    host: str
    pid: int
    created: str

    @classmethod
    def this_process(cls) -> Holder:
        """Describe the process that asks."""
        return cls(socket.gethostname(), os.getpid(), creation_token(os.getpid()) or "")

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs on this host (a zombie does not)."""
        if self.host != socket.gethostname():
            return False
        token = creation_token(self.pid)
        return token is not None and token == self.created

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class RunLock:
    """The lock file of a run; use as a context manager or with `acquire` and `release`.

    Parameters
    ----------
    file
        The lock file; created when missing, never deleted.
    run_folder
        Named in the error.
    """

    def __init__(self, file: Path, run_folder: Path) -> None:
        self.file = file.resolve()
        self.run_folder = run_folder
        self._stream: IO[bytes] | None = None

    def acquire(self, *, holder: str = "", wait_s: float = 1.0) -> None:
        """Take the lock, waiting a moment since someone may just be looking.

        Raises
        ------
        RunLocked
            When another trainer, or this process already, holds it.
        """
        if self.file in _HELD:
            raise RunLocked(self.run_folder, f"process {os.getpid()}, this one")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        stream = self.file.open("a+b")
        deadline = time.monotonic() + wait_s
        while not _try_lock(stream):
            if time.monotonic() > deadline:
                stream.close()
                raise RunLocked(self.run_folder, holder or "another process")
            time.sleep(0.05)
        self._stream = stream
        _HELD.add(self.file)

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._stream is not None:
            _HELD.discard(self.file)
            _unlock(self._stream)
            self._stream.close()
            self._stream = None

    def __enter__(self) -> RunLock:
        if self._stream is None:
            self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_locked(file: Path) -> bool:
    """Whether some process holds the lock file's lock."""
    file = file.resolve()
    if file in _HELD:
        return True
    if not file.exists():
        return False
    with file.open("a+b") as stream:
        if not _try_lock(stream):
            return True
        _unlock(stream)
    return False


def creation_token(pid: int) -> str | None:
    """Return a word that differs between two processes that had the same id; None if gone."""
    if sys.platform == "win32":
        return _creation_token_windows(pid)
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if fields[0] in ("Z", "X"):
            return None
        return f"{_boot_id()}:{fields[19]}"
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    words = answer.stdout.split(maxsplit=1)
    return None if len(words) < 2 or words[0].startswith("Z") else words[1].strip()


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _creation_token_windows(pid: int) -> str | None:
    import ctypes

    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return None
    try:
        code = ctypes.c_ulong()
        times = [ctypes.c_ulonglong() for _ in range(4)]
        if not kernel.GetProcessTimes(handle, *(ctypes.byref(t) for t in times)):
            return None
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        return str(times[0].value) if code.value == 259 else None  # STILL_ACTIVE
    finally:
        kernel.CloseHandle(handle)


def _try_lock(stream: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(stream: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.lockf(stream, fcntl.LOCK_UN)
