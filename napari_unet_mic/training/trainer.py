"""The whole road of a run: prepare, train, validate the fold, score the test set.

`train` does the work and says what happens through ``emit``; `run_child` is what the
process started for a run executes; `train_here` is ``unet-mic train``. A run that was
stopped or killed goes on from its latest checkpoint, and sees the batches it would have
seen.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import write_json
from napari_unet_mic.errors import Cancelled, RunLocked, UNetMicError
from napari_unet_mic.inference import allocator
from napari_unet_mic.inference.precision import choose_device, choose_precision
from napari_unet_mic.planning.plan import write_plan
from napari_unet_mic.training import events
from napari_unet_mic.training.crossvalidation import gather_folds
from napari_unet_mic.training.epochs import Stopped, Training
from napari_unet_mic.training.events import Event, EventLog
from napari_unet_mic.training.faults import explained, is_no_room, no_room
from napari_unet_mic.training.learner import Place
from napari_unet_mic.training.lock import Holder
from napari_unet_mic.training.narration import sentence
from napari_unet_mic.training.pause import Pause
from napari_unet_mic.training.prepare import Materials, check_settings, prepare
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
            classes=_classes(settings),
            host=holder.host,
            pid=holder.pid,
            threads=torch.get_num_threads(),
        )
    )
    road = _Road(run, device, precision, emit, should_stop, Pause(run, session, emit, should_stop))
    try:
        road.walk(began)
    except Stopped as stop:
        emit(events.RunStopped(_reason(run, session), stop.place.epoch, stop.place.iteration))
    except Cancelled:
        emit(events.RunStopped(_reason(run, session), road.place.epoch, road.place.iteration))
    else:
        emit(events.RunFinished(seconds=time.monotonic() - began))


class _Road:
    """The stages of a run, each done unless it was done before."""

    def __init__(
        self,
        run: Run,
        device: torch.device,
        precision: torch.dtype,
        emit: Emit,
        should_stop: ShouldStop,
        pause: Pause,
    ) -> None:
        self.run, self.device, self.precision = run, device, precision
        self.emit, self.should_stop, self.pause = emit, should_stop, pause
        self.place = Place()

    def walk(self, began: float) -> None:
        """Train and validate every fold, gather them, score the test set."""
        run, folds = self.run, self.run.folds
        materials = None
        for number, fold in enumerate(folds, start=1):
            one = run.of_fold(fold)
            if len(folds) > 1:
                if _is_validated(one):
                    continue
                self.emit(events.FoldStarted(int(fold), number, len(folds)))
            materials = self._one_fold(one, began)
        if materials is None:
            materials = self._prepared(run.of_fold(folds[0]))
        with explained(materials, self.device, self.precision):
            if len(folds) > 1:
                gather_folds(run, materials, self.emit)
            if materials.test and not _is_tested(run):
                score_test_set(run, materials, self.emit, self.pause.should_stop)

    def _prepared(self, run: Run) -> Materials:
        materials = prepare(run.settings, self.emit, self.pause.should_stop)
        write_model_folder(run, materials)
        return materials

    def _one_fold(self, run: Run, began: float) -> Materials:
        materials = self._prepared(run)
        with explained(materials, self.device, self.precision):
            training = Training(
                run,
                materials,
                self.device,
                self.precision,
                self.emit,
                self.should_stop,
                self.pause,
            )
            self.place = training.go(began)
            del training  # its network and optimiser need not stay while whole cases are predicted
            if not _is_validated(run):
                validate_fold(run, materials, self.emit, self.pause.should_stop)
        return materials


def _reason(run: Run, session: str) -> str:
    return run.stop_requested(session) or "stop"


def _classes(settings: RunSettings) -> dict[int, str]:
    return dict(open_dataset(settings.dataset, check_files=False).classes)


def _is_validated(run: Run) -> bool:
    return _is_newer(run.validation_folder / "summary.json", run.checkpoint("final"))


def _is_tested(run: Run) -> bool:
    done = run.test_folder / "test.json"
    return all(_is_newer(done, run.of_fold(fold).checkpoint("final")) for fold in run.folds)


def _is_newer(file: Path, than: Path) -> bool:
    return file.exists() and than.exists() and file.stat().st_mtime >= than.stat().st_mtime


def write_model_folder(run: Run, materials: Materials) -> None:
    """Write what makes the run folder a model folder: dataset.json, plans.json, fingerprint."""
    write_json(run.folder / "dataset.json", materials.dataset.nnunet_json())
    write_plan(run.folder / "plans.json", materials.plan)
    fingerprint = materials.workspace.fingerprint_file
    if fingerprint.exists():
        shutil.copyfile(fingerprint, run.folder / "dataset_fingerprint.json")


def run_child(run_folder: str | Path) -> int:
    """Work on a run as its own process: events into events.jsonl, errors as `RunFailed`.

    Returns the exit code: 0 finished or stopped, 1 failed, 75 when another trainer is at
    work.
    """
    return _work(Run.open(run_folder), os.environ.get(SESSION_VARIABLE), report=print_nothing)


def train_here(settings: RunSettings, *, report: Callable[[str], None]) -> int:
    """Create a run and work on it in this process, telling `report` in sentences.

    What the settings alone show to be wrong is refused before anything is written; a run
    that fails before its first checkpoint leaves no folder, so its name is free again.
    """
    check_settings(settings)
    choose_device(settings.device)
    run = Run.create(settings)
    report(f"{run.folder}: created")
    status = _work(run, None, report=report)
    if status == 1 and not any(run.folder.glob("fold_*/checkpoint_*.pth")):
        shutil.rmtree(run.folder)
        with suppress(OSError):  # only when there is no other run
            run.folder.parent.rmdir()
    return status


def print_nothing(_: str) -> None:
    """Report to nobody."""


def _work(run: Run, session: str | None, *, report: Callable[[str], None]) -> int:
    allocator.tune()
    try:
        lock = run.take(session)
    except RunLocked as error:
        report(str(error))
        return 75
    except OSError as error:  # not even run.json could be written, so nor could an event
        said = str(no_room(run.run_file, error) if is_no_room(error) else error)
        sys.stderr.write(f"{said}\n")  # into output.log, whose end a panel shows
        report(said)
        return 1
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
        said = f"{run.name}: {type(error).__name__}: {error}"
        if isinstance(error, OSError) and is_no_room(error):
            said = str(no_room(Path(error.filename or run.settings.workspace), error))
        emit(events.RunFailed(said))
        return 1
    finally:
        log.close()
        lock.release()
    return 0
