"""The Annotate panel: class palette, brush, and saving a label with its exact geometry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.colours import class_colour
from napari_unet_mic.gui.comparison import name_of
from napari_unet_mic.gui.controls import MessageLine, later
from napari_unet_mic.gui.forms import ElidedLabel, breakable, explained, guard_wheel, short_combo
from napari_unet_mic.gui.label_files import Saved, array_and_geometry, save_version, stem_of
from napari_unet_mic.gui.tables import swatch

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

MOST_KEYS = 9
UNNAMED = 5  # classes offered for a layer that knows none


class AnnotatePanel(QWidget):
    """Correct the labels of one layer."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._connected: Labels | None = None
        self._build()
        events = app.viewer.layers.events
        for emitter in (events.inserted, events.removed, events.renamed):
            emitter.connect(self._on_layers_changed)
        app.state.events.dataset.connect(lambda _: self._show_layer())
        for number in range(1, MOST_KEYS + 1):
            app.viewer.bind_key(
                f"Control-{number}",
                lambda _, row=number: self.choose_class_at(row),
                overwrite=True,
            )
        self._fill_layers()

    # ---- building --------------------------------------------------------------------
    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.layer_box = explained(short_combo(QComboBox(), 14), "The labels that are corrected")
        self.layer_box.currentIndexChanged.connect(self._on_layer_chosen)
        self.new_button = self._button(
            "New empty label", "Begin a label of the image on its own grid", self.new_label
        )
        self.start_button = self._button(
            "Start from prediction",
            "Copy a prediction into this label, to correct it; one undo takes it back",
            self.start_from_prediction,
        )
        self.palette_list = explained(
            QListWidget(), "Paint with this class (Ctrl+1 … 9); the background erases"
        )
        self.palette_list.itemClicked.connect(self._on_class_clicked)
        self.brush_slider = explained(QSlider(Qt.Orientation.Horizontal), "Brush size in voxels")
        self.brush_slider.setRange(1, 60)
        self.brush_box = QSpinBox()
        self.brush_box.setRange(1, 200)
        guard_wheel(self.brush_box, self.brush_slider)
        self.brush_slider.valueChanged.connect(self._on_brush_changed)
        self.brush_box.valueChanged.connect(self._on_brush_changed)
        self.target = ElidedLabel()
        self.save_button = self._button(
            "Save", "Write the label; the version before it is kept", self.save
        )
        self.save_as_button = self._button("Save as…", "Write into another file", self.save_as)
        self._lay_out()

    def _button(self, text: str, words: str, act: Any) -> QPushButton:
        button = explained(QPushButton(text), words)
        button.clicked.connect(lambda _=False: act())
        return button

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        lines: list[list[QWidget]] = [
            [QLabel("Label"), self.layer_box],
            [self.new_button, self.start_button],
            [self.palette_list],
            [QLabel("Brush"), self.brush_slider, self.brush_box],
            [self.target],
            [self.save_button, self.save_as_button],
        ]
        for widgets in lines:
            line = QHBoxLayout()
            for widget in widgets:
                stretch = widget in (self.layer_box, self.brush_slider, self.target)
                line.addWidget(widget, int(stretch))
            layout.addLayout(line, int(widgets[0] is self.palette_list))
        layout.addWidget(MessageLine(self._app.state))

    # ---- which layer -----------------------------------------------------------------
    @property
    def layer(self) -> Labels | None:
        """The labels layer that is corrected."""
        layer: Labels | None = self.layer_box.currentData()
        return layer

    def choose(self, layer: Labels) -> None:
        """Correct this layer."""
        self.layer_box.setCurrentIndex(max(0, self.layer_box.findText(layer.name)))

    def choose_selected(self) -> None:
        """Correct the labels layer that is active in the layer list."""
        active = self._app.viewer.layers.selection.active
        if isinstance(active, Labels):
            self.choose(active)

    def _on_layers_changed(self, event: Any = None) -> None:
        later(self, self._fill_layers)

    def _fill_layers(self) -> None:
        if self._app.closed:
            return
        before = self.layer
        candidates = layers.labels_layers(self._app.viewer)
        self.layer_box.blockSignals(True)
        self.layer_box.clear()
        for layer in candidates:
            self.layer_box.addItem(layer.name, layer)
        if before in candidates:
            self.layer_box.setCurrentIndex(candidates.index(before))
        else:
            ranks = [layers.role_of(layer) != "reference" for layer in candidates]
            self.layer_box.setCurrentIndex(ranks.index(min(ranks)) if ranks else -1)
        self.layer_box.blockSignals(False)
        self._show_layer()

    def _on_layer_chosen(self, _: int) -> None:
        self._show_layer()
        if self.layer is not None:
            self._app.viewer.layers.selection.active = self.layer

    def _show_layer(self) -> None:
        layer = self.layer
        if self._connected is not layer:
            if self._connected is not None:
                self._connected.events.selected_label.disconnect(self._on_label_selected)
                self._connected.events.brush_size.disconnect(self._on_layer_brush_changed)
            if layer is not None:
                layer.events.selected_label.connect(self._on_label_selected)
                layer.events.brush_size.connect(self._on_layer_brush_changed)
            self._connected = layer
        for widget in (self.start_button, self.save_button, self.save_as_button, self.brush_box):
            widget.setEnabled(layer is not None)
        self._fill_palette(layer)
        file = self._target()
        self.target.set_whole(f"Saves to {file}" if file else "Not saved in any file yet")
        self.target.setToolTip(breakable(str(file)) if file else "Save asks for a name")
        if layer is not None:
            self._on_layer_brush_changed()

    # ---- palette and brush -----------------------------------------------------------
    def classes(self) -> Mapping[int, str]:
        """Return value -> name of the classes one can paint."""
        known = layers.classes_of(self.layer) if self.layer is not None else {}
        return known or self._dataset_classes() or {v: name_of(v, {}) for v in range(UNNAMED + 1)}

    def _dataset_classes(self) -> Mapping[int, str]:
        dataset = self._app.state.dataset
        return dataset.classes if dataset is not None else {}

    def _fill_palette(self, layer: Labels | None) -> None:
        self.palette_list.clear()
        if layer is None:
            return
        foreground = [(v, name) for v, name in self.classes().items() if v != 0]
        for number, (value, name) in enumerate(foreground, start=1):
            key = f"   Ctrl+{number}" if number <= MOST_KEYS else ""
            self._add_class(value, f"{name}{key}")
        self._add_class(0, f"{name_of(0, self.classes())} (erases)")
        self._on_label_selected()

    def _add_class(self, value: int, text: str) -> None:
        item = QListWidgetItem(swatch(class_colour(value), 14), text)
        item.setData(Qt.ItemDataRole.UserRole, value)
        self.palette_list.addItem(item)

    def choose_class_at(self, number: int) -> None:
        """Paint with the class of Ctrl+number."""
        if 0 < number <= self.palette_list.count() - 1:
            self._on_class_clicked(self.palette_list.item(number - 1))

    def _on_class_clicked(self, item: QListWidgetItem) -> None:
        layer = self.layer
        if layer is not None:
            layer.selected_label = item.data(Qt.ItemDataRole.UserRole)
            if layer.mode == "pan_zoom":
                layer.mode = "paint"

    def _on_label_selected(self) -> None:
        layer = self.layer
        for row in range(self.palette_list.count()):
            value = self.palette_list.item(row).data(Qt.ItemDataRole.UserRole)
            if layer is not None and value == layer.selected_label:
                self.palette_list.setCurrentRow(row)

    def _on_brush_changed(self, size: int) -> None:
        if self.layer is not None:
            self.layer.brush_size = size

    def _on_layer_brush_changed(self) -> None:
        if self.layer is None:
            return
        for widget in (self.brush_slider, self.brush_box):
            widget.blockSignals(True)
            widget.setValue(round(float(self.layer.brush_size)))
            widget.blockSignals(False)

    # ---- beginning a label -----------------------------------------------------------
    def new_label(self) -> None:
        """Add an empty label on the grid of the topmost image."""
        images = [one for one in reversed(self._app.viewer.layers) if layers.is_input(one)]
        source = next((s for s in map(layers.source_of, images) if s and s.volume), None)
        if source is None or source.volume is None:
            self._app.say("Open an image first: a label is made on the image's grid")
            return
        image = source.volume
        name = f"{source.case or 'new'} label"
        self._app.in_thread(
            lambda: _empty_label(image),
            topic="new label",
            on_done=lambda volume: self._add_label(volume, name, source.case),
        )

    def _add_label(self, volume: Volume, name: str, case: str) -> None:
        classes = self._dataset_classes()
        made = layers.labels_tuple(volume, name=name, role="labels", case=case, classes=classes)
        (layer,) = layers.add(self._app.viewer, [made])
        self._fill_layers()
        self.choose(layer)

    def start_from_prediction(self) -> None:
        """Copy the prediction into the label; undo takes it back."""
        layer = self.layer
        prediction = self._prediction()
        if layer is None or prediction is None:
            self._app.say("There is no prediction on this grid to start from")
            return
        self._app.in_thread(
            _difference,
            layer.data,
            prediction.data,
            topic="take over",
            on_done=lambda answer: self._on_difference_found(layer, prediction, *answer),
        )

    def _prediction(self) -> Labels | None:
        others = [o for o in layers.labels_layers(self._app.viewer) if o is not self.layer]
        chosen = layers.layer_named(self._app.viewer, self._app.state.prediction_layer)
        others.sort(key=lambda o: (o is not chosen, layers.role_of(o) != "prediction"))
        shape = self.layer.data.shape if self.layer is not None else None
        return next((other for other in others if other.data.shape == shape), None)

    def _on_difference_found(
        self, layer: Labels, prediction: Labels, where: tuple[Any, ...], values: Any
    ) -> None:
        if len(values):
            layer.data_setitem(where, values)
        self._app.say(f"Took over {len(values)} voxels from {prediction.name}")

    # ---- saving ----------------------------------------------------------------------
    def _target(self) -> Path | None:
        """Where Save writes: the label's own file, or the case's place in the dataset."""
        layer = self.layer
        source = layers.source_of(layer) if layer is not None else None
        if source is None or source.role == "prediction":
            return None
        file = source.volume.file if source.volume else None
        dataset = self._app.state.dataset
        if (
            file is None
            and dataset is not None
            and any(c.name == source.case for c in dataset.cases)
        ):
            file = dataset.case(source.case).label
            return file or dataset.folder / "labelsTr" / f"{source.case}{dataset.file_ending}"
        return file

    def save(self) -> None:
        """Write the label into its file, keeping the version before; ask when it has none."""
        file = self._target()
        if file is None:
            self.save_as()
        elif self.layer is not None:
            self._save(self.layer, file)

    def save_as(self) -> None:
        """Ask for a file and write the label there."""
        layer = self.layer
        if layer is None:
            return
        start = str(self._target() or Path.home() / f"{layer.name}.nii.gz")
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the label", start, "NIfTI (*.nii.gz *.nii)"
        )
        if name:
            self._save(layer, Path(name))

    def _save(self, layer: Labels, file: Path) -> None:
        source, workspace = layers.source_of(layer), self._app.state.workspace
        case = source.case if source and source.case else stem_of(file)
        keep_in = workspace.folder / "labels" / case if workspace is not None else None
        attributes = {
            "metadata": layer.metadata,
            "scale": layer.scale,
            "translate": layer.translate,
        }
        layers.mark_saved(layer)
        self._app.in_thread(
            _write,
            file,
            layer.data,
            attributes,
            keep_in,
            busy=f"Saving {file.name}",
            on_done=self._on_saved,
            on_error=lambda error: self._on_save_failed(layer, error),
        )

    def _on_saved(self, saved: Saved) -> None:
        kept = f"; the version before is {saved.previous}" if saved.previous else ""
        self._app.say(f"Saved {saved.file}{kept}")

    def _on_save_failed(self, layer: Labels, error: BaseException) -> None:
        layers.mark_edited(layer)
        self._app.show_error(error)


def _empty_label(image: Volume) -> Volume:
    """Return an empty label on an image's grid, with a label's header."""
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    empty = np.zeros(image.shape, np.uint8)
    return Volume(empty, image.affine, header)


def _difference(
    label: npt.NDArray[Any], prediction: npt.NDArray[Any]
) -> tuple[tuple[npt.NDArray[np.intp], ...], npt.NDArray[Any]]:
    """Return where two maps differ, and the prediction's values there; runs in a thread."""
    where = np.nonzero(label != prediction)
    return where, np.asarray(prediction[where]).astype(label.dtype)


def _write(
    file: Path, data: npt.NDArray[Any], attributes: Mapping[str, Any], keep_in: Path | None
) -> Saved:
    """Write a layer's labels; runs in a thread, on a copy so that painting may go on."""
    array, like = array_and_geometry(data, attributes)
    return save_version(file, np.array(array), like, keep_in)
