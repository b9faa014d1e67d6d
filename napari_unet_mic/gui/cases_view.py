"""All cases of an evaluation, worst first: one row a case, a click opens it in the inspector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.data.dataset import Dataset, load_case
from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.colours import class_colour
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.state import OpenCase
from napari_unet_mic.gui.tables import TableModel, TableView

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.results import CaseResult, Evaluation
    from napari_unet_mic.gui.app import App

NO_EVALUATION = "Open a folder with summary.json: of a run's fold, an evaluation, or nnU-Net's own"


class CasesView(QWidget):
    """The cases of one evaluation."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self.evaluation: Evaluation | None = None
        self._folder = Path()
        self._order: list[CaseResult] = []
        self.title = ElidedLabel(NO_EVALUATION)
        browse = explained(
            QPushButton("Open evaluation…"),
            "Choose a folder with summary.json: an evaluation, a run's fold, nnU-Net's validation",
            "unet-mic evaluate … -o FOLDER",
        )
        browse.clicked.connect(self._on_browse)
        self.model = TableModel()
        self.table = TableView(self.model)
        self.table.cell_clicked.connect(lambda row, _: self.open_case(self._order[row]))
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        line.addWidget(browse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.table, 1)

    def open(self, folder: str | Path) -> None:
        """Open an evaluation by its folder or its summary.json."""
        dataset = self._app.state.dataset
        self._app.in_thread(
            _read,
            folder,
            classes=dict(dataset.classes) if dataset else None,
            topic="evaluation",
            on_done=lambda evaluation: self.show_evaluation(evaluation, Path(folder)),
        )

    def open_newest(self) -> None:
        """Open the newest evaluation of the chosen run or the workspace, when none is open."""
        if self.evaluation is not None:
            return
        state = self._app.state
        places = list(state.run_folder.glob("*/*/summary.json")) if state.run_folder else []
        if not places and state.workspace is not None:
            places = list(state.workspace.evaluations.glob("*/summary.json"))
        if places:
            self.open(max(places, key=lambda file: file.stat().st_mtime).parent)

    def _on_browse(self) -> None:
        start = str(self._app.state.run_folder or Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Open an evaluation", start)
        if folder:
            self.open(folder)

    def show_evaluation(self, evaluation: Evaluation, folder: Path) -> None:
        """Show the cases of an evaluation, worst mean foreground IoU first."""
        self.evaluation = evaluation
        self._folder = folder if folder.is_dir() else folder.parent
        self._order = sorted(evaluation.cases, key=_badness)
        classes = {value: name for value, name in evaluation.classes.items() if value}
        columns = ["case", "mean IoU", *(f"IoU {name}" for name in classes.values())]
        columns += [f"Dice {name}" for name in classes.values()]
        rows = []
        for case in self._order:
            scores = [case.scores.get(value) for value in classes]
            ious = [score.iou if score else None for score in scores]
            dices = [score.dice if score else None for score in scores]
            rows.append([case.name, case.foreground_iou, *ious, *dices])
        self.model.formats = dict.fromkeys(columns[1:], lambda value: f"{value:.4f}")
        colours = [None, None, *[class_colour(value) for value in classes] * 2]
        self.model.header_colour_of = lambda column: colours[column]
        self.model.tooltips = {
            "mean IoU": "Mean over the foreground classes that are in either map"
        }
        self.model.set_rows(columns, rows)
        self.title.set_whole(self._headline(evaluation, classes))
        self.title.setToolTip(f"{self._folder}\n" + "\n".join(evaluation.notes))

    def _headline(self, evaluation: Evaluation, classes: dict[int, str]) -> str:
        parts = []
        for means in evaluation.class_means:
            if means.value in classes and means.iou is not None:
                pooled = f", pooled {means.iou_pooled:.4f}" if means.iou_pooled is not None else ""
                parts.append(f"{means.name} IoU {means.iou:.4f} (mean of {means.n}{pooled})")
        return f"{self._folder.name}: {len(evaluation.cases)} cases; " + "; ".join(parts)

    def open_case(self, result: CaseResult) -> None:
        """Show a case's image, reference and prediction in the viewer."""
        self._app.in_thread(
            read_judged_case,
            result,
            self._folder,
            self._app.state.dataset,
            dict(self.evaluation.classes) if self.evaluation else {},
            topic="case",
            busy=f"Reading {result.name}",
            on_done=self._on_read,
        )

    def _on_read(self, answer: tuple[OpenCase | None, list[layers.LayerTuple]]) -> None:
        case, tuples = answer
        kept = layers.show_case(self._app.viewer, tuples)
        newest = {layers.role_of(layer): layer for layer in self._app.viewer.layers}
        layers.show_pair(newest["reference"], newest["prediction"])
        self._app.state.case = case
        if kept:
            self._app.say(f"{', '.join(kept)} has changes that are not saved, so it stays (hidden)")


def _badness(case: CaseResult) -> float:
    """Sort key: the worst first, cases without any score last."""
    return 2.0 if case.foreground_iou is None else case.foreground_iou


def _read(folder: str | Path, classes: dict[int, str] | None) -> Evaluation:
    """Read an evaluation; imports what evaluating needs here, off the GUI thread."""
    from napari_unet_mic.evaluation.result_files import read_evaluation

    return read_evaluation(folder, classes=classes)


def read_judged_case(
    result: CaseResult, folder: Path, dataset: Dataset | None, classes: dict[int, str]
) -> tuple[OpenCase | None, list[layers.LayerTuple]]:
    """Read a case's image (when the dataset has it), prediction and reference; in a thread."""
    name = result.name
    prediction = read_labels(_found(result.prediction_file, folder, "prediction"))
    tuples: list[layers.LayerTuple] = []
    case, reference = None, None
    if dataset is not None and any(known.name == name for known in dataset.cases):
        image, reference = load_case(dataset, name)
        case = OpenCase(dataset.case(name), image, reference)
        tuples += layers.image_tuples(image, case=name, channel_names=dataset.channel_names)
    if reference is None:
        reference = read_labels(_found(result.reference_file, folder, "reference"))
    for volume, role in ((prediction, "prediction"), (reference, "reference")):
        title = f"{name} {role}"
        tuples.append(
            layers.labels_tuple(volume, name=title, role=role, case=name, classes=classes)
        )
    return case, tuples


def _found(file: str, folder: Path, role: str) -> Path:
    """Return the file a summary names: there, or beside it when the folder was moved."""
    beside = folder / Path(file.replace("\\", "/")).name
    for candidate in (Path(file), beside):
        if candidate.is_file() and (role == "prediction" or candidate != beside):
            return candidate
    raise BadInput(
        file,
        expected=f"the {role} that summary.json names",
        got="no such file",
        advice="open the dataset first, or evaluate again",
    )
