"""A run: its settings, its folder, its state, and the file that asks it to stop.

A run folder is an nnU-Net v2 model folder (``dataset.json``, ``plans.json``,
``fold_K/checkpoint_*.pth``) plus ``run.json`` (settings, and who works on it),
``events.jsonl`` (what happened) and ``output.log`` (what the process printed). A session
is one attempt at the run, from a start or resume to its end.
"""

from __future__ import annotations

import dataclasses
import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_unet_mic import __version__
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import BadInput
from napari_unet_mic.training import events
from napari_unet_mic.training.lock import Holder, RunLock, is_locked

FORMAT_VERSION = 1
STARTING_SECONDS = 120.0
"""A session that was asked for so recently and has said nothing yet counts as running."""

TAIL_BYTES = 32_768

RunState: TypeAlias = Literal[
    "new", "running", "paused", "stopped", "finished", "failed", "lost its process"
]


@dataclass(frozen=True)
class RunSettings:
    """What the person asked for; the same words as the options of ``unet-mic train``.

    `test` names the held-out cases, or is one file that lists them; None keeps what the
    workspace has. `plans`, `splits`: files to use instead of making them. `patients` (a file)
    and `patient_pattern` say whose cases must stay on one side of the folds. `mirroring` is
    that of the validation at the end: None mirrors on a GPU and not on a CPU.
    `learning_rate` and `foreground_oversampling` default to nnU-Net's recipe, as does
    `augmentation` ("nnunet"; "none" takes plain patches). `checkpoint_minutes` bounds
    what a kill in the middle of a long epoch can cost.
    """

    dataset: str
    workspace: str
    name: str
    configuration: str = "3d_fullres"
    fold: int | str = 0
    planner: str = "default"
    gpu_memory_gb: float | None = None
    plans: str | None = None
    epochs: int = 1000
    iterations_per_epoch: int = 250
    validation_iterations: int = 50
    device: str = "auto"
    seed: int = 0
    start_from: str | None = None
    splits: str | None = None
    patients: str | None = None
    patient_pattern: str | None = None
    test: tuple[str, ...] | None = None
    mirroring: bool | None = None
    precision: str = "auto"
    learning_rate: float = 1e-2
    foreground_oversampling: float = 0.33
    augmentation: str = "nnunet"
    checkpoint_minutes: float = 5.0

    def __post_init__(self) -> None:
        self._check(
            "name",
            bool(re.fullmatch(r"[\w][\w .+-]*", self.name)) and not self.name.endswith("."),
            "letters, digits, - _ . + and spaces, not starting with a dot",
        )
        folds = self.fold == "all" or (isinstance(self.fold, int) and self.fold >= 0)
        self._check("fold", folds, "a fold number from 0, or 'all'")
        for field in ("epochs", "iterations_per_epoch"):
            self._check(field, getattr(self, field) >= 1, "at least 1")
        self._check("validation_iterations", self.validation_iterations >= 0, "at least 0")
        self._check("seed", self.seed >= 0, "at least 0")
        self._check("learning_rate", 0 < self.learning_rate < 10, "between 0 and 10")
        self._check(
            "foreground_oversampling", 0 <= self.foreground_oversampling <= 1, "between 0 and 1"
        )
        self._check("augmentation", self.augmentation in ("nnunet", "none"), "nnunet or none")

    def _check(self, field: str, holds: bool, expected: str) -> None:
        if not holds:
            got = repr(getattr(self, field))
            advice = "change this setting of the run"
            raise BadInput(field, expected=expected, got=got, advice=advice)

    @property
    def folder(self) -> Path:
        """Where the run lies: ``workspace/runs/name``."""
        return Path(self.workspace) / "runs" / self.name

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON knows them."""
        return dataclasses.asdict(self) | {"test": None if self.test is None else list(self.test)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunSettings:
        """Read settings; fields of a later release are passed over."""
        known = {f.name for f in dataclasses.fields(cls)}
        given = {k: v for k, v in values.items() if k in known}
        if given.get("test") is not None:
            given["test"] = tuple(given["test"])
        return cls(**given)

    def absolute(self) -> RunSettings:
        """Return the settings with every path made absolute."""

        def whole(path: str | None) -> str | None:
            return None if path is None else str(Path(path).expanduser().absolute())

        test = self.test
        if test is not None and len(test) == 1 and Path(test[0]).expanduser().is_file():
            test = (str(whole(test[0])),)
        return dataclasses.replace(
            self,
            dataset=str(whole(self.dataset)),
            workspace=str(whole(self.workspace)),
            plans=whole(self.plans),
            start_from=whole(self.start_from),
            splits=whole(self.splits),
            patients=whole(self.patients),
            test=test,
        )


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
    def lock_file(self) -> Path:
        """Locked by the trainer while it works."""
        return self.folder / "run.lock"

    @property
    def fold_folder(self) -> Path:
        """Checkpoints and validation of the run's fold."""
        return self.folder / f"fold_{self.settings.fold}"

    @property
    def validation_folder(self) -> Path:
        """Whole predictions of the fold's validation cases and their summary.json."""
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
        session = session or self.new_session()
        holder = dataclasses.asdict(Holder.this_process())
        write_json(self.run_file, self._record() | {"session": session, "holder": holder})
        return lock

    @property
    def is_running(self) -> bool:
        """Whether a trainer holds the run's lock."""
        return is_locked(self.lock_file)

    def state(self) -> RunState:
        """Return the run's state from its lock and its last words."""
        if self.is_running:
            return "running"
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

    def _latest_events(self) -> list[events.Event]:
        """Read the end of the events: enough for a state, however long the run."""
        try:
            size = self.events_file.stat().st_size
        except FileNotFoundError:
            return []
        return events.in_force(events.read_events(self.events_file, max(0, size - TAIL_BYTES))[0])

    def request_stop(self, *, reason: str = "stop") -> None:
        """Ask the current session to stop (or pause) with a checkpoint; returns at once."""
        write_json(self.stop_file, {"session": self.session, "reason": reason})

    def stop_requested(self, session: str) -> str | None:
        """Return why this session is asked to stop, or None; a stale request is not for it."""
        if not self.stop_file.exists():
            return None
        try:
            request = read_json(self.stop_file)
        except BadInput:
            return None
        meant = isinstance(request, dict) and request.get("session") == session
        return str(request.get("reason", "stop")) if meant else None


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
