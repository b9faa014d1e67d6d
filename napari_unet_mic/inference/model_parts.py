"""Which parts of a model are used: its folds, its configuration, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from napari_unet_mic.errors import BadCheckpoint
from napari_unet_mic.network.checkpoint import Fold, ModelFolder, configuration_of


def chosen_folds(
    model: ModelFolder, folds: Sequence[Fold] | None, checkpoint: str
) -> tuple[Fold, ...]:
    """Return the folds asked for, else those there are; which files, is looked up later."""
    if folds:
        return tuple(int(f) if str(f).isdecimal() else str(f) for f in folds)
    return model.folds(checkpoint) or (0,)


def configuration_name(
    model: ModelFolder, loaded: Sequence[Mapping[str, Any]], files: Sequence[str]
) -> str:
    """Return the one configuration of all folds; `BadCheckpoint` when they differ."""
    names = [configuration_of(one) or model.configuration_name for one in loaded]
    for name, file in zip(names, files, strict=True):
        if name != names[0]:
            raise BadCheckpoint(
                file,
                expected=f"the configuration {names[0]}, as in the first fold",
                got=name,
                advice="predict with folds of one configuration",
            )
    return names[0]


def model_sentence(name: str, folds: Sequence[Fold], checkpoint: str) -> str:
    """Return what is predicted with."""
    listed = ", ".join(map(str, folds))
    plural = "the mean of folds" if len(folds) > 1 else "fold"
    return f"Predicting with {name}, {plural} {listed} ({checkpoint} checkpoint)."


def mirroring_sentence(
    asked: bool | None, axes: Sequence[int], n_allowed: int, device: torch.device
) -> str:
    """Return whether mirroring is on, and why."""
    times = 2**n_allowed
    if axes:
        return f"Mirroring is on: every patch is predicted {times} times and averaged."
    if n_allowed == 0:
        return "Mirroring is off: the model was trained without it."
    if asked is None:
        return f"Mirroring is off: on a {device.type.upper()} it would take {times} times as long."
    return "Mirroring is off, as asked."
