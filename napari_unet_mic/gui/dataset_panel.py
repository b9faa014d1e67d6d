"""The Dataset panel: open a dataset, see its cases, open one with a click."""

from __future__ import annotations

import random
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.data.dataset import Case, Dataset, open_dataset
from napari_unet_mic.data.splits import Splits, five_folds, read_splits
from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.case_reading import read_case
from napari_unet_mic.gui.check_control import CheckControl
from napari_unet_mic.gui.colours import class_colour
from napari_unet_mic.gui.controls import CommandButton, MessageLine
from napari_unet_mic.gui.dataset_survey import CaseFacts, survey
from napari_unet_mic.gui.forms import ElidedLabel, explained, guard_wheel, scrolled, short_combo
from napari_unet_mic.gui.inspector_tables import millilitres
from napari_unet_mic.gui.state import OpenCase
from napari_unet_mic.gui.tables import TableModel, TableView

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

FIXED = ("case", "split", "shape", "spacing mm")
TABS_TIPS = (
    "What is wrong or odd about the dataset, gravest first",
    "Cases that share an image, or look like one patient, side by side",
    "Volumes of the classes and sizes of the lesions, training against test",
)
HOLD_OUT = ("as in folder", "one case in ten", "one case in five", "the selected cases")


class DatasetPanel(QWidget):
    """Path, check, cases and what was found about them, patients, test set and folds."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._shown: Dataset | None = None
        self._as_in_folder: Dataset | None = None
        self._facts: dict[str, CaseFacts] = {}
        self._fold_of: dict[str, int] = {}
        self._changed: set[str] = set()
        self._fitted = False
        self._build()
        self._refresh = QTimer(self)
        self._refresh.setSingleShot(True)
        self._refresh.setInterval(250)
        self._refresh.timeout.connect(self._show_changes)
        app.state.events.dataset.connect(self._on_dataset_changed)
        app.state.events.workspace.connect(self._on_workspace_changed)
        app.on_close.append(self._refresh.stop)
        self._on_dataset_changed(app.state.dataset)

    def _build(self) -> None:
        self.path = explained(
            QLineEdit(),
            "A Decathlon or nnU-Net raw dataset: its folder or its dataset.json",
            "unet-mic check DATASET",
        )
        self.path.setPlaceholderText("Folder with dataset.json")
        self.path.returnPressed.connect(lambda: self.open(self.path.text()))
        browse = explained(QPushButton("Open…"), "Choose the folder of a dataset")
        browse.clicked.connect(self._on_browse)
        self.summary = ElidedLabel("No dataset is open")
        self.filter = explained(QLineEdit(), "Show only cases with this text in any column")
        self.filter.setPlaceholderText("filter cases")
        self.filter.setClearButtonEnabled(True)
        self.model = TableModel(
            {
                "shape": lambda shape: "×".join(str(n) for n in shape),
                "spacing mm": lambda mm: " ".join(f"{step:.3g}" for step in mm),
            }
        )
        self.model.tooltips = {
            "split": "train, test (held out: in no plan and no fold) or unlabelled",
            "fold": "The fold in which this case validates the network",
            "shape": "Voxels along z × y × x",
            "spacing mm": "Voxel size along z, y, x",
        }
        self.table = TableView(self.model)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.cell_clicked.connect(self._on_row_clicked)
        self.filter.textChanged.connect(self.table.set_filter)
        self.test_box = explained(
            short_combo(QComboBox(), 15),
            "Cases held out for the final test: in no fingerprint, plan or fold",
            "unet-mic train --test CASES",
        )
        self.test_box.addItems(HOLD_OUT)
        guard_wheel(self.test_box)
        self.test_box.activated.connect(self._on_test_set_chosen)
        self.folds_label = ElidedLabel()
        self.check = CheckControl(
            self._app, self.path.text, self._open_named, self._on_workspace_changed
        )
        self.check.titles_changed = self._show_titles
        self._lay_out(browse)

    def _lay_out(self, browse: QPushButton) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        command = CommandButton(self.command, self._app.say)
        cases = QWidget()
        in_cases = QVBoxLayout(cases)
        in_cases.setContentsMargins(0, 2, 0, 0)
        in_cases.setSpacing(3)
        in_cases.addWidget(self.filter)
        in_cases.addWidget(self.table, 1)
        self.tabs = QTabWidget()
        self.tabs.addTab(cases, "Cases")
        for (title, view), tip in zip(self.check.views, TABS_TIPS, strict=True):
            self.tabs.setTabToolTip(self.tabs.addTab(scrolled(view), title), tip)
        lines: list[list[tuple[QWidget, int]]] = [
            [(self.path, 1), (browse, 0)],
            [(self.summary, 1), (command, 0)],
            [(self.check.bar, 1)],
            [(self.tabs, 1)],
            [(self.check.patients, 1)],
            [
                (QLabel("Test set"), 0),
                (self.test_box, 2),
                (self.folds_label, 2),
                (self.check.patients.group, 0),
            ],
            [(MessageLine(self._app.state), 1)],
        ]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        for widgets in lines:
            line = QHBoxLayout()
            for widget, stretch in widgets:
                line.addWidget(widget, stretch)
            layout.addLayout(line, int(widgets[0][0] is self.tabs))

    # ---- opening a dataset -----------------------------------------------------------
    def open(self, path: str | Path) -> None:
        """Open a dataset by its folder or dataset.json."""
        if str(path).strip():
            self._app.in_thread(
                open_dataset,
                str(path).strip(),
                check_files=False,
                topic="dataset",
                busy=f"Opening {path}",
                on_done=self._on_opened,
            )

    def _on_browse(self) -> None:
        start = self.path.text() or str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Open a dataset", start)
        if folder:
            self.open(folder)

    def _on_opened(self, dataset: Dataset) -> None:
        self._as_in_folder = dataset
        self.test_box.setCurrentIndex(0)
        self._app.state.dataset = dataset
        self._app.say("")

    def _on_workspace_changed(self, workspace: Any = None) -> None:
        self._on_dataset_changed(self._app.state.dataset)
        workspace = self._app.state.workspace
        if workspace is not None and workspace.patients_file.is_file():
            self.check.patients.choose_file(workspace.patients_file)

    def _on_dataset_changed(self, dataset: Dataset | None) -> None:
        if dataset is None:
            return
        same_folder = self._shown is not None and self._shown.folder == dataset.folder
        if not same_folder:
            self._facts = {}
            if self._as_in_folder is None or self._as_in_folder.folder != dataset.folder:
                self._as_in_folder = dataset
        self._shown = dataset
        self.path.setText(str(dataset.folder))
        self._show_summary(dataset)
        splits = self._show_folds(dataset)
        self.check.set_dataset(dataset, splits, other=not same_folder)
        self._fill_table()
        if not same_folder:
            self._start_survey(dataset)

    def _show_summary(self, dataset: Dataset) -> None:
        channels = ", ".join(dataset.channel_names)
        classes = ", ".join(name for value, name in dataset.classes.items() if value)
        text = f"{dataset.name}: {len(dataset.cases)} cases, {channels}; {classes}"
        self.summary.set_whole(text)
        self.summary.setToolTip(text)

    def _show_folds(self, dataset: Dataset) -> Splits:
        self._fold_of, n_test = {}, len(dataset.test)
        try:
            splits = self._splits(dataset)
        except UNetMicError as error:
            self.folds_label.set_whole("folds: only “all”")
            self.folds_label.setToolTip(str(error))
            return []
        for number, fold in enumerate(splits):
            self._fold_of.update(dict.fromkeys(fold["val"], number))
        held = f"{n_test} held out, " if n_test else ""
        self.folds_label.set_whole(f"{held}{len(splits)} folds of {len(dataset.training)}")
        self.folds_label.setToolTip(
            f"{n_test} cases are held out; {len(dataset.training)} cases form {len(splits)} folds"
        )
        return splits

    def _splits(self, dataset: Dataset) -> Splits:
        workspace = self._app.state.workspace
        if workspace is not None and workspace.splits_file.is_file():
            return read_splits(workspace.splits_file)
        return five_folds([case.name for case in dataset.training])

    # ---- the table -------------------------------------------------------------------
    def _start_survey(self, dataset: Dataset) -> None:
        self._fitted = False
        self._app.in_thread(
            survey,
            dataset,
            lambda facts: self._app.tell(self._on_facts, dataset, facts),
            topic="survey",
            stoppable=True,
        )

    def _on_facts(self, dataset: Dataset, facts: CaseFacts) -> None:
        if self._shown is None or self._shown.folder != dataset.folder:
            return
        self._facts[facts.name] = facts
        self._changed.add(facts.name)
        if not self._refresh.isActive():
            self._refresh.start()

    def _fill_table(self) -> None:
        """Show all rows anew."""
        dataset = self._shown
        if dataset is None:
            return
        self._changed.clear()
        foreground = {value: name for value, name in dataset.classes.items() if value}
        columns = [*FIXED, *(f"{name} ml" for name in foreground.values()), "fold"]
        rows = [self._row(case, list(foreground)) for case in dataset.cases]
        for name in columns[len(FIXED) : -1]:
            self.model.formats[name] = lambda ml: millilitres(ml) if ml else "–"
            self.model.tooltips[name] = "Volume of the class in the reference; – when absent"
        colours = [None] * len(FIXED) + [class_colour(value) for value in foreground] + [None]
        self.model.header_colour_of = lambda column: colours[column]
        self.model.tooltip_of = lambda row, _: self._facts_tip(dataset.cases[row])
        self.model.set_rows(columns, rows)
        self._show_findings()

    def _show_changes(self) -> None:
        """Show what became known since the last look, row by row."""
        dataset = self._shown
        if dataset is None or not self._changed:
            return
        values = [value for value in dataset.classes if value]
        names = {case.name: row for row, case in enumerate(dataset.cases)}
        rows = sorted(names[name] for name in self._changed if name in names)
        self.model.replace_rows({row: self._row(dataset.cases[row], values) for row in rows})
        self._changed.clear()
        if not self._fitted and len(self._facts) == len(dataset.cases):
            self._fitted = True
            self.table.fit_columns()
        self._show_findings()

    def _row(self, case: Case, values: list[int]) -> list[Any]:
        facts = self._facts.get(case.name, CaseFacts(case.name))
        volumes = [facts.volumes_ml.get(value) for value in values]
        fold = self._fold_of.get(case.name)
        return [case.name, case.split, facts.shape, facts.spacing_mm, *volumes, fold]

    def _facts_tip(self, case: Case) -> str:
        facts = self._facts.get(case.name)
        return facts.finding if facts and facts.finding else str(case.images[0])

    def _show_findings(self) -> None:
        """Hand what the reading of the table met to the list of findings."""
        dataset = self._shown
        if dataset is None:
            return
        files = {case.name: str(case.label or case.images[0]) for case in dataset.cases}
        met = [f for f in self._facts.values() if f.finding and f.name in files]
        self.check.show_glance([(f.name, files[f.name], f.finding) for f in met])

    def _show_titles(self) -> None:
        for place, (title, _) in enumerate(self.check.views):
            self.tabs.setTabText(place + 1, title)

    # ---- opening a case --------------------------------------------------------------
    def _on_row_clicked(self, row: int, _: int) -> None:
        if self._shown is not None:
            self.open_case(self._shown.cases[row].name)

    def _open_named(self, name: str) -> None:
        """Open a case that a view of the check names, and show its row."""
        if self._shown is None:
            self._app.say("Open the dataset to see its cases")
            return
        names = [case.name for case in self._shown.cases]
        if name not in names:
            self._app.say(f"{name} is no case that can be opened")
            return
        self.table.select_row(names.index(name))
        self.open_case(name)

    def open_case(self, name: str) -> None:
        """Show a case's image and reference in the viewer."""
        dataset = self._app.state.dataset
        if dataset is None:
            return
        self._app.in_thread(
            read_case,
            dataset,
            dataset.case(name),
            topic="case",
            busy=f"Reading {name}",
            on_done=self._on_case_read,
        )

    def _on_case_read(self, answer: tuple[OpenCase, list[layers.LayerTuple], str]) -> None:
        case, tuples, wrong = answer
        kept = layers.show_case(self._app.viewer, tuples)
        self._app.state.case = case
        self._app.say(
            f"{', '.join(kept)} has changes that are not saved, so it stays (hidden)"
            if kept
            else wrong
        )

    # ---- test set --------------------------------------------------------------------
    def _on_test_set_chosen(self, index: int) -> None:
        base = self._as_in_folder
        if base is None:
            return
        if self._app.state.workspace is not None:
            self.test_box.setCurrentIndex(0)
            self._app.say(
                "The test set was fixed when the workspace was made; choose another workspace "
                "to hold out other cases"
            )
            return
        names = [case.name for case in base.training]
        if index == 3:
            chosen = [name for name in self._selected_names() if name in names]
        else:
            share = {1: 10, 2: 5}.get(index)
            count = max(1, round(len(names) / share)) if share else 0
            chosen = random.Random(0).sample(sorted(names), count)
        try:
            self._app.state.dataset = base.with_test(chosen)
        except UNetMicError as error:
            self._app.show_error(error)

    def _selected_names(self) -> list[str]:
        rows = self.table.selected_rows()
        return [self._shown.cases[row].name for row in rows] if self._shown else []

    def command(self) -> str:
        """Return the shell command that checks this dataset."""
        return shlex.join(["unet-mic", "check", *self.check.words()])
