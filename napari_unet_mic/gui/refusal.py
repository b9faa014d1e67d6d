"""What stands where two layers cannot be compared: the reason, and what can be done about it.

A sentence and the two layers enter. Where a remedy is chosen, it is done in a thread, and the
layer that was made leaves (or the news that one was put in its place).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.gui import layer_grids, layers
from napari_unet_mic.gui.forms import breakable, explained

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

REMEDIES = {
    "resample": (
        "Resample prediction onto reference",
        "Make a new labels layer on the reference's grid: every voxel takes the value of the "
        "nearest voxel of the prediction, by the exact geometry of both. The prediction itself "
        "stays as it is",
    ),
    "adopt": (
        "Put prediction on the reference's grid",
        "The prediction has the reference's shape but no position of its own (an array without "
        "geometry): lay it voxel on voxel over the reference",
    ),
}


class Refusal(QWidget):
    """A sentence and the buttons that help."""

    replaced = Signal(object, object)  # the layer that did not fit, the one made from it
    placed = Signal()

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._pair: tuple[Labels, Labels] | None = None
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.buttons: dict[str, QPushButton] = {}
        line = QHBoxLayout()
        for remedy, (text, words) in REMEDIES.items():
            button = explained(QPushButton(text), words)
            button.clicked.connect(getattr(self, f"_on_{remedy}"))
            self.buttons[remedy] = button
            line.addWidget(button)
        line.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.sentence)
        layout.addLayout(line)
        layout.addStretch(1)

    def refuse(self, why: str, reference: Labels | None, prediction: Labels | None) -> None:
        """Say why two layers are not compared, and offer what can be done here."""
        self._pair = None
        remedies: set[str] = set()
        if reference is not None and prediction is not None and reference is not prediction:
            self._pair = (reference, prediction)
            remedies = _remedies(*self._pair)
        self.sentence.setText(f"⚠ {breakable(why)}")
        for remedy, button in self.buttons.items():
            button.setVisible(remedy in remedies)
            button.setEnabled(True)

    def _on_resample(self) -> None:
        if self._pair is None:
            return
        self.buttons["resample"].setEnabled(False)
        prediction = self._pair[1]
        self._app.in_thread(
            layer_grids.Resampling.of(*self._pair).run,
            topic="remedy",
            busy=f"Resampling {prediction.name}",
            stoppable=True,
            on_done=lambda made: self._show(prediction, made),
            on_error=self._on_failed,
        )

    def _on_adopt(self) -> None:
        if self._pair is not None:
            layer_grids.adopt(*self._pair)
            self.placed.emit()

    def _show(self, old: Labels, made: Any) -> None:
        (new,) = layers.add(self._app.viewer, [made])
        self.replaced.emit(old, new)

    def _on_failed(self, error: BaseException) -> None:
        for button in self.buttons.values():
            button.setEnabled(True)
        self._app.show_error(error)


def _remedies(reference: Labels, prediction: Labels) -> set[str]:
    """Return what would bring two layers onto one grid; nothing when they lie on one already."""
    try:
        layer_grids.check_comparable(reference, prediction)
    except GridMismatch:
        can = {"resample": layer_grids.can_resample, "adopt": layer_grids.can_adopt}
        return {name for name, asked in can.items() if asked(reference, prediction)}
    return set()
