"""Watches the runs of a workspace from a thread: states, events, children that end.

The GUI thread asks `RunWatch.statuses` at its own pace and gets finished records; reading,
parsing and arithmetic happen in the watching thread, a piece at a time, so that the quarter of
a million lines of a week's training do not hold anybody up. No Qt here.
"""

from __future__ import annotations

import logging
import threading
import time
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
READ_BYTES = 128 * 1024
"""Read and parsed at once: some twenty milliseconds of this thread's work."""
BREATH_SECONDS = 0.005

_CHILDREN: list[Job] = []
"""Trainers that this process started, of whatever workspace: somebody must hear them end."""


@dataclass(frozen=True, eq=False)
class RunStatus:
    """One run as it stood when it was last looked at.

    `alive`: a process works on it, or waits on it when it is paused. `evaluations`: folders
    with a summary.json, the one to show first in front.
    """

    folder: Path
    state: RunState
    settings: RunSettings
    snapshot: Snapshot
    alive: bool = False
    evaluations: tuple[Path, ...] = ()

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
        self.more = False  # there are events that were not read yet
        self.state: RunState = "new"
        self.alive = False
        self.signature: tuple[object, ...] = ()
        self._status: RunStatus | None = None

    def look(self) -> bool:
        """Read a piece of what is new; whether anything changed."""
        changed = self._read()
        if changed:
            self._status = None
        return changed

    def _read(self) -> bool:
        file = self.run.events_file
        size = file.stat().st_size if file.exists() else 0
        if size < self.read_to:  # another run has taken the folder's place
            self.history, self.read_to = RunHistory(), 0
        before = self.read_to
        happened, self.read_to = read_events(file, before, most_bytes=READ_BYTES)
        self.more = self.read_to > before and self.read_to < size
        self.history.add(happened)
        locked = self.run.is_running
        signature = (locked, self.read_to, self.run.run_file.stat().st_mtime_ns)
        settled = signature == self.signature and (locked or not self.alive)
        if settled:
            return bool(happened)
        state = self._state(locked=locked)
        changed = state != self.state or signature != self.signature
        self.state, self.signature = state, signature
        self.alive = locked or state == "running"
        return changed or bool(happened)

    def _state(self, *, locked: bool) -> RunState:
        if locked and not self.more:
            return "paused" if self.history.paused else "running"
        return self.run.state()

    def status(self) -> RunStatus:
        """Return the run as it stands; made anew only when something changed."""
        if self._status is None:
            self._status = RunStatus(
                self.run.folder,
                self.state,
                self.run.settings,
                self.history.snapshot(),
                self.alive,
                self._evaluations(),
            )
        return self._status

    def _evaluations(self) -> tuple[Path, ...]:
        run = self.run
        folders = [run.validation_folder, run.test_folder]
        if len(run.folds) > 1:
            folders += [run.of_fold(fold).validation_folder for fold in run.folds]
        return tuple(folder for folder in folders if (folder / "summary.json").is_file())


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
        self._changed = True
        self._published = 0.0
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
        next_list = 0.0
        while not self._closed.is_set():
            list_again = self._wake.is_set() or time.monotonic() >= next_list
            self._wake.clear()
            if list_again:
                next_list = time.monotonic() + LIST_SECONDS
            try:
                self._look(list_again=list_again)
            except Exception:  # a watcher that dies would leave the panel silent for ever
                log.exception("could not look at the runs of %s", self.workspace)
            more = any(followed.more for followed in self._followed.values())
            self._wake.wait(BREATH_SECONDS if more else LOOK_SECONDS)

    def _look(self, *, list_again: bool) -> None:
        for job in list(_CHILDREN):
            if (job.poll() is not None or not job.alive) and job in _CHILDREN:
                _CHILDREN.remove(job)
        if list_again:
            self._changed |= self._list()
        newest = next((one for one in self._followed.values() if one.more), None)
        for followed in self._followed.values():
            if self._closed.is_set():
                return
            if list_again or followed.alive or followed is newest:
                try:
                    self._changed |= followed.look()
                except (OSError, UNetMicError):
                    continue  # being deleted or written right now: the next look will tell
        self._publish()

    def _publish(self) -> None:
        """Hand out what changed; while much is still being read, a few times a second."""
        more = any(followed.more for followed in self._followed.values())
        soon = more and time.monotonic() - self._published < LOOK_SECONDS
        if not self._changed or soon:
            return
        self.statuses = tuple(followed.status() for followed in self._followed.values())
        self.generation += 1
        self._changed, self._published = False, time.monotonic()

    def _list(self) -> bool:
        try:
            runs = {run.folder: run for run in runs_of(self.workspace)}
        except FileNotFoundError:  # a run was moved away just now
            return False
        known = self._followed
        same = list(runs) == list(known)
        if same and all(runs[folder].settings == one.run.settings for folder, one in known.items()):
            return False
        self._followed = {folder: self._kept(run) or _Followed(run) for folder, run in runs.items()}
        return True

    def _kept(self, run: Run) -> _Followed | None:
        """Return the run as it is followed already; another one in its folder is not."""
        known = self._followed.get(run.folder)
        return known if known is not None and known.run.settings == run.settings else None
