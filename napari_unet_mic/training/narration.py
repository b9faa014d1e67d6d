"""Events as sentences, for a terminal."""

from __future__ import annotations

from napari_unet_mic.training import events
from napari_unet_mic.training.events import ClassScores, Event


def sentence(event: Event) -> str:
    """Say an event in one line; empty for what a terminal need not hear."""
    return _of_the_work(event) or _of_results(event) or _of_the_run(event)


def _of_the_work(event: Event) -> str:
    match event:
        case events.Progress(stage="train"):
            return event.note
        case events.Progress() if event.done in (0, event.total):
            return f"{event.stage}: {event.done} of {event.total}"
        case events.Prepared():
            sizes = " × ".join(map(str, event.patch_size))
            return (
                f"{event.training_cases} training, {event.validation_cases} validation and "
                f"{event.test_cases} test cases; patch {sizes}, batch {event.batch_size}, "
                f"{event.n_stages} stages, {event.parameters / 1e6:.1f} M parameters"
            )
        case events.IterationsFinished():
            return (
                f"epoch {event.epoch} iteration {event.iteration}: loss {event.train_loss:.4f}, "
                f"{event.seconds_per_iteration:.2f} s per iteration"
            )
        case events.EpochFinished():
            return (
                f"epoch {event.epoch}: loss {event.train_loss:.4f}, validation "
                f"{event.validation_loss:.4f}, IoU {_scores(event.iou)}, "
                f"{event.seconds:.0f} s"
            )
        case _:
            return ""


def _of_results(event: Event) -> str:
    match event:
        case events.ValidationFinished():
            return (
                f"validation, {event.cases} whole cases: Dice {event.mean_dice:.4f}, IoU "
                f"{event.mean_iou:.4f} (per class {_scores(event.iou)}); {event.folder}"
            )
        case events.TestFinished():
            return (
                f"test set, {event.cases} whole cases: loss {event.loss:.4f}, IoU "
                f"{event.mean_iou:.4f} (per class {_scores(event.iou)}); {event.folder}"
            )
        case events.CrossValidationFinished():
            return (
                f"cross-validation, {event.cases} whole cases of {len(event.folds)} folds: Dice "
                f"{event.mean_dice:.4f}, IoU {event.mean_iou:.4f} "
                f"(per class {_scores(event.iou)}); {event.folder}"
            )
        case _:
            return ""


def _of_the_run(event: Event) -> str:
    match event:
        case events.RunStarted():
            return event.device
        case events.FoldStarted():
            return f"fold {event.fold} ({event.number} of {event.total})"
        case events.Resumed():
            return f"going on from epoch {event.from_epoch}, iteration {event.from_iteration}"
        case events.EndedEarly():
            return (
                f"ended early after {event.epoch} epochs: none of the last {event.patience} was "
                f"better than epoch {event.best_epoch}"
            )
        case events.RunPaused():
            return f"paused in epoch {event.epoch}, iteration {event.iteration}; {event.memory}"
        case events.RunContinued():
            return f"going on in epoch {event.epoch}, iteration {event.iteration}"
        case events.RunStopped():
            return "stopped; `unet-mic resume` goes on"
        case events.RunFailed():
            return event.message
        case events.RunFinished():
            return f"finished in {event.seconds:.0f} s"
        case _:
            return ""


def _scores(scores: ClassScores) -> str:
    return " ".join("–" if score is None else f"{score:.4f}" for score in scores.values())
