"""Watches the runs of a workspace from a thread: states, events, children that end.

The GUI thread asks `RunWatch.statuses` at its own pace and gets finished records; reading,
parsing and arithmetic happen in the watching thread. No Qt here.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui.history import RunHistory, Snapshot
from napari_unet_mic.jobs.process import Job, last_words
from napari_unet_mic.training.events import read_events
from napari_unet_mic.training.run import Run, RunSettings, RunState, runs_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
LIST_SECONDS = 2.0

_CHILDREN: list[Job] = []
"""Trainers that this process started, of whatever workspace: somebody must hear them end."""


@dataclass(frozen=True, eq=False)
class RunStatus:
    """One run as it stood when it was last looked at."""

    folder: Path
    state: RunState
    settings: RunSettings
    snapshot: Snapshot

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def sentence(self) -> str:
        """What to tell about the run: its own last words, or what is known without any."""
        if self.state == "lost its process":
            words = last_words(self.folder / "output.log")
            told = f"; the last thing it printed: {words}" if words else ""
            return (
                f"{self.name}: the training process is gone without a last word{told}; "
                "resume goes on from its last checkpoint"
            )
        if self.state == "new":
            return f"{self.name}: made, but never started"
        return self.snapshot.sentence


class _Followed:
    """One run being followed: how far its events were read, and what they amount to."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.history = RunHistory()
        self.read_to = 0
        self.state: RunState = "new"
        self.signature: tuple[object, ...] = ()
        self._status: RunStatus | None = None

    def look(self) -> bool:
        """Read what is new; whether anything changed."""
        changed = self._read()
        if changed:
            self._status = None
        return changed

    def _read(self) -> bool:
        size = self.run.events_file.stat().st_size if self.run.events_file.exists() else 0
        if size < self.read_to:  # another run has taken the folder's place
            self.history, self.read_to = RunHistory(), 0
        happened, self.read_to = read_events(self.run.events_file, self.read_to)
        self.history.add(happened)
        running = self.run.is_running
        signature = (running, self.read_to, self.run.run_file.stat().st_mtime_ns)
        settled = signature == self.signature and (running or self.state != "running")
        if not settled:
            state = "running" if running else self.run.state()
            changed = state != self.state or signature != self.signature
            self.state, self.signature = state, signature
            return changed or bool(happened)
        return bool(happened)

    def status(self) -> RunStatus:
        """Return the run as it stands; made anew only when something changed."""
        if self._status is None:
            shot = self.history.snapshot()
            self._status = RunStatus(self.run.folder, self.state, self.run.settings, shot)
        return self._status


class RunWatch:
    """Follows every run of one workspace until it is closed.

    Parameters
    ----------
    workspace
        The workspace folder; its runs are those of ``runs/*``.
    """

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.statuses: tuple[RunStatus, ...] = ()
        self.generation = 0
        self._followed: dict[Path, _Followed] = {}
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="run-watch", daemon=True)
        self._thread.start()

    def adopt(self, job: Job) -> None:
        """Poll a child that this process started, so that a silent end is noted."""
        _CHILDREN.append(job)
        self._wake.set()

    def job_of(self, folder: Path) -> Job | None:
        """Return the child that this process started for a run, while it lives."""
        return next((job for job in list(_CHILDREN) if job.run.folder == folder), None)

    def look_now(self) -> None:
        """Look again at once, also for new runs."""
        self._wake.set()

    def close(self, wait_seconds: float = 2.0) -> None:
        """Stop watching; the runs go on."""
        self._closed.set()
        self._wake.set()
        self._thread.join(wait_seconds)

    def _work(self) -> None:
        turns_per_list = round(LIST_SECONDS / LOOK_SECONDS)
        turn = 0
        while not self._closed.is_set():
            woken = self._wake.is_set()
            self._wake.clear()
            try:
                self._look(list_again=woken or turn % turns_per_list == 0)
            except Exception:  # a watcher that dies would leave the panel silent for ever
                log.exception("could not look at the runs of %s", self.workspace)
            turn += 1
            self._wake.wait(LOOK_SECONDS)

    def _look(self, *, list_again: bool) -> None:
        for job in list(_CHILDREN):
            if (job.poll() is not None or not job.alive) and job in _CHILDREN:
                _CHILDREN.remove(job)
        changed = self._list() if list_again else False
        changed = changed or self.generation == 0
        for followed in self._followed.values():
            if self._closed.is_set():
                return
            if list_again or followed.state == "running":
                try:
                    changed |= followed.look()
                except (OSError, UNetMicError):
                    continue  # being deleted or written right now: the next look will tell
        if changed:
            self.statuses = tuple(followed.status() for followed in self._followed.values())
            self.generation += 1

    def _list(self) -> bool:
        runs = {run.folder: run for run in runs_of(self.workspace)}
        if list(runs) == list(self._followed):
            return False
        known = self._followed
        self._followed = {
            folder: known.get(folder) or _Followed(run) for folder, run in runs.items()
        }
        return True
