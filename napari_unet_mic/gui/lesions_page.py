"""The lesions of all cases: counts, size against IoU, recall by size; each one click away.

An evaluation enters. Where its files hold lesions they are shown at once, and no volume is read;
else a button finds them in the label files. The lesion that is clicked leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.evaluation.lesion import LesionQuestion, Match, judged
from napari_unet_mic.gui import lesions_work
from napari_unet_mic.gui.forms import ElidedLabel, explained, guard_wheel, short_combo
from napari_unet_mic.gui.lesion_scatter import LesionScatter
from napari_unet_mic.gui.lesion_table import ORDER, SHOWN_AS, lesion_model, match_box
from napari_unet_mic.gui.tables import TableModel, TableView

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.lesion import Judged
    from napari_unet_mic.gui.app import App

NOTHING = "Lesions"
NOT_COUNTED = "Lesions: not looked for in this evaluation"
PLOT, LIST = range(2)


class LesionsPage(QWidget):
    """Counts and plot; `lesion_asked` carries a case's name and one of its lesions."""

    lesion_asked = Signal(str, object)

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._gathered: Gathered | None = None
        self._labels: Mapping[str, Path] = {}
        self.shown: list[tuple[str, Judged]] = []
        self.title = ElidedLabel(NOTHING)
        self.match = match_box()
        self.match.currentIndexChanged.connect(lambda _: self._show())
        self.choice = explained(
            short_combo(QComboBox(), 8),
            "The class whose lesions are shown",
            "unet-mic evaluate --lesion-classes",
        )
        guard_wheel(self.choice)
        self.choice.currentIndexChanged.connect(lambda _: self._show())
        self.view_box = explained(QComboBox(), "Show the lesions as a plot or as a list")
        self.view_box.addItems(["plot", "list"])
        self.view_box.setFixedWidth(76)
        self.count = explained(
            QPushButton("Find lesions"), "Find the lesions in every case's two label files"
        )
        self.count.clicked.connect(self._on_count)
        self.cancel = explained(QPushButton("Cancel"), "Stop looking for lesions")
        self.cancel.clicked.connect(self._on_cancel)
        self.scatter = LesionScatter()
        self.scatter.lesion_clicked.connect(self.lesion_asked)
        self.model = lesion_model()
        self.model.tooltip_of = lambda *_: "Click to open the case there"
        self.table = TableView(self.model, frozen=True)
        self.table.cell_clicked.connect(self._on_row_clicked)
        self.table.hide()
        self.view_box.currentIndexChanged.connect(self._on_view_chosen)
        self._arrange()
        app.viewer.events.theme.connect(self._on_theme)
        self._on_theme()

    def _arrange(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        for widget in (self.count, self.cancel, self.view_box, self.match, self.choice):
            line.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.scatter, 1)
        layout.addWidget(self.table, 1)
        self.count.hide()
        self.cancel.hide()

    def show_gathered(self, gathered: Gathered, labels: Mapping[str, Path]) -> None:
        """Show the lesions of an evaluation, or offer to find them.

        Parameters
        ----------
        labels
            Reference files by case name that are known otherwise.
        """
        self._gathered, self._labels = gathered, labels
        evaluation = gathered.evaluation
        question = evaluation.lesions
        self._set_finding(False)
        self.count.setVisible(question is None and bool(evaluation.cases))
        self.choice.blockSignals(True)
        before = self.choice.currentData()
        self.choice.clear()
        for value in question.classes if question is not None else ():
            self.choice.addItem(evaluation.classes.get(value, f"class {value}"), value)
        self.choice.setCurrentIndex(max(0, self.choice.findData(before)))
        self.choice.blockSignals(False)
        self.choice.setVisible(self.choice.count() > 1)
        if question is not None:
            self.match.blockSignals(True)
            self.match.setCurrentIndex(max(0, self.match.findData(question.match)))
            self.match.blockSignals(False)
        self._show()

    def _show(self) -> None:
        """Count and draw the chosen class by the chosen criterion."""
        from napari_unet_mic.evaluation.lesion_figures import by_size, figures_of, lesions_by_case

        evaluation = self._gathered.evaluation if self._gathered is not None else None
        question = evaluation.lesions if evaluation is not None else None
        value, match = self.choice.currentData(), self.criterion
        if evaluation is None or question is None or value is None:
            self.shown = []
            self.scatter.show_lesions([], (), match)
            self.model.set_rows([], [])
            self.title.set_whole(NOT_COUNTED if evaluation is not None else NOTHING)
            return
        cases = lesions_by_case(evaluation)
        figures = figures_of(cases.values(), value, match, question.smallest)
        share, rate = figures.sensitivity, figures.false_positives_per_case
        words = figures.words
        details = f"; sensitivity {share:.2f}" if share is not None else ""
        details += f"; {rate:.2f} false positives per case" if rate is not None else ""
        self.title.set_whole(words)
        self.title.setToolTip(words + details)
        every = [
            (name, one)
            for name, lesions in cases.items()
            for one in judged(lesions, match, question.smallest)
            if one.lesion.value == value
            and (one.lesion.source == "reference" or one.state == "spurious")
        ]
        self.shown = sorted(every, key=lambda pair: (ORDER[pair[1].state], -pair[1].lesion.ml))
        bins = by_size(cases.values(), value, question.bins_ml, question.smallest)
        self.scatter.show_lesions(self.shown, bins, match)
        columns = ["case", "ml", "state", "IoU", "confidence", "highest"]
        rows = [
            [
                name,
                one.lesion.ml,
                SHOWN_AS[one.state],
                one.lesion.iou,
                one.lesion.confidence,
                one.lesion.highest,
            ]
            for name, one in self.shown
        ]
        self.model.set_rows(columns, rows)

    def tables(self) -> list[tuple[str, TableModel]]:
        """Return for copying: counts and recall by size of every class, and the list in sight."""
        from napari_unet_mic.gui.lesion_copies import figure_tables

        tables = figure_tables(self._gathered.evaluation if self._gathered is not None else None)
        if self.view_box.currentIndex() == LIST:
            tables.append((f"Lesions, {self.choice.currentText()}: {self.title.whole}", self.model))
        return tables

    @property
    def criterion(self) -> Match:
        """The chosen criterion."""
        match: Match = self.match.currentData()
        return match

    def _on_view_chosen(self, index: int) -> None:
        self.scatter.setVisible(index == PLOT)
        self.table.setVisible(index == LIST)

    def _on_row_clicked(self, row: int, _: int) -> None:
        case, one = self.shown[row]
        self.lesion_asked.emit(case, one.lesion)

    def _on_theme(self, event: object = None) -> None:
        from napari.utils.theme import get_theme

        theme = get_theme(self._app.viewer.theme)
        self.scatter.set_theme(theme.text.as_hex(), theme.background.as_hex())

    # ---- finding them ----------------------------------------------------------------
    def _set_finding(self, finding: bool) -> None:
        self.cancel.setVisible(finding)
        self.count.setEnabled(not finding)

    def _on_count(self) -> None:
        gathered = self._gathered
        if gathered is None:
            return
        self._set_finding(True)
        self._ticket = self._app.in_thread(
            lesions_work.count_lesions,
            gathered,
            self._labels,
            LesionQuestion(),
            progress=lambda done, n: self._app.tell(self._on_progress, done, n),
            topic="lesions",
            busy="Finding lesions",
            stoppable=True,
            on_done=lambda found: self._on_counted(gathered, found),
            on_error=self._on_failed,
        )

    def _on_cancel(self) -> None:
        self._ticket.stale = True
        self._set_finding(False)
        self._show()

    def _on_progress(self, done: int, n: int) -> None:
        if not self.cancel.isHidden():
            self.title.set_whole(f"Looked at {done} of {n} cases")

    def _on_counted(self, gathered: Gathered, found: Gathered) -> None:
        if self._gathered is gathered:
            self.show_gathered(found, self._labels)

    def _on_failed(self, error: BaseException) -> None:
        self._set_finding(False)
        self._show()
        self._app.show_error(error)
