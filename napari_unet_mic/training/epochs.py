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
from napari_unet_mic.network.checkpoint import KINDS, ModelFolder
from napari_unet_mic.preprocessing.store import PreparedStore
from napari_unet_mic.training import events
from napari_unet_mic.training.augment import Recipe
from napari_unet_mic.training.events import Event, in_force, read_events
from napari_unet_mic.training.faults import is_write_failure, no_room
from napari_unet_mic.training.learner import Learner, Place
from napari_unet_mic.training.memory import gpu_bytes, process_bytes
from napari_unet_mic.training.pace import Pace
from napari_unet_mic.training.patches import TRAINING, VALIDATION, Batch, PatchSampler, ahead
from napari_unet_mic.training.pause import Pause
from napari_unet_mic.training.prepare import Materials
from napari_unet_mic.training.preview import Preview
from napari_unet_mic.training.run import Run, RunSettings

Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]

MOST_BAD_LOSSES = 10
"""So many losses in a row that are no numbers end the run."""


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
        pause: Pause,
    ) -> None:
        self.run, self.settings, self.materials = run, run.settings, materials
        self.emit, self.should_stop, self.pause = emit, should_stop, pause
        self.learner = Learner(
            materials.plan,
            materials.configuration,
            materials.dataset,
            run.settings,
            device=device,
            precision=precision,
        )
        self.training, self.validation = samplers(run.settings, materials, device)
        self.preview = Preview(run, materials, self.validation, self.learner, emit)
        self.threads = 1 if device.type == "cpu" else max(1, min(8, (os.cpu_count() or 2) - 1))
        self.pace, self.validation_pace = Pace(), Pace()
        self.bad_losses = 0
        self.saved_at = time.monotonic()
        self.said_at = 0.0

    def go(self, began: float) -> Place:
        """Train what is left and write the final checkpoint."""
        settings, run = self.settings, self.run
        if run.checkpoint("final").exists():
            return Place(settings.epochs)
        place = self._begin(began)
        while place.epoch < settings.epochs and not self._ends_early(place):
            self._epoch(place)
        self._save("final", place)
        self.preview(place, at_once=True)
        run.checkpoint("latest").unlink(missing_ok=True)
        return place

    def _begin(self, began: float) -> Place:
        self._clear_away()
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
            if note := self.learner.note_on_threads:
                self.emit(events.Progress("train", 0, settings.epochs, note=note))
            return self._keep(place)
        happened = in_force(read_events(self.run.events_file)[0])
        if any(isinstance(e, events.EpochFinished | events.IterationsFinished) for e in happened):
            self.emit(events.Resumed(0))
        if settings.start_from:
            said = self.learner.start_from(weights_file(Path(settings.start_from), settings.fold))
            self.emit(events.Progress("train", 0, settings.epochs, note=said))
        return self._keep(Place())

    def _clear_away(self) -> None:
        """Remove half-written files that a killed trainer left; the lock keeps others away."""
        left = [*self.run.fold_folder.glob(".part-*"), *self.run.folder.glob(".part-*-preview.npz")]
        for file in left:
            file.unlink(missing_ok=True)

    def _keep(self, place: Place) -> Place:
        self.pause.epoch, self.pause.iteration = place.epoch, place.iteration
        return place

    def _ends_early(self, place: Place) -> bool:
        """Whether the EMA of pseudo Dice has not become better for too long; says so."""
        patience, history = self.settings.early_stopping_epochs, self.learner.logging["ema_fg_dice"]
        known = [value for value in history if math.isfinite(value)]
        if patience is None or not known:
            return False
        best = history.index(max(known))
        if len(history) - 1 - best < patience:
            return False
        self.emit(events.EndedEarly(place.epoch, best + 1, patience))
        return True

    def _epoch(self, place: Place) -> None:
        learner, pace = self.learner, self.pace
        began = time.time()
        pace.begin()
        self.validation_pace.begin()
        rate = learner.set_rate(place.epoch)
        learner.network.train()
        self._learn(place)
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
                seconds=pace.seconds + self.validation_pace.seconds,
                seconds_per_iteration=pace.seconds_per_iteration,
                ema_dice=ema,
                is_best=is_best,
                memory_bytes=process_bytes(),
                gpu_memory_bytes=gpu_bytes(learner.device),
                waiting_share=pace.waiting_share,
            )
        )
        place.epoch, place.iteration, place.losses = place.epoch + 1, 0, []
        self._keep(place)
        self._close_epoch(place, is_best=is_best)

    def _close_epoch(self, place: Place, *, is_best: bool) -> None:
        if is_best:
            self._save("best", place)
        self.preview(place)
        if place.epoch == self.settings.epochs:
            return
        if time.monotonic() - self.saved_at > 60 or place.epoch % 50 == 0:
            self._save("latest", place)
        if self.should_stop():
            self._save("latest", place)
            raise Stopped(place)

    def _learn(self, place: Place) -> None:
        """Train the rest of an epoch; a pause gives the device back in between."""
        pending: list[torch.Tensor] = []
        while place.iteration < self.settings.iterations_per_epoch:
            self._learn_until_pause(place, pending)
            self._take_losses(place, pending)
            if self.pause.asked:
                self._wait(place)
        if not place.losses:
            raise self._no_number(math.nan, place)

    def _learn_until_pause(self, place: Place, pending: list[torch.Tensor]) -> None:
        per_epoch, learner = self.settings.iterations_per_epoch, self.learner
        first = place.epoch * per_epoch + place.iteration
        batches = ahead(
            self.training, range(first, (place.epoch + 1) * per_epoch), threads=self.threads
        )
        try:
            for batch in self.pace.fetching(batches):
                learner.set_rate(place.epoch, place.iteration)
                pending.append(learner.train_step(batch))
                self.pace.step()
                place.iteration += 1
                self._keep(place)
                self._between_iterations(place, pending)
                if self.pause.asked:
                    return
        finally:
            batches.close()

    def _wait(self, place: Place) -> None:
        """Pause: a checkpoint, the device given back, and on when nobody asks any more."""
        self._save("latest", place)
        self.pause.hold(self.learner.rest())
        if self.should_stop():
            raise Stopped(place)
        self.learner.wake()
        self.pace.resume()
        self.validation_pace.resume()

    def _between_iterations(self, place: Place, pending: list[torch.Tensor]) -> None:
        settings, now = self.settings, time.monotonic()
        if self.should_stop():
            self._take_losses(place, pending)
            self._save("latest", place)
            raise Stopped(place)
        if now - self.said_at > max(2.0, (now - self.saved_at) / 100):
            self.said_at = now
            fresh = self._take_losses(place, pending)
            done = place.epoch * settings.iterations_per_epoch + place.iteration
            self.emit(
                events.IterationsFinished(
                    place.epoch,
                    place.iteration,
                    fresh,
                    self.pace.seconds_per_iteration,
                    learning_rate=self.learner.rate,
                    memory_bytes=process_bytes(),
                    gpu_memory_bytes=gpu_bytes(self.learner.device),
                )
            )
            self.emit(
                events.Progress("train", done, settings.epochs * settings.iterations_per_epoch)
            )
        if now - self.saved_at > settings.checkpoint_minutes * 60:
            self._take_losses(place, pending)
            self._save("latest", place)
        self.preview(place)

    def _validation_patches(self, place: Place) -> Generator[Batch, None, None]:
        """Yield the epoch's validation batches; a stop between them keeps the epoch's training."""
        total = self.settings.validation_iterations
        numbers = range(place.epoch * total, (place.epoch + 1) * total)
        batches = ahead(self.validation, numbers, threads=self.threads)
        self.validation_pace.resume()
        try:
            for done, batch in enumerate(batches):
                if self.should_stop():
                    self._save("latest", place)
                    raise Stopped(place)
                if self.pause.asked:
                    self._wait(place)
                if time.monotonic() - self.said_at > 2.0:
                    self.said_at = time.monotonic()
                    self.emit(events.Progress("validation patches", done, total))
                yield batch
                self.validation_pace.step()
        finally:
            batches.close()

    def _take_losses(self, place: Place, pending: list[torch.Tensor]) -> float:
        """Move losses from the device into the epoch's record; returns the mean of the new.

        A loss that is no number taught nothing (`Learner.train_step`) and is passed over; many
        in a row end the run.
        """
        fresh = torch.stack(pending).float().cpu().tolist() if pending else []
        pending.clear()
        for loss in fresh:
            self.bad_losses = 0 if math.isfinite(loss) else self.bad_losses + 1
            if self.bad_losses >= MOST_BAD_LOSSES:
                raise self._no_number(loss, place)
        known = [loss for loss in fresh if math.isfinite(loss)]
        place.losses.extend(known)
        return sum(known) / len(known) if known else math.nan

    def _no_number(self, loss: float, place: Place) -> BadInput:
        return BadInput(
            f"{self.run.name}: the training loss",
            expected="a finite number",
            got=f"{loss} for {self.bad_losses} batches in a row, in epoch {place.epoch}",
            advice="see that no image holds invalid values, or lower the learning rate; "
            "the last checkpoint is from before",
        )

    def _save(self, kind: str, place: Place) -> None:
        file = self.run.checkpoint(kind)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.learner.save(file, place)
        except (OSError, RuntimeError) as error:
            if not is_write_failure(error):
                raise
            raise no_room(file, error, self.learner.checkpoint_bytes) from error
        if kind == "latest":
            self.saved_at = time.monotonic()
        self.emit(events.CheckpointSaved(kind, str(file), place.epoch, place.iteration))


def samplers(
    settings: RunSettings, materials: Materials, device: torch.device
) -> tuple[PatchSampler, PatchSampler]:
    """Return the sources of training and of validation patches; the latter are plain.

    With fold "all" the validation patches come from the training cases, as in nnU-Net.
    """
    configuration = materials.configuration
    store = PreparedStore(materials.preprocessed)
    recipe = Recipe.for_patch(
        configuration.patch_size,
        configuration.use_mask_for_norm,
        light=settings.augmentation == "light",
    )

    def sampler(names: tuple[str, ...], stream: int, *, training: bool) -> PatchSampler:
        return PatchSampler(
            store,
            names,
            batch_size=configuration.batch_size,
            recipe=recipe,
            seed=settings.seed,
            stream=stream,
            oversampling=settings.foreground_oversampling,
            augment=training and settings.augmentation != "none",
            ignore_value=materials.dataset.ignore_value,
            device=device if device.type == "cuda" else None,
            focus=settings.focus_class if training else None,
        )

    return (
        sampler(materials.training, TRAINING, training=True),
        sampler(materials.validation or materials.training, VALIDATION, training=False),
    )


def weights_file(path: Path, fold: int | str = 0) -> Path:
    """Return the checkpoint file of a model folder, or the file itself.

    Of a model with several folds the same fold is taken where it is there, since another has
    learned from this fold's validation cases.
    """
    if path.is_file():
        return path
    model = ModelFolder.open(path)
    kind = next((kind for kind in KINDS if model.folds(kind)), "final")
    folds = model.folds(kind) or (0,)
    return model.file(fold if fold in folds else folds[0], kind)
