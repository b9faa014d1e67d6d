"""What a trainer says while it works: one frozen record per event, one JSON line each.

The lines of ``events.jsonl`` are at once the log, the progress bar's source, the curve's
data and what a restarted viewer replays. The file is append-only; `Resumed` supersedes
the earlier records of the part that was lost (see `in_force`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from napari_unet_mic.errors import BadInput

ClassScores: TypeAlias = dict[int, float | None]
"""Class value -> score; None where the class is absent from reference and prediction."""


@dataclass(frozen=True)
class RunStarted:
    """A trainer took the run's lock and begins (or goes on)."""

    session: str
    device: str
    """A sentence: which device, why, in which precision."""
    configuration: str
    fold: str
    epochs: int
    iterations_per_epoch: int
    validation_iterations: int
    classes: dict[int, str]
    host: str = ""
    pid: int = 0
    threads: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps of a stage are behind us.

    `stage` is one of fingerprint, plan, preprocess, train, validation patches (of an epoch),
    validation (whole cases), test.
    """

    stage: str
    done: int
    total: int
    note: str = ""
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Prepared:
    """Fingerprint, plan, folds and preprocessed cases are there; training can begin."""

    training_cases: int
    validation_cases: int
    test_cases: int
    patch_size: tuple[int, ...]
    batch_size: int
    n_stages: int
    parameters: int
    seconds: float = 0.0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Resumed:
    """Training goes on at `from_epoch`, `from_iteration`; later records are superseded."""

    from_epoch: int
    from_iteration: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class IterationsFinished:
    """The mean training loss over the last few iterations (said every few seconds)."""

    epoch: int
    iteration: int
    train_loss: float
    seconds_per_iteration: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class EpochFinished:
    """One epoch of training and its validation patches are done (`epoch` counts from 0).

    `dice` and `iou` are pseudo scores: summed over the validation patches of the epoch,
    not over whole cases.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    dice: ClassScores
    iou: ClassScores
    learning_rate: float
    seconds: float
    seconds_per_iteration: float
    ema_dice: float = math.nan
    is_best: bool = False
    memory_bytes: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint (`kind` latest, best or final) lies whole on disk."""

    kind: str
    file: str
    epoch: int
    iteration: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class ValidationFinished:
    """The fold's validation cases were predicted whole and compared with their references."""

    folder: str
    cases: int
    dice: ClassScores
    iou: ClassScores
    mean_dice: float
    mean_iou: float
    seconds: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class TestFinished:
    """The held-out test set's loss and whole-case scores."""

    __test__ = False  # not a pytest class

    folder: str
    cases: int
    loss: float
    dice: ClassScores
    iou: ClassScores
    mean_dice: float
    mean_iou: float
    seconds: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class RunStopped:
    """The trainer stopped on request, with a checkpoint (`reason` stop or pause)."""

    reason: str
    epoch: int
    iteration: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class RunFailed:
    """The trainer gave up; `message` is the sentence to show."""

    message: str
    exit_code: int | None = None
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class RunFinished:
    """Everything the run was asked for is done."""

    seconds: float
    time: float = field(default_factory=time.time)


Event: TypeAlias = (
    RunStarted
    | Progress
    | Prepared
    | Resumed
    | IterationsFinished
    | EpochFinished
    | CheckpointSaved
    | ValidationFinished
    | TestFinished
    | RunStopped
    | RunFailed
    | RunFinished
)

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        RunStarted,
        Progress,
        Prepared,
        Resumed,
        IterationsFinished,
        EpochFinished,
        CheckpointSaved,
        ValidationFinished,
        TestFinished,
        RunStopped,
        RunFailed,
        RunFinished,
    )
}

LAST_WORDS = (RunStopped, RunFailed, RunFinished)


def to_line(event: Event) -> str:
    """Write an event as one line of JSON without its newline; non-finite numbers are null."""
    values = {f.name: _plain(getattr(event, f.name)) for f in dataclasses.fields(event)}
    return json.dumps({"event": type(event).__name__, **values}, allow_nan=False)


def from_line(line: str) -> Event:
    """Read an event back from its line.

    Raises
    ------
    BadInput
        When the line is not JSON or names an event that this release does not know.
    """
    try:
        values = json.loads(line)
        kind = KINDS[values.pop("event")]
        known = {f.name: f for f in dataclasses.fields(kind)}
        given = {k: _typed(v, known[k].type) for k, v in values.items() if k in known}
        event: Event = kind(**given)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            "events.jsonl",
            expected="a line of JSON naming a known event",
            got=line[:80] or "an empty line",
            advice="the run was written by another release or the file was edited",
        ) from error
    return event


def read_events(file: Path, from_byte: int = 0) -> tuple[list[Event], int]:
    """Read the whole lines of an event file that begin at or after `from_byte`.

    Returns the events and the byte at which to go on next time; a torn last line is left
    for then. Lines of unknown kind are passed over; a missing file has no events. When the
    file has become shorter than `from_byte`, reading starts again from its beginning.
    """
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = from_byte if from_byte <= size else 0
            stream.seek(start)
            content = stream.read()
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    events: list[Event] = []
    for line in whole.decode("utf-8", errors="replace").splitlines():
        try:
            events.append(from_line(line))
        except BadInput:
            continue
    return events, start + len(whole)


def in_force(events: Iterable[Event]) -> list[Event]:
    """Drop what a later `Resumed` superseded: lost epochs and iterations, and last words."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Resumed):
            kept = [earlier for earlier in kept if not _superseded(earlier, event)]
        kept.append(event)
    return kept


def _superseded(event: Event, resumed: Resumed) -> bool:
    if isinstance(event, EpochFinished):
        return event.epoch >= resumed.from_epoch
    if isinstance(event, IterationsFinished):
        here = (resumed.from_epoch, resumed.from_iteration)
        return (event.epoch, event.iteration) > here
    return isinstance(event, (*LAST_WORDS, ValidationFinished, TestFinished))


class EventLog:
    """Appends events to a file, one flushed line each; cuts a torn last line on opening."""

    def __init__(self, file: Path) -> None:
        self.file = file
        cut_torn_line(file)
        self._stream = file.open("ab")

    def __call__(self, event: Event) -> None:
        """Append one event."""
        self._stream.write(to_line(event).encode() + b"\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def cut_torn_line(file: Path) -> int:
    """Cut what follows the last newline of a file; returns the number of bytes cut."""
    if not file.exists():
        return 0
    with file.open("r+b") as stream:
        content = stream.read()
        whole = content.rfind(b"\n") + 1
        stream.truncate(whole)
    return len(content) - whole


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def _typed(value: Any, annotation: Any) -> Any:
    """Undo what JSON did to a field: string keys, lists for tuples, null for NaN."""
    if annotation == "float" and value is None:
        return math.nan
    if isinstance(value, dict):
        return {int(k): v for k, v in value.items()}
    if isinstance(value, list):
        return tuple(value)
    return value
