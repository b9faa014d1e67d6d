"""The shell commands that do what the panels do, ready to be pasted on a server."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_unet_mic.training.run import RunSettings

_TRAIN_OPTIONS = {
    "configuration": "--configuration C",
    "fold": "--fold K|all|each",
    "plans": "--plans FILE",
    "planner": "--planner P",
    "gpu_memory_gb": "--gpu-memory-gb G",
    "epochs": "--epochs N",
    "iterations_per_epoch": "--iterations-per-epoch M",
    "validation_iterations": "--validation-iterations V",
    "start_from": "--from MODEL_OR_CHECKPOINT",
    "device": "--device auto|cpu|cuda|mps",
    "precision": "--precision auto|float32|bfloat16|float16",
    "seed": "--seed N",
    "splits": "--splits FILE",
    "patients": "--patients FILE",
    "patient_pattern": "--patient-pattern PATTERN",
    "test": "--test CASE …",
    "early_stopping_epochs": "--early-stopping EPOCHS",
    "batch_size": "--batch-size B",
    "patch_size": "--patch-size Z Y X",
    "learning_rate": "--learning-rate R",
    "warm_up_iterations": "--warm-up ITERATIONS",
    "augmentation": "--augmentation nnunet|light|none",
    "foreground_oversampling": "--oversampling SHARE",
    "class_weights": "--class-weights W …",
    "focus_class": "--focus-class K",
    "mirroring": "--mirroring|--no-mirroring",
    "checkpoint_minutes": "--checkpoint-minutes MINUTES",
}
"""Field of `RunSettings` -> option of ``unet-mic train`` with what follows it."""


def option_of(field: str) -> str:
    """Return the option of ``unet-mic train`` that sets a field of `RunSettings`."""
    return _TRAIN_OPTIONS[field]


def train_command(settings: RunSettings) -> str:
    """Return the ``unet-mic train`` line of these settings; options at their default are left out.

    Examples
    --------
    >>> train_command(RunSettings(dataset="liver", workspace="w", name="a", fold="all"))
    'unet-mic train liver --workspace w --name a --fold all'
    """
    return joined(["unet-mic", *train_words(settings)])


def train_words(settings: RunSettings) -> list[str]:
    """Return the words after ``unet-mic`` that train with these settings."""
    usual = RunSettings(dataset="", workspace="", name="a")
    words = ["train", settings.dataset, "--workspace", settings.workspace]
    words += ["--name", settings.name]
    for field, option in _TRAIN_OPTIONS.items():
        value = getattr(settings, field)
        if isinstance(value, bool):
            words.append(option.split("|")[not value])
        elif value != getattr(usual, field):
            values = value if isinstance(value, tuple) else (value,)
            words += [option.split()[0], *(_word(one) for one in values)]
    return words


def _word(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def predict_command(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    folds: Sequence[int | str] | None = None,
    checkpoint: str = "final",
    mirroring: bool | None = None,
    device: str = "auto",
    probabilities: bool = False,
) -> str:
    """Return the ``unet-mic predict`` line that predicts these files or folders."""
    words = ["unet-mic", "predict", str(model), *(str(file) for file in inputs), "-o", str(out)]
    if folds is not None:
        words += ["--folds", *(str(fold) for fold in folds)]
    if checkpoint != "final":
        words += ["--checkpoint", checkpoint]
    if mirroring is not None:
        words.append("--mirroring" if mirroring else "--no-mirroring")
    if device != "auto":
        words += ["--device", device]
    if probabilities:
        words.append("--probabilities")
    return joined(words)


def evaluate_command(
    reference: str | Path,
    prediction: str | Path,
    out: str = "OUT",
    *,
    tolerance_mm: float | None = None,
    lesion_classes: Sequence[int] = (),
    match: str = "any",
    smallest_ml: float = 0.0,
    against: str | Path | None = None,
) -> str:
    """Return the ``unet-mic evaluate`` line that compares two files or folders.

    Examples
    --------
    >>> evaluate_command("labelsTr", "my model")
    "unet-mic evaluate --reference labelsTr --prediction 'my model' -o OUT"
    """
    words = ["unet-mic", "evaluate", "--reference", str(reference)]
    words += ["--prediction", str(prediction)]
    words += ["--tolerance-mm", f"{tolerance_mm:g}"] if tolerance_mm is not None else []
    words += ["--lesion-classes", *map(str, lesion_classes)] if lesion_classes else []
    words += ["--match", match] if match != "any" else []
    words += ["--smallest-lesion", f"{smallest_ml:g}ml"] if smallest_ml else []
    words += ["--against", str(against)] if against is not None else []
    return joined([*words, "-o", out])


def joined(words: Sequence[str]) -> str:
    """Quote the words of a command for this system's shell."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
