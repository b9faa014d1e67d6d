"""The shell commands that do what the panels do, ready to be pasted on a server."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_unet_mic.training.run import RunSettings


def train_command(settings: RunSettings) -> str:
    """Return the ``unet-mic train`` line of these settings; options at their default are left out.

    Examples
    --------
    >>> train_command(RunSettings(dataset="liver", workspace="w", name="a", fold="all"))
    'unet-mic train liver --workspace w --name a --fold all'
    """
    usual = RunSettings(dataset="", workspace="", name="a")
    words = ["unet-mic", "train", settings.dataset, "--workspace", settings.workspace]
    words += ["--name", settings.name]
    for option, field in _TRAIN_OPTIONS:
        value = getattr(settings, field)
        if value != getattr(usual, field):
            words += [option, str(value)]
    return joined(words)


_TRAIN_OPTIONS = (
    ("--configuration", "configuration"),
    ("--fold", "fold"),
    ("--plans", "plans"),
    ("--epochs", "epochs"),
    ("--iterations-per-epoch", "iterations_per_epoch"),
    ("--validation-iterations", "validation_iterations"),
    ("--from", "start_from"),
    ("--device", "device"),
    ("--seed", "seed"),
    ("--splits", "splits"),
)


def predict_command(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    folds: Sequence[int | str] | None = None,
    checkpoint: str = "final",
    mirroring: bool | None = None,
    device: str = "auto",
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
    return joined(words)


def evaluate_command(
    reference: str | Path,
    prediction: str | Path,
    out: str = "OUT",
    *,
    tolerance_mm: float | None = None,
    lesion_classes: Sequence[int] = (),
    match: str = "any",
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
    return joined([*words, "-o", out])


def joined(words: Sequence[str]) -> str:
    """Quote the words of a command for this system's shell."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
