"""What a run's events amount to: curves, how far it is, how long it still takes.

Events go in, in the order of the file; a `Snapshot` of arrays and sentences comes out, which
another thread may keep. No Qt here: a `RunHistory` is filled in a background thread.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_unet_mic.training import events

STAGE_WORDS = {
    "fingerprint": "measuring the training cases",
    "plan": "planning",
    "preprocess": "preparing the cases",
    "train": "training",
    "validation": "predicting the fold's validation cases",
    "test": "predicting the test set",
}

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""x (epochs done) and y, both (n,)."""
NO_CURVE: Curve = (np.empty(0), np.empty(0))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run as it stood when the last event was read.

    `iteration_loss` holds the mean over the last few iterations at fractions of an epoch,
    `train_loss` and `validation_loss` one value per epoch, `iou` one curve per class (the
    background left out). `fraction` is the part of the epochs done, `seconds_left` is None
    while nothing is known. `sentence` says what is going on or how it ended.
    """

    iteration_loss: Curve = NO_CURVE
    train_loss: Curve = NO_CURVE
    validation_loss: Curve = NO_CURVE
    iou: dict[int, Curve] = field(default_factory=dict)
    classes: dict[int, str] = field(default_factory=dict)
    epochs_done: int = 0
    epochs: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None
    progress: str = ""
    sentence: str = ""
    device: str = ""
    failed: bool = False
    best_iou: dict[int, float] = field(default_factory=dict)
    validation: events.ValidationFinished | None = None
    test: events.TestFinished | None = None


class RunHistory:
    """Collects the events of one run; `snapshot` gives what they amount to."""

    def __init__(self) -> None:
        self._started: events.RunStarted | None = None
        self._epochs: list[events.EpochFinished] = []
        self._iterations: list[events.IterationsFinished] = []
        self._recent: deque[events.EpochFinished] = deque(maxlen=5)
        self._stage: events.Progress | None = None
        self._note = ""  # what the trainer said about where the weights came from
        self._last_word: events.Event | None = None
        self._validation: events.ValidationFinished | None = None
        self._test: events.TestFinished | None = None

    def add(self, happened: Iterable[events.Event]) -> None:
        """Take in further events; a `Resumed` drops what it supersedes (`events.in_force`)."""
        for event in happened:
            if isinstance(event, events.EpochFinished):
                self._epochs.append(event)
                self._recent.append(event)
                self._stage = None
            elif isinstance(event, events.IterationsFinished):
                self._iterations.append(event)
                self._stage = None
            elif isinstance(event, events.Progress):
                self._stage = event
                self._note = event.note if event.stage == "train" and event.note else self._note
            elif isinstance(event, events.RunStarted):
                self._started, self._last_word, self._stage = event, None, None
            elif isinstance(event, events.Resumed):
                self._drop_superseded(event)
            elif isinstance(event, events.ValidationFinished):
                self._validation = event
            elif isinstance(event, events.TestFinished):
                self._test = event
            elif isinstance(event, events.LAST_WORDS):
                self._last_word, self._stage = event, None

    def _drop_superseded(self, resumed: events.Resumed) -> None:
        here = (resumed.from_epoch, resumed.from_iteration)
        self._epochs = [e for e in self._epochs if e.epoch < resumed.from_epoch]
        self._iterations = [e for e in self._iterations if (e.epoch, e.iteration) <= here]
        self._recent.clear()
        self._last_word = self._validation = self._test = None

    def snapshot(self, now: float | None = None) -> Snapshot:
        """Return curves and sentences; `now` (seconds since 1970) is for tests."""
        started = self._started
        epochs = started.epochs if started else 0
        per_epoch = started.iterations_per_epoch if started else 1
        x = np.array([event.epoch + 1 for event in self._epochs], dtype=np.float64)
        classes = {v: n for v, n in started.classes.items() if v != 0} if started else {}
        iou = {value: _curve(x, [e.iou.get(value) for e in self._epochs]) for value in classes}
        left = self._seconds_left(time.time() if now is None else now)
        return Snapshot(
            iteration_loss=_curve(
                np.array([e.epoch + e.iteration / per_epoch for e in self._iterations]),
                [e.train_loss for e in self._iterations],
            ),
            train_loss=_curve(x, [e.train_loss for e in self._epochs]),
            validation_loss=_curve(x, [e.validation_loss for e in self._epochs]),
            iou=iou,
            classes=classes,
            epochs_done=len(self._epochs),
            epochs=epochs,
            fraction=self._iterations_done() / max(1, epochs * per_epoch),
            seconds_left=left,
            progress=self._progress(left),
            sentence=self._sentence(),
            device=f"{started.device} {self._note}".strip() if started else "",
            failed=isinstance(self._last_word, events.RunFailed),
            best_iou={v: float(ys.max()) for v, (_, ys) in iou.items() if len(ys)},
            validation=self._validation,
            test=self._test,
        )

    def _iterations_done(self) -> int:
        per_epoch = self._started.iterations_per_epoch if self._started else 1
        done = (self._epochs[-1].epoch + 1) * per_epoch if self._epochs else 0
        if self._iterations:
            last = self._iterations[-1]
            done = max(done, last.epoch * per_epoch + last.iteration)
        return done

    def _seconds_per_iteration(self) -> float | None:
        said = [(e.time, e.seconds_per_iteration) for e in self._epochs[-1:]]
        said += [(e.time, e.seconds_per_iteration) for e in self._iterations[-1:]]
        seconds = max(said)[1] if said else math.nan
        return seconds if math.isfinite(seconds) and seconds > 0 else None

    def _seconds_left(self, now: float) -> float | None:
        if self._started is None or self._last_word is not None:
            return None
        per_epoch = self._started.iterations_per_epoch
        remaining = self._started.epochs * per_epoch - self._iterations_done()
        each = self._seconds_per_iteration()
        if self._recent:  # an epoch's whole time: validation patches and checkpoints included
            each = sum(e.seconds for e in self._recent) / len(self._recent) / per_epoch
        if each is None or remaining <= 0:
            return None
        times = [e.time for e in self._epochs[-1:]] + [e.time for e in self._iterations[-1:]]
        last = max(times, default=now)
        return max(0.0, remaining * each - max(0.0, min(now - last, per_epoch * each)))

    def _progress(self, seconds_left: float | None) -> str:
        if self._started is None or self._last_word is not None:
            return ""
        if self._stage is not None and self._stage.stage != "train":
            words = STAGE_WORDS.get(self._stage.stage, self._stage.stage)
            note = f" · {self._stage.note}" if self._stage.note else ""
            return f"{words} {self._stage.done}/{self._stage.total}{note}"
        done, total = self._iterations_done(), self._started.epochs
        epoch = min(done // max(1, self._started.iterations_per_epoch) + 1, total)
        parts = [f"epoch {epoch}/{total}"]
        each = self._seconds_per_iteration()
        if each is not None:
            parts.append(f"{1 / each:.1f} it/s" if each < 1 else f"{each:.1f} s/it")
        if seconds_left is not None:
            parts.append(f"{duration(seconds_left)} left")
        return " · ".join(parts)

    def _sentence(self) -> str:
        word = self._last_word
        if isinstance(word, events.RunFailed):
            return word.message
        if isinstance(word, events.RunStopped):
            what = "paused" if word.reason == "pause" else "stopped"
            return f"{what} in epoch {word.epoch + 1}; it can be resumed from its checkpoint"
        if isinstance(word, events.RunFinished):
            parts = [f"finished after {duration(word.seconds)}"]
            if self._validation is not None:
                parts.append(
                    f"validation Dice {self._validation.mean_dice:.3f}, "
                    f"IoU {self._validation.mean_iou:.3f} ({self._validation.cases} cases)"
                )
            if self._test is not None:
                parts.append(
                    f"test IoU {self._test.mean_iou:.3f}, loss {self._test.loss:.3f} "
                    f"({self._test.cases} cases)"
                )
            return " · ".join(parts)
        return self._started.device if self._started else ""


def duration(seconds: float) -> str:
    """Say a time span with its two largest units.

    Examples
    --------
    >>> duration(13200), duration(42), duration(200000)
    ('3 h 40 min', '42 s', '2 d 7 h')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes} min {seconds % 60} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def _curve(x: npt.NDArray[np.float64], y: list[float | None]) -> Curve:
    """Return the points whose value is known and finite (an absent class has none)."""
    values = np.array([math.nan if value is None else value for value in y], dtype=np.float64)
    known = np.isfinite(values)
    return x[known], values[known]
