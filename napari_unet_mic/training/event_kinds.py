"""The kinds of event of a trainer: one frozen record each.

`training.events` writes them as lines and reads them back; it names all of them too.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_args

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
    """The mean training loss over the last few iterations (said every few seconds).

    `seconds_per_iteration` is the pace while computing: pauses and the computer's sleep do
    not count. `memory_bytes` is what the process holds now, `gpu_memory_bytes` what torch
    holds of the GPU (0 without one); both as in `EpochFinished`.
    """

    epoch: int
    iteration: int
    train_loss: float
    seconds_per_iteration: float
    learning_rate: float = math.nan
    memory_bytes: int = 0
    gpu_memory_bytes: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class EpochFinished:
    """One epoch of training and its validation patches are done (`epoch` counts from 0).

    `dice` and `iou` are pseudo scores: summed over the validation patches of the epoch,
    not over whole cases. `seconds` is the epoch's time without pauses and sleep.
    `waiting_share` is the part of its training time in which the network waited for
    batches.
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
    gpu_memory_bytes: int = 0
    waiting_share: float = 0.0
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
    """The fold's validation cases were predicted whole and compared with their references.

    `fold` says which one.
    """

    folder: str
    cases: int
    dice: ClassScores
    iou: ClassScores
    mean_dice: float
    mean_iou: float
    seconds: float
    fold: str = ""
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
class FoldStarted:
    """A cross-validation begins a fold, or goes on with it; what follows belongs to this fold.

    Epochs and iterations count from 0 in every fold. `number` (from 1) of `total` folds; the
    share of the whole run that is done is (number - 1 + share of this fold) / total.
    """

    fold: int
    number: int
    total: int
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class CrossValidationFinished:
    """The validation cases of all folds, gathered in one folder and scored together."""

    folder: str
    folds: tuple[int, ...]
    cases: int
    dice: ClassScores
    iou: ClassScores
    mean_dice: float
    mean_iou: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class EndedEarly:
    """Early stopping: the moving average has not become better for `patience` epochs.

    `epoch` epochs were trained, the best ended with `best_epoch` (both count from 1). The run
    goes on to its final checkpoint and validation, and finishes.
    """

    epoch: int
    best_epoch: int
    patience: int
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class PreviewSaved:
    """A patch with its reference and the network's present answer lies in `file` (.npz).

    It holds ``image`` (C, z, y, x) float16, ``reference`` and ``prediction`` (z, y, x) uint8 or
    uint16, ``spacing_mm`` (3,) and ``case`` (its name), in the plan's axis order; 2-D patches
    have z = 1. It is the same patch throughout a run, plain (not augmented), of a validation
    case where there are any.
    """

    epoch: int
    iteration: int
    file: str
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class RunPaused:
    """The trainer wrote a checkpoint and waits; its process and lock stay.

    `memory` says in words what became of the device's memory ("GPU memory is given back", "on a
    CPU: the memory stays with the process").
    """

    epoch: int
    iteration: int
    memory: str
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class RunContinued:
    """A paused trainer goes on where it was."""

    epoch: int
    iteration: int
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
    | FoldStarted
    | CrossValidationFinished
    | EndedEarly
    | PreviewSaved
    | RunPaused
    | RunContinued
    | RunStopped
    | RunFailed
    | RunFinished
)

KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}

LAST_WORDS = (RunStopped, RunFailed, RunFinished)
