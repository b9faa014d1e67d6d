"""The whole road of a run: prepare, train, validate the fold, score the test set.

`train` does the work and says what happens through ``emit``; `run_child` is what the
process started for a run executes; `train_here` is ``unet-mic train``. A run that was
stopped or killed goes on from its latest checkpoint, and sees the batches it would have
seen.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from napari_unet_mic.data.files import write_json
from napari_unet_mic.errors import BadInput, Cancelled, RunLocked, UNetMicError
from napari_unet_mic.inference import allocator
from napari_unet_mic.inference.precision import choose_device, choose_precision
from napari_unet_mic.network.checkpoint import ModelFolder
from napari_unet_mic.planning.plan import write_plan
from napari_unet_mic.preprocessing.store import PreparedStore
from napari_unet_mic.training import events
from napari_unet_mic.training.augment import Recipe
from napari_unet_mic.training.events import Event, EventLog, in_force, read_events
from napari_unet_mic.training.learner import Learner, Place
from napari_unet_mic.training.lock import Holder
from napari_unet_mic.training.narration import sentence
from napari_unet_mic.training.patches import TRAINING, VALIDATION, PatchSampler, ahead
from napari_unet_mic.training.prepare import Materials, prepare
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.validate import score_test_set, validate_fold

SESSION_VARIABLE = "NAPARI_UNET_MIC_SESSION"

Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]


def train(run: Run, emit: Emit, should_stop: ShouldStop) -> None:
    """Do everything a run asks for that is not done yet.

    Parameters
    ----------
    run
        The run; its lock is taken for as long as this works.
    emit
        Hears every event.
    should_stop
        Asked between iterations and cases. When it says yes the run is left with a latest
        checkpoint and a last event `RunStopped`.

    Raises
    ------
    RunLocked
        When another trainer works on the run.
    UNetMicError
        When the settings, the dataset or the machine do not allow the run.
    """
    with run.take() as _:
        _train_locked(run, run.session or "", emit, should_stop)


def _train_locked(run: Run, session: str, emit: Emit, should_stop: ShouldStop) -> None:
    began = time.monotonic()
    settings = run.settings
    device, why = choose_device(settings.device)
    precision, also = choose_precision(settings.precision, device)
    classes = _classes(settings)
    holder = Holder.this_process()
    emit(
        events.RunStarted(
            session=session,
            device=f"{why} {also}",
            configuration=settings.configuration,
            fold=str(settings.fold),
            epochs=settings.epochs,
            iterations_per_epoch=settings.iterations_per_epoch,
            validation_iterations=settings.validation_iterations,
            classes=classes,
            host=holder.host,
            pid=holder.pid,
            threads=torch.get_num_threads(),
        )
    )
    place = Place()
    try:
        materials = prepare(settings, emit, should_stop)
        write_model_folder(run, materials)
        place = Training(run, materials, device, precision, emit, should_stop).go(began)
        if not _is_newer(run.validation_folder / "summary.json", run.checkpoint("final")):
            validate_fold(run, materials, emit, should_stop)
        if materials.test and not _is_newer(run.test_folder / "test.json", run.checkpoint("final")):
            score_test_set(run, materials, emit, should_stop)
    except Stopped as stop:
        emit(events.RunStopped(_reason(run, session), stop.place.epoch, stop.place.iteration))
    except Cancelled:
        emit(events.RunStopped(_reason(run, session), place.epoch, place.iteration))
    else:
        emit(events.RunFinished(seconds=time.monotonic() - began))


def _reason(run: Run, session: str) -> str:
    return run.stop_requested(session) or "stop"


def _classes(settings: RunSettings) -> dict[int, str]:
    from napari_unet_mic.data.dataset import open_dataset

    return dict(open_dataset(settings.dataset, check_files=False).classes)


def _is_newer(file: Path, than: Path) -> bool:
    return file.exists() and file.stat().st_mtime >= than.stat().st_mtime


def write_model_folder(run: Run, materials: Materials) -> None:
    """Write what makes the run folder a model folder: dataset.json, plans.json, fingerprint."""
    write_json(run.folder / "dataset.json", materials.dataset.nnunet_json())
    write_plan(run.folder / "plans.json", materials.plan)
    fingerprint = materials.workspace.fingerprint_file
    if fingerprint.exists():
        shutil.copyfile(fingerprint, run.folder / "dataset_fingerprint.json")


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
        numbers = range(
            place.epoch * settings.validation_iterations,
            (place.epoch + 1) * settings.validation_iterations,
        )
        patches = ahead(self.validation, numbers, threads=self.threads)
        loss, dice, iou = learner.validate(patches)
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
        if place.iteration == settings.iterations_per_epoch:
            return
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


def run_child(run_folder: str | Path) -> int:
    """Work on a run as its own process: events into events.jsonl, errors as `RunFailed`.

    Returns the exit code: 0 finished or stopped, 1 failed, 75 when another trainer is at
    work.
    """
    return _work(Run.open(run_folder), os.environ.get(SESSION_VARIABLE), report=print_nothing)


def train_here(settings: RunSettings, *, report: Callable[[str], None]) -> int:
    """Create a run and work on it in this process, telling `report` in sentences."""
    run = Run.create(settings)
    report(f"{run.folder}: created")
    return _work(run, None, report=report)


def print_nothing(_: str) -> None:
    """Report to nobody."""


def _work(run: Run, session: str | None, *, report: Callable[[str], None]) -> int:
    allocator.tune()
    try:
        lock = run.take(session)
    except RunLocked as error:
        report(str(error))
        return 75
    log = EventLog(run.events_file)
    asked: list[int] = []

    def emit(event: Event) -> None:
        log(event)
        said = sentence(event)
        if said:
            report(said)

    def should_stop() -> bool:
        return bool(asked) or run.stop_requested(chosen) is not None

    chosen = run.session or ""
    with suppress(ValueError):  # only the main thread may
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: asked.append(received))
    try:
        _train_locked(run, chosen, emit, should_stop)
    except UNetMicError as error:
        emit(events.RunFailed(str(error)))
        return 1
    except Exception as error:
        traceback.print_exc()  # into output.log
        emit(events.RunFailed(f"{run.name}: {type(error).__name__}: {error}"))
        return 1
    finally:
        log.close()
        lock.release()
    return 0
