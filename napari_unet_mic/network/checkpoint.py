"""nnU-Net model folders and their checkpoints, in and out, without running code.

A model folder holds `plans.json`, `dataset.json` and `fold_X/checkpoint_final.pth` (or
`best`, `latest`); X is a number or `all`. A run's folder is a model folder. Checkpoints
are read with `weights_only` and a short list of numpy types; what asks for more is refused.
"""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
import weakref
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_unet_mic.data.files import read_json, write_whole
from napari_unet_mic.errors import BadCheckpoint, NotYet, UnreadableFile
from napari_unet_mic.network.archive import model_inside, unpack_model
from napari_unet_mic.network.build import check_weights
from napari_unet_mic.network.unet import UNet
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan

try:
    from numpy._core.multiarray import scalar
except ImportError:  # numpy 1
    from numpy.core.multiarray import scalar  # type: ignore[no-redef]

Fold = int | str
KINDS = ("final", "best", "latest")

# what nnU-Net's own bookkeeping (losses, Dice, epoch) is pickled as
_ALLOWED: list[Any] = [
    (scalar, "numpy._core.multiarray.scalar"),
    (scalar, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(code)) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8")),
    *(type(np.dtype(code)) for code in ("u1", "u2", "u4", "u8", "?")),
]


@dataclass(frozen=True)
class ModelFolder:
    """A trained model: the plan, the dataset's channels and classes, the folds on disk."""

    folder: Path
    plan: Plan
    dataset_json: dict[str, Any]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ModelFolder:
        """Open a model folder (or a run's, or a model's zip); no weights are read yet.

        A zip is unpacked into a temporary folder, which goes when the model does. A folder
        that holds one model folder stands for it.

        Raises
        ------
        UnreadableFile
            The folder, its plans.json or its dataset.json is missing or not JSON.
        BadPlan
            The plan cannot be used.
        BadCheckpoint
            There are several models, or the zip has names that climb out of it.
        NotYet
            A folder of nnU-Net v1.
        """
        folder = Path(folder)
        if folder.is_file() and folder.suffix == ".zip":
            unpacked = unpack_model(folder)
            try:
                model = cls._open(model_inside(unpacked))
            except BaseException:
                shutil.rmtree(unpacked, ignore_errors=True)
                raise
            weakref.finalize(model, shutil.rmtree, unpacked, ignore_errors=True)
            return model
        return cls._open(model_inside(folder))

    @classmethod
    def _open(cls, folder: Path) -> ModelFolder:
        if folder.name.startswith("fold_") and not (folder / "plans.json").exists():
            folder = folder.parent
        if not folder.is_dir():
            raise UnreadableFile(
                folder,
                expected="a model folder",
                got="nothing" if not folder.exists() else "a file",
                advice="give the folder that holds plans.json, dataset.json and fold_0",
            )
        if (folder / "plans.pkl").exists() and not (folder / "plans.json").exists():
            raise NotYet("predicting with a model of nnU-Net v1")
        for name in ("plans.json", "dataset.json"):
            if not (folder / name).is_file():
                raise UnreadableFile(
                    folder / name,
                    expected=f"the model's {name}",
                    got="no such file",
                    advice="a model folder holds plans.json, dataset.json and fold_0/"
                    "checkpoint_final.pth; was this one copied whole?",
                )
        return cls(folder, read_plan(folder / "plans.json"), read_json(folder / "dataset.json"))

    def folds(self, checkpoint: str = "final") -> tuple[Fold, ...]:
        """Folds that have this checkpoint: the numbers in order; `("all",)` without any."""
        names = [
            file.parent.name[5:] for file in self.folder.glob(f"fold_*/{_file_name(checkpoint)}")
        ]
        numbers = sorted(int(name) for name in names if name.isdecimal())
        return tuple(numbers) or (("all",) if "all" in names else ())

    def file(self, fold: Fold, checkpoint: str = "final") -> Path:
        """The checkpoint file of a fold.

        Raises
        ------
        BadCheckpoint
            There is none; the sentence says what there is.
        """
        file = self.folder / f"fold_{fold}" / _file_name(checkpoint)
        if file.is_file():
            return file
        there = {
            kind: [file.parent.name for file in self.folder.glob(f"fold_*/{_file_name(kind)}")]
            for kind in KINDS
        }
        got = "; ".join(
            f"{kind} in {', '.join(sorted(names))}" for kind, names in there.items() if names
        )
        raise BadCheckpoint(
            file,
            expected=f"the {checkpoint} checkpoint of fold {fold}",
            got=got or "no checkpoint in any fold",
            advice="choose one of those" if got else "train the model, or copy it whole",
        )

    @cached_property
    def configuration_name(self) -> str:
        """The configuration that was trained: from the folder's name, else from a checkpoint.

        Raises
        ------
        BadCheckpoint
            Neither says it.
        """
        name = self.folder.name.rpartition("__")[2]
        if "__" in self.folder.name and name in self.plan.configurations:
            return name
        files = [self.file(fold, kind) for kind in KINDS for fold in self.folds(kind)]
        for file in files or [self.file(0)]:
            if found := configuration_of(load(file)):
                return found
        raise BadCheckpoint(
            files[0],
            expected="init_args with the configuration's name",
            got="none",
            advice="name the folder Trainer__Plans__CONFIGURATION, as nnU-Net does",
        )

    @property
    def n_channels(self) -> int:
        """Image channels, from dataset.json."""
        names = self.dataset_json.get("channel_names", self.dataset_json.get("modality"))
        if not isinstance(names, dict) or not names:
            raise self._bad_dataset("channel_names", "none")
        return len(names)

    @property
    def n_classes(self) -> int:
        """Classes of the logits, background included (an `ignore` label is none of them).

        Raises
        ------
        NotYet
            The labels are regions (lists of values).
        """
        labels = self.dataset_json.get("labels")
        if not isinstance(labels, dict) or len(labels) < 2:
            raise self._bad_dataset("labels of at least two classes", repr(labels)[:60])
        values = {name: value for name, value in labels.items() if name != "ignore"}
        if any(isinstance(value, list) and len(value) > 1 for value in values.values()):
            raise NotYet("a model trained on regions (labels that are lists)")
        return len(values)

    def _bad_dataset(self, expected: str, got: str) -> BadCheckpoint:
        return BadCheckpoint(
            self.folder / "dataset.json",
            expected=expected,
            got=got,
            advice="copy the dataset.json of the dataset the model was trained on",
        )


def load(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint onto the CPU without running any code it may hold.

    Raises
    ------
    UnreadableFile
        Missing, empty, a Git-LFS pointer, truncated, or no checkpoint at all.
    BadCheckpoint
        It asks for Python objects beyond tensors, numbers and containers, or
        lacks `network_weights`.

    Notes
    -----
    `torch.load(weights_only=True)` with numpy's scalar, dtype and number types allowed:
    nnU-Net's loss and Dice records are numpy scalars.
    """
    file = Path(file)
    if not file.is_file():
        raise UnreadableFile(
            file, expected="a checkpoint", got="no such file", advice="check the path"
        )
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise UnreadableFile(
            file,
            expected="a checkpoint",
            got="a Git-LFS pointer",
            advice="fetch the real file with `git lfs pull`",
        )
    try:
        with torch.serialization.safe_globals(_ALLOWED), warnings.catch_warnings():
            # a plain pickle: what is wrong with it is said below
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(file, str(error)) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UnreadableFile(
            file,
            expected="a whole checkpoint",
            got=f"a damaged or truncated file of {file.stat().st_size} bytes",
            advice="copy it again from where it was trained",
        ) from error
    if not isinstance(checkpoint, dict) or "network_weights" not in checkpoint:
        keys = ", ".join(map(str, checkpoint)) if isinstance(checkpoint, dict) else "no dict"
        raise BadCheckpoint(
            file,
            expected="an nnU-Net checkpoint with network_weights",
            got=keys[:120],
            advice="choose a checkpoint_final, _best or _latest.pth of a model folder",
        )
    return checkpoint


def _refused(file: Path, message: str) -> BadCheckpoint | UnreadableFile:
    """Turn torch's refusal into a sentence that names what the file wanted to build."""
    _, found, rest = message.partition("GLOBAL ")
    if not found:
        _, found, rest = message.partition("function ")
    if not found:
        return UnreadableFile(
            file,
            expected="a checkpoint written by torch",
            got="something else, or a damaged file",
            advice="copy it again from where it was trained",
        )
    return BadCheckpoint(
        file,
        expected="weights, numbers and text only",
        got=f"a checkpoint that would build {rest.split()[0]}",
        advice="nothing of it was run; save it again as weights only, or train the model again",
    )


def configuration_of(checkpoint: Mapping[str, Any]) -> str | None:
    """The configuration a checkpoint was trained with, from `init_args`; None: it does not say."""
    arguments = checkpoint.get("init_args")
    name = arguments.get("configuration") if isinstance(arguments, dict) else None
    return name if isinstance(name, str) else None


def load_weights(
    network: UNet,
    checkpoint: Mapping[str, Any],
    configuration: Configuration,
    *,
    file: str | os.PathLike[str] = "the checkpoint",
) -> None:
    """Check that a checkpoint's weights fit the configuration and put them into the network.

    A network without values (`build_network(..., initialize=False)`) takes the
    checkpoint's tensors themselves; any other keeps its own and copies.

    Raises
    ------
    StageMismatch, ChannelMismatch, BadCheckpoint
        As `network.build.check_weights`.
    """
    weights = plain_names(checkpoint["network_weights"])
    check_weights(configuration, weights, network.n_channels, network.n_classes, thing=str(file))
    empty = next(network.parameters()).is_meta
    network.load_state_dict(weights, assign=empty)


def plain_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights without the prefixes of DistributedDataParallel and torch.compile."""
    return {
        name.removeprefix("module.").removeprefix("_orig_mod."): tensor
        for name, tensor in weights.items()
    }


def save(
    file: str | os.PathLike[str],
    *,
    network: nn.Module,
    init_args: Mapping[str, Any],
    current_epoch: int,
    optimizer_state: Mapping[str, Any] | None = None,
    grad_scaler_state: Mapping[str, Any] | None = None,
    logging: Mapping[str, Any] | None = None,
    best_ema: float | None = None,
    trainer_name: str = "nnUNetTrainer",
    mirror_axes: tuple[int, ...] | None = (0, 1, 2),
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint as nnU-Net does: whole beside its target, then renamed.

    Parameters
    ----------
    init_args
        What nnU-Net's trainer was made with: `plans`, `configuration`, `fold`,
        `dataset_json`, `device`.
    current_epoch
        Epochs finished.
    logging
        nnU-Net's record: lists by name (`train_losses`, `ema_fg_dice`, …).
    mirror_axes
        Spatial axes along which predictions may be mirrored.
    extra
        Further entries (the state of random generators); nnU-Net passes over them.
    """
    checkpoint = {
        **(extra or {}),
        "network_weights": _on_cpu(network.state_dict()),
        "optimizer_state": optimizer_state,
        "grad_scaler_state": grad_scaler_state,
        "logging": dict(logging or {}),
        "_best_ema": best_ema,
        "current_epoch": current_epoch,
        "init_args": dict(init_args),
        "trainer_name": trainer_name,
        "inference_allowed_mirroring_axes": mirror_axes,
    }
    write_whole(Path(file), lambda whole: torch.save(checkpoint, whole))


def _on_cpu(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict on the CPU, duplicates still one tensor (and stored once)."""
    moved: dict[int, torch.Tensor] = {}
    for tensor in weights.values():
        if tensor.data_ptr() not in moved:
            moved[tensor.data_ptr()] = tensor.detach().cpu()
    return {name: moved[tensor.data_ptr()] for name, tensor in plain_names(weights).items()}


def _file_name(checkpoint: str) -> str:
    return f"checkpoint_{checkpoint}.pth"
