"""Start, watch, stop and reattach to the detached process that works on a run.

The process outlives the viewer that started it: it has its own session (POSIX) or process
group (Windows), reads stdin from nowhere and writes to the run's ``output.log``. The run
folder is all that is needed to find it again.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import RunLocked
from napari_unet_mic.training import events
from napari_unet_mic.training.lock import Holder, RunLock, creation_token
from napari_unet_mic.training.run import Run

SESSION_VARIABLE = "NAPARI_UNET_MIC_SESSION"


class Job:
    """A process working on a run: one we started, or one we found by its run folder.

    Parameters
    ----------
    run
        The run that the process works on.
    session
        The session it was started for; a stop is meant for this one only.
    process
        The child, when this interpreter started it: only then is its exit code known.
    holder
        The process as run.json names it, when we attach.
    since
        When the child was started: only later last words are its own.
    """

    def __init__(
        self,
        run: Run,
        session: str | None,
        *,
        process: subprocess.Popen[bytes] | None = None,
        holder: Holder | None = None,
        since: float = 0.0,
    ) -> None:
        self.run = run
        self.session = session
        self._process = process
        self._holder = holder
        self._since = since
        self._noted = False

    @property
    def pid(self) -> int | None:
        """The process id, when known."""
        if self._process is not None:
            return self._process.pid
        return self._holder.pid if self._holder else None

    @property
    def alive(self) -> bool:
        """Whether the process still runs (polls a child, so that no zombie remains)."""
        if self._process is not None:
            return self._process.poll() is None
        return self._holder is not None and self._holder.is_alive

    def poll(self) -> int | None:
        """Return the exit code once the process has ended; None while it runs or if unknown.

        A child that ended without a last event gets one here: `RunFailed` with its exit
        code and the end of its output.
        """
        if self._process is None or self._process.poll() is None:
            return None
        if not self._noted:
            self._noted = True
            self._note_silent_end(self._process.returncode)
        return self._process.returncode

    def _note_silent_end(self, code: int) -> None:
        happened, _ = events.read_events(self.run.events_file)
        if any(isinstance(e, events.LAST_WORDS) and e.time >= self._since for e in happened):
            return
        words = last_words(self.run.output_file)
        message = f"{self.run.name}: the training process ended {ending(code)}"
        message += f"; its last words: {words}" if words else ", having printed nothing"
        try:
            with RunLock(self.run.lock_file, self.run.folder):
                log = events.EventLog(self.run.events_file)
                log(events.RunFailed(message=message, exit_code=code))
                log.close()
        except (OSError, RunLocked):
            return  # someone else works on the run by now, or the folder is gone

    def request_stop(self, *, reason: str = "stop") -> None:
        """Ask the process to stop with a checkpoint; returns at once."""
        self.run.request_stop(reason=reason)

    def stop(self, grace: float = 60.0, *, reason: str = "stop") -> int | None:
        """Ask to stop, wait up to `grace` seconds, then end the whole process tree.

        Blocks: call it from a thread when a window must stay alive. Returns the exit code
        when it is known.
        """
        self.request_stop(reason=reason)
        if not self.wait(grace):
            self.kill()
            self.wait(10.0)
        return self.poll()

    def wait(self, seconds: float) -> bool:
        """Wait until the process has ended, at most so long; returns whether it has."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def kill(self) -> None:
        """End the process and everything it started, at once."""
        if not self.alive or self.pid is None:
            return
        kill_tree(self.pid)


def start(run: Run, *, command: Sequence[str] | None = None) -> Job:
    """Start a detached trainer for a run.

    Parameters
    ----------
    run
        The run to begin or to go on with.
    command
        What to run; by default ``python -m napari_unet_mic resume RUN`` with this Python.

    Raises
    ------
    RunLocked
        When a trainer works on the run already, or is starting: from whatever window or terminal.
    """
    lock = run.lock()
    lock.acquire(holder=str(run.holder or ""))
    with lock:
        starting = _starting(run)
        if starting is not None:
            raise RunLocked(run.folder, f"{starting}, which is starting")
        session, since = run.new_session(), time.time()
        words = command or [sys.executable, "-m", "napari_unet_mic", "resume", str(run.folder)]
        environment = {**os.environ, SESSION_VARIABLE: session, "PYTHONUNBUFFERED": "1"}
        with run.output_file.open("ab") as output:
            process = start_detached(words, output=output, environment=environment)
        _note_starting(run, session, process.pid)
    return Job(run, session, process=process, since=since)


def _note_starting(run: Run, session: str, pid: int) -> None:
    """Write down which process will take the lock: until then nothing else tells of it."""
    child = Holder(socket.gethostname(), pid, creation_token(pid) or "")
    record = read_json(run.run_file)
    write_json(run.run_file, record | {"starting": {"session": session, **asdict(child)}})


def _starting(run: Run) -> Holder | None:
    """Return the process that was started for the current session and will take the lock soon."""
    noted = dict(read_json(run.run_file).get("starting") or {})
    was_there = run.holder is not None  # it took the lock, and gave it back: it is ending
    if not noted or was_there or noted.pop("session", None) != run.session:
        return None
    child = Holder(**noted)
    return child if child.is_alive else None


def attach(run: Run) -> Job | None:
    """Find the live process of a run; None when nobody works on it."""
    holder = run.holder
    if holder is None or not holder.is_alive or not run.is_running:
        return None
    return Job(run, run.session, holder=holder)


def start_detached(
    words: Sequence[str], *, output: Any, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one: own session or group, no stdin, output to a file."""
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": output,
        "stderr": subprocess.STDOUT,
        "env": environment,
        "close_fds": True,
    }
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        try:
            away = flags | subprocess.CREATE_BREAKAWAY_FROM_JOB
            return subprocess.Popen(list(words), creationflags=away, **options)
        except OSError:  # the enclosing job does not let its processes break away
            return subprocess.Popen(list(words), creationflags=flags, **options)
    else:
        return subprocess.Popen(list(words), start_new_session=True, **options)


def kill_tree(pid: int) -> None:
    """End a process that leads its own group, and its descendants, without asking."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/PID", str(pid), "/T", "/F"], capture_output=True, check=False)
        return
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def last_words(file: Path, *, most: int = 300) -> str:
    """Return the last non-empty line of a log file, shortened from its front."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 8192))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1][-most:] if lines else ""


def ending(code: int) -> str:
    """Say how a process ended from its exit code."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    hint = " (often: out of memory)" if name == "SIGKILL" else ""
    return f"by signal {name}{hint}"
