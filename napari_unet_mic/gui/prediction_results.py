"""Shows what was predicted: a labels layer compared with its reference, or a scored set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.gui import layers
from napari_unet_mic.gui import prediction_work as work
from napari_unet_mic.gui.predict_panel import PredictWish

if TYPE_CHECKING:
    from napari_unet_mic.data.volume import Volume
    from napari_unet_mic.evaluation.summary import Evaluation
    from napari_unet_mic.gui.app import App


class PredictionResults:
    """Turns predicted files into layers, and an evaluation into the inspector's list of cases."""

    def __init__(self, app: App, show_error: Callable[[BaseException], None]) -> None:
        self.app = app
        self._show_error = show_error

    def show_file(self, wish: PredictWish, file: Path, geometry: Volume | None) -> None:
        """Show one predicted file; `geometry` is that of the layer it was predicted for."""
        of = wish.subject.names[0]

        def read() -> layers.LayerTuple:
            if geometry is not None:
                labels = work.read_layer_prediction(file, geometry)
            else:
                labels = read_labels(file)
            return work.prediction_tuple(labels, of, wish)

        self.app.in_thread(read, on_done=self._on_prediction_read, on_error=self._show_error)

    def _on_prediction_read(self, prediction: layers.LayerTuple) -> None:
        viewer = self.app.viewer
        name = prediction[1]["name"]
        older = layers.layer_named(viewer, name)
        if older is not None:
            if layers.is_edited(older):
                prediction[1]["name"] = f"{name} (new)"
            else:
                viewer.layers.remove(older)
        case = prediction[1]["metadata"][layers.KEY].case
        (layer,) = layers.add(viewer, [prediction])
        self._compare(layer.name, case)

    def _compare(self, prediction_layer: str, case: str) -> None:
        """Let the inspector compare a prediction with its case's reference, if there is one."""
        state = self.app.state
        state.prediction_layer = prediction_layer
        reference = layers.layer_named(self.app.viewer, work.reference_layer_name(case))
        if reference is None:
            self.app.suggest_pair()
            return
        state.reference_layer = reference.name
        QTimer.singleShot(0, lambda: self._choose(reference.name, prediction_layer))

    def _choose(self, *names: str) -> None:
        """Choose the pair in the inspector, once it knows the new layer."""
        pair = [layers.layer_named(self.app.viewer, name) for name in names]
        if None not in pair and self.app.has_panel("inspector"):
            inspector: Any = self.app.panel("inspector")
            inspector.scope.setCurrentIndex(0)
            inspector.choose(*pair)

    def show_evaluation(self, found: Evaluation, folder: Path) -> None:
        """Show all cases of an evaluation in the inspector, the worst first."""
        inspector: Any = self.app.show("inspector")
        inspector.cases.show_evaluation(found, folder)
        inspector.scope.setCurrentIndex(1)
