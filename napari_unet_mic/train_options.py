"""What the options of ``unet-mic train`` mean as settings of a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet_mic.training.settings import RunSettings


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
