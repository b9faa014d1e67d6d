"""The epochs of one run: learn, validate on patches, say so, keep checkpoints.

What enters: a run's materials and its device. What leaves: events, and the checkpoints
latest (to go on from), best (largest EMA of pseudo Dice) and final.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path

import torch

from napari_unet_mic.errors import BadInput
from napari_unet_mic.network.checkpoint import ModelFolder
from napari_unet_mic.preprocessing.store import PreparedStore
from napari_unet_mic.training import events
from napari_unet_mic.training.augment import Recipe
from napari_unet_mic.training.events import Event, in_force, read_events
from napari_unet_mic.training.learner import Learner, Place
from napari_unet_mic.training.patches import TRAINING, VALIDATION, Batch, PatchSampler, ahead
from napari_unet_mic.training.prepare import Materials
from napari_unet_mic.training.run import Run

Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]


class Stopped(Exception):
    """Training was asked to stop; the latest checkpoint lies on disk."""

    def __init__(self, place: Place) -> None:
        super().__init__("stopped")
        self.place = place


class Training:
    """The epochs of one run, from its latest checkpoint to its final one."""

    def __init__(
        self,
        run: Run,
        materials: Materials,
        device: torch.device,
        precision: torch.dtype,
        emit: Emit,
        should_stop: ShouldStop,
    ) -> None:
        self.run, self.settings, self.materials = run, run.settings, materials
        self.emit, self.should_stop = emit, should_stop
        self.learner = Learner(
            materials.plan,
            materials.configuration,
            materials.dataset,
            run.settings,
            device=device,
            precision=precision,
        )
        store = PreparedStore(materials.preprocessed)
        recipe = Recipe.for_patch(
            materials.configuration.patch_size, materials.configuration.use_mask_for_norm
        )

        def sampler(names: tuple[str, ...], stream: int, *, augment: bool) -> PatchSampler:
            return PatchSampler(
                store,
                names,
                batch_size=materials.configuration.batch_size,
                recipe=recipe,
                seed=run.settings.seed,
                stream=stream,
                oversampling=run.settings.foreground_oversampling,
                augment=augment,
                ignore_value=materials.dataset.ignore_value,
                device=device if device.type == "cuda" else None,
            )

        augment = run.settings.augmentation != "none"
        self.training = sampler(materials.training, TRAINING, augment=augment)
        self.validation = sampler(
            materials.validation or materials.training, VALIDATION, augment=False
        )
        self.threads = 1 if device.type == "cpu" else max(1, min(8, (os.cpu_count() or 2) - 1))
        self.saved_at = time.monotonic()
        self.said_at = 0.0

    def go(self, began: float) -> Place:
        """Train what is left and write the final checkpoint."""
        settings, run = self.settings, self.run
        if run.checkpoint("final").exists():
            return Place(settings.epochs)
        place = self._begin(began)
        while place.epoch < settings.epochs:
            self._epoch(place)
        self._save("final", Place(settings.epochs))
        run.checkpoint("latest").unlink(missing_ok=True)
        return place

    def _begin(self, began: float) -> Place:
        materials, settings = self.materials, self.settings
        self.emit(
            events.Prepared(
                training_cases=len(materials.training),
                validation_cases=len(materials.validation),
                test_cases=len(materials.test),
                patch_size=tuple(materials.configuration.patch_size),
                batch_size=materials.configuration.batch_size,
                n_stages=materials.configuration.architecture.n_stages,
                parameters=self.learner.parameters,
                seconds=time.monotonic() - began,
            )
        )
        if self.run.checkpoint("latest").exists():
            place = self.learner.resume(self.run.checkpoint("latest"))
            self.emit(events.Resumed(place.epoch, place.iteration))
            return place
        happened = in_force(read_events(self.run.events_file)[0])
        if any(isinstance(e, events.EpochFinished | events.IterationsFinished) for e in happened):
            self.emit(events.Resumed(0))
        if settings.start_from:
            said = self.learner.start_from(weights_file(Path(settings.start_from)))
            self.emit(events.Progress("train", 0, settings.epochs, note=said))
        return Place()

    def _epoch(self, place: Place) -> None:
        settings, learner = self.settings, self.learner
        per_epoch = settings.iterations_per_epoch
        began, clock = time.time(), time.monotonic()
        rate = learner.set_epoch(place.epoch)
        learner.network.train()
        first = place.iteration
        numbers = range(place.epoch * per_epoch + first, (place.epoch + 1) * per_epoch)
        pending: list[torch.Tensor] = []
        batches = ahead(self.training, numbers, threads=self.threads)
        try:
            for batch in batches:
                pending.append(learner.train_step(batch))
                place.iteration += 1
                self._between_iterations(place, pending, first, clock)
        finally:
            batches.close()
        self._take_losses(place, pending)
        per_iteration = (time.monotonic() - clock) / max(1, len(numbers))
        loss, dice, iou = learner.validate(self._validation_patches(place))
        train_loss = sum(place.losses) / len(place.losses)
        ema, is_best = learner.note_epoch(
            train_loss=train_loss, val_loss=loss, dice=dice, rate=rate, began=began
        )
        self.emit(
            events.EpochFinished(
                epoch=place.epoch,
                train_loss=train_loss,
                validation_loss=loss,
                dice=dice,
                iou=iou,
                learning_rate=rate,
                seconds=time.monotonic() - clock,
                seconds_per_iteration=per_iteration,
                ema_dice=ema,
                is_best=is_best,
                memory_bytes=memory_bytes(learner.device),
            )
        )
        place.epoch, place.iteration, place.losses = place.epoch + 1, 0, []
        if is_best:
            self._save("best", place)
        is_last = place.epoch == settings.epochs
        if not is_last and (time.monotonic() - self.saved_at > 60 or place.epoch % 50 == 0):
            self._save("latest", place)
        if not is_last and self.should_stop():
            self._save("latest", place)
            raise Stopped(place)

    def _between_iterations(
        self, place: Place, pending: list[torch.Tensor], first: int, clock: float
    ) -> None:
        settings, now = self.settings, time.monotonic()
        if self.should_stop():
            self._take_losses(place, pending)
            self._save("latest", place)
            raise Stopped(place)
        if now - self.said_at > max(2.0, (now - self.saved_at) / 100):
            self.said_at = now
            fresh = self._take_losses(place, pending)
            done = place.epoch * settings.iterations_per_epoch + place.iteration
            speed = (now - clock) / (place.iteration - first)
            self.emit(events.IterationsFinished(place.epoch, place.iteration, fresh, speed))
            self.emit(
                events.Progress("train", done, settings.epochs * settings.iterations_per_epoch)
            )
        if now - self.saved_at > settings.checkpoint_minutes * 60:
            self._take_losses(place, pending)
            self._save("latest", place)

    def _validation_patches(self, place: Place) -> Generator[Batch, None, None]:
        """Yield the epoch's validation batches; a stop between them keeps the epoch's training."""
        total = self.settings.validation_iterations
        numbers = range(place.epoch * total, (place.epoch + 1) * total)
        batches = ahead(self.validation, numbers, threads=self.threads)
        try:
            for done, batch in enumerate(batches):
                if self.should_stop():
                    self._save("latest", place)
                    raise Stopped(place)
                if time.monotonic() - self.said_at > 2.0:
                    self.said_at = time.monotonic()
                    self.emit(events.Progress("validation patches", done, total))
                yield batch
        finally:
            batches.close()

    def _take_losses(self, place: Place, pending: list[torch.Tensor]) -> float:
        """Move losses from the device into the epoch's record; returns the mean of the new."""
        fresh = torch.stack(pending).float().cpu().tolist() if pending else []
        pending.clear()
        if not all(map(math.isfinite, fresh)):
            raise BadInput(
                f"{self.run.name}: the training loss",
                expected="a finite number",
                got=f"{next(v for v in fresh if not math.isfinite(v))} in epoch {place.epoch}",
                advice="see that no image holds invalid values, or lower the learning rate; "
                "the last checkpoint is from before",
            )
        place.losses.extend(fresh)
        return sum(fresh) / len(fresh) if fresh else math.nan

    def _save(self, kind: str, place: Place) -> None:
        file = self.run.checkpoint(kind)
        file.parent.mkdir(parents=True, exist_ok=True)
        self.learner.save(file, place)
        if kind == "latest":
            self.saved_at = time.monotonic()
        self.emit(events.CheckpointSaved(kind, str(file), place.epoch, place.iteration))


def weights_file(path: Path) -> Path:
    """Return the checkpoint file of a model folder, or the file itself."""
    if path.is_file():
        return path
    model = ModelFolder.open(path)
    folds = model.folds("final") or (0,)
    return model.file(folds[0], "final")


def memory_bytes(device: torch.device) -> int:
    """Return the most memory taken so far: on a GPU its own, else this process's."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
