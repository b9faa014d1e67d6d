"""Where a run's first weights come from: random, a checkpoint file, a run or a model folder."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from napari_unet_mic.gui.commands import option_of
from napari_unet_mic.gui.forms import PathChoice, explained, guard_wheel, short_combo

SCRATCH, CHECKPOINT, MODEL = range(3)


class StartChoice(QWidget):
    """A list of kinds, and the path that two of them need.

    Signals
    -------
    changed ()
        Kind or path is another one.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.kind = short_combo(QComboBox())
        self.kind.addItems(["scratch", "a checkpoint…", "a model folder…"])
        explained(
            self.kind,
            "Start with random weights, or with those of a checkpoint file, of a run or of an "
            "nnU-Net model folder; the output layer is made anew where the classes differ",
            option_of("start_from"),
        )
        self.checkpoint = PathChoice(
            "Checkpoint", folder=False, nothing="no checkpoint chosen", pattern="Weights (*.pth)"
        )
        explained(self.checkpoint.button, "Choose a checkpoint_….pth", "--from CHECKPOINT")
        self.model = PathChoice("Model folder", folder=True, nothing="no folder chosen")
        explained(
            self.model.button,
            "Choose a run, or a model folder of nnU-Net (it holds plans.json and fold_0)",
            "--from MODEL",
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind)
        for choice in (self.checkpoint, self.model):
            choice.chosen.connect(self.changed)
            choice.hide()
            layout.addWidget(choice, 1)
        layout.addStretch(0)
        self.kind.currentIndexChanged.connect(self._on_kind_changed)
        self.kind.activated.connect(self._on_kind_activated)
        guard_wheel(self.kind)

    @property
    def path(self) -> Path | None:
        """The weights; None for a network that starts from scratch."""
        choice = self._choice
        return choice.path if choice is not None else None

    @property
    def missing(self) -> PathChoice | None:
        """The choice that still has to be made."""
        choice = self._choice
        return choice if choice is not None and choice.path is None else None

    def set_path(self, path: Path | None) -> None:
        """Show where the weights of a run came from."""
        is_file = path is not None and path.suffix == ".pth"
        self.kind.setCurrentIndex(SCRATCH if path is None else CHECKPOINT if is_file else MODEL)
        self.checkpoint.set_path(path if is_file else None)
        self.model.set_path(None if is_file else path)

    @property
    def _choice(self) -> PathChoice | None:
        return {CHECKPOINT: self.checkpoint, MODEL: self.model}.get(self.kind.currentIndex())

    def _on_kind_changed(self) -> None:
        self.checkpoint.setVisible(self.kind.currentIndex() == CHECKPOINT)
        self.model.setVisible(self.kind.currentIndex() == MODEL)
        self.changed.emit()

    def _on_kind_activated(self) -> None:
        missing = self.missing
        if missing is not None:
            missing.button.click()
