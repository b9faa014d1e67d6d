"""Trained models as the Predict panel lists them: what a model folder says without its weights.

A run of the workspace is a model folder, and so is what nnU-Net v2 leaves. Weights are read
by the prediction process only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_unet_mic.data.files import read_json
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadCheckpoint, UNetMicError

CHECKPOINTS = ("final", "best", "latest")
Fold = int | str


@dataclass(frozen=True)
class Model:
    """A model folder: which folds have which checkpoint, its channels and classes."""

    folder: Path
    channel_names: tuple[str, ...]
    classes: Mapping[int, str]
    folds: Mapping[str, tuple[Fold, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name: that of the run."""
        return self.folder.name

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The kinds of checkpoint there are, the finished one first."""
        return tuple(kind for kind in CHECKPOINTS if self.folds.get(kind))


def read_model(folder: Path) -> Model:
    """Read what a model folder says about itself.

    Raises
    ------
    UnreadableFile
        When its dataset.json is missing or damaged.
    BadCheckpoint
        When it has no checkpoint.
    """
    about = read_json(folder / "dataset.json")
    if not isinstance(about, dict):
        about = {}
    folds = {kind: _folds(folder, kind) for kind in CHECKPOINTS}
    if not any(folds.values()):
        raise BadCheckpoint(
            folder,
            expected="fold_0/checkpoint_final.pth, or that of another fold",
            got="no checkpoint in any fold",
            advice="choose the folder that holds plans.json, dataset.json and the folds",
        )
    channels = about.get("channel_names", about.get("modality", {}))
    names = tuple(str(name) for name in channels.values()) if isinstance(channels, dict) else ()
    return Model(folder, names, _classes(about.get("labels")), folds)


def models_of(workspace: Workspace) -> tuple[Model, ...]:
    """Return the runs of a workspace that have a checkpoint, the newest first."""
    found = []
    for file in workspace.runs.glob("*/dataset.json"):
        try:
            found.append((file.stat().st_mtime, read_model(file.parent)))
        except (OSError, UNetMicError):
            continue  # made a moment ago: no checkpoint yet
    return tuple(model for _, model in sorted(found, key=lambda one: -one[0]))


def _folds(folder: Path, kind: str) -> tuple[Fold, ...]:
    names = [file.parent.name[5:] for file in folder.glob(f"fold_*/checkpoint_{kind}.pth")]
    numbers = sorted(int(name) for name in names if name.isdecimal())
    return (*numbers, *(name for name in names if name == "all"))


def _classes(labels: Any) -> dict[int, str]:
    """Return value -> name; a class made of several values goes by its first."""
    if not isinstance(labels, dict):
        return {0: "background"}
    found = {}
    for name, value in labels.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, int) and name != "ignore":
            found[first] = str(name)
    return dict(sorted(found.items())) or {0: "background"}
