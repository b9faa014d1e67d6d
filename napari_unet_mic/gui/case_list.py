"""The cases of an evaluation in an order: worst first, or by their share in a number.

A `Ranking` enters; the case that is clicked leaves, or the class and metric by which all cases
are to be put in order. Cases that could not be compared come last, with the sentence that says
why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from napari_unet_mic.gui.colours import RGBA, class_colour
from napari_unet_mic.gui.controls import stacked
from napari_unet_mic.gui.difference_view import signed
from napari_unet_mic.gui.forms import ElidedLabel, explained, guard_wheel, short_combo
from napari_unet_mic.gui.table_model import TableModel, swatch, thousands
from napari_unet_mic.gui.tables import TableView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unet_mic.evaluation.ranking import Ranking
    from napari_unet_mic.evaluation.results import CaseResult, Evaluation

MEAN = "mean IoU"
ALL_CLASSES = "all classes"


class CaseList(QWidget):
    """One row a case; a click opens it, a double click also leaves for "this case".

    Signals
    -------
    case_chosen, case_wanted_alone
        A `CaseResult`.
    order_chosen
        All cases by the class and metric of the boxes.
    step_asked
        1 for the next case, -1 for the one before.
    """

    case_chosen = Signal(object)
    case_wanted_alone = Signal(object)
    order_chosen = Signal()
    step_asked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[CaseResult | None] = []
        self._sentences: list[str] = []
        self.title = ElidedLabel("Cases")
        self.back = explained(QPushButton("show all"), "List all cases again, worst first")
        self.back.clicked.connect(self.order_chosen)
        self.back.hide()
        self.model = TableModel()
        self.model.tooltip_of = lambda row, _: self._sentences[row]
        self.table = TableView(self.model, frozen=True, wrapped=True)
        self.table.cell_clicked.connect(lambda row, _: self._emit(self.case_chosen, row))
        self.table.cell_double_clicked.connect(
            lambda row, _: self._emit(self.case_wanted_alone, row)
        )
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        line.addWidget(self.back)
        stacked(self, line, self.table, self._bottom_line())

    def _bottom_line(self) -> QHBoxLayout:
        self.class_box = explained(
            short_combo(QComboBox(), 8), "Worst first by which class; all: mean of the foreground"
        )
        self.metric_box = explained(short_combo(QComboBox(), 6), "Worst first by which figure")
        line = QHBoxLayout()
        line.setSpacing(3)
        for box in (self.class_box, self.metric_box):
            guard_wheel(box)
            box.currentIndexChanged.connect(lambda _: self.order_chosen.emit())
            line.addWidget(box)
        line.addStretch(1)
        for text, words, step in (
            ("◀", "Open the case before in this list, at its worst region (Shift+W)", -1),
            ("next worst W ▶", "Open the next case of this list, at its worst region (W)", 1),
        ):
            button = explained(QPushButton(text), words)
            button.setMinimumWidth(24)
            button.clicked.connect(lambda _=False, step=step: self.step_asked.emit(step))
            line.addWidget(button)
        return line

    # ---- the order -------------------------------------------------------------------
    def offer(self, evaluation: Evaluation, metrics: Sequence[str]) -> None:
        """Offer the classes and metrics of an evaluation; what is chosen stays if it can."""
        classes: list[tuple[str, Any]] = [(ALL_CLASSES, None)]
        classes += [
            (evaluation.classes.get(value, f"class {value}"), value)
            for value in evaluation.values
            if value
        ]
        figures: list[tuple[str, Any]] = [(metric, metric) for metric in metrics]
        for box, entries in ((self.class_box, classes), (self.metric_box, figures)):
            before = box.currentText()
            box.blockSignals(True)
            box.clear()
            for text, data in entries:
                box.addItem(text, data)
                if box is self.class_box and data is not None:
                    box.setItemIcon(box.count() - 1, swatch(class_colour(data)))
            box.setCurrentIndex(max(0, box.findText(before)))
            box.blockSignals(False)

    @property
    def order(self) -> tuple[int | None, Any]:
        """The class (None: all) and the metric of the boxes."""
        return self.class_box.currentData(), self.metric_box.currentData()

    # ---- the rows --------------------------------------------------------------------
    def show_ranking(self, evaluation: Evaluation, ranking: Ranking) -> None:
        """List cases in an order; its figures have the second column."""
        by_name = {case.name: case for case in evaluation.cases}
        cases = [by_name[name] for name in ranking.cases]
        values = [value for value in evaluation.values if value]
        names = [evaluation.classes.get(value, f"class {value}") for value in values]
        ious, dices = ([f"{what} {name}" for name in names] for what in ("IoU", "Dice"))
        own = [ranking.heading] if ranking.heading and ranking.heading != MEAN else []
        columns = ["case", *own, MEAN, *ious, *dices]
        rows = [self._row(case, ranking, values, bool(own)) for case in cases]
        self._shown = [*cases]
        tip = "Click to open this case at its worst region; double-click to see it alone"
        self._sentences = [tip] * len(cases)
        if ranking.complete:
            for failed in evaluation.failed:
                rows.append([failed.name, *[None] * (len(columns) - 1)])
                self._shown.append(None)
                self._sentences.append(f"Not compared: {failed.sentence}")
        change = ranking.heading.startswith("change of")
        self.model.formats = dict.fromkeys(columns[1:], _figure)
        if own and change:
            self.model.formats[own[0]] = _change
        colours: list[RGBA | None] = [None] * (2 + len(own))
        colours += [class_colour(value) for value in values] * 2
        self.model.header_colour_of = lambda column: colours[column]
        self.model.tooltips = {MEAN: "Mean over the foreground classes that are in either map"}
        self.model.set_rows(columns, rows)
        self.table.sortByColumn(-1, self.table.horizontalHeader().sortIndicatorOrder())
        self.table.clearSelection()
        self._say(evaluation, ranking)

    @staticmethod
    def _row(case: CaseResult, ranking: Ranking, values: list[int], own: bool) -> list[Any]:
        scores = [case.scores.get(value) for value in values]
        figures = [ranking.figures.get(case.name)] if own else []
        iou = [score.iou if score else None for score in scores]
        dice = [score.dice if score else None for score in scores]
        return [case.name, *figures, case.foreground_iou, *iou, *dice]

    def _say(self, evaluation: Evaluation, ranking: Ranking) -> None:
        n, left_out = len(evaluation.cases), len(evaluation.failed)
        lost = f"; {left_out} not compared" if left_out else ""
        title = ranking.title
        if ranking.complete:
            title = f"{n} case{'s' * (n != 1)}, {ranking.title}{lost}"
        self.title.set_whole(title)
        self.title.setToolTip(title)
        self.back.setVisible(not ranking.complete)

    def in_sight(self) -> list[CaseResult]:
        """Return the cases as they are listed now, those that can be opened."""
        listed = [self._shown[row] for row in self.table.visible_rows()]
        return [case for case in listed if case is not None]

    def select(self, name: str) -> None:
        """Select a case's row without opening it."""
        for row, case in enumerate(self._shown):
            if case is not None and case.name == name:
                self.table.select_row(row)

    def _emit(self, signal: Any, row: int) -> None:
        case = self._shown[row] if row < len(self._shown) else None
        if case is not None:
            signal.emit(case)


def _figure(value: float | int) -> str:
    """Write a score with four decimals, voxels with thin spaces."""
    return thousands(value) if isinstance(value, int) else f"{value:.4f}"


def _change(value: float | int) -> str:
    """Write a difference with its sign."""
    return signed(value) if isinstance(value, int) else f"{value:+.4f}".replace("-", "−")
