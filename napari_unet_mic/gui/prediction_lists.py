"""Keeps the Predict panel's lists true: which models there are, and what can be predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import layers
from napari_unet_mic.gui import prediction_work as work
from napari_unet_mic.gui.models import Model, models_of, read_model
from napari_unet_mic.gui.predict_panel import PredictPanel, Subject

if TYPE_CHECKING:
    from napari_unet_mic.data.dataset import Dataset
    from napari_unet_mic.data.workspace import Workspace
    from napari_unet_mic.gui.app import App
    from napari_unet_mic.gui.state import OpenCase

REFRESH_MS = 200


class PredictionLists:
    """Fills models and subjects when somebody looks, and when what is open changes."""

    def __init__(self, app: App, panel: PredictPanel) -> None:
        self.app = app
        self.panel = panel
        self._others: list[Model] = []  # model folders that the person chose
        panel.model_chosen.connect(self._on_model_folder_chosen)
        panel.lists_wanted.connect(self.refresh)
        self._soon = QTimer(panel)
        self._soon.setInterval(REFRESH_MS)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        events = app.state.events
        for event in (events.workspace, events.dataset, events.case, events.run_folder):
            event.connect(self._refresh_soon)
        layer_events = getattr(app.viewer.layers, "events", None)
        if layer_events is not None:
            layer_events.inserted.connect(self._refresh_soon)
            layer_events.removed.connect(self._refresh_soon)
        app.on_close.append(self._soon.stop)

    def _refresh_soon(self) -> None:
        if not self.app.closed and self.panel.isVisible():
            self._soon.start()

    def refresh(self) -> None:
        """Look again for models and subjects (in a thread: small files are read)."""
        state = self.app.state
        self.app.in_thread(
            _lists,
            state.dataset,
            state.workspace,
            state.case,
            self._layer_names(),
            on_done=self._on_lists,
            topic="predict lists",
        )

    def _layer_names(self) -> list[str]:
        """Return the image layers that belong to no case, the selected one first."""
        viewer_layers = self.app.viewer.layers
        case = self.app.state.case.name if self.app.state.case else None
        found = []
        for layer in viewer_layers:
            source = layers.source_of(layer)
            if layers.is_input(layer) and not (case and source and source.case == case):
                found.append(layer.name)
        selected = getattr(getattr(viewer_layers, "selection", None), "active", None)
        first = selected.name if selected is not None else None
        return sorted(found, key=lambda name: name != first)

    def _on_lists(self, lists: tuple[tuple[Model, ...], tuple[Subject, ...]]) -> None:
        models, subjects = lists
        run = self.app.state.run_folder
        folders = [model.folder for model in models]
        fresh = run if run in folders and self.panel.wish is None else None
        self.panel.show_models([*models, *self._others], choose=fresh)
        self.panel.show_subjects(subjects)

    def _on_model_folder_chosen(self, folder: Path) -> None:
        self.panel.show_error("")
        self.app.in_thread(
            read_model,
            folder,
            on_done=self._on_model_read,
            on_error=self._on_model_unreadable,
            busy=f"Reading {folder.name}",
        )

    def _on_model_read(self, model: Model) -> None:
        self._others = [other for other in self._others if other.folder != model.folder]
        self._others.append(model)
        shown = [self.panel.model.itemData(row) for row in range(self.panel.model.count())]
        models = [one for one in shown if isinstance(one, Model) and one.folder != model.folder]
        self.panel.show_models([*models, model], choose=model.folder)

    def _on_model_unreadable(self, error: BaseException) -> None:
        if isinstance(error, UNetMicError):
            self.panel.show_error(str(error))
        else:
            self.app.show_error(error)


def _lists(
    dataset: Dataset | None,
    workspace: Workspace | None,
    case: OpenCase | None,
    layer_names: list[str],
) -> tuple[tuple[Model, ...], tuple[Subject, ...]]:
    """Return models and subjects; reads small files, so it runs in a thread."""
    models = models_of(workspace) if workspace is not None else ()
    return models, work.subjects_of(dataset, workspace, case, layer_names)
