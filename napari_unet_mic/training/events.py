"""What a trainer says while it works: events, written as one JSON line each and read back.

The lines of ``events.jsonl`` are at once the log, the progress bar's source, the curve's
data and what a restarted viewer replays. The file is append-only; `Resumed` supersedes
the earlier records of the part that was lost (see `in_force`).
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_unet_mic.errors import BadInput
from napari_unet_mic.training.event_kinds import (
    KINDS,
    LAST_WORDS,
    CheckpointSaved,
    ClassScores,
    CrossValidationFinished,
    EndedEarly,
    EpochFinished,
    Event,
    FoldStarted,
    IterationsFinished,
    Prepared,
    PreviewSaved,
    Progress,
    Resumed,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopped,
    TestFinished,
    ValidationFinished,
)

__all__ = [
    "KINDS",
    "LAST_WORDS",
    "CheckpointSaved",
    "ClassScores",
    "CrossValidationFinished",
    "EndedEarly",
    "EpochFinished",
    "Event",
    "EventLog",
    "FoldStarted",
    "IterationsFinished",
    "Prepared",
    "PreviewSaved",
    "Progress",
    "Resumed",
    "RunContinued",
    "RunFailed",
    "RunFinished",
    "RunPaused",
    "RunStarted",
    "RunStopped",
    "TestFinished",
    "ValidationFinished",
    "cut_torn_line",
    "from_line",
    "in_force",
    "read_events",
    "to_line",
]


_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


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


def read_events(file: Path, from_byte: int = 0, *, most_bytes: int = -1) -> tuple[list[Event], int]:
    """Read the whole lines of an event file that begin at or after `from_byte`.

    Returns the events and the byte at which to go on next time; a torn last line is left
    for then. Lines of unknown kind are passed over; a missing file has no events. When the
    file has become shorter than `from_byte`, reading starts again from its beginning.
    With `most_bytes` no more than that is read at once (more than a line has).
    """
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = from_byte if from_byte <= size else 0
            stream.seek(start)
            content = stream.read(most_bytes)
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
    """Drop what a later `Resumed` superseded: lost epochs and iterations, and last words.

    In a cross-validation a `Resumed` is about the fold that `FoldStarted` named last; the
    epochs of other folds stay.
    """
    kept: list[tuple[int | None, Event]] = []
    fold: int | None = None
    for event in events:
        if isinstance(event, FoldStarted):
            fold = event.fold
        if isinstance(event, Resumed):
            kept = [(f, e) for f, e in kept if not _superseded(e, event, same_fold=f == fold)]
        kept.append((fold, event))
    return [event for _, event in kept]


def _superseded(event: Event, resumed: Resumed, *, same_fold: bool) -> bool:
    if isinstance(event, LAST_WORDS):
        return True
    if not same_fold:
        return False
    if isinstance(event, EpochFinished):
        return event.epoch >= resumed.from_epoch
    if isinstance(event, IterationsFinished):
        here = (resumed.from_epoch, resumed.from_iteration)
        return (event.epoch, event.iteration) > here
    return isinstance(event, ValidationFinished | TestFinished | EndedEarly)


class EventLog:
    """Appends events to a file, one whole line each; cuts a torn last line on opening.

    A full disk does not raise here, since an event is never worth a run: the lines wait, and
    go into the file in their order as soon as there is room.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        cut_torn_line(file)
        self._stream = file.open("ab", buffering=0)
        self._waiting = b""

    def __call__(self, event: Event) -> None:
        """Append one event."""
        self._waiting += to_line(event).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            try:
                written = self._stream.write(self._waiting) or 0
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                return
            self._waiting = self._waiting[written:]

    def close(self) -> None:
        """Close the file."""
        self._flush()
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
