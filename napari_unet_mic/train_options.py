"""The options of ``unet-mic train``, and what they mean as settings of a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet_mic.option_kinds import (
    DATASET_HELP,
    AddCommand,
    at_least,
    device_option,
    mirroring_option,
    patient_options,
    planner_options,
    precision_option,
    training_fold,
)

if TYPE_CHECKING:
    from napari_unet_mic.training.settings import RunSettings


def add_train(command: AddCommand) -> None:
    """Add ``unet-mic train``."""
    one = command("train", "make what is lacking, train, validate")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    one.add_argument("--workspace", metavar="W", type=Path, required=True, help="workspace folder")
    one.add_argument("--name", metavar="RUN", required=True, help="the run will be at W/runs/RUN")
    one.add_argument("--configuration", metavar="C", default="3d_fullres", help="of the plan")
    one.add_argument(
        "--fold",
        type=training_fold,
        default=0,
        help="0 to 4; all (no validation cases are held out); each (the five in turn, gathered)",
    )
    one.add_argument("--plans", metavar="FILE", type=Path, help="use these plans, make none")
    planner_options(one)
    _length_options(one)
    _start_options(one)
    one.add_argument("--splits", metavar="FILE", type=Path, help="a splits_final.json to use")
    one.add_argument(
        "--test",
        metavar="CASE",
        nargs="+",
        help="cases (or one file listing them) held out of fingerprint, plan and folds",
    )
    patient_options(one)
    _learning_options(one)
    _sampling_options(one)
    mirroring_option(one, "in the validation at the end, ")
    one.add_argument(
        "--checkpoint-minutes",
        metavar="MINUTES",
        type=float,
        help="keep a checkpoint this often within an epoch (when left out: 5)",
    )
    one.add_argument(
        "--estimate",
        action="store_true",
        help="start nothing: time a few iterations, and say how long the run would take",
    )
    one.add_argument("--json", action="store_true", help="print the estimate as JSON")


def _length_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--epochs", metavar="N", type=at_least(1), default=1000, help="how many")
    one.add_argument(
        "--iterations-per-epoch", metavar="M", type=at_least(1), default=250, help="how many"
    )
    one.add_argument(
        "--validation-iterations", metavar="V", type=at_least(0), default=50, help="per epoch"
    )


def _start_options(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--from",
        dest="start_from",
        metavar="MODEL_OR_CHECKPOINT",
        type=Path,
        help="start from these weights; output layers are made anew where the classes differ",
    )
    device_option(one)
    one.add_argument("--seed", type=int, default=0, help="the same seed gives the same run")


def _learning_options(one: argparse.ArgumentParser) -> None:
    """Add what departs from nnU-Net's recipe; where left out, the preset's or nnU-Net's holds."""
    one.add_argument(
        "--preset",
        choices=("small-lesions",),
        help="settings that go together; options win over it",
    )
    one.add_argument(
        "--early-stopping",
        metavar="EPOCHS",
        type=at_least(1),
        help="end when the moving average of the pseudo Dice has not risen for so many epochs",
    )
    one.add_argument("--batch-size", metavar="B", type=at_least(1), help="instead of the plan's")
    one.add_argument(
        "--patch-size",
        metavar=("Z", "Y", "X"),
        nargs=3,
        type=at_least(1),
        help="instead of the plan's, in its order of axes; Z = 1 for a 2-D configuration",
    )
    precision_option(one)
    one.add_argument("--learning-rate", metavar="R", type=float, help="when left out: 0.01")
    one.add_argument(
        "--warm-up",
        metavar="ITERATIONS",
        type=at_least(0),
        help="let the learning rate rise over so many iterations (when left out: 0)",
    )


def _sampling_options(one: argparse.ArgumentParser) -> None:
    """Add what departs from nnU-Net's recipe in what the network sees, and how it counts."""
    one.add_argument(
        "--augmentation",
        choices=("nnunet", "light", "none"),
        help="light: mirroring and small changes of intensity (when left out: nnunet)",
    )
    one.add_argument(
        "--oversampling",
        metavar="SHARE",
        type=float,
        help="share of a batch that must hold foreground (when left out: 0.33)",
    )
    one.add_argument(
        "--class-weights",
        metavar="W",
        nargs="+",
        type=float,
        help="of the cross entropy, one for each class, background first",
    )
    one.add_argument(
        "--focus-class",
        metavar="K",
        type=at_least(1),
        help="centre patches on this class's components, each as likely as another",
    )


def run_settings(options: argparse.Namespace, *, report: Callable[[str], None]) -> RunSettings:
    """Return the settings that the options of ``unet-mic train`` mean; `report` hears of a preset.

    An option that was left out takes the preset's value, else the settings' own default.
    """
    from napari_unet_mic.training.settings import RunSettings

    settings = {} if options.preset is None else _preset(options, report)
    for option, field in _TRAIN_FIELDS.items():
        value = getattr(options, option)
        if isinstance(value, Path):
            value = str(value)
        if value is not None:
            settings[field] = tuple(value) if isinstance(value, list) else value
    return RunSettings(**settings)


_TRAIN_FIELDS = {
    name: name
    for name in [
        "dataset",
        "workspace",
        "name",
        "configuration",
        "fold",
        "planner",
        "gpu_memory_gb",
        "plans",
        "epochs",
        "iterations_per_epoch",
        "validation_iterations",
        "start_from",
        "device",
        "precision",
        "seed",
        "splits",
        "patients",
        "patient_pattern",
        "test",
        "batch_size",
        "patch_size",
        "class_weights",
        "focus_class",
        "augmentation",
        "learning_rate",
        "mirroring",
        "checkpoint_minutes",
    ]
} | {
    "early_stopping": "early_stopping_epochs",
    "oversampling": "foreground_oversampling",
    "warm_up": "warm_up_iterations",
}
"""Option of ``unet-mic train`` -> field of `RunSettings`."""


def _preset(options: argparse.Namespace, report: Callable[[str], None]) -> dict[str, Any]:
    from napari_unet_mic.data.dataset import open_dataset
    from napari_unet_mic.training.presets import small_lesions

    dataset = open_dataset(options.dataset)
    found = small_lesions(dataset)
    name = dataset.classes[found["focus_class"]]
    values = ", ".join(f"{field} {value}" for field, value in found.items())
    report(f"preset {options.preset} for the smallest class, {name}: {values}")
    return found
