"""What the panel does with runs on disk, for a thread: start, stop, pause, delete, their output.

Every function blocks for as long as it takes and raises an error with a sentence. No widgets.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QFile

from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput
from napari_unet_mic.jobs.process import Job, attach, start
from napari_unet_mic.training.run import Run, RunSettings

if TYPE_CHECKING:
    from napari_unet_mic.data.dataset import Dataset

STOP_GRACE_SECONDS = 120.0
OUTPUT_BYTES = 64 * 1024
TRASH = ".trash"


def start_run(settings: RunSettings, dataset: Dataset) -> Job:
    """Make the run (and the workspace where it lacks) and start its trainer."""
    Workspace.create(settings.workspace, dataset)
    return start(Run.create(settings))


def resume_run(folder: Path) -> Job:
    """Start a trainer that goes on with a run.

    Raises
    ------
    RunLocked
        When a trainer works on it already, started from whatever window or terminal.
    """
    return start(Run.open(folder))


def stop_run(folder: Path, job: Job | None, *, grace: float = STOP_GRACE_SECONDS) -> None:
    """Ask a run's trainer to stop, and end it when it has not after `grace` seconds."""
    run = Run.open(folder)
    found = job or attach(run)
    if found is not None:
        found.stop(grace)
    else:
        run.request_stop()


def pause_run(folder: Path) -> None:
    """Ask a run's trainer to write a checkpoint, give the device's memory back, and wait."""
    run = Run.open(folder)
    run.ask_to_pause(run.session or "")


def continue_run(folder: Path) -> None:
    """Ask a paused trainer to go on."""
    run = Run.open(folder)
    run.ask_to_continue(run.session or "")


def delete_run(folder: Path) -> str:
    """Move a run's folder to the trash; returns where it is now, in words.

    The system's trash is tried first; where there is none, or it lies on another disk, the
    folder goes into ``runs/.trash`` of the workspace.

    Raises
    ------
    BadInput
        When a trainer works on the run, or the folder cannot be moved.
    """
    run = Run.open(folder)
    if run.is_running:
        raise BadInput(
            folder,
            expected="a run that nobody works on",
            got=f"one at work ({run.holder or 'its process is starting'})",
            advice="stop it first",
        )
    if _to_trash(folder):
        return f"{folder.name} lies in the trash"
    place = folder.parent / TRASH / f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        place.parent.mkdir(exist_ok=True)
        folder.rename(place)
    except OSError as error:
        raise BadInput(
            folder,
            expected="a folder that can be moved",
            got=(error.strerror or type(error).__name__).lower(),
            advice="close programs that use it, and check its permissions",
        ) from error
    return f"{folder.name} lies in {place}: this system has no trash for it"


def _to_trash(folder: Path) -> bool:
    answer = QFile.moveToTrash(str(folder))
    return bool(answer[0] if isinstance(answer, tuple) else answer)


def output_of(folder: Path) -> str:
    """Return the end of what a run's processes printed, at most 64 KB, from a line's start."""
    file = folder / "output.log"
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - OUTPUT_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return text if size <= OUTPUT_BYTES else text.partition("\n")[2]
