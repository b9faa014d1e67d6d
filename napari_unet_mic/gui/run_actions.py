"""What can be done with a run: the actions, why one is not possible now, buttons and menu.

A `RunStatus` comes in, `chosen(action, folder)` goes out; `TrainingControl` acts. The same
actions stand in the row under the list of runs and in its context menu.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.run_watch import RunStatus

RESUMABLE = ("new", "stopped", "failed", "lost its process")
NO_RUN = "There is no run yet: press Train"
ASKED_WORDS = {
    "stop": "stopping, a checkpoint is being written",
    "pause": "pausing, a checkpoint is being written",
    "continue": "going on",
}


@dataclass(frozen=True)
class Action:
    """One thing to do with a run: its word, what it does, the command that does the same."""

    name: str
    text: str
    tip: str
    option: str = ""


PAUSE = Action(
    "pause",
    "Pause",
    "Let the run wait where it is, after a checkpoint. A graphics card's memory is given back "
    "for other work meanwhile; the process stays, and Continue goes on at once",
)
CONTINUE = Action("continue", "Continue", "Let the paused run go on where it waits")
STOP = Action(
    "stop",
    "Stop",
    "Ask the run to end: it writes a checkpoint first and can be resumed later",
)
RESUME = Action(
    "resume",
    "Resume",
    "Start a process that goes on with the run from its last checkpoint",
    "unet-mic resume RUN_FOLDER",
)
DUPLICATE = Action(
    "duplicate",
    "Duplicate…",
    "Fill the form with this run's settings, for a new run that differs in what you change",
)
EVALUATION = Action(
    "evaluation",
    "Open its evaluation",
    "Show the run's validation cases, else its test set, in the error inspector, the worst first",
)
OUTPUT = Action(
    "output",
    "Show its output",
    "The end of output.log: what the training process printed, its errors with all details",
)
FOLDER = Action("folder", "Show its folder", "Open the run's folder in the file manager")
DELETE = Action(
    "delete",
    "Delete…",
    "Move the run with its checkpoints to the trash, after a question",
)
MENU = (PAUSE, CONTINUE, STOP, RESUME, DUPLICATE, EVALUATION, OUTPUT, FOLDER, DELETE)
IN_MORE = (DUPLICATE, EVALUATION, OUTPUT, FOLDER, DELETE)


def why_not(action: Action, status: RunStatus | None, asked: str = "") -> str:
    """Say why an action is not possible now; "" when it is.

    Parameters
    ----------
    status
        The run; None when there is none.
    asked
        "stop", "pause" or "continue" while the run has not answered that.
    """
    if status is None:
        return NO_RUN
    state, alive = status.state, status.alive
    if action in (PAUSE, CONTINUE, STOP):
        if asked:
            return f"{status.name} is {ASKED_WORDS[asked]}"
        if not alive:
            return f"{status.name} is not running ({state})"
        if action is PAUSE and state == "paused":
            return f"{status.name} is paused already: press Continue"
        if action is CONTINUE and state != "paused":
            return f"{status.name} is not paused"
    elif action is RESUME:
        if alive:
            return f"{status.name} has its process: one run is worked on by one process only"
        if state == "finished":
            return f"{status.name} is finished; duplicate it to train again or longer"
    elif action is DELETE and alive:
        return f"{status.name} is at work: stop it first"
    elif action is EVALUATION and not status.evaluations:
        return f"{status.name} has not predicted whole cases yet: that follows its last epoch"
    elif action is OUTPUT and state == "new":
        return f"{status.name} has printed nothing: it was never started"
    return ""


class RunActions(QWidget):
    """The row of buttons under the list of runs.

    Signals
    -------
    asked (str)
        The name of an action for the run that is shown.
    """

    asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._status: RunStatus | None = None
        self._asked = ""
        self.pause = self._button(PAUSE)
        self.go_on = self._button(CONTINUE)
        self.stop = self._button(STOP)
        self.resume = self._button(RESUME)
        self.more = explained(
            QPushButton("more"),
            "Duplicate, open the evaluation, output or folder, delete (also a right click on "
            "the run)",
        )
        self.more_menu = QMenu(self)
        self.more_menu.aboutToShow.connect(lambda: self.fill(self.more_menu, IN_MORE))
        self.more.setMenu(self.more_menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button in (self.pause, self.go_on, self.stop, self.resume, self.more):
            layout.addWidget(button)
        layout.addStretch(1)
        self.show_status(None)

    def _button(self, action: Action) -> QPushButton:
        button = QPushButton(action.text)
        button.setObjectName(action.name)
        button.clicked.connect(lambda: self.asked.emit(action.name))
        return button

    def show_status(self, status: RunStatus | None, asked: str = "") -> None:
        """Enable what is possible; what is not says why."""
        self._status, self._asked = status, asked
        paused = status is not None and status.state == "paused" and status.alive
        self.pause.setVisible(not paused)
        self.go_on.setVisible(paused)
        for action, button in (
            (PAUSE, self.pause),
            (CONTINUE, self.go_on),
            (STOP, self.stop),
            (RESUME, self.resume),
        ):
            reason = why_not(action, status, asked)
            button.setEnabled(not reason)
            explained(button, _tip(action, reason), action.option)
        self.more.setEnabled(status is not None)

    def fill(self, menu: QMenu, actions: tuple[Action, ...] = MENU) -> None:
        """Put the actions for the run that is shown into a menu."""
        menu.clear()
        menu.setToolTipsVisible(True)
        for action in actions:
            reason = why_not(action, self._status, self._asked)
            if action in (PAUSE, CONTINUE) and reason and action is not self._pause_or_continue:
                continue
            if action is DELETE:
                menu.addSeparator()
            item = QAction(action.text, menu)
            item.setEnabled(not reason)
            item.setToolTip(_tip(action, reason))
            item.triggered.connect(self._emitter(action.name))
            menu.addAction(item)

    @property
    def _pause_or_continue(self) -> Action:
        return CONTINUE if self.go_on.isVisibleTo(self) else PAUSE

    def _emitter(self, name: str) -> Callable[[], None]:
        return lambda: self.asked.emit(name)


def _tip(action: Action, reason: str) -> str:
    return f"{action.tip}.\nNot now: {reason}" if reason else action.tip
