"""What went wrong with a run: its own sentence, and the end of its output one click away."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFontDatabase, QTextCursor
from qtpy.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui.forms import ErrorLine, explained

NO_OUTPUT = "The process printed nothing."


class FaultLine(QWidget):
    """A sentence about a run that failed, hidden while there is none.

    Signals
    -------
    output_wanted ()
        The end of the run's output shall be shown.
    """

    output_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._line = ErrorLine()
        self.button = explained(
            QPushButton("output…"),
            "Show the end of output.log: what the process printed before it ended",
        )
        self.button.clicked.connect(self.output_wanted)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line, 1)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def sentence(self) -> str:
        """What is shown."""
        return self._line.sentence

    def show_fault(self, sentence: str) -> None:
        """Show a sentence; an empty one hides the line."""
        if sentence != self.sentence:
            self._line.show_sentence(sentence)
        self.setVisible(bool(sentence))


class OutputWindow(QDialog):
    """The end of a run's output in a window beside the others; it blocks nothing."""

    def __init__(self, name: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"{name}: output.log")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text = QPlainTextEdit(text or NO_OUTPUT)
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.moveCursor(QTextCursor.MoveOperation.End)
        self.text.setToolTip("The end of what the run's processes printed; select to copy")
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        self.resize(760, 420)
