"""Small building blocks that several panels use: a message line and a copy-command button."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLabel, QSizePolicy, QToolButton

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


class CommandButton(QToolButton):
    """Copies the shell command that does the same as its panel."""

    def __init__(self, command: Callable[[], str], say: Callable[[str], None]) -> None:
        super().__init__()
        self._command = command
        self._say = say
        self.setText("copy command")
        self.setToolTip("Copy the unet-mic command that does the same in a terminal")
        self.clicked.connect(self._on_clicked)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Leave room for the text in napari's theme, which cuts tool buttons to icons."""
        width = self.fontMetrics().horizontalAdvance(self.text()) + 14
        return QSize(width, super().sizeHint().height())

    def _on_clicked(self) -> None:
        text = self._command()
        QGuiApplication.clipboard().setText(text)
        self._say(f"Copied: {text}")
