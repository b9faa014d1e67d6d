"""Which layers are compared: reference, prediction, and a second prediction (vs).

The viewer's labels layers enter; the chosen ones leave. A likely pair is chosen by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel

from napari_unet_mic.gui import layers
from napari_unet_mic.gui.comparison import suggested_pair
from napari_unet_mic.gui.controls import later
from napari_unet_mic.gui.forms import explained, short_combo

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

NONE = "—"
Pair = tuple[Labels | None, Labels | None]


class LayerChoice(QObject):
    """Three boxes; they go into a header with `add_to`.

    Signals
    -------
    pair_changed
        Another reference or prediction is chosen.
    second_changed
        Another second prediction is chosen, or none.
    """

    pair_changed = Signal()
    second_changed = Signal()

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self.reference_box = self._box("The layer that is taken as true", "--reference", 12)
        self.prediction_box = self._box("The layer that is judged", "--prediction", 12)
        self.second_box = self._box(
            "A second prediction: what it fixed and what it broke, in voxels of every class, and "
            "where",
            "--against",
            3,
        )
        for box in (self.reference_box, self.prediction_box):
            box.currentIndexChanged.connect(lambda _: self.pair_changed.emit())
        self.second_box.currentIndexChanged.connect(lambda _: self.second_changed.emit())
        events = app.viewer.layers.events
        for emitter in (events.inserted, events.removed, events.renamed):
            emitter.connect(self._on_layers_changed)
        self.fill()

    @staticmethod
    def _box(words: str, option: str, characters: int) -> QComboBox:
        box: QComboBox = short_combo(QComboBox(), characters)
        return explained(box, words, f"unet-mic evaluate {option}")

    def add_to(self, line: QHBoxLayout) -> None:
        """Put the boxes with their words into a line."""
        for word, box, stretch in (
            ("Reference", self.reference_box, 3),
            ("Prediction", self.prediction_box, 3),
            ("vs", self.second_box, 2),
        ):
            line.addWidget(QLabel(word))
            line.addWidget(box, stretch)

    # ---- what the viewer has ---------------------------------------------------------
    def _on_layers_changed(self, event: Any = None) -> None:
        later(self, self.after_layers_changed)

    def after_layers_changed(self) -> None:
        """Offer the layers that are there now; tell when a chosen one is gone."""
        if self._app.closed:
            return
        pair, second = self.pair(), self.second
        self.fill()
        if pair != self.pair():
            self.pair_changed.emit()
        if second is not self.second:
            self.second_changed.emit()
        if None in self.pair():
            self.suggest_pair()

    def fill(self) -> None:
        """Offer the viewer's labels layers; what is chosen stays chosen."""
        candidates = layers.labels_layers(self._app.viewer)
        for box in (self.reference_box, self.prediction_box, self.second_box):
            before = box.currentData()
            box.blockSignals(True)
            box.clear()
            box.addItem(NONE, None)
            for layer in candidates:
                box.addItem(layer.name, layer)
            box.setCurrentIndex(1 + candidates.index(before) if before in candidates else 0)
            box.blockSignals(False)

    # ---- what is chosen --------------------------------------------------------------
    def pair(self) -> Pair:
        """Return the chosen reference and prediction layer."""
        return self.reference_box.currentData(), self.prediction_box.currentData()

    @property
    def second(self) -> Labels | None:
        """The chosen second prediction."""
        layer: Labels | None = self.second_box.currentData()
        return layer

    def choose(self, reference: Labels, prediction: Labels) -> None:
        """Choose a pair; a second prediction that is one of them is dropped."""
        self.fill()
        for box, layer in ((self.reference_box, reference), (self.prediction_box, prediction)):
            self._show(box, layer)
        taken = self.second is not None and self.second in (reference, prediction)
        if taken:
            self.drop_second()
        self.pair_changed.emit()
        if taken:
            self.second_changed.emit()

    def choose_second(self, layer: Labels | None) -> None:
        """Choose a second prediction, or none."""
        self.fill()
        self._show(self.second_box, layer)
        self.second_changed.emit()

    @staticmethod
    def _show(box: QComboBox, layer: Labels | None) -> None:
        box.blockSignals(True)
        box.setCurrentIndex(0 if layer is None else max(0, box.findText(layer.name)))
        box.blockSignals(False)

    def drop_second(self) -> None:
        """Choose no second prediction, without telling."""
        self._show(self.second_box, None)

    def suggest_pair(self) -> None:
        """Choose a likely pair when none is chosen."""
        if None not in self.pair():
            return
        pair = suggested_pair(layers.labels_layers(self._app.viewer))
        if pair is not None:
            self.choose(*pair)

    def choose_selected(self) -> None:
        """Compare the two labels layers that are selected in the layer list, if they are two."""
        selected = self._app.viewer.layers.selection
        candidates = layers.labels_layers(self._app.viewer)
        two = [layer for layer in candidates if layer in selected]
        pair = suggested_pair(two) if len(two) == 2 else None
        if pair is not None:
            self.choose(*pair)
        else:
            self.suggest_pair()
