"""The cases of an evaluation in an order: worst first, or by their share in a number.

A `Ranking` enters; the case that is clicked leaves. Cases that could not be compared come last,
with the sentence that says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.gui.colours import RGBA, class_colour
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.table_model import TableModel, thousands
from napari_unet_mic.gui.tables import TableView

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.ranking import Ranking
    from napari_unet_mic.evaluation.results import CaseResult, Evaluation

MEAN = "mean IoU"


class CaseList(QWidget):
    """One row a case; a click opens it, a double click also leaves for "this case"."""

    case_chosen = Signal(object)
    case_wanted_alone = Signal(object)
    order_dropped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._evaluation: Evaluation | None = None
        self._shown: list[CaseResult | None] = []
        self._sentences: list[str] = []
        self.title = ElidedLabel("Cases")
        self.back = explained(QPushButton("show all"), "List all cases again, worst first")
        self.back.clicked.connect(self.order_dropped)
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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.table, 1)

    def show_ranking(self, evaluation: Evaluation, ranking: Ranking) -> None:
        """List cases in an order; its figures have the second column."""
        by_name = {case.name: case for case in evaluation.cases}
        cases = [by_name[name] for name in ranking.cases]
        values = [value for value in evaluation.values if value]
        names = [evaluation.classes.get(value, f"class {value}") for value in values]
        own = [ranking.heading] if ranking.heading else []
        ious, dices = ([f"{what} {name}" for name in names] for what in ("IoU", "Dice"))
        columns = ["case", *own, MEAN, *ious, *dices]
        rows: list[list[Any]] = []
        for case in cases:
            scores = [case.scores.get(value) for value in values]
            figures = [ranking.figures.get(case.name)] if own else []
            iou = [score.iou if score else None for score in scores]
            dice = [score.dice if score else None for score in scores]
            rows.append([case.name, *figures, case.foreground_iou, *iou, *dice])
        self._shown = [*cases]
        self._sentences = ["Click to open this case; double-click to see it alone"] * len(cases)
        if not own:
            for failed in evaluation.failed:
                rows.append([failed.name, *[None] * (len(columns) - 1)])
                self._shown.append(None)
                self._sentences.append(f"Not compared: {failed.sentence}")
        self.model.formats = dict.fromkeys(columns[1:], _figure)
        colours: list[RGBA | None] = [None] * (2 + len(own))
        colours += [class_colour(value) for value in values] * 2
        self.model.header_colour_of = lambda column: colours[column]
        self.model.tooltips = {MEAN: "Mean over the foreground classes that are in either map"}
        self.model.set_rows(columns, rows)
        self.table.sortByColumn(-1, self.table.horizontalHeader().sortIndicatorOrder())
        self.table.clearSelection()
        n, left_out = len(evaluation.cases), len(evaluation.failed)
        lost = f"; {left_out} not compared" if left_out else ""
        title = ranking.title if own else f"{n} case{'s' * (n != 1)}, {ranking.title}{lost}"
        self.title.set_whole(title)
        self.title.setToolTip(title)
        self.back.setVisible(bool(own))

    def _emit(self, signal: Any, row: int) -> None:
        case = self._shown[row] if row < len(self._shown) else None
        if case is not None:
            signal.emit(case)


def _figure(value: Callable[[], float] | float | int) -> str:
    """Write a score with four decimals, voxels with thin spaces."""
    return thousands(value) if isinstance(value, int) else f"{value:.4f}"
