"""Follows the runs of the workspace, and acts on what the panel asks of them.

The runs are watched from a thread (`RunWatch`); a timer applies what it found, at most four
times a second, so that nothing here takes long on the GUI thread. What is asked of a run
happens in a thread, and its answer is the run's own next event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_unet_mic.errors import BadInput, UNetMicError
from napari_unet_mic.gui import run_work as work
from napari_unet_mic.gui.activity import TrainingActivity
from napari_unet_mic.gui.curves_export import KINDS, save_curves
from napari_unet_mic.gui.fault_line import OutputWindow
from napari_unet_mic.gui.preview_control import PreviewControl
from napari_unet_mic.gui.run_watch import RunStatus, RunWatch
from napari_unet_mic.gui.runs_panel import RunsPanel
from napari_unet_mic.jobs.process import Job

if TYPE_CHECKING:
    from napari_unet_mic.data.workspace import Workspace
    from napari_unet_mic.gui.app import App

APPLY_MS = 250
FAULTS = ("failed", "lost its process")

_TOLD: set[tuple[Path, str, float]] = set()
"""Faults that a notification has told: once, in however many windows they are seen."""


class RunsControl:
    """The controller behind the list of runs.

    Parameters
    ----------
    duplicate
        Fills the form of a new run with the settings of one.
    """

    def __init__(self, app: App, panel: RunsPanel, duplicate: Callable[[RunStatus], None]) -> None:
        self.app = app
        self.panel = panel
        self._watch: RunWatch | None = None
        self._seen = 0
        self._states: dict[Path, str] = {}
        self._devices: dict[Path, str] = {}  # where a run was last said to compute
        self.on_runs: Callable[[tuple[RunStatus, ...]], None] = lambda _: None
        window = getattr(app.viewer, "window", None)  # a viewer without one has no dock
        self.activity = TrainingActivity(window=window._qt_window) if window else None
        self.previews = PreviewControl(app, panel.preview)
        self._actions: dict[str, Callable[[RunStatus], None]] = {
            "pause": lambda one: self._ask(one, "pause"),
            "continue": lambda one: self._ask(one, "continue"),
            "stop": lambda one: self._ask(one, "stop"),
            "resume": self._resume,
            "duplicate": duplicate,
            "evaluation": self._show_evaluation,
            "output": self._show_output,
            "folder": _show_folder,
            "delete": self._delete,
        }
        panel.action_asked.connect(self._on_action_asked)
        panel.run_chosen.connect(self._on_run_chosen)
        panel.curves_wanted.connect(self._on_curves_wanted)
        panel.preview_wanted.connect(self.previews.show_in_viewer)
        app.viewer.events.theme.connect(self._on_theme_changed)
        self._on_theme_changed()
        self._timer = QTimer(panel)
        self._timer.setInterval(APPLY_MS)
        self._timer.timeout.connect(self._on_timer)
        self._timer.start()

    def close(self) -> None:
        """Stop watching; training goes on."""
        self._timer.stop()
        if self.activity is not None:
            self.activity.close()
        if self._watch is not None:
            self._watch.close(0.0)

    def watch(self, workspace: Workspace | None) -> None:
        """Follow the runs of another workspace; those of the old one go on unseen."""
        if self._watch is not None:
            if workspace is not None and self._watch.workspace == workspace.folder:
                return
            self._watch.close(0.0)
            self._watch = None
            self.panel.show_runs(())
        if workspace is not None:
            self._watch, self._seen, self._states = RunWatch(workspace.folder), 0, {}

    @property
    def workspace(self) -> Path | None:
        """The folder of the workspace whose runs are followed."""
        return self._watch.workspace if self._watch is not None else None

    # ---- following ---------------------------------------------------------------------
    def _on_timer(self) -> None:
        watch = self._watch
        if watch is None:
            return
        if watch.generation != self._seen:
            self._seen, statuses = watch.generation, watch.statuses
            self.panel.show_runs(statuses)
            for status in statuses:
                self._tell_change(status)
            self.on_runs(statuses)
            self.previews.follow(self.panel.current)
        current = self.panel.current
        if self.app.state.run_folder is None and current is not None:
            self.app.state.run_folder = current.folder
        if self.activity is not None:
            self.activity.show(watch.statuses)

    def _tell_change(self, status: RunStatus) -> None:
        """Say where a run computes, and what became of one that was seen at work."""
        before = self._states.get(status.folder)
        self._states[status.folder] = status.state
        device = status.snapshot.device
        if status.state == "running" and device and self._devices.get(status.folder) != device:
            self._devices[status.folder] = device
            self.app.say(f"{status.name}: {device}")
        elif before in ("running", "paused") and status.state != before:
            self._tell_new_state(status)

    def _tell_new_state(self, status: RunStatus) -> None:
        words = status.snapshot.progress if status.alive else status.sentence
        name = "" if words.startswith(status.name) else f"{status.name}: "
        mark = (status.folder, status.state, status.snapshot.ended_at)
        if status.state in FAULTS and mark not in _TOLD:
            _TOLD.add(mark)
            self.app.show_error(UNetMicError(f"{name}{words}"))
        else:
            self.app.say(f"{name}{words or status.state}")

    def _on_run_chosen(self, folder: Path) -> None:
        self.app.state.run_folder = folder
        self.previews.follow(self.panel.current)

    def _on_theme_changed(self) -> None:
        theme = get_theme(self.app.viewer.theme)
        self.panel.curves.set_theme(theme.text.as_hex(), theme.background.as_hex())

    # ---- what is asked of a run ----------------------------------------------------------
    def _on_action_asked(self, action: str, folder: Path) -> None:
        status = self.panel.status_of(folder)
        if status is not None:
            self._actions[action](status)

    def _ask(self, status: RunStatus, what: str) -> None:
        """Ask a trainer to stop, pause or continue, in a thread of its own: it may take minutes."""
        folder = status.folder
        job = self._watch.job_of(folder) if self._watch is not None else None
        self.panel.show_asked(folder, what)
        after = "" if what == "continue" else "; it writes a checkpoint first"
        self.app.say(f"{folder.name}: asked to {what}{after}")

        def ask() -> None:
            try:
                if what == "stop":
                    work.stop_run(folder, job)
                elif what == "pause":
                    work.pause_run(folder)
                else:
                    work.continue_run(folder)
            except (UNetMicError, OSError) as error:
                self.app.tell(self._on_not_asked, folder, error)

        threading.Thread(target=ask, name=f"{what}-run", daemon=True).start()

    def _on_not_asked(self, folder: Path, error: BaseException) -> None:
        self.panel.show_not_asked(folder)
        self._show_error(error)

    def _resume(self, status: RunStatus) -> None:
        self.app.in_thread(
            work.resume_run,
            status.folder,
            on_done=self.take_over,
            on_error=self._show_error,
            busy=f"Resuming {status.name}",
        )

    def take_over(self, job: Job) -> None:
        """Follow a trainer that was just started, and show its run."""
        folder = job.run.folder
        if self._watch is not None:
            self._watch.adopt(job)
        self.panel.choose_run(folder)
        self.app.state.run_folder = folder
        self.app.say(f"{job.run.name}: training has started; it goes on when napari is closed")

    def _show_evaluation(self, status: RunStatus) -> None:
        if not status.evaluations:
            return
        inspector: Any = self.app.show("inspector")
        inspector.scope.setCurrentIndex(1)  # all cases
        inspector.cases.open(status.evaluations[0])

    def _show_output(self, status: RunStatus) -> None:
        self.app.in_thread(
            work.output_of,
            status.folder,
            on_done=lambda text: OutputWindow(status.name, text, self.panel).show(),
            topic="output",
        )

    def _delete(self, status: RunStatus) -> None:
        question = (
            f"Move the run {status.name} with its checkpoints and predictions to the trash?\n"
            f"{status.folder}"
        )
        if not ask_person(self.panel, "Delete a run", question):
            return
        self.app.in_thread(
            work.delete_run,
            status.folder,
            on_done=lambda words: self._on_deleted(status.folder, words),
            on_error=self._show_error,
            busy=f"Deleting {status.name}",
        )

    def _on_deleted(self, folder: Path, words: str) -> None:
        if self.app.state.run_folder == folder:
            self.app.state.run_folder = None
        self.app.say(words)
        if self._watch is not None:
            self._watch.look_now()

    # ---- curves --------------------------------------------------------------------------
    def _on_curves_wanted(self) -> None:
        runs = self.panel.shown
        if not runs:
            return
        start = str((self.workspace or Path.home()) / f"{runs[0][0]}-curves.png")
        name, chosen = QFileDialog.getSaveFileName(self.panel, "Save the curves", start, KINDS)
        if not name:
            return
        file = Path(name)
        if not file.suffix and "." in chosen:
            file = file.with_suffix(chosen[chosen.rindex(".") : -1])
        curves = self.panel.curves
        try:
            save_curves(runs, file, log=curves.log, smooth=curves.smooth)
        except BadInput as error:
            self._show_error(error)
            return
        self.app.say(f"Saved: {file}")

    def _show_error(self, error: BaseException) -> None:
        if isinstance(error, UNetMicError):
            self.panel.show_error(str(error))
        else:
            self.app.show_error(error)


def ask_person(panel: RunsPanel, title: str, question: str) -> bool:
    """Ask a question that needs a yes; the safe answer is the one that Enter gives."""
    button = QMessageBox.StandardButton
    answer = QMessageBox.question(panel, title, question, button.Yes | button.No, button.No)
    return bool(answer == button.Yes)


def _show_folder(status: RunStatus) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(status.folder)))
