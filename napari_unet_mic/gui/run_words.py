"""What is told about a run, as sentences: time spans, stages, how it ended. No Qt."""

from __future__ import annotations

from napari_unet_mic.training import events

STAGE_WORDS = {
    "fingerprint": "measuring the training cases",
    "plan": "planning",
    "preprocess": "preparing the cases",
    "train": "training",
    "validation patches": "scoring the epoch on validation patches",
    "validation": "predicting the fold's validation cases",
    "test": "predicting the test set",
}


def duration(seconds: float) -> str:
    """Say a time span with its two largest units.

    Examples
    --------
    >>> duration(13200), duration(42), duration(200000)
    ('3 h 40 min', '42 s', '2 d 7 h')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes} min {seconds % 60} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def stage_words(stage: events.Progress) -> str:
    """Say which stage a run is in, and how far."""
    words = STAGE_WORDS.get(stage.stage, stage.stage)
    note = f" · {stage.note}" if stage.note else ""
    return f"{words} {stage.done}/{stage.total}{note}"


def speed_words(seconds_per_iteration: float) -> str:
    """Say how fast learning goes: ``2.1 it/s`` or ``1.2 s/it``."""
    each = seconds_per_iteration
    return f"{1 / each:.1f} it/s" if each < 1 else f"{each:.1f} s/it"


def stopped_words(word: events.RunStopped) -> str:
    """Say where a run stopped on request."""
    what = "paused" if word.reason == "pause" else "stopped"
    return f"{what} in epoch {word.epoch + 1}; it can be resumed from its checkpoint"


def paused_words(word: events.RunPaused) -> str:
    """Say where a run waits, and what became of the graphics card's memory."""
    return f"paused in epoch {word.epoch + 1}: {word.memory}"


def finished_words(
    word: events.RunFinished,
    scored: events.ValidationFinished | events.CrossValidationFinished | None,
    test: events.TestFinished | None,
    early: events.EndedEarly | None,
) -> str:
    """Say how a run ended: how long it took, and what its whole cases scored."""
    parts = [f"finished after {duration(word.seconds)}"]
    if early is not None:
        parts.append(
            f"ended early with epoch {early.epoch}: no better since epoch {early.best_epoch}"
        )
    if scored is not None:
        what = "validation"
        if isinstance(scored, events.CrossValidationFinished):
            what = f"all {len(scored.folds)} folds"
        parts.append(
            f"{what} Dice {scored.mean_dice:.3f}, IoU {scored.mean_iou:.3f} ({scored.cases} cases)"
        )
    if test is not None:
        parts.append(f"test IoU {test.mean_iou:.3f}, loss {test.loss:.3f} ({test.cases} cases)")
    return " · ".join(parts)
