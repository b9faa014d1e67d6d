"""What a run's events amount to: curves, how far it is, how long it still takes.

Events go in, in the order of the file; a `Snapshot` of arrays and sentences comes out, which
another thread may keep. Only numbers are kept of an epoch or an iteration, so that a week of
training takes a few megabytes. The folds of a cross-validation follow each other on the axis of
epochs. No Qt here: a `RunHistory` is filled in a background thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum, auto

import numpy as np
import numpy.typing as npt

from napari_unet_mic.gui import run_words as words
from napari_unet_mic.gui.growing_rows import GrowingRows
from napari_unet_mic.training import events

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""x (epochs done) and y, both (n,)."""
NO_CURVE: Curve = (np.empty(0), np.empty(0))
RECENT = 5
"""Epochs whose mean time says how long the rest takes."""
GB = 1e9


class _Epoch(IntEnum):
    """Columns of an epoch's numbers; `X` counts on over the folds of a cross-validation."""

    FOLD = 0
    EPOCH = auto()
    X = auto()
    TRAIN = auto()
    VALIDATION = auto()
    RATE = auto()
    PACE = auto()
    MEMORY = auto()
    GPU = auto()
    SECONDS = auto()
    TIME = auto()


class _Score(IntEnum):
    """Columns of a class's scores in an epoch."""

    FOLD = 0
    EPOCH = auto()
    X = auto()
    IOU = auto()
    DICE = auto()


class _Step(IntEnum):
    """Columns of what was said between epochs."""

    FOLD = 0
    EPOCH = auto()
    ITERATION = auto()
    X = auto()
    LOSS = auto()
    PACE = auto()
    TIME = auto()


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run as it stood when the last event was read.

    `iteration_loss` holds the mean over the last few iterations at fractions of an epoch, the
    other curves one value per epoch, `iou` and `dice` one curve per class (the background left
    out). `fraction` is the part of the epochs done, `seconds_left` is None while nothing is
    known. `sentence` says what is going on or how it ended, `ended_at` when (seconds since
    1970). `preview` is the newest `PreviewSaved`.
    """

    iteration_loss: Curve = NO_CURVE
    train_loss: Curve = NO_CURVE
    validation_loss: Curve = NO_CURVE
    iou: dict[int, Curve] = field(default_factory=dict)
    dice: dict[int, Curve] = field(default_factory=dict)
    learning_rate: Curve = NO_CURVE
    seconds_per_iteration: Curve = NO_CURVE
    memory_gb: Curve = NO_CURVE
    gpu_memory_gb: Curve = NO_CURVE
    classes: dict[int, str] = field(default_factory=dict)
    epochs_done: int = 0
    epochs: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None
    progress: str = ""
    sentence: str = ""
    device: str = ""
    failed: bool = False
    paused: bool = False
    ended_at: float = 0.0
    best_iou: dict[int, float] = field(default_factory=dict)
    preview: events.PreviewSaved | None = None


class RunHistory:
    """Collects the events of one run; `snapshot` gives what they amount to."""

    def __init__(self) -> None:
        self._started: events.RunStarted | None = None
        self._epochs = GrowingRows(len(_Epoch))
        self._steps = GrowingRows(len(_Step))
        self._scores: dict[int, GrowingRows] = {}
        self._fold: events.FoldStarted | None = None
        self._stage: events.Progress | None = None
        self._note = ""  # what the trainer said about where the weights came from
        self._last_word: events.Event | None = None
        self._paused: events.RunPaused | None = None
        self._early: events.EndedEarly | None = None
        self._scored: events.ValidationFinished | events.CrossValidationFinished | None = None
        self._test: events.TestFinished | None = None
        self._preview: events.PreviewSaved | None = None
        self._first_new = 0  # epochs before it were trained before the last resume

    @property
    def paused(self) -> bool:
        """Whether the trainer said last that it waits."""
        return self._paused is not None

    def add(self, happened: Iterable[events.Event]) -> None:
        """Take in further events; a `Resumed` drops what it supersedes (`events.in_force`)."""
        for event in happened:
            if isinstance(event, events.IterationsFinished):
                self._add_step(event)
            elif isinstance(event, events.EpochFinished):
                self._add_epoch(event)
            elif isinstance(event, events.Resumed):
                self._drop_superseded(event)
            else:
                self._note_event(event)

    def _note_event(self, event: events.Event) -> None:
        if isinstance(event, events.Progress):
            self._stage = event
            self._note = event.note if event.stage == "train" and event.note else self._note
        elif isinstance(event, events.RunStarted):
            self._started, self._last_word, self._stage, self._paused = event, None, None, None
        elif isinstance(event, events.FoldStarted):
            self._fold, self._early = event, None
        elif isinstance(event, events.RunPaused):
            self._paused, self._stage = event, None
        elif isinstance(event, events.RunContinued):
            self._paused = None
        elif isinstance(event, events.EndedEarly):
            self._early = event
        elif isinstance(event, events.ValidationFinished | events.CrossValidationFinished):
            self._scored = event
        elif isinstance(event, events.TestFinished):
            self._test = event
        elif isinstance(event, events.PreviewSaved):
            self._preview = event
        elif isinstance(event, events.LAST_WORDS):
            self._last_word, self._stage, self._paused = event, None, None

    # ---- numbers -----------------------------------------------------------------------
    @property
    def _place(self) -> int:
        """How many folds of a cross-validation lie behind."""
        return self._fold.number - 1 if self._fold else 0

    @property
    def _n_folds(self) -> int:
        return self._fold.total if self._fold else 1

    def _add_epoch(self, event: events.EpochFinished) -> None:
        per_fold = self._started.epochs if self._started else 0
        x = self._place * per_fold + event.epoch + 1
        row = [0.0] * len(_Epoch)
        row[_Epoch.FOLD], row[_Epoch.EPOCH], row[_Epoch.X] = self._place, event.epoch, x
        row[_Epoch.TRAIN], row[_Epoch.VALIDATION] = event.train_loss, event.validation_loss
        row[_Epoch.RATE], row[_Epoch.PACE] = event.learning_rate, event.seconds_per_iteration
        row[_Epoch.MEMORY], row[_Epoch.GPU] = event.memory_bytes / GB, event.gpu_memory_bytes / GB
        row[_Epoch.SECONDS], row[_Epoch.TIME] = event.seconds, event.time
        self._epochs.append(row)
        for value in event.iou.keys() | event.dice.keys():
            scores = self._scores.setdefault(value, GrowingRows(len(_Score)))
            both = _number(event.iou.get(value)), _number(event.dice.get(value))
            scores.append((self._place, event.epoch, x, *both))
        self._stage = None

    def _add_step(self, event: events.IterationsFinished) -> None:
        per_epoch = self._started.iterations_per_epoch if self._started else 1
        per_fold = self._started.epochs if self._started else 0
        x = self._place * per_fold + event.epoch + event.iteration / per_epoch
        pace, when = event.seconds_per_iteration, event.time
        place = self._place, event.epoch, event.iteration
        self._steps.append((*place, x, event.train_loss, pace, when))
        self._stage = None

    def _drop_superseded(self, resumed: events.Resumed) -> None:
        here = resumed.from_epoch
        for rows in (self._epochs, *self._scores.values()):
            rows.keep((rows.column(0) < self._place) | (rows.column(1) < here))
        steps = self._steps
        fold, epoch = steps.column(_Step.FOLD), steps.column(_Step.EPOCH)
        before = (epoch < here) | (
            (epoch == here) & (steps.column(_Step.ITERATION) <= resumed.from_iteration)
        )
        steps.keep((fold < self._place) | before)
        self._first_new = len(self._epochs)
        self._last_word = self._scored = self._test = self._early = None

    # ---- what they amount to -----------------------------------------------------------
    def snapshot(self, now: float | None = None) -> Snapshot:
        """Return curves and sentences; `now` (seconds since 1970) is for tests."""
        started = self._started
        classes = {v: n for v, n in started.classes.items() if v != 0} if started else {}
        iou = {value: self._score(value, _Score.IOU) for value in classes}
        left = self._seconds_left(time.time() if now is None else now)
        finished = isinstance(self._last_word, events.RunFinished)
        return Snapshot(
            iteration_loss=_known(self._steps.column(_Step.X), self._steps.column(_Step.LOSS)),
            train_loss=self._epoch_curve(_Epoch.TRAIN),
            validation_loss=self._epoch_curve(_Epoch.VALIDATION),
            iou=iou,
            dice={value: self._score(value, _Score.DICE) for value in classes},
            learning_rate=self._epoch_curve(_Epoch.RATE),
            seconds_per_iteration=self._epoch_curve(_Epoch.PACE),
            memory_gb=_positive(self._epoch_curve(_Epoch.MEMORY)),
            gpu_memory_gb=_positive(self._epoch_curve(_Epoch.GPU)),
            classes=classes,
            epochs_done=len(self._epochs),
            epochs=started.epochs * self._n_folds if started else 0,
            fraction=1.0 if finished else self._iterations_done() / max(1, self._all_iterations()),
            seconds_left=left,
            progress=self._progress(left),
            sentence=self._sentence(),
            device=f"{started.device} {self._note}".strip() if started else "",
            failed=isinstance(self._last_word, events.RunFailed),
            paused=self._paused is not None,
            ended_at=self._last_word.time if self._last_word else 0.0,
            best_iou={v: best for v in classes if (best := self._best(v)) is not None},
            preview=self._preview,
        )

    def _epoch_curve(self, column: _Epoch) -> Curve:
        return _known(self._epochs.column(_Epoch.X), self._epochs.column(column))

    def _score(self, value: int, column: _Score) -> Curve:
        rows = self._scores.get(value)
        return NO_CURVE if rows is None else _known(rows.column(_Score.X), rows.column(column))

    def _best(self, value: int) -> float | None:
        """Return the best IoU of a class; of a cross-validation the mean of its folds' bests."""
        rows = self._scores.get(value)
        if rows is None:
            return None
        folds, iou = _known(rows.column(_Score.FOLD), rows.column(_Score.IOU))
        bests = [iou[folds == fold].max() for fold in np.unique(folds)]
        return float(np.mean(bests)) if bests else None

    def _all_iterations(self) -> int:
        started = self._started
        return started.epochs * started.iterations_per_epoch * self._n_folds if started else 0

    def _iterations_done(self) -> int:
        if self._started is None:
            return 0
        per_epoch = self._started.iterations_per_epoch
        done = self._place * self._started.epochs * per_epoch
        for x in (self._epochs.column(_Epoch.X), self._steps.column(_Step.X)):
            if len(x):
                done = max(done, round(float(x[-1]) * per_epoch))
        return done

    def _seconds_per_iteration(self) -> float | None:
        said = [
            (float(rows.column(when)[-1]), float(rows.column(pace)[-1]))
            for rows, when, pace in (
                (self._epochs, _Epoch.TIME, _Epoch.PACE),
                (self._steps, _Step.TIME, _Step.PACE),
            )
            if len(rows)
        ]
        seconds = max(said)[1] if said else math.nan
        return seconds if math.isfinite(seconds) and seconds > 0 else None

    def _seconds_left(self, now: float) -> float | None:
        if self._started is None or self._last_word is not None or self._early is not None:
            return None
        per_epoch = self._started.iterations_per_epoch
        remaining = self._all_iterations() - self._iterations_done()
        each = self._seconds_per_iteration()
        recent = self._epochs.column(_Epoch.SECONDS)[self._first_new :][-RECENT:]
        if len(recent):  # an epoch's whole time: validation patches and checkpoints included
            each = float(recent.mean()) / per_epoch
        if each is None or remaining <= 0:
            return None
        if self._paused is not None:
            return remaining * each
        times = (self._epochs.column(_Epoch.TIME), self._steps.column(_Step.TIME))
        last = max((float(when[-1]) for when in times if len(when)), default=now)
        return max(0.0, remaining * each - max(0.0, min(now - last, per_epoch * each)))

    # ---- sentences ---------------------------------------------------------------------
    def _progress(self, seconds_left: float | None) -> str:
        if self._started is None or self._last_word is not None:
            return ""
        if self._paused is not None:
            return words.paused_words(self._paused)
        fold = ""
        if self._fold is not None:
            fold = f"fold {self._fold.fold} ({self._fold.number} of {self._n_folds})"
        if self._stage is not None and self._stage.stage != "train":
            return " · ".join(filter(None, (fold, words.stage_words(self._stage))))
        per_epoch, total = max(1, self._started.iterations_per_epoch), self._started.epochs
        done = self._iterations_done() - self._place * total * per_epoch
        parts = [fold, f"epoch {min(done // per_epoch + 1, total)}/{total}"]
        each = self._seconds_per_iteration()
        if each is not None:
            parts.append(words.speed_words(each))
        if seconds_left is not None:
            parts.append(f"{words.duration(seconds_left)} left")
        return " · ".join(filter(None, parts))

    def _sentence(self) -> str:
        word = self._last_word
        if isinstance(word, events.RunFailed):
            return word.message
        if isinstance(word, events.RunStopped):
            return words.stopped_words(word)
        if isinstance(word, events.RunFinished):
            return words.finished_words(word, self._scored, self._test, self._early)
        return self._started.device if self._started else ""


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _known(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    """Return the points whose value is known and finite (an absent class has none)."""
    known = np.isfinite(y)
    return x[known], y[known]


def _positive(curve: Curve) -> Curve:
    """Leave out what was not measured and stands as zero."""
    there = curve[1] > 0
    return curve[0][there], curve[1][there]
