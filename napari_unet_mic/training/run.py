"""A run: its folder, its state, and the files that ask it to stop or to pause.

A run folder is an nnU-Net v2 model folder (``dataset.json``, ``plans.json``,
``fold_K/checkpoint_*.pth``) plus ``run.json`` (settings, and who works on it),
``events.jsonl`` (what happened) and ``output.log`` (what the process printed). A session
is one attempt at the run, from a start or resume to its end.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_unet_mic import __version__
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import BadInput
from napari_unet_mic.training import events
from napari_unet_mic.training.lock import Holder, RunLock, is_locked
from napari_unet_mic.training.settings import RunSettings

__all__ = ["CROSS_VALIDATION", "Run", "RunSettings", "RunState", "runs_of"]

FORMAT_VERSION = 1
CROSS_VALIDATION: tuple[int | str, ...] = (0, 1, 2, 3, 4)
"""The folds of a run with fold "each"."""

STARTING_SECONDS = 120.0
"""A session that was asked for so recently and has said nothing yet counts as running."""

TAIL_BYTES = 32_768

RunState: TypeAlias = Literal[
    "new", "running", "paused", "stopped", "finished", "failed", "lost its process"
]


class Run:
    """A run folder; `create` or `open` it."""

    def __init__(self, folder: Path, settings: RunSettings) -> None:
        self.folder = folder
        self.settings = settings

    @classmethod
    def create(cls, settings: RunSettings) -> Run:
        """Make the run's folder and write its settings; paths become absolute.

        Raises
        ------
        BadInput
            When a run of this name exists already.
        """
        settings = settings.absolute()
        file = settings.folder / "run.json"
        if file.exists():
            raise BadInput(
                settings.folder,
                expected="a new run name",
                got="the name of an existing run",
                advice="choose another name, or resume that run",
            )
        settings.folder.mkdir(parents=True, exist_ok=True)
        record = {
            "format_version": FORMAT_VERSION,
            "written_by": f"napari-unet-mic {__version__}",
            "created": time.time(),
            "settings": settings.to_json(),
            "session": None,
            "holder": None,
        }
        write_json(file, record)
        return cls(settings.folder, settings)

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open an existing run folder.

        Raises
        ------
        BadInput
            When the folder has no readable ``run.json``, or one of a later format.
        """
        folder = Path(folder).expanduser().absolute()
        record = read_json(folder / "run.json")
        version = record.get("format_version") if isinstance(record, dict) else None
        if version != FORMAT_VERSION or not isinstance(record.get("settings"), dict):
            raise BadInput(
                folder / "run.json",
                expected=f"a run of format version {FORMAT_VERSION}",
                got=f"format version {version}",
                advice="open it with the release that wrote it",
            )
        try:
            return cls(folder, RunSettings.from_json(record["settings"]))
        except TypeError as error:
            raise BadInput(
                folder / "run.json",
                expected="the settings of a run",
                got=str(error),
                advice="start the run anew",
            ) from error

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def run_file(self) -> Path:
        """Settings, session and holder."""
        return self.folder / "run.json"

    @property
    def events_file(self) -> Path:
        """What happened, one JSON line each."""
        return self.folder / "events.jsonl"

    @property
    def output_file(self) -> Path:
        """What the trainer's process printed."""
        return self.folder / "output.log"

    @property
    def stop_file(self) -> Path:
        """Asks the session named in it to stop."""
        return self.folder / "stop.json"

    @property
    def pause_file(self) -> Path:
        """While it is there, the session named in it pauses."""
        return self.folder / "pause.json"

    @property
    def preview_file(self) -> Path:
        """A patch with its reference and the network's answer; see `events.PreviewSaved`."""
        return self.folder / "preview.npz"

    @property
    def lock_file(self) -> Path:
        """Locked by the trainer while it works."""
        return self.folder / "run.lock"

    @property
    def folds(self) -> tuple[int | str, ...]:
        """The folds that the run trains: one, or the five of a cross-validation."""
        return CROSS_VALIDATION if self.settings.fold == "each" else (self.settings.fold,)

    def of_fold(self, fold: int | str) -> Run:
        """Return one fold of a cross-validation as a run in the same folder."""
        return Run(self.folder, dataclasses.replace(self.settings, fold=fold))

    @property
    def fold_folder(self) -> Path:
        """Checkpoints and validation of the run's fold."""
        return self.folder / f"fold_{self.settings.fold}"

    @property
    def validation_folder(self) -> Path:
        """Whole predictions of the fold's validation cases and their summary.json.

        Of a cross-validation: those of all folds, gathered under the name nnU-Net gives them.
        """
        if self.settings.fold == "each":
            return self.folder / f"crossval_results_folds_{'_'.join(map(str, CROSS_VALIDATION))}"
        return self.fold_folder / "validation"

    @property
    def test_folder(self) -> Path:
        """Whole predictions of the test set, summary.json and test.json (loss and IoU)."""
        return self.folder / "test"

    def checkpoint(self, kind: str) -> Path:
        """Return the file of the latest, best or final checkpoint."""
        return self.fold_folder / f"checkpoint_{kind}.pth"

    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = read_json(self.run_file)
        return record

    @property
    def session(self) -> str | None:
        """The last session that was asked for."""
        session: str | None = self._record().get("session")
        return session

    @property
    def holder(self) -> Holder | None:
        """The process that works, or last worked, on the run."""
        holder = self._record().get("holder")
        return Holder(**holder) if holder else None

    def new_session(self) -> str:
        """Write a new session into run.json and return its id; older stop files are void."""
        session = uuid.uuid4().hex[:12]
        record = self._record() | {"session": session, "holder": None, "asked": time.time()}
        write_json(self.run_file, record)
        return session

    def lock(self) -> RunLock:
        """Return the run's lock, not yet taken; only the trainer takes it."""
        return RunLock(self.lock_file, self.folder)

    def take(self, session: str | None = None) -> RunLock:
        """Take the lock as trainer and write this process into run.json.

        Raises
        ------
        RunLocked
            When another trainer works on the run; nothing is changed then.
        """
        lock = self.lock()
        lock.acquire(holder=str(self.holder or ""))
        try:
            session = session or self.new_session()
            holder = dataclasses.asdict(Holder.this_process())
            write_json(self.run_file, self._record() | {"session": session, "holder": holder})
        except BaseException:  # a full disk: whoever has nothing to work with holds no lock
            lock.release()
            raise
        return lock

    @property
    def is_running(self) -> bool:
        """Whether a trainer holds the run's lock."""
        return is_locked(self.lock_file)

    def state(self) -> RunState:
        """Return the run's state from its lock and its last words."""
        if self.is_running:
            return "paused" if self._is_paused() else "running"
        record = self._record()
        happened = self._latest_events()
        started = [e.session for e in happened if isinstance(e, events.RunStarted)]
        if record.get("session") and record["session"] not in started:
            words = [e for e in happened if isinstance(e, events.LAST_WORDS)]
            heard = bool(words) and words[-1].time >= record.get("asked", 0.0)
            if not heard and time.time() - record.get("asked", 0.0) < STARTING_SECONDS:
                return "running"
        for event in reversed(happened):
            if isinstance(event, events.RunFinished):
                return "finished"
            if isinstance(event, events.RunFailed):
                return "failed"
            if isinstance(event, events.RunStopped):
                return "paused" if event.reason == "pause" else "stopped"
            if isinstance(event, events.RunStarted):
                break
        return "lost its process" if happened else "new"

    def _is_paused(self) -> bool:
        for event in reversed(self._latest_events()):
            if isinstance(event, events.RunPaused):
                return True
            if isinstance(event, events.RunContinued | events.RunStarted | events.Progress):
                return False
        return False

    def _latest_events(self) -> list[events.Event]:
        """Read the end of the events: enough for a state, however long the run."""
        try:
            size = self.events_file.stat().st_size
        except FileNotFoundError:
            return []
        return events.in_force(events.read_events(self.events_file, max(0, size - TAIL_BYTES))[0])

    def ask_to_pause(self, session: str | None = None) -> None:
        """Ask a session (the current one when left out) to pause; returns at once.

        The trainer writes a checkpoint, gives a GPU's memory back, says `events.RunPaused` and
        waits. A request for another session is not heard.
        """
        write_json(self.pause_file, {"session": session or self.session})

    def ask_to_continue(self, session: str | None = None) -> None:
        """Take back what `ask_to_pause` asked of a session; returns at once."""
        if self.pause_requested(session or self.session or ""):
            self.pause_file.unlink(missing_ok=True)

    def pause_requested(self, session: str) -> bool:
        """Whether this session is asked to pause; a stale request is not for it."""
        return self._request(self.pause_file, session) is not None

    def request_stop(self, *, reason: str = "stop") -> None:
        """Ask the current session to stop (or pause) with a checkpoint; returns at once."""
        write_json(self.stop_file, {"session": self.session, "reason": reason})

    def stop_requested(self, session: str) -> str | None:
        """Return why this session is asked to stop, or None; a stale request is not for it."""
        request = self._request(self.stop_file, session)
        return None if request is None else str(request.get("reason", "stop"))

    @staticmethod
    def _request(file: Path, session: str) -> dict[str, Any] | None:
        if not file.exists():
            return None
        try:
            request = read_json(file)
        except BadInput:
            return None
        meant = isinstance(request, dict) and request.get("session") == session
        return request if meant else None


def runs_of(workspace: str | Path) -> list[Run]:
    """Return the readable runs of a workspace folder, the newest first."""
    files = sorted(
        Path(workspace).glob("runs/*/run.json"),
        key=lambda file: file.stat().st_mtime,
        reverse=True,
    )
    found = []
    for file in files:
        try:
            found.append(Run.open(file.parent))
        except BadInput:
            continue
    return found
