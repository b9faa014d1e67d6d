"""How far the counting of many cases is, with Cancel; and what is not here, with a way to point.

Numbers or a sentence enter; the wish to stop leaves, or the folder that somebody points to.
"""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QWidget

from napari_unet_mic.gui.forms import breakable, explained


class CountingLine(QWidget):
    """A progress bar in one line, hidden while nothing is counted."""

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.label = QLabel()
        self.bar = explained(QProgressBar(), "Cases counted so far")
        self.bar.setMaximumHeight(16)
        self.cancel = explained(QPushButton("Cancel"), "Stop counting; what is shown stays")
        self.cancel.clicked.connect(self.cancelled)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.label)
        line.addWidget(self.bar, 1)
        line.addWidget(self.cancel)
        self.hide()

    def begin(self, what: str) -> None:
        """Show that counting begins."""
        self.label.setText(what)
        self.bar.setRange(0, 0)
        self.show()

    def advance(self, done: int, n: int) -> None:
        """Show how many cases are counted."""
        self.bar.setRange(0, n)
        self.bar.setValue(done)
        self.bar.setFormat(f"{done} of {n} cases")

    def end(self) -> None:
        """Nothing is counted any more."""
        self.hide()


class MissingFiles(QWidget):
    """One sentence about files that are not here, and buttons that point to their folders."""

    references_wanted = Signal()
    predictions_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.references = explained(
            QPushButton("References…"),
            "Point to the folder with the reference label files of these cases",
        )
        self.references.clicked.connect(self.references_wanted)
        self.predictions = explained(
            QPushButton("Predictions…"), "Point to the folder with the predictions of these cases"
        )
        self.predictions.clicked.connect(self.predictions_wanted)
        self.close_button = explained(QPushButton("✕"), "Hide this sentence")
        self.close_button.setMaximumWidth(26)
        self.close_button.clicked.connect(self.hide)
        line = QHBoxLayout(self)
        line.setContentsMargins(4, 0, 0, 0)
        line.addWidget(self.sentence, 1)
        for button in (self.references, self.predictions, self.close_button):
            line.addWidget(button)
        self.hide()

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self.sentence.setText(f"⚠ {breakable(sentence)}")
        self.show()
