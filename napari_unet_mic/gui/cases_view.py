"""All cases of an evaluation: means per class, the pooled K x K table, and the cases behind both.

An evaluation's folder enters. A click on a number lists the cases it comes from; a click on a
case opens it and leaves as the layers and the cell to look at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.gui import cases_work as work
from napari_unet_mic.gui import confusion_tables as confusion
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.case_list import CaseList
from napari_unet_mic.gui.commands import evaluate_command
from napari_unet_mic.gui.confusion_view import ConfusionView
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

NO_EVALUATION = "Open a folder with summary.json: of a run, an evaluation, or nnU-Net's own"
MEANS_TITLE = "Per class, means over cases"


class CasesView(QWidget):
    """One evaluation; `title` and `browse` belong into the panel's header."""

    case_opened = Signal(object, object, object)  # reference layer, prediction layer, cell
    alone_wanted = Signal()
    lesion_opened = Signal(object)  # the lesion whose case is being opened

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self.gathered: Gathered | None = None
        self.ranking: Ranking | None = None
        self._shown: work.AllCases | None = None
        self._columns: tuple[MeanColumn, ...] = ()
        self.title = ElidedLabel(NO_EVALUATION)
        self.browse = explained(
            QPushButton("Open evaluation…"),
            "Choose a folder with summary.json: an evaluation, a run or model folder (all its "
            "folds), nnU-Net's validation",
            "unet-mic evaluate … -o FOLDER",
        )
        self.browse.clicked.connect(self._on_browse)
        self.means_model = TableModel()
        self.means = TableView(self.means_model, by_row=False, sortable=False, wrapped=True)
        self.means.cell_clicked.connect(self._on_mean_clicked)
        self.means.row_header_clicked.connect(lambda row: self._on_mean_clicked(row, 0))
        self.means_title = explained(
            ElidedLabel(MEANS_TITLE),
            "Foreground: as in nnU-Net's summary.json, the plain mean over the foreground classes",
        )
        views = (*confusion.POOLED_VIEWS, *confusion.MEAN_VIEWS)
        self.confusion = ConfusionView(views, "list, pooled")
        self.confusion.chosen.connect(self._on_cell_chosen)
        self.confusion.remedy.clicked.connect(self._on_count_wanted)
        self.confusion.remedy.setText("Count from the label files")
        explained(self.confusion.remedy, "Compare every case's two label files again, in the back")
        self.lesions = LesionsPage(app)
        self.lesions.lesion_asked.connect(self.open_lesion)
        self.list = CaseList()
        self.list.case_chosen.connect(self.open_case)
        self.list.case_wanted_alone.connect(lambda _: self.alone_wanted.emit())
        self.list.order_dropped.connect(self._on_order_dropped)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.parts = Parts(
            [
                Part("Tables", self._means_part(), self.means),
                Part("Tables", self.confusion, self.confusion.grid, least=410),
                Part("Cases", self.list, self.list.table, least=380),
                Part("Lesions", self.lesions, self.lesions.table, least=560),
            ]
        )
        layout.addWidget(self.parts)

    def _means_part(self) -> QWidget:
        part = QWidget()
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        line = QHBoxLayout()
        line.addWidget(self.means_title, 1)
        layout.addLayout(line)
        layout.addWidget(self.means, 1)
        return part

    @property
    def evaluation(self) -> Evaluation | None:
        """What is open."""
        return self.gathered.evaluation if self.gathered is not None else None

    # ---- opening ---------------------------------------------------------------------
    def open(self, folder: str | Path) -> None:
        """Open an evaluation by its folder or its summary.json, or all folds of a model."""
        dataset = self._app.state.dataset
        self._app.in_thread(
            work.open_evaluation,
            folder,
            dict(dataset.classes) if dataset else None,
            work.labels_of(dataset),
            topic="evaluation",
            busy="Reading the evaluation",
            on_done=self._on_prepared,
        )

    def open_newest(self) -> None:
        """Open the newest evaluation of the chosen run or the workspace, when none is open."""
        if self.gathered is not None:
            return
        state = self._app.state
        places = list(state.run_folder.glob("*/*/summary.json")) if state.run_folder else []
        if not places and state.workspace is not None:
            places = list(state.workspace.evaluations.glob("*/summary.json"))
        if places:
            self.open(max(places, key=lambda file: file.stat().st_mtime).parent)

    def show_evaluation(self, evaluation: Evaluation, folder: Path) -> None:
        """Show an evaluation that has just been made."""
        from napari_unet_mic.evaluation.gathering import Gathered

        place = folder if folder.is_dir() else folder.parent
        self.gathered = Gathered(
            evaluation, place, dict.fromkeys((case.name for case in evaluation.cases), place)
        )
        self._app.in_thread(
            work.prepared,
            self.gathered,
            work.labels_of(self._app.state.dataset),
            topic="evaluation",
            on_done=self._on_prepared,
        )

    def _on_browse(self) -> None:
        start = str(self._app.state.run_folder or Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Open an evaluation", start)
        if folder:
            self.open(folder)

    def _on_prepared(self, shown: work.AllCases) -> None:
        self._shown, self.gathered = shown, shown.gathered
        found = shown.evaluation
        self._columns = show_means(self.means_model, shown.means, found.tolerance_mm)
        self._say_what_is_open(found)
        self.lesions.show_gathered(shown.gathered, work.labels_of(self._app.state.dataset))
        self.means_title.set_whole(MEANS_TITLE + shown.foreground)
        self.confusion.show_confusion(shown.confusion)
        self.confusion.explain(shown.lacking)
        self.confusion.remedy.setVisible(shown.countable)
        self.confusion.remedy.setEnabled(True)
        QTimer.singleShot(0, self._on_order_dropped)  # many classes: each step is a short one

    def _say_what_is_open(self, found: Evaluation) -> None:
        assert self.gathered is not None
        n, lost = len(found.cases), len(found.failed)
        name = self.gathered.place.name
        self.title.set_whole(
            f"{name}: {n} case{'s' * (n != 1)}" + (f", {lost} not compared" if lost else "")
        )
        sentences = [*found.notes, *(f"{one.name}: {one.sentence}" for one in found.failed)]
        self.title.setToolTip("\n".join([str(self.gathered.place), *sentences[:20]]))

    def _on_count_wanted(self) -> None:
        if self.gathered is None:
            return
        self.confusion.remedy.setEnabled(False)
        self._app.in_thread(
            work.counted,
            self.gathered,
            work.labels_of(self._app.state.dataset),
            progress=lambda done, n: self._app.tell(self._on_counted_some, done, n),
            topic="evaluation",
            busy="Counting the cases",
            stoppable=True,
            on_done=self._on_prepared,
            on_error=self._on_count_failed,
        )

    def _on_counted_some(self, done: int, n: int) -> None:
        self.confusion.notice.setText(f"{work.NO_TABLE} Counted {done} of {n} cases.")

    def _on_count_failed(self, error: BaseException) -> None:
        self.confusion.remedy.setEnabled(True)
        self._app.show_error(error)

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

    def _on_order_dropped(self) -> None:
        if self._shown is not None:
            self._list(self._shown.ranking)

    def _list(self, ranking: Ranking) -> None:
        assert self.evaluation is not None
        self.ranking = ranking
        self.list.show_ranking(self.evaluation, ranking)
        self.parts.bring_forward("Cases" if ranking.heading else "Tables")

    def tables(self) -> list[tuple[str, TableModel]]:
        """Return the tables in sight, each with its title, for copying."""
        if self.evaluation is None:
            return []
        shown = self.confusion.view_box.currentText()
        return [
            (f"Per class, means over {len(self.evaluation.cases)} cases", self.means_model),
            (f"True class (rows), predicted class: {shown}", self.confusion.shown_model),
            (f"Cases, {self.list.title.whole}", self.list.model),
        ]

    def command(self) -> str:
        """Return the shell command that evaluates these cases."""
        cases = self.evaluation.cases if self.evaluation is not None else ()
        if not cases:
            return evaluate_command("REFERENCES", "PREDICTIONS")
        first = cases[0]
        return evaluate_command(
            Path(first.reference_file).parent, Path(first.prediction_file).parent
        )

    # ---- a case ----------------------------------------------------------------------
    def open_case(self, result: CaseResult) -> None:
        """Show a case's image, reference and prediction in the viewer."""
        if self.gathered is None:
            return
        cell = self.ranking.cell if self.ranking is not None else None
        self._app.in_thread(
            work.read_judged_case,
            self.gathered,
            result,
            self._app.state.dataset,
            topic="case",
            busy=f"Reading {result.name}",
            on_done=lambda answer: self._on_read(answer, cell),
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
        kept = layers.show_case(self._app.viewer, tuples)
        newest = {layers.role_of(layer): layer for layer in self._app.viewer.layers}
        reference, prediction = newest["reference"], newest["prediction"]
        layers.show_pair(reference, prediction)
        self._app.state.case = case
        self.case_opened.emit(reference, prediction, cell)
        if kept:
            self._app.say(f"{', '.join(kept)} has changes that are not saved, so it stays (hidden)")
