"""All cases of an evaluation: means per class, the pooled K x K table, a plot, and the cases.

An evaluation's folder enters (or two folders, which are counted). A click on a number lists the
cases it comes from; a click on a case opens it and leaves as its layers and the cell to look at.
A second evaluation orders the cases by what it changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.theme import get_theme
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unet_mic.gui import cases_work as work
from napari_unet_mic.gui import confusion_tables as confusion
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.case_list import CaseList
from napari_unet_mic.gui.case_plot import CasePlot, points_of
from napari_unet_mic.gui.commands import evaluate_command
from napari_unet_mic.gui.confusion_view import ConfusionView
from napari_unet_mic.gui.controls import later, titled
from napari_unet_mic.gui.counting_line import MissingFiles
from napari_unet_mic.gui.evaluation_opening import NO_CASES, EvaluationOpening
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.lesions_page import LesionsPage
from napari_unet_mic.gui.mean_tables import show_means
from napari_unet_mic.gui.parts import Part, Parts
from napari_unet_mic.gui.state import OpenCase
from napari_unet_mic.gui.table_model import TableModel
from napari_unet_mic.gui.tables import TableView
from napari_unet_mic.reporting.mean_columns import MeanColumn

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.lesion import Lesion
    from napari_unet_mic.evaluation.ranking import Cell, Ranking
    from napari_unet_mic.evaluation.results import CaseResult, Evaluation
    from napari_unet_mic.gui.app import App

NO_EVALUATION = "Open a run, an evaluation, nnU-Net's validation, or two folders of labels"
MEANS_TITLE = "Per class, means over cases"
PLOT = "plot, one point a case"


@dataclass(frozen=True, eq=False)
class Opened:
    """A case that was opened: its layers, and the cell to look at."""

    reference: Labels
    prediction: Labels
    second: Labels | None
    cell: Cell | None


class CasesView(QWidget):
    """One evaluation; `title`, `menu`'s buttons and `counting` belong into the panel's header."""

    case_opened = Signal(object)
    alone_wanted = Signal()
    lesion_opened = Signal(object)  # the lesion whose case is being opened

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self.gathered: Gathered | None = None
        self.second: Gathered | None = None
        self.ranking: Ranking | None = None
        self._shown: work.AllCases | None = None
        self._columns: tuple[MeanColumn, ...] = ()
        self._wanted: CaseResult | None = None  # to be opened once its files are found
        self.open_name = ""
        self._build()
        app.viewer.events.theme.connect(self._paint_theme)

    # ---- building --------------------------------------------------------------------
    def _build(self) -> None:
        self.title = ElidedLabel(NO_EVALUATION)
        self.opening = EvaluationOpening(self._app, self)
        self.menu, self.counting = self.opening.menu, self.opening.counting
        self.opening.opened.connect(self._on_opened)
        self.opening.prepared.connect(self._on_prepared_again)
        self.opening.second_opened.connect(self._on_second_opened)
        self.opening.counting_changed.connect(self._on_counting_changed)
        self.missing = MissingFiles()
        self.missing.references_wanted.connect(lambda: self._on_pointing("references"))
        self.missing.predictions_wanted.connect(lambda: self._on_pointing("predictions"))
        self._build_means()
        self._build_confusion()
        self.lesions = LesionsPage(self._app)
        self.lesions.lesion_asked.connect(self.open_lesion)
        self.lesions.counted.connect(self._say_what_is_open)
        self.list = CaseList()
        self.list.case_chosen.connect(self.open_case)
        self.list.case_wanted_alone.connect(lambda _: self.alone_wanted.emit())
        self.list.order_chosen.connect(self._on_order_chosen)
        self.list.step_asked.connect(self.step)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.parts = Parts(
            [
                Part("Tables", titled(self.means_title, self.means), self.means),
                Part("Tables", self.confusion, self.confusion.grid, least=410),
                Part("Cases", self.list, self.list.table, least=380),
                Part("Lesions", self.lesions, self.lesions.table, least=560),
            ]
        )
        layout.addWidget(self.missing)
        layout.addWidget(self.parts, 1)

    def _build_means(self) -> None:
        self.means_model = TableModel()
        self.means = TableView(self.means_model, by_row=False, sortable=False, wrapped=True)
        self.means.cell_clicked.connect(self._on_mean_clicked)
        self.means.row_header_clicked.connect(lambda row: self._on_mean_clicked(row, 0))
        self.means_title = explained(
            ElidedLabel(MEANS_TITLE),
            "Foreground: as in nnU-Net's summary.json, the plain mean over the foreground classes",
        )

    def _build_confusion(self) -> None:
        views = (*confusion.POOLED_VIEWS, *confusion.MEAN_VIEWS)
        self.confusion = ConfusionView(views, "list, pooled")
        self.confusion.chosen.connect(self._on_cell_chosen)
        self.confusion.remedy.clicked.connect(lambda _=False: self.opening.count_again())
        self.confusion.remedy.setText("Count from the label files")
        explained(self.confusion.remedy, "Compare every case's two label files again, in the back")
        self.plot = CasePlot()
        self.plot.case_asked.connect(self._on_point_clicked)
        self._paint_theme()
        self.confusion.add_page(PLOT, self.plot)
        self.confusion.view_box.setCurrentIndex(0)

    def _paint_theme(self, event: Any = None) -> None:
        theme = get_theme(self._app.viewer.theme)
        self.plot.set_theme(theme.text.as_hex(), theme.background.as_hex())

    @property
    def evaluation(self) -> Evaluation | None:
        """What is open."""
        return self.gathered.evaluation if self.gathered is not None else None

    # ---- what is open ----------------------------------------------------------------
    def open(self, folder: str | Path) -> None:
        """Open an evaluation by its folder or its summary.json, or all folds of a model."""
        self.opening.open(folder)

    def open_newest(self) -> None:
        """Open the newest evaluation of the chosen run or the workspace, when none is open."""
        self.opening.open_newest()

    def show_evaluation(self, evaluation: Evaluation, folder: Path) -> None:
        """Show an evaluation that has just been made."""
        self.opening.show(evaluation, folder)

    def _on_counting_changed(self, counting: bool) -> None:
        self.title.setVisible(not counting)
        self.confusion.remedy.setEnabled(not counting)

    def _on_second_opened(self, second: Gathered | None) -> None:
        self.second = second
        self.menu.versus_button.setText("vs…" if second is None else f"vs {second.place.name}…")
        self.lesions.compare_with(second)
        if self._shown is not None:
            self._on_order_chosen()

    def _on_opened(self, shown: work.AllCases) -> None:
        self.second, self.open_name = None, ""
        self.menu.versus_button.setText("vs…")
        self.lesions.compare_with(None)
        self.missing.hide()
        self._on_prepared(shown)
        if shown.confusion is None:
            self.confusion.view_box.setCurrentText(PLOT)
        elif self.confusion.extra:
            self.confusion.view_box.setCurrentIndex(0)

    def _on_prepared(self, shown: work.AllCases) -> None:
        self._shown, self.gathered = shown, shown.gathered
        self.opening.gathered = shown.gathered
        found = shown.evaluation
        self._columns = show_means(self.means_model, shown.means, found.tolerance_mm)
        self.lesions.show_gathered(shown.gathered, work.labels_of(self._app.state.dataset))
        self.means_title.set_whole(MEANS_TITLE + shown.foreground)
        self.confusion.show_confusion(shown.confusion)
        self.confusion.explain(shown.lacking)
        self.confusion.remedy.setVisible(shown.countable)
        self.confusion.remedy.setEnabled(True)
        self.list.offer(found, shown.metrics)
        later(self, self._on_order_chosen)  # many classes: each step is a short one

    def _on_prepared_again(self, shown: work.AllCases) -> None:
        """Show the same cases, counted anew or found elsewhere; open the one that was missing."""
        self._on_prepared(shown)
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self.open_case(wanted)

    def _say_what_is_open(self) -> None:
        if self.gathered is None:
            return
        found = self.gathered.evaluation
        n, lost = len(found.cases), len(found.failed)
        title = f"{self.gathered.place.name}: {n} case{'s' * (n != 1)}"
        title += f", {lost} not compared" if lost else ""
        title += f"  vs  {self.second.place.name}" if self.second is not None else ""
        changed = self.lesions.versus_words
        self.title.set_whole(f"{title}: {changed}" if changed else title)
        sentences = [*found.notes, *(f"{one.name}: {one.sentence}" for one in found.failed)]
        self.title.setToolTip("\n".join([str(self.gathered.place), *sentences[:20]]))

    # ---- a number, and the cases behind it -------------------------------------------
    def _on_mean_clicked(self, row: int, column: int) -> None:
        from napari_unet_mic.evaluation.ranking import by_mean

        if self._shown is not None and row < len(self._shown.means):
            value = self._shown.means[row].value
            self._list(by_mean(self._shown.evaluation, value, self._columns[column].which))

    def _on_cell_chosen(self, row: int | None, column: int | None) -> None:
        values = self.evaluation.values if self.evaluation is not None else ()
        true = None if row is None else values[row]
        self.rank_by_cell(true, None if column is None else values[column])

    def rank_by_cell(self, true_class: int | None, predicted_class: int | None) -> None:
        """List the cases with voxels in a cell, of a row's or a column's errors, of all errors."""
        from napari_unet_mic.evaluation.ranking import by_cell

        if self._shown is None:
            return
        if self._shown.confusion is None:
            self._app.say(self._shown.lacking)
            return
        self._list(by_cell(self._shown.evaluation, true_class, predicted_class))

    def _on_order_chosen(self) -> None:
        """List all cases by the class and metric that are chosen, or by what changed in them."""
        from napari_unet_mic.evaluation.case_order import by_loss, worst_by

        if self._shown is None:
            return
        value, metric = self.list.order
        found, second = self._shown.evaluation, self.second.evaluation if self.second else None
        if second is None:
            self._list(worst_by(found, value, metric), forward=False)
        else:
            self._list(by_loss(found, second, value, metric))
        self.plot.show_points(points_of(found, value, metric, second), value)

    def _list(self, ranking: Ranking, *, forward: bool = True) -> None:
        assert self.evaluation is not None
        self.ranking = ranking
        self.list.show_ranking(self.evaluation, ranking)
        self.list.select(self.open_name)
        self.parts.bring_forward("Cases" if forward else "Tables")

    def tables(self) -> list[tuple[str, TableModel]]:
        """Return the tables in sight, each with its title, for copying."""
        if self.evaluation is None:
            return []
        shown = self.confusion.view_box.currentText()
        return [
            (f"Per class, means over {len(self.evaluation.cases)} cases", self.means_model),
            (f"True class (rows), predicted class: {shown}", self.confusion.shown_model),
            (f"Cases, {self.list.title.whole}", self.list.model),
            *self.lesions.tables(),
        ]

    def command(self) -> str:
        """Return the shell command that evaluates these cases."""
        cases = self.evaluation.cases if self.evaluation is not None else ()
        if not cases:
            return evaluate_command("REFERENCES", "PREDICTIONS")
        first, second = cases[0], self.second.evaluation.cases[:1] if self.second else ()
        return evaluate_command(
            Path(first.reference_file).parent,
            Path(first.prediction_file).parent,
            against=Path(second[0].prediction_file).parent if second else None,
        )

    # ---- a case ----------------------------------------------------------------------
    def step(self, step: int) -> None:
        """Open the next (1) or previous (-1) case of the list, at its worst region."""
        cases = self.list.in_sight()
        if not cases:
            self._app.say(NO_CASES)
            return
        names = [case.name for case in cases]
        at = names.index(self.open_name) + step if self.open_name in names else min(0, step)
        self.open_case(cases[at % len(cases)])

    def _on_point_clicked(self, name: str) -> None:
        if self.evaluation is not None:
            self.open_case(self.evaluation.case(name))

    def open_case(self, result: CaseResult) -> None:
        """Show a case's image, reference and prediction in the viewer, at its worst region."""
        from napari_unet_mic.evaluation.case_order import partners_of

        if self.gathered is None:
            return
        self.open_name, second = result.name, None
        self.list.select(result.name)
        if self.second is not None:
            partner = partners_of(self.gathered.evaluation, self.second.evaluation)
            if result.name in partner:
                second = (self.second, partner[result.name])
        cell = self.ranking.cell_of(result.name) if self.ranking is not None else None
        self._app.in_thread(
            work.read_judged_case,
            work.JudgedCase(self.gathered, result, second),
            self._app.state.dataset,
            topic="case",
            busy=f"Reading {result.name}",
            on_done=lambda answer: self._on_read(answer, cell),
            on_error=lambda error: self._on_not_read(result, error),
        )

    def open_lesion(self, name: str, lesion: Lesion) -> None:
        """Open a case at one of its lesions."""
        if self.gathered is not None:
            self.lesion_opened.emit(lesion)
            ranking, self.ranking = self.ranking, None  # no cell to go to
            self.open_case(self.gathered.evaluation.case(name))
            self.ranking = ranking

    def _on_read(
        self, answer: tuple[OpenCase | None, list[layers.LayerTuple]], cell: Cell | None
    ) -> None:
        case, tuples = answer
        self.missing.hide()
        kept = layers.show_case(self._app.viewer, tuples)
        newest = {layers.role_of(layer): layer for layer in self._app.viewer.layers}
        reference, prediction = newest["reference"], newest["prediction"]
        layers.show_pair(reference, prediction)
        self._app.state.case = case
        second = newest.get("second prediction") if self.second is not None else None
        self.case_opened.emit(Opened(reference, prediction, second, cell))
        if kept:
            self._app.say(f"{', '.join(kept)} has changes that are not saved, so it stays (hidden)")

    def _on_not_read(self, result: CaseResult, error: BaseException) -> None:
        if isinstance(error, work.MissingLabels):
            self._wanted = result
            self.missing.say(str(error))
        else:
            self._app.show_error(error)

    def _on_pointing(self, which: str) -> None:
        """Take a folder that somebody points to, and try again."""
        folder = self.menu.ask_folder(f"The folder with the {which} of these cases")
        if folder is not None:
            self.opening.point_to(**{which: folder})
