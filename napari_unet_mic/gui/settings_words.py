"""The settings that most people leave alone, in words: what differs from the recipe. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari_unet_mic.training.run import RunSettings

AUGMENTATIONS = {"nnunet": "nnU-Net", "light": "light", "none": "none"}
PRECISIONS = {
    "auto": "auto",
    "float32": "32 bit",
    "bfloat16": "16 bit (bfloat)",
    "float16": "16 bit (half)",
}
USUAL = RunSettings(dataset="", workspace="", name="a")
_WORDS: dict[str, Callable[[Any], str]] = {
    "batch_size": lambda n: f"batch {n}",
    "patch_size": lambda size: f"patch {'×'.join(map(str, size))}",
    "early_stopping_epochs": lambda n: f"ends after {n} epochs without gain",
    "augmentation": lambda kind: f"augmentation {AUGMENTATIONS.get(kind, kind)}",
    "precision": lambda kind: PRECISIONS.get(kind, kind),
    "learning_rate": lambda rate: f"rate {rate:g}",
    "warm_up_iterations": lambda n: f"warm-up {n}",
    "foreground_oversampling": lambda share: f"foreground {100 * share:.0f} %",
    "focus_class": lambda _: "centred on lesions",
    "class_weights": lambda weights: f"weights {' '.join(f'{w:g}' for w in weights)}",
    "seed": lambda n: f"seed {n}",
}
FIELDS = tuple(_WORDS)
"""The `RunSettings` fields under "More settings"."""


def values_of(settings: RunSettings) -> dict[str, Any]:
    """Return those fields of a run's settings."""
    return {field: getattr(settings, field) for field in FIELDS}


def changes(values: Mapping[str, Any]) -> str:
    """Say what differs from nnU-Net's recipe.

    Examples
    --------
    >>> changes({**values_of(USUAL), "batch_size": 4, "augmentation": "light"})
    'batch 4 · augmentation light'
    """
    usual = values_of(USUAL)
    parts = [_WORDS[field](value) for field, value in values.items() if value != usual[field]]
    return " · ".join(parts) or "nnU-Net's recipe"
