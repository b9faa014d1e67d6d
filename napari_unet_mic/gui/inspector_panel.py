"""The Error inspector: numbers of two labels layers, and every number leads to its voxels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from qtpy.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import confusion_tables, layers
from napari_unet_mic.gui import inspector_tables as contents
from napari_unet_mic.gui.app import sentence_of
from napari_unet_mic.gui.cases_view import CasesView, Opened
from napari_unet_mic.gui.commands import evaluate_command
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.confusion_view import ConfusionView
from napari_unet_mic.gui.controls import CommandButton, holding, titled
from napari_unet_mic.gui.difference_view import DifferenceView
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.later_figures import LaterFigures
from napari_unet_mic.gui.layer_choice import LayerChoice
from napari_unet_mic.gui.lesions_view import LesionsView
from napari_unet_mic.gui.mistakes_view import MistakesView
from napari_unet_mic.gui.parts import Part, Parts
from napari_unet_mic.gui.refusal import Refusal
from napari_unet_mic.gui.second_prediction import SecondPrediction
from napari_unet_mic.gui.state import Comparison, Difference, Surfaces
from napari_unet_mic.gui.table_copies import FORMS, Form, together
from napari_unet_mic.gui.tables import TableModel, TableView, thousands
from napari_unet_mic.gui.view_bar import ViewBar

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

NOTHING_CHOSEN = "← choose two", "Choose two labels layers to compare, or open a case"
VS = "vs: fixed, broken"
THIS_CASE, ALL_CASES, REFUSED = range(3)
WIDE = 900  # pixels: narrower than this the header's lines stand above each other
TWO_LINES = 580  # pixels: narrower than this there are three of them
ROOMY = 1120  # pixels: narrower than this the layers' names need the message's place


class InspectorPanel(QWidget):
    """Per-class table, confusion table and mistakes of two labels layers on one grid."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self.comparer = Comparer(app)
        self.comparer.on_complaint = self._refuse
        self.figures = LaterFigures(app, self.comparer)
        self.second = SecondPrediction(app, self.comparer)
        self.mistakes = MistakesView(app, self.comparer, self.figures)
        self.lesions = LesionsView(app, self.comparer, self.figures, self.second)
        self._cases: CasesView | None = None
        self._wanted: tuple[int | None, int | None] | None = None
        self._refused = self._has_vs = False
        self._build()
        app.state.events.comparison.connect(self._on_comparison_changed)
        app.state.events.surfaces.connect(self._on_surfaces_changed)
        app.state.events.difference.connect(self._on_difference_changed)
        self._bind_keys()
        self._say(*NOTHING_CHOSEN)
        self.suggest_pair()

    def _bind_keys(self) -> None:
        acts: dict[str, Callable[[], None]] = {
            "N": lambda: self.mistakes.step(1),
            "Shift-N": lambda: self.mistakes.step(-1),
            "W": lambda: self.cases.step(1),
            "Shift-W": lambda: self.cases.step(-1),
        }
        for key, act in acts.items():
            self._app.viewer.bind_key(key, lambda _, act=act: act(), overwrite=True)
            shortcut = QShortcut(QKeySequence(key.replace("-", "+")), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)
        self.mistakes.review.bind_in(self)

    # ---- building --------------------------------------------------------------------
    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._build_header()
        self._build_pages()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.setSpacing(3)
        layout.addLayout(self.header)
        layout.addWidget(self.pages, 1)

    def _build_header(self) -> None:
        self.choice = LayerChoice(self._app)
        self.choice.pair_changed.connect(self._on_choice_changed)
        self.choice.second_changed.connect(self._on_second_chosen)
        self.reference_box = self.choice.reference_box
        self.prediction_box = self.choice.prediction_box
        self.message = ElidedLabel()
        layers_line, buttons_line = QHBoxLayout(), QHBoxLayout()
        self.choice.add_to(layers_line)
        layers_line.addWidget(self.message, 2)
        self._cases_line, self._cases_page = QHBoxLayout(), QHBoxLayout()
        self.scope = explained(QComboBox(), "The two layers in the viewer, or all cases of a run")
        self.scope.addItems(["this case", "all cases"])
        self.scope.currentIndexChanged.connect(self._on_scope_chosen)
        for widget in (
            self.scope,
            self._button("all errors", "Every wrong voxel, of any class", self._on_all_errors),
            self._copy_button(),
            CommandButton(self.command, self._app.say),
        ):
            buttons_line.addWidget(widget)
        self._left = QStackedWidget()
        self._left.addWidget(holding(layers_line))
        self._left.addWidget(holding(self._cases_line))
        self._left.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.header = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self.header.setSpacing(5)
        self.header.addWidget(self._left, 1)
        self.view_bar = ViewBar(
            self._app,
            self.chosen,
            lambda: self._select_rows(None, None),
            lambda: self.mistakes.clear(),
        )
        for view in (self.mistakes, self.lesions):
            view.class_looked_at.connect(self.view_bar.probability.follow)
        self.controls = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self.controls.addWidget(self.view_bar)
        self.controls.addLayout(buttons_line)
        self.header.addLayout(self.controls)

    def _build_pages(self) -> None:
        classes, confusion = self._build_classes(), self._build_confusion()
        self.parts = Parts(
            [
                Part("Tables", classes, self.class_view),
                Part("Tables", confusion, self.confusion.grid),
                Part("Mistakes", self.mistakes, self.mistakes.table, least=430),
                Part("Lesions", self.lesions, self.lesions.table, least=450),
            ]
        )
        self.refusal = Refusal(self._app)
        self.refusal.replaced.connect(self._on_replaced)
        self.refusal.placed.connect(self._on_choice_changed)
        self.pages = QStackedWidget()
        for page in (self.parts, holding(self._cases_page), self.refusal):
            self.pages.addWidget(page)

    @property
    def cases(self) -> CasesView:
        """The page of all cases, made when it is first asked for."""
        if self._cases is None:
            cases = self._cases = CasesView(self._app)
            cases.case_opened.connect(self._on_case_opened)
            cases.lesion_opened.connect(self.lesions.go_when_shown)
            cases.alone_wanted.connect(lambda: self.scope.setCurrentIndex(THIS_CASE))
            for widget, stretch in (
                (cases.title, 1),
                (cases.counting, 1),
                (cases.menu.open_button, 0),
                (cases.menu.versus_button, 0),
            ):
                self._cases_line.addWidget(widget, stretch)
            self._cases_page.addWidget(cases)
        return self._cases

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the height that the inspector has below the viewer of a small screen."""
        return QSize(900, 215)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Stay usable in a narrow dock and a low one."""
        return QSize(240, 100)  # in 3-D napari's controls leave no more on a small screen

    def _button(self, text: str, words: str, act: Any) -> QPushButton:
        button = explained(QPushButton(text), words)
        button.clicked.connect(lambda _=False: act())
        return button

    def _copy_button(self) -> QPushButton:
        button = explained(QPushButton("copy tables"), "Copy the tables for a report")
        menu = QMenu(button)
        for title, form in FORMS.items():
            menu.addAction(title, lambda form=form: self.copy_tables(form))
        button.setMenu(menu)
        return button

    def _build_classes(self) -> QWidget:
        self.class_model = contents.class_model()
        self.class_view = TableView(self.class_model, frozen=True)
        self.class_view.cell_clicked.connect(self._on_class_clicked)
        self.tolerance_box = contents.tolerance_box(self.figures.tolerance_mm)
        self.tolerance_box.valueChanged.connect(self.figures.set_tolerance)
        return titled("Per class", self.class_view, self.tolerance_box)

    def _build_confusion(self) -> QWidget:
        self.confusion = ConfusionView()
        self.confusion.chosen.connect(self._select_rows)
        self.difference = DifferenceView()
        self.difference.setParent(self.confusion)
        self.difference.hide()
        self.difference.chosen.connect(self.mistakes.select_difference)
        self.confusion.grid.cell_double_clicked.connect(lambda *_: self.mistakes.fit_largest())
        self.confusion_view, self.confusion_model = self.confusion.grid, self.confusion.model
        self.list_model, self.view_box = self.confusion.list_model, self.confusion.view_box
        return self.confusion

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Put the header into one line where there is room."""
        super().resizeEvent(event)
        flow = QBoxLayout.Direction
        width = event.size().width()
        for line, enough in ((self.header, WIDE), (self.controls, TWO_LINES)):
            line.setDirection(flow.LeftToRight if width >= enough else flow.TopToBottom)
        self.message.setVisible(not WIDE <= width < ROOMY)

    def _on_scope_chosen(self, index: int) -> None:
        if index == ALL_CASES:
            self.cases.open_newest()
        self._left.setCurrentIndex(index)
        self._show_page()

    def _show_page(self) -> None:
        """Show all cases, this case, or why its two layers cannot be compared."""
        if self.scope.currentIndex() == ALL_CASES:
            self.pages.setCurrentIndex(ALL_CASES)
        else:
            self.pages.setCurrentIndex(REFUSED if self._refused else THIS_CASE)

    # ---- which layers ----------------------------------------------------------------
    def chosen(self) -> tuple[Labels | None, Labels | None]:
        """Return the chosen reference and prediction layer."""
        return self.choice.pair()

    def choose(self, reference: Labels, prediction: Labels) -> None:
        """Compare two layers."""
        self.choice.choose(reference, prediction)

    def suggest_pair(self) -> None:
        """Choose a likely pair when none is chosen."""
        self.choice.suggest_pair()

    def compare_selected(self) -> None:
        """Compare the two labels layers that are selected in the layer list, if they are two."""
        self.choice.choose_selected()

    def _on_choice_changed(self) -> None:
        self.mistakes.clear()
        reference, prediction = self.chosen()
        if self.choice.second is not None and self.choice.second in (reference, prediction):
            self.choice.drop_second()
            self._on_second_chosen()
        state = self._app.state
        state.reference_layer = reference.name if reference else ""
        state.prediction_layer = prediction.name if prediction else ""
        self._refused = False
        try:
            self.comparer.choose(reference, prediction)
            self._say(*("",) if reference and prediction else NOTHING_CHOSEN)
        except UNetMicError as error:
            self._on_compare_failed(error)
        self._show_page()

    def _on_compare_failed(self, error: BaseException) -> None:
        if isinstance(error, UNetMicError):
            self._app.say(str(error))
        else:
            self._app.show_error(error)
        self._refuse(sentence_of(error))

    def _refuse(self, why: str) -> None:
        """Say in place of the tables why two layers are not compared, and offer what helps."""
        self._say("cannot be compared")
        self.refusal.refuse(why, *self.chosen())
        self._refused = True
        self._show_page()

    def _on_replaced(self, old: Labels, new: Labels) -> None:
        """Compare a layer that was made in place of another, which is hidden."""
        pair = [new if layer is old else layer for layer in self.chosen()]
        old.visible = False
        self._app.say(f"Made {new.name}; {old.name} is hidden")
        if None not in pair:
            self.choose(*pair)

    def _on_second_chosen(self) -> None:
        try:
            self.second.choose(self.choice.second)
        except UNetMicError as error:
            self.choice.drop_second()
            self._app.show_error(error)
        if self.second.layer is None:
            self._has_vs = False
            self.confusion.remove_page(VS)

    def _on_difference_changed(self, difference: Difference | None) -> None:
        self.difference.show_difference(difference)
        if difference is not None and not self._has_vs:
            self._has_vs = True
            self.confusion.add_page(VS, self.difference, self.difference.model, "True ↓")

    def _on_case_opened(self, opened: Opened) -> None:
        """Compare the case that was clicked in the list, and go to the cell it was listed for."""
        self.choose(opened.reference, opened.prediction)
        self.choice.choose_second(opened.second)
        self._wanted = opened.cell

    def _say(self, sentence: str, tip: str = "") -> None:
        self.message.set_whole(sentence)
        self.message.setToolTip(tip or sentence)

    # ---- the numbers -----------------------------------------------------------------
    def _on_comparison_changed(self, comparison: Comparison | None) -> None:
        contents.show_classes(self.class_model, comparison, self._app.state.surfaces)
        self.confusion.show_confusion(
            None if comparison is None else confusion_tables.of_comparison(comparison)
        )
        if comparison is None:
            return
        self._refused = False
        self._show_page()
        errors = int(comparison.table.sum() - comparison.table.trace())
        self._say(f"{thousands(errors)} voxels differ")
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self.mistakes.select(*wanted)
        else:
            self.mistakes.refresh()

    def _on_surfaces_changed(self, surfaces: Surfaces | None) -> None:
        contents.show_classes(self.class_model, self._app.state.comparison, surfaces)

    # ---- a cell, and its voxels ------------------------------------------------------
    def _on_class_clicked(self, row: int, _: int) -> None:
        self._select_rows(row, row)

    def _on_all_errors(self) -> None:
        if self.scope.currentIndex() == ALL_CASES:
            self.cases.rank_by_cell(None, None)
        else:
            self._select_rows(None, None)

    def _select_rows(self, row: int | None, column: int | None) -> None:
        comparison = self._app.state.comparison
        if comparison is not None:
            values = comparison.class_values
            self.mistakes.select(
                None if row is None else values[row], None if column is None else values[column]
            )

    # ---- taking it elsewhere ---------------------------------------------------------
    def copy_tables(self, form: Form) -> None:
        """Copy the tables in sight in a form (text, CSV, Markdown)."""
        QGuiApplication.clipboard().setText(together(self.tables_in_sight(), form))
        self._app.say("Copied the tables")

    def tables_in_sight(self) -> list[tuple[str, TableModel]]:
        """Return the tables of the scope that is shown, each with its title."""
        if self.scope.currentIndex() == ALL_CASES:
            return self.cases.tables()
        regions = ("Mistakes: " + self.mistakes.title.whole, self.mistakes.model)
        shown = (f"True class (rows), predicted class: {self.view_box.currentText()}",)
        tables = [("Per class", self.class_model), (*shown, self.confusion.shown_model), regions]
        return [*tables, *self.lesions.tables()]

    def command(self) -> str:
        """Return the shell command that compares these two layers, or all cases."""
        if self.scope.currentIndex() == ALL_CASES:
            return self.cases.command()
        reference, prediction = (
            layers.file_of(layer) or f"{layer.name}.nii.gz" if layer else "FILE"
            for layer in self.chosen()
        )
        second = self.choice.second
        against = None if second is None else layers.file_of(second) or f"{second.name}.nii.gz"
        return evaluate_command(
            reference,
            prediction,
            tolerance_mm=self.figures.tolerance_mm,
            lesion_classes=self.lesions.found.classes if self.lesions.found else (),
            match=self.lesions.criterion,
            smallest_ml=self.lesions.smallest.ml,
            against=against,
        )
