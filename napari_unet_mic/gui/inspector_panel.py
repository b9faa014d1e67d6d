"""The Error inspector: numbers of two labels layers, and every number leads to its voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from qtpy.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import inspector_tables as contents
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.cases_view import CasesView
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.comparison import suggested_pair
from napari_unet_mic.gui.controls import CommandButton
from napari_unet_mic.gui.forms import ElidedLabel, explained, short_combo
from napari_unet_mic.gui.later_figures import LaterFigures
from napari_unet_mic.gui.mistakes_view import MistakesView
from napari_unet_mic.gui.state import Comparison, Surfaces
from napari_unet_mic.gui.tables import (
    TableModel,
    TableView,
    as_csv,
    as_markdown,
    as_text,
    thousands,
)

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

NOTHING_CHOSEN = "Choose two labels layers"
WIDE = 720  # pixels: narrower than this the three parts stand above each other


class InspectorPanel(QWidget):
    """Per-class table, confusion table and mistakes of two labels layers on one grid."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self.comparer = Comparer(app)
        self.figures = LaterFigures(app, self.comparer)
        self.mistakes = MistakesView(app, self.comparer, self.figures)
        self.cases = CasesView(app)
        self._build()
        app.state.events.comparison.connect(self._on_comparison_changed)
        app.state.events.surfaces.connect(self._on_surfaces_changed)
        events = app.viewer.layers.events
        for emitter in (events.inserted, events.removed, events.renamed):
            emitter.connect(self._on_layers_changed)
        app.viewer.bind_key("n", lambda _: self.mistakes.step(1), overwrite=True)
        app.viewer.bind_key("Shift-N", lambda _: self.mistakes.step(-1), overwrite=True)
        for key, step in (("N", 1), ("Shift+N", -1)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda step=step: self.mistakes.step(step))
        self._fill_combos()
        self._say(NOTHING_CHOSEN)
        self.suggest_pair()

    # ---- building --------------------------------------------------------------------
    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.reference_box = self._combo("The layer that is taken as true", "--reference")
        self.prediction_box = self._combo("The layer that is judged", "--prediction")
        self.message = ElidedLabel()
        layers_line, buttons_line = QHBoxLayout(), QHBoxLayout()
        for word, box in (("Reference", self.reference_box), ("Prediction", self.prediction_box)):
            layers_line.addWidget(QLabel(word))
            layers_line.addWidget(box, 1)
        self.scope = explained(QComboBox(), "The two layers in the viewer, or all cases of a run")
        self.scope.addItems(["this case", "all cases"])
        self.scope.currentIndexChanged.connect(self._on_scope_chosen)
        for widget in (
            self.scope,
            self._button("all errors", "Show every wrong voxel", self._on_all_errors),
            self._copy_button(),
            CommandButton(self.command, self._app.say),
        ):
            buttons_line.addWidget(widget)
        self.header = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self.header.setSpacing(5)
        self.header.addLayout(layers_line, 6)
        self.header.addWidget(self.message, 2)
        self.header.addLayout(buttons_line)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        for part in (self._build_classes(), self._build_confusion(), self.mistakes):
            self.splitter.addWidget(part)
        self.splitter.setSizes([545, 355, 430])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.setSpacing(3)
        layout.addLayout(self.header)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.splitter)
        self.pages.addWidget(self.cases)
        layout.addWidget(self.pages, 1)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the height that the inspector has below the viewer of a small screen."""
        return QSize(900, 215)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Stay usable in a narrow dock and a low one."""
        return QSize(240, 150)

    def _combo(self, words: str, option: str) -> QComboBox:
        box = explained(short_combo(QComboBox(), 12), words, f"unet-mic evaluate {option}")
        box.currentIndexChanged.connect(self._on_choice_changed)
        return box

    def _button(self, text: str, words: str, act: Any) -> QPushButton:
        button = explained(QPushButton(text), words)
        button.clicked.connect(lambda _=False: act())
        return button

    def _copy_button(self) -> QPushButton:
        button = explained(QPushButton("copy tables"), "Copy the tables for a report")
        menu = QMenu(button)
        forms = {"as text": as_text, "as CSV": as_csv, "as Markdown": as_markdown}
        for title, form in forms.items():
            menu.addAction(title, lambda form=form: self.copy_tables(form))
        button.setMenu(menu)
        return button

    def _build_classes(self) -> QWidget:
        self.class_model = contents.class_model()
        self.class_view = TableView(self.class_model)
        self.class_view.cell_clicked.connect(self._on_class_clicked)
        self.tolerance_box = contents.tolerance_box(self.figures.tolerance_mm)
        self.tolerance_box.valueChanged.connect(self.figures.set_tolerance)
        return _titled("Per class", self.class_view, self.tolerance_box)

    def _build_confusion(self) -> QWidget:
        self.confusion_model = TableModel()
        self.confusion_view = TableView(self.confusion_model, sortable=False, by_row=False)
        self.confusion_view.cell_clicked.connect(self._on_confusion_clicked)
        self.confusion_view.cell_double_clicked.connect(lambda *_: self.mistakes.fit_largest())
        self.confusion_view.row_header_clicked.connect(lambda row: self._select_rows(row, None))
        self.confusion_view.column_header_clicked.connect(
            lambda column: self._select_rows(None, column)
        )
        self.list_model = contents.list_model()
        self.list_view = TableView(self.list_model)
        self.list_view.cell_clicked.connect(self._on_list_clicked)
        self.view_box = explained(QComboBox(), "What the cells hold, or the same as a list")
        self.view_box.addItems([*contents.VIEWS, "list"])
        self.view_box.currentTextChanged.connect(self._on_view_changed)
        self._tables = QStackedWidget()
        self._tables.addWidget(self.confusion_view)
        self._tables.addWidget(self.list_view)
        return _titled("True class ↓  predicted →", self._tables, self.view_box)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Put the parts side by side where there is room, else above each other."""
        super().resizeEvent(event)
        wide = event.size().width() >= WIDE
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        self.splitter.setOrientation(across if wide else down)
        flow = QBoxLayout.Direction
        self.header.setDirection(flow.LeftToRight if wide else flow.TopToBottom)

    def _on_scope_chosen(self, index: int) -> None:
        self.pages.setCurrentIndex(index)
        if index == 1:
            self.cases.open_newest()

    # ---- which layers ----------------------------------------------------------------
    def _on_layers_changed(self, event: Any = None) -> None:
        QTimer.singleShot(0, self._after_layers_changed)

    def _after_layers_changed(self) -> None:
        if self._app.closed:
            return
        chosen = self.chosen()
        self._fill_combos()
        if chosen != self.chosen():
            self._on_choice_changed()
        if None in self.chosen():
            self.suggest_pair()

    def _fill_combos(self) -> None:
        candidates = layers.labels_layers(self._app.viewer)
        for box in (self.reference_box, self.prediction_box):
            before = box.currentData()
            box.blockSignals(True)
            box.clear()
            box.addItem("—", None)
            for layer in candidates:
                box.addItem(layer.name, layer)
            box.setCurrentIndex(1 + candidates.index(before) if before in candidates else 0)
            box.blockSignals(False)

    def chosen(self) -> tuple[Labels | None, Labels | None]:
        """Return the chosen reference and prediction layer."""
        return self.reference_box.currentData(), self.prediction_box.currentData()

    def choose(self, reference: Labels, prediction: Labels) -> None:
        """Compare two layers."""
        for box, layer in ((self.reference_box, reference), (self.prediction_box, prediction)):
            box.blockSignals(True)
            box.setCurrentIndex(max(0, box.findText(layer.name)))
            box.blockSignals(False)
        self._on_choice_changed()

    def suggest_pair(self) -> None:
        """Choose a likely pair when none is chosen."""
        if None not in self.chosen():
            return
        pair = suggested_pair(layers.labels_layers(self._app.viewer))
        if pair is not None:
            self._fill_combos()
            self.choose(*pair)

    def compare_selected(self) -> None:
        """Compare the two labels layers that are selected in the layer list, if they are two."""
        selected = self._app.viewer.layers.selection
        candidates = layers.labels_layers(self._app.viewer)
        two = [layer for layer in candidates if layer in selected]
        pair = suggested_pair(two) if len(two) == 2 else None
        if pair is not None:
            self.choose(*pair)
        else:
            self.suggest_pair()

    def _on_choice_changed(self, _: int = 0) -> None:
        self.mistakes.clear()
        reference, prediction = self.chosen()
        state = self._app.state
        state.reference_layer = reference.name if reference else ""
        state.prediction_layer = prediction.name if prediction else ""
        try:
            self.comparer.choose(reference, prediction)
            self._say("" if reference and prediction else NOTHING_CHOSEN)
        except UNetMicError as error:
            self._app.say(str(error))
            self._say(str(error))

    def _say(self, sentence: str) -> None:
        self.message.set_whole(sentence)
        self.message.setToolTip(sentence)

    # ---- the numbers -----------------------------------------------------------------
    def _on_comparison_changed(self, comparison: Comparison | None) -> None:
        contents.show_classes(self.class_model, comparison, self._app.state.surfaces)
        self._show_cells()
        if comparison is None:
            self._say(self.comparer.complaint or NOTHING_CHOSEN)
            return
        errors = int(comparison.table.sum() - comparison.table.trace())
        self._say(f"{thousands(errors)} voxels differ")
        self.mistakes.refresh()

    def _on_surfaces_changed(self, surfaces: Surfaces | None) -> None:
        contents.show_classes(self.class_model, self._app.state.comparison, surfaces)

    def _cell_view(self) -> str:
        text = self.view_box.currentText()
        return text if text in contents.VIEWS else "voxels"

    def _on_view_changed(self, text: str) -> None:
        self._tables.setCurrentIndex(int(text == "list"))
        self._show_cells()
        self.confusion_view.fit_columns()

    def _show_cells(self) -> None:
        """Fill the table in sight: the other one waits until it is asked for."""
        comparison = self._app.state.comparison
        if self.view_box.currentText() == "list":
            contents.show_list(self.list_model, comparison)
        else:
            contents.show_confusion(self.confusion_model, comparison, self._cell_view())

    # ---- a cell, and its voxels ------------------------------------------------------
    def _on_class_clicked(self, row: int, _: int) -> None:
        self._select_rows(row, row)

    def _on_confusion_clicked(self, row: int, column: int) -> None:
        self._select_rows(row, column)

    def _on_list_clicked(self, row: int, _: int) -> None:
        comparison = self._app.state.comparison
        if comparison is not None:
            self._select_rows(*divmod(row, len(comparison.class_values)))

    def _on_all_errors(self) -> None:
        self._select_rows(None, None)

    def _select_rows(self, row: int | None, column: int | None) -> None:
        comparison = self._app.state.comparison
        if comparison is not None:
            values = comparison.class_values
            self.mistakes.select(
                None if row is None else values[row], None if column is None else values[column]
            )

    # ---- taking it elsewhere ---------------------------------------------------------
    def copy_tables(self, form: Any) -> None:
        """Copy the per-class table and the confusion table in a form (text, CSV, Markdown)."""
        shown = self.list_model if self.view_box.currentText() == "list" else self.confusion_model
        QGuiApplication.clipboard().setText(f"{form(self.class_model)}\n\n{form(shown)}\n")
        self._app.say("Copied the tables")

    def command(self) -> str:
        """Return the shell command that compares these two."""
        reference, prediction = (
            layers.file_of(layer) or f"{layer.name}.nii.gz" if layer else "FILE"
            for layer in self.chosen()
        )
        return (
            f"unet-mic evaluate --reference {reference!s} --prediction {prediction!s} "
            f"--tolerance-mm {self.figures.tolerance_mm:g} -o OUT"
        )


def _titled(title: str | QWidget, body: QWidget, *extras: QWidget) -> QWidget:
    """Return a part of the panel: a title line with its controls, and the body below."""
    part = QWidget()
    layout = QVBoxLayout(part)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    line = QHBoxLayout()
    line.addWidget(ElidedLabel(title) if isinstance(title, str) else title, 1)
    for extra in extras:
        line.addWidget(extra)
    layout.addLayout(line)
    layout.addWidget(body, 1)
    return part
