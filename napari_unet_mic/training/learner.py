"""The network and its optimiser: one training step, one validation step, checkpoints.

What enters: batches. What leaves: losses, pseudo scores, and checkpoint files in nnU-Net's
layout from which training goes on exactly where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.errors import BadCheckpoint, BadInput
from napari_unet_mic.network import checkpoint
from napari_unet_mic.network.build import build_network
from napari_unet_mic.network.channels_last import order_for
from napari_unet_mic.network.unet import UNet
from napari_unet_mic.planning.plan import Configuration, Plan
from napari_unet_mic.training.events import ClassScores
from napari_unet_mic.training.losses import deep_supervision_loss
from napari_unet_mic.training.patches import Batch
from napari_unet_mic.training.run import RunSettings
from napari_unet_mic.training.schedule import MOMENTUM, step_of

WEIGHT_DECAY, CLIP, EMA = 3e-5, 12.0, 0.9

RECORD = (
    "mean_fg_dice",
    "ema_fg_dice",
    "dice_per_class_or_region",
    "train_losses",
    "val_losses",
    "lrs",
    "epoch_start_timestamps",
    "epoch_end_timestamps",
)
"""What nnU-Net's checkpoints keep of every epoch (`Learner.logging`)."""


@dataclass
class Place:
    """How far a run has come: epochs finished, iterations of the next one, their losses."""

    epoch: int = 0
    iteration: int = 0
    losses: list[float] = field(default_factory=list)


class Learner:
    """A network in training; all its state can be saved and taken up again.

    Parameters
    ----------
    plan, configuration, dataset
        They determine the network and go into its checkpoints.
    settings
        Epochs, learning rate, seed.
    device, precision
        Where and in which number type; anything but float32 means autocast.
    """

    def __init__(
        self,
        plan: Plan,
        configuration: Configuration,
        dataset: Dataset,
        settings: RunSettings,
        *,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        self.plan = plan
        self.configuration = configuration
        self.dataset = dataset
        self.settings = settings
        self.device = device
        self.precision = precision
        self.network = self._new_network()
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            settings.learning_rate,
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=WEIGHT_DECAY,
        )
        scaled = device.type == "cuda" and precision == torch.float16
        self.scaler = torch.amp.GradScaler("cuda") if scaled else None
        self.rate = settings.learning_rate
        self.note_on_threads = ""
        self.class_weights: Tensor | None = None
        if settings.class_weights is not None:
            self.class_weights = torch.tensor(settings.class_weights, device=device)
        self.best_ema: float | None = None
        self.logging: dict[str, list[Any]] = {name: [] for name in RECORD}

    def _new_network(self) -> UNet:
        """Return the network with the seed's first weights, on the device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = build_network(
                self.configuration, len(self.dataset.channel_names), len(self.dataset.classes)
            )
        network.to(self.device)
        order_for(network, self.device, self.precision)
        return network

    @property
    def parameters(self) -> int:
        """The number of trained numbers."""
        return sum(p.numel() for p in self.network.parameters())

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    def set_rate(self, epoch: int, iteration: int = 0) -> float:
        """Set rate and momentum of an epoch's iteration; returns the rate (see `schedule`)."""
        step = step_of(self.settings, epoch * self.settings.iterations_per_epoch + iteration)
        self.rate = step.rate
        for group in self.optimizer.param_groups:
            group["lr"], group["momentum"] = step.sgd_rate, step.momentum
        return step.rate

    def _loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with self._autocast():
            outputs = self.network(images)
        loss = deep_supervision_loss(
            outputs,
            labels,
            batch_dice=self.configuration.batch_dice,
            ignore_value=self.dataset.ignore_value,
            class_weights=self.class_weights,
        )
        return loss, outputs[0]

    def train_step(self, batch: Batch) -> Tensor:
        """Learn from one batch; returns its loss, still on the device.

        A batch whose gradients are not finite teaches nothing: the weights stay as they are, so
        that no checkpoint ever holds a NaN.
        """
        images = batch.images.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        loss, _ = self._loss(images, labels)
        if self.scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            if bool(torch.isfinite(norm)):
                self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss.detach()

    @torch.no_grad()
    def answer(self, image: Tensor) -> Tensor:
        """Return the classes (*space) that the network gives an image patch (C, *space) now."""
        with self._autocast():
            outputs = self.network(image[None].to(self.device))
        classes: Tensor = outputs[0][0].argmax(0)
        return classes

    def rest(self) -> str:
        """Move network and optimiser off a GPU; says what became of the memory."""
        if self.device.type == "cpu":
            return "on a CPU: the memory stays with the process"
        self._move(torch.device("cpu"))
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()
        return "GPU memory is given back"

    def wake(self) -> None:
        """Move network and optimiser back to where they compute."""
        if self.device.type != "cpu":
            self._move(self.device)

    def _move(self, device: torch.device) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.network.to(device)
        for state in self.optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    state[name] = value.to(device)

    @property
    def checkpoint_bytes(self) -> int:
        """About how large a checkpoint is: weights, and one momentum for each."""
        return 2 * sum(p.numel() * p.element_size() for p in self.network.parameters()) + 2**20

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> tuple[float, ClassScores, ClassScores]:
        """Return mean loss, pseudo Dice and pseudo IoU per foreground class over batches.

        The counts of all batches are added up before dividing; a class in neither
        reference nor prediction has None.
        """
        self.network.eval()
        values = [value for value in self.dataset.class_values if value != 0]
        counts = torch.zeros(3, len(values), dtype=torch.int64, device=self.device)
        losses: list[Tensor] = []
        for batch in batches:
            labels = batch.labels.to(self.device)
            loss, logits = self._loss(batch.images.to(self.device), labels)
            losses.append(loss)
            predicted = logits.argmax(1)  # (B, *space)
            valid = torch.ones_like(labels, dtype=torch.bool)
            if self.dataset.ignore_value is not None:
                valid = labels != self.dataset.ignore_value
            for row, value in enumerate(values):
                ours, theirs = (predicted == value) & valid, (labels == value) & valid
                counts[0, row] += (ours & theirs).sum()
                counts[1, row] += (ours & ~theirs).sum()
                counts[2, row] += (theirs & ~ours).sum()
        self.network.train()
        dice: ClassScores = {}
        iou: ClassScores = {}
        for value, (tp, fp, fn) in zip(values, counts.T.tolist(), strict=True):
            dice[value] = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
            iou[value] = tp / (tp + fp + fn) if tp + fp + fn else None
        loss_mean = float(torch.stack(losses).mean()) if losses else math.nan
        return loss_mean, dice, iou

    def note_epoch(
        self, *, train_loss: float, val_loss: float, dice: ClassScores, rate: float, began: float
    ) -> tuple[float, bool]:
        """Put an epoch into nnU-Net's record; returns the EMA of Dice and whether it is the best.

        Notes
        -----
        nnU-Net: ema = 0.9 · ema + 0.1 · mean foreground Dice, beginning with the first.
        """
        known = [value for value in dice.values() if value is not None]
        mean = sum(known) / len(known) if known else math.nan
        record = self.logging
        before = record["ema_fg_dice"][-1] if record["ema_fg_dice"] else math.nan
        if math.isnan(before) or math.isnan(mean):
            ema = mean if math.isnan(before) else before
        else:
            ema = EMA * before + (1 - EMA) * mean
        for name, value in (
            ("mean_fg_dice", mean),
            ("ema_fg_dice", ema),
            ("dice_per_class_or_region", [v if v is not None else math.nan for v in dice.values()]),
            ("train_losses", train_loss),
            ("val_losses", val_loss),
            ("lrs", rate),
            ("epoch_start_timestamps", began),
            ("epoch_end_timestamps", time.time()),
        ):
            record[name].append(value)
        is_best = not math.isnan(ema) and (self.best_ema is None or ema > self.best_ema)
        if is_best:
            self.best_ema = ema
        return ema, is_best

    def save(self, file: Path, place: Place) -> None:
        """Write a checkpoint in nnU-Net's layout, with what an exact resume needs beside it.

        A network that never saw a mirrored patch is not to be mirrored when it predicts, as
        nnU-Net's trainers without augmentation say too.
        """
        mirrored = self.settings.augmentation != "none"
        mirror_axes = tuple(range(self.configuration.ndim)) if mirrored else None
        checkpoint.save(
            file,
            network=self.network,
            init_args={
                "plans": self.plan.to_json(),
                "configuration": self.configuration.name,
                "fold": self.settings.fold,
                "dataset_json": self.dataset.nnunet_json(),
                "device": torch.device(self.device.type),
            },
            current_epoch=place.epoch,
            optimizer_state=self._optimizer_state(),
            grad_scaler_state=self.scaler.state_dict() if self.scaler else None,
            logging=self.logging,
            best_ema=self.best_ema,
            mirror_axes=mirror_axes,
            extra={
                "unet_mic": {
                    "iteration": place.iteration,
                    "losses": list(place.losses),
                    "seed": self.settings.seed,
                    "threads": torch.get_num_threads(),
                }
            },
        )

    def _optimizer_state(self) -> dict[str, Any]:
        """Return SGD's state with rate and momentum as nnU-Net, going on with it, expects them."""
        state: dict[str, Any] = self.optimizer.state_dict()
        for group in state["param_groups"]:
            group["lr"], group["momentum"] = self.rate, MOMENTUM
        return state

    def resume(self, file: Path) -> Place:
        """Take up a checkpoint's whole state; returns how far it had come.

        Raises
        ------
        BadCheckpoint
            When it has no optimiser state to go on from.
        """
        found = checkpoint.load(file)
        checkpoint.load_weights(self.network, found, self.configuration, file=file)
        if not found.get("optimizer_state"):
            raise BadCheckpoint(
                file,
                expected="the optimiser's state, to go on training",
                got="none",
                advice="start a new run from these weights instead (--from)",
            )
        self.optimizer.load_state_dict(found["optimizer_state"])
        if self.scaler is not None and found.get("grad_scaler_state"):
            self.scaler.load_state_dict(found["grad_scaler_state"])
        for name, values in (found.get("logging") or {}).items():
            if name in self.logging:
                self.logging[name] = list(values)
        self.best_ema = found.get("_best_ema")
        ours = found.get("unet_mic") or {}
        before, now = ours.get("threads"), torch.get_num_threads()
        if self.device.type == "cpu" and before not in (None, now):
            self.note_on_threads = (
                f"Computed with {before} threads until here and with {now} from here: the last "
                "bits of the weights will not be those of a run that was left alone."
            )
        return Place(
            int(found["current_epoch"]), int(ours.get("iteration", 0)), list(ours.get("losses", []))
        )

    def start_from(self, file: Path) -> str:
        """Take the weights of another model; its output layer only when the classes agree.

        Returns the sentence that says what was taken.
        """
        found: Mapping[str, Any] = checkpoint.load(file)
        weights = checkpoint.plain_names(found["network_weights"])
        own = self.network.state_dict()
        fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
        left = [name for name in own if name not in fitting]
        if any(".seg_layers." not in name for name in left):
            first = next(name for name in left if ".seg_layers." not in name)
            raise BadInput(
                file,
                expected=f"weights of this plan's network ({first} {tuple(own[first].shape)})",
                got=str(tuple(weights[first].shape)) if first in weights else "none of that name",
                advice="start from a model of the same plan, or from scratch",
            )
        self.network.load_state_dict(fitting, strict=False)
        if left:
            return f"Starting from {file}; the output layers are new, since the classes differ."
        return f"Starting from {file}."
