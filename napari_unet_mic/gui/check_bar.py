"""The bar that starts a dataset's check, shows how far it is, ends it, and sums it up."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from napari_unet_mic.gui.forms import ElidedLabel, explained

STAGES = {
    "headers": "looking at headers",
    "files": "reading files",
    "pairs": "comparing images",
}


class CheckBar(QWidget):
    """Check, progress, Cancel, and one line about the result.

    Signals
    -------
    check_asked (), cancel_asked ()
        What the buttons ask for.
    """

    check_asked = Signal()
    cancel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = explained(
            QPushButton("Check"),
            "Look at every file, compare the cases with each other, and search for images and "
            "patients on both sides of a split",
            "unet-mic check DATASET",
        )
        self.button.clicked.connect(self.check_asked)
        self.cancel = explained(QPushButton("Cancel"), "End the check")
        self.cancel.clicked.connect(self.cancel_asked)
        self.progress = QProgressBar()
        self.progress.setToolTip("How far the check is")
        self.headline = ElidedLabel("not checked yet")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.button)
        line.addWidget(self.progress, 1)
        line.addWidget(self.headline, 1)
        line.addWidget(self.cancel)
        self.show_running(False)

    @property
    def running(self) -> bool:
        """Whether a check is shown as under way."""
        return not self.cancel.isHidden()

    def show_running(self, running: bool) -> None:
        """Show that a check is under way, or that none is."""
        self.button.setEnabled(not running)
        for widget in (self.progress, self.cancel):
            widget.setVisible(running)
        self.headline.setVisible(not running)
        if running:
            self.progress.setRange(0, 0)
            self.progress.setFormat("starting")

    def show_progress(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(done)
        self.progress.setFormat(f"{STAGES.get(stage, stage)} %v of %m")

    def show_headline(self, words: str, tip: str = "") -> None:
        """Sum up the last check."""
        self.headline.set_whole(words)
        self.headline.setToolTip(tip or words)
