"""Small building blocks that several panels use: a message line, a copy-command button, lines.

And `later`: what a widget does in a moment, unless it has gone by then.
"""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui.forms import ElidedLabel
from napari_unet_mic.gui.state import State


class MessageLine(QLabel):
    """Shows what is going on, or the last thing that was said, wrapped and selectable."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        state.events.busy.connect(self._on_state_changed)
        state.events.message.connect(self._on_state_changed)
        self._on_state_changed()

    def _on_state_changed(self) -> None:
        text = self._state.busy or self._state.message
        self.setText(text)
        self.setToolTip(text)
        self.setVisible(bool(text))


class CommandButton(QPushButton):
    """Copies the shell command that does the same as its panel."""

    def __init__(self, command: Callable[[], str], say: Callable[[str], None]) -> None:
        super().__init__("copy command")
        self._command = command
        self._say = say
        self.setToolTip("Copy the unet-mic command that does the same in a terminal")
        self.clicked.connect(self._on_clicked)

    def _on_clicked(self) -> None:
        text = self._command()
        QGuiApplication.clipboard().setText(text)
        self._say(f"Copied: {text}")


def later(owner: QObject, act: Callable[[], object], milliseconds: int = 0) -> None:
    """Call `act` when the event loop turns next, or so much later, unless `owner` has gone.

    `QTimer.singleShot` would call a method of a window that was closed meanwhile.
    """
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.timeout.connect(act)
    timer.timeout.connect(timer.deleteLater)
    timer.start(milliseconds)


def holding(line: QHBoxLayout) -> QWidget:
    """Return a widget around a line of others."""
    widget = QWidget()
    line.setContentsMargins(0, 0, 0, 0)
    widget.setLayout(line)
    return widget


def stacked(part: QWidget, *rows: QWidget | QLayout) -> None:
    """Fill a part with rows close above each other; widgets share the height, lines do not."""
    layout = QVBoxLayout(part)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    for row in rows:
        if isinstance(row, QWidget):
            layout.addWidget(row, 1)
        else:
            layout.addLayout(row)


def titled(title: str | QWidget, body: QWidget, *extras: QWidget) -> QWidget:
    """Return a part of the panel: a title line with its controls, and the body below."""
    part = QWidget()
    line = QHBoxLayout()
    line.addWidget(ElidedLabel(title) if isinstance(title, str) else title, 1)
    for extra in extras:
        line.addWidget(extra)
    stacked(part, line, body)
    return part
