"""The settings of a run: what the person asked for, checked field by field.

In: the words of the options of ``unet-mic train``, or the JSON of a ``run.json``. Out: a
frozen record in which every number is within its bounds. Whether a value fits the dataset or
the plan (a fold, a class, a patch) is seen by `training.prepare`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unet_mic.errors import BadInput

AUGMENTATIONS = ("nnunet", "light", "none")
"""`RunSettings.augmentation`: see there."""

FOLD_WORDS = ("all", "each")


@dataclass(frozen=True)
class RunSettings:
    """What the person asked for; the same words as the options of ``unet-mic train``.

    Attributes
    ----------
    fold
        A fold's number; "all" (every case trains, none is held out); "each": the five folds
        in turn in one run folder (``fold_0`` … ``fold_4``), then gathered as nnU-Net does.
    test
        The held-out cases, or one file that lists them; None keeps what the workspace has.
    plans, splits
        Files to use instead of making them.
    patients, patient_pattern
        Whose cases must stay on one side of the folds.
    mirroring
        Of the validation at the end: None mirrors on a GPU and not on a CPU.
    learning_rate, foreground_oversampling
        nnU-Net's by default; the latter is the share of a batch that must hold foreground.
    augmentation
        "nnunet": nnU-Net's whole recipe. "light": mirroring, and small changes of intensity
        (noise, brightness, contrast), nothing that moves or blurs a voxel. "none": plain
        patches; the model is then not mirrored when it predicts either.
    checkpoint_minutes
        Bounds what a kill in the middle of a long epoch can cost.
    early_stopping_epochs
        End when the moving average of the pseudo Dice has not become better for so many
        epochs; None trains all epochs. The learning rate falls as if all were trained.
    batch_size, patch_size
        Instead of the plan's. `patch_size` is (z, y, x) in the order of the plan's axes, z = 1
        for a 2-D configuration; the network's strides must divide it. Both are written into
        the run's plans.json, so that predictions and nnU-Net use them.
    class_weights
        Of the cross entropy: one for each class, in the order of the classes' values,
        background first; None weighs all alike.
    focus_class
        The class whose connected components are equally likely centres of the patches that
        must hold foreground, so that small ones are seen as often as large ones; None centres
        on any voxel of any class, as nnU-Net does. See `training.presets`.
    warm_up_iterations
        The learning rate rises linearly over so many iterations; 0, as nnU-Net, not at all.
    """

    dataset: str
    workspace: str
    name: str
    configuration: str = "3d_fullres"
    fold: int | str = 0
    planner: str = "default"
    gpu_memory_gb: float | None = None
    plans: str | None = None
    epochs: int = 1000
    iterations_per_epoch: int = 250
    validation_iterations: int = 50
    device: str = "auto"
    seed: int = 0
    start_from: str | None = None
    splits: str | None = None
    patients: str | None = None
    patient_pattern: str | None = None
    test: tuple[str, ...] | None = None
    mirroring: bool | None = None
    precision: str = "auto"
    learning_rate: float = 1e-2
    foreground_oversampling: float = 0.33
    augmentation: str = "nnunet"
    checkpoint_minutes: float = 5.0
    early_stopping_epochs: int | None = None
    batch_size: int | None = None
    patch_size: tuple[int, int, int] | None = None
    class_weights: tuple[float, ...] | None = None
    focus_class: int | None = None
    warm_up_iterations: int = 0

    def __post_init__(self) -> None:
        self._check(
            "name",
            bool(re.fullmatch(r"[\w][\w .+-]*", self.name)) and not self.name.endswith("."),
            "letters, digits, - _ . + and spaces, not starting with a dot",
        )
        folds = self.fold in FOLD_WORDS or (isinstance(self.fold, int) and self.fold >= 0)
        self._check("fold", folds, "a fold number from 0, 'all', or 'each'")
        for field in ("epochs", "iterations_per_epoch"):
            self._check(field, getattr(self, field) >= 1, "at least 1")
        for field in ("validation_iterations", "seed", "warm_up_iterations"):
            self._check(field, getattr(self, field) >= 0, "at least 0")
        for field in ("early_stopping_epochs", "batch_size", "focus_class"):
            value = getattr(self, field)
            self._check(field, value is None or value >= 1, "at least 1")
        self._check("learning_rate", 0 < self.learning_rate < 10, "between 0 and 10")
        self._check(
            "foreground_oversampling", 0 <= self.foreground_oversampling <= 1, "between 0 and 1"
        )
        self._check("augmentation", self.augmentation in AUGMENTATIONS, " or ".join(AUGMENTATIONS))
        self._check_patch_and_weights()

    def _check_patch_and_weights(self) -> None:
        patch, weights = self.patch_size, self.class_weights
        self._check(
            "patch_size",
            patch is None or (len(patch) == 3 and all(n >= 1 for n in patch)),
            "three sizes of at least 1: z, y, x (z = 1 for a 2-D configuration)",
        )
        positive = weights is None or (
            len(weights) >= 2 and all(math.isfinite(w) and w >= 0 for w in weights) and any(weights)
        )
        self._check("class_weights", positive, "one weight of at least 0 for each class")
        if self.early_stopping_epochs is not None:
            self._check(
                "validation_iterations",
                self.validation_iterations >= 1,
                "at least 1, since early stopping looks at the validation patches",
            )

    def _check(self, field: str, holds: bool, expected: str) -> None:
        if not holds:
            got = repr(getattr(self, field))
            advice = "change this setting of the run"
            raise BadInput(field, expected=expected, got=got, advice=advice)

    @property
    def folder(self) -> Path:
        """Where the run lies: ``workspace/runs/name``."""
        return Path(self.workspace) / "runs" / self.name

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON knows them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunSettings:
        """Read settings; fields of a later release are passed over."""
        known = {f.name for f in dataclasses.fields(cls)}
        given: dict[str, Any] = {k: v for k, v in values.items() if k in known}
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        return cls(**given)

    def absolute(self) -> RunSettings:
        """Return the settings with every path made absolute."""

        def whole(path: str | None) -> str | None:
            return None if path is None else str(Path(path).expanduser().absolute())

        test = self.test
        if test is not None and len(test) == 1 and Path(test[0]).expanduser().is_file():
            test = (str(whole(test[0])),)
        return dataclasses.replace(
            self,
            dataset=str(whole(self.dataset)),
            workspace=str(whole(self.workspace)),
            plans=whole(self.plans),
            start_from=whole(self.start_from),
            splits=whole(self.splits),
            patients=whole(self.patients),
            test=test,
        )
