"""The whole cases of a fold, and of the test set, predicted and compared with their references.

What enters: a trained run. What leaves: ``fold_X/validation/<case>.nii.gz`` with
``summary.json``, ``confusion.csv``, ``cases.csv`` and ``lesions.csv``; the same for the test
set under ``test/``, with its loss and IoU in ``test.json``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from napari_unet_mic.data.dataset import Dataset, load_case
from napari_unet_mic.data.files import write_json
from napari_unet_mic.data.volume import write_labels
from napari_unet_mic.errors import Cancelled
from napari_unet_mic.evaluation.lesion import LesionQuestion
from napari_unet_mic.evaluation.results import Evaluation
from napari_unet_mic.evaluation.summary import CasePair, evaluate_pairs
from napari_unet_mic.inference.export import to_source_grid
from napari_unet_mic.inference.predictor import Predictor
from napari_unet_mic.preprocessing.pipeline import prepare
from napari_unet_mic.training.events import (
    ClassScores,
    Event,
    Progress,
    TestFinished,
    ValidationFinished,
)
from napari_unet_mic.training.losses import whole_case_loss
from napari_unet_mic.training.prepare import Materials
from napari_unet_mic.training.run import Run

Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]


def open_predictor(run: Run) -> Predictor:
    """Open the run's own final checkpoint (of every fold that it trains) for whole cases."""
    settings = run.settings
    return Predictor.open(
        run.folder,
        folds=list(run.folds),
        checkpoint="final",
        device=settings.device,
        mirroring=settings.mirroring,
        precision=settings.precision,
    )


def validate_fold(run: Run, materials: Materials, emit: Emit, should_stop: ShouldStop) -> None:
    """Predict the fold's validation cases whole and write their summary."""
    began = time.monotonic()
    names = materials.validation
    folder = run.validation_folder
    predictor = open_predictor(run)
    _predict(predictor, materials, names, folder, "validation", emit, should_stop)
    found = evaluate_cases(materials.dataset, names, folder)
    emit(
        ValidationFinished(
            folder=str(folder),
            cases=len(names),
            dice=class_scores(found, "dice"),
            iou=class_scores(found, "iou"),
            mean_dice=_number(found.foreground_dice),
            mean_iou=_number(found.foreground_iou),
            seconds=time.monotonic() - began,
            fold=str(run.settings.fold),
        )
    )


def score_test_set(run: Run, materials: Materials, emit: Emit, should_stop: ShouldStop) -> None:
    """Predict the held-out test set whole; write its summary, and its loss and IoU.

    Notes
    -----
    The loss is the training loss (cross entropy minus mean soft Dice) of each whole case on
    the network's grid at full resolution, averaged over the cases.
    """
    began = time.monotonic()
    names = materials.test
    folder = run.test_folder
    predictor = open_predictor(run)
    losses = _predict(predictor, materials, names, folder, "test", emit, should_stop)
    found = evaluate_cases(materials.dataset, names, folder)
    event = TestFinished(
        folder=str(folder),
        cases=len(names),
        loss=sum(losses) / len(losses),
        dice=class_scores(found, "dice"),
        iou=class_scores(found, "iou"),
        mean_dice=_number(found.foreground_dice),
        mean_iou=_number(found.foreground_iou),
        seconds=time.monotonic() - began,
    )
    write_json(
        folder / "test.json",
        {
            "loss": event.loss,
            "loss_per_case": dict(zip(names, losses, strict=True)),
            "iou": {str(value): score for value, score in event.iou.items()},
            "dice": {str(value): score for value, score in event.dice.items()},
            "mean_iou": found.foreground_iou,
            "mean_dice": found.foreground_dice,
        },
    )
    emit(event)


def _predict(
    predictor: Predictor,
    materials: Materials,
    names: Sequence[str],
    folder: Path,
    stage: str,
    emit: Emit,
    should_stop: ShouldStop,
) -> list[float]:
    """Write a label map for each case; returns each case's loss on the network's grid."""
    folder.mkdir(parents=True, exist_ok=True)
    losses = []
    dataset, plan = materials.dataset, materials.plan
    for done, name in enumerate(names):
        emit(Progress(stage, done, len(names), note=name))
        if should_stop():
            raise Cancelled(stage)
        image, reference = load_case(dataset, name)
        prepared = prepare(image, reference, plan, materials.configuration)
        logits = predictor.logits(torch.from_numpy(prepared.data), should_stop=should_stop)
        assert prepared.labels is not None
        target = torch.from_numpy(prepared.labels).clamp_min(0)
        losses.append(whole_case_loss(logits, target, ignore_value=dataset.ignore_value))
        result = to_source_grid(logits, prepared.properties, plan, materials.configuration)
        write_labels(folder / f"{name}.nii.gz", result.labels, image)
    emit(Progress(stage, len(names), len(names)))
    return losses


def evaluate_cases(dataset: Dataset, names: Sequence[str], folder: Path) -> Evaluation:
    """Compare the predictions in a folder with their references; writes the summary there."""
    pairs = []
    for name in names:
        label = dataset.case(name).label
        assert label is not None
        pairs.append(CasePair(name, label, folder / f"{name}.nii.gz"))
    found = evaluate_pairs(
        pairs, dataset.classes, ignore=dataset.ignore_value, lesions=LesionQuestion()
    )
    found.write(folder)
    return found


def class_scores(found: Evaluation, metric: str) -> ClassScores:
    """Return a metric's mean over the cases for every foreground class."""
    return {one.value: getattr(one, metric) for one in found.class_means if one.value != 0}


def _number(value: float | None) -> float:
    return math.nan if value is None else value
