"""The workspace's runs: their list, what can be done with them, and the one that is looked at.

The panel shows `RunStatus` records and emits what the person wants; `TrainingControl` acts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import QPoint, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLabel, QMenu, QProgressBar, QVBoxLayout, QWidget

from napari_unet_mic.gui.curves import line_colour
from napari_unet_mic.gui.fault_line import FaultLine
from napari_unet_mic.gui.forms import ErrorLine, explained, polish_hidden
from napari_unet_mic.gui.history import Snapshot
from napari_unet_mic.gui.plots import LiveCurves
from napari_unet_mic.gui.preview_view import PreviewView
from napari_unet_mic.gui.run_actions import ASKED_WORDS, RunActions
from napari_unet_mic.gui.run_list import RunList
from napari_unet_mic.gui.run_watch import RunStatus

STEPS = 1000
NOTHING = "No runs yet. Train starts one; it goes on when napari is closed"


class RunsPanel(QWidget):
    """The list of runs, their actions, and the live view of one.

    Signals
    -------
    action_asked (action's name, run folder), run_chosen (run folder), curves_wanted (),
    preview_wanted (bool)
    """

    action_asked = Signal(str, object)
    run_chosen = Signal(object)
    curves_wanted = Signal()
    preview_wanted = Signal(bool)

    def __init__(
        self, colour_of: Callable[[int], str] = line_colour, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._statuses: tuple[RunStatus, ...] = ()
        self._current: Path | None = None
        self._wanted: Path | None = None  # to be chosen as soon as it is listed
        self._asked: dict[Path, str] = {}  # what a run was asked and has not answered
        self.runs = RunList()
        self.runs.itemSelectionChanged.connect(self._on_runs_selection_changed)
        self.runs.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.runs.customContextMenuRequested.connect(self._on_menu_wanted)
        self.actions_row = RunActions()
        self.actions_row.asked.connect(self._on_action_asked)
        self.progress = QLabel(NOTHING)
        self.progress.setWordWrap(True)
        explained(self.progress, "Where the chosen run is, how fast it goes and what is left")
        self.bar = explained(QProgressBar(), "Part of the epochs that is done")
        self.bar.setRange(0, STEPS)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.fault = FaultLine()
        self.fault.output_wanted.connect(lambda: self._on_action_asked("output"))
        self.error = ErrorLine()
        self.curves = LiveCurves(colour_of)
        self.curves.save_requested.connect(self.curves_wanted)
        self.preview = PreviewView()
        self.preview.in_viewer_wanted.connect(self.preview_wanted)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 6)
        layout.setSpacing(4)
        layout.addWidget(self.runs, 1)
        for part in (self.actions_row, self.error, self.progress, self.bar, self.fault):
            layout.addWidget(part)
        layout.addWidget(self.curves, 3)
        layout.addWidget(self.preview, 1)
        self.show_runs(())

    @property
    def stop(self) -> QWidget:
        """The button that stops the run."""
        return self.actions_row.stop

    @property
    def resume(self) -> QWidget:
        """The button that resumes the run."""
        return self.actions_row.resume

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Style what is hidden now, rather than when it appears during training."""
        super().showEvent(event)
        polish_hidden(self)

    # ---- what the control shows --------------------------------------------------------
    def show_error(self, sentence: str) -> None:
        """Show what went wrong with an action; "" clears it."""
        self.error.show_sentence(sentence)

    def show_runs(self, statuses: Sequence[RunStatus]) -> None:
        """Show the runs; the chosen one stays chosen, else the first running or newest is."""
        self._statuses = tuple(statuses)
        folders = [status.folder for status in statuses]
        if self._wanted in folders:
            self._current, self._wanted = self._wanted, None
            self.runs.choose(self._current)
        if self._current not in folders:
            running = [status.folder for status in statuses if status.alive]
            self._current = next(iter([*running, *folders]), None)
        self._forget_answered()
        self.runs.show_runs(statuses, self._current)
        self._show_current()

    def _forget_answered(self) -> None:
        states = {status.folder: status for status in self._statuses}
        for folder, asked in list(self._asked.items()):
            status = states.get(folder)
            if status is None or not status.alive or _is_answer(asked, status.state):
                del self._asked[folder]

    def choose_run(self, folder: Path) -> None:
        """Show a run, now or as soon as it is listed."""
        self._wanted = folder
        self.show_runs(self._statuses)

    def show_asked(self, folder: Path, asked: str) -> None:
        """Say that a run was asked to stop, pause or continue and has not answered yet."""
        self._asked[folder] = asked
        self._show_current()

    def show_not_asked(self, folder: Path) -> None:
        """Take that back: the request did not reach the run."""
        self._asked.pop(folder, None)
        self._show_current()

    @property
    def current(self) -> RunStatus | None:
        """The run whose curves are shown."""
        return self.status_of(self._current)

    def status_of(self, folder: Path | None) -> RunStatus | None:
        """Return a run as it was last shown."""
        return next((s for s in self._statuses if s.folder == folder), None)

    @property
    def shown(self) -> list[tuple[str, Snapshot]]:
        """Name and snapshot of the runs whose curves are drawn, the current one first."""
        status = self.current
        if status is None:
            return []
        chosen = self.runs.chosen()
        others = [s for s in self._statuses if s.folder in chosen and s is not status]
        return [(s.name, s.snapshot) for s in (status, *others)]

    def _show_current(self) -> None:
        status = self.current
        asked = self._asked.get(self._current, "") if self._current else ""
        self.actions_row.show_status(status, asked)
        self.curves.show_runs(self.shown)
        if status is None:
            self.bar.setValue(0)
            self.progress.setText(NOTHING)
            self.fault.show_fault("")
            return
        shot = status.snapshot
        words = shot.progress if status.alive else status.sentence
        if asked:
            words = f"{words} · {ASKED_WORDS[asked]}".removeprefix(" · ")
        elif status.alive and not words:
            words = "starting"
        faulty = status.state in ("failed", "lost its process")
        self.fault.show_fault(words if faulty else "")
        shown = status.state if faulty else words
        self.progress.setText(f"<b>{status.name}</b> &nbsp; {shown}")
        self.bar.setValue(round(STEPS * shot.fraction))

    # ---- what the person does ----------------------------------------------------------
    def _on_action_asked(self, action: str) -> None:
        if self._current is not None:
            self.show_error("")
            self.action_asked.emit(action, self._current)

    def _on_menu_wanted(self, place: QPoint) -> None:
        if self.runs.itemAt(place) is None:
            return
        menu = QMenu(self)
        self.actions_row.fill(menu)
        menu.exec(self.runs.viewport().mapToGlobal(place))
        menu.deleteLater()

    def _on_runs_selection_changed(self) -> None:
        chosen = self.runs.chosen()
        newest = self.runs.newest_chosen()
        if newest is not None and (self._current not in chosen or len(chosen) == 1):
            self._current = newest
            self.show_error("")
            self.run_chosen.emit(newest)
        self._show_current()


def _is_answer(asked: str, state: str) -> bool:
    """Whether a state answers what a running process was asked (its end always does)."""
    return (asked == "pause" and state == "paused") or (asked == "continue" and state == "running")
