"""Who is who: a name pattern or a file, what it means for the folds, and folds grouped by it.

A dataset and its folds enter; `Patients` leave, and the wish to group the folds. The line
below says at once how fold 0 would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.data.patients import (
    Patients,
    patients_by_pattern,
    read_patients,
    suggested_patterns,
)
from napari_unet_mic.data.split_check import fold_changes
from napari_unet_mic.data.splits import Splits
from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui.forms import ElidedLabel, explained, guard_wheel, short_combo

NOBODY = "patients unknown: give a name pattern or a file, or Check for suspicions"


class PatientsRow(QWidget):
    """The name pattern, the file, the sentence about the folds, and the button that groups.

    Signals
    -------
    group_asked ()
        Write folds that keep a patient's cases together.
    """

    group_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._dataset: Dataset | None = None
        self._splits: Splits = []
        self._file: Path | None = None
        self._suspected: tuple[tuple[str, ...], ...] = ()
        self.pattern = short_combo(QComboBox(), 14)
        self.pattern.setEditable(True)
        self.pattern.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        explained(
            self.pattern,
            "How case names tell the patient: {patient} stands for it, * for any text, as in "
            "sub-{patient}_*; {pair} is a number of which 2k−1 and 2k are one patient. "
            "Empty: nobody says who is who",
            "--patient-pattern PATTERN",
        )
        line_edit = self.pattern.lineEdit()
        if line_edit is not None:
            line_edit.setPlaceholderText("name pattern, e.g. sub-{patient}_*")
            line_edit.setClearButtonEnabled(True)
        guard_wheel(self.pattern)
        self.pattern.editTextChanged.connect(self._show)
        self.file_button = explained(
            QPushButton("File…"),
            "Choose a file that says which case is which patient: CSV with the columns case and "
            "patient, or JSON; chosen again and cancelled, it is forgotten",
            "--patients FILE",
        )
        self.file_button.clicked.connect(self._on_file_clicked)
        self.group = explained(
            QPushButton("Group folds"),
            "Group the folds by patient: write a splits_final.json that keeps every patient's "
            "cases on one side of each fold, otherwise as near as can be to the folds there are",
            "unet-mic check --grouped-splits FILE",
        )
        self.group.clicked.connect(self.group_asked)
        self.sentence = ElidedLabel(NOBODY)
        self._lay_out()

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(QLabel("Patients"))
        line.addWidget(self.pattern, 1)
        line.addWidget(self.file_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.sentence)

    # ---- what is known ---------------------------------------------------------------
    @property
    def pattern_text(self) -> str:
        """The name pattern, empty when there is none."""
        return self.pattern.currentText().strip()

    @property
    def file(self) -> Path | None:
        """The patients file that was chosen."""
        return self._file

    @property
    def patients(self) -> Patients | None:
        """Who is who, as the file and the pattern say; None when neither does.

        Raises
        ------
        UNetMicError
            When one of them cannot be used.
        """
        if self._dataset is None or (self._file is None and not self.pattern_text):
            return None
        names = [case.name for case in self._dataset.cases]
        told = read_patients(self._file) if self._file is not None else Patients()
        if not self.pattern_text:
            return told
        read = patients_by_pattern(names, self.pattern_text)
        source = f"{told.source} and {read.source}" if told.source else read.source
        return Patients({**read.of_case, **told.of_case}, source)

    def groups(self) -> list[tuple[str, ...]]:
        """Return the groups of cases to keep together: as told, else as suspected."""
        if self._dataset is None:
            return []
        patients = self.patients
        if patients is None:
            return [group for group in self._suspected if len(group) > 1]
        names = [case.name for case in self._dataset.cases]
        return [group for group in patients.groups(names) if len(group) > 1]

    def set_dataset(self, dataset: Dataset, splits: Splits) -> None:
        """Take over a dataset and its folds; patterns that fit its names are suggested."""
        other = self._dataset is None or self._dataset.folder != dataset.folder
        self._dataset, self._splits = dataset, splits
        if other:
            self._file, self._suspected = None, ()
            self.file_button.setText("File…")
            self.pattern.blockSignals(True)
            self.pattern.clear()
            self.pattern.addItem("")
            self.pattern.addItems(suggested_patterns([case.name for case in dataset.cases]))
            self.pattern.setCurrentText("")
            self.pattern.blockSignals(False)
        self._show()

    def set_suspected(self, groups: Sequence[Sequence[str]]) -> None:
        """Take over which cases a check suspects to belong together."""
        self._suspected = tuple(tuple(group) for group in groups)
        self._show()

    def choose_file(self, file: Path | None) -> None:
        """Take a patients file, or none."""
        self._file = file
        self.file_button.setText(file.name if file is not None else "File…")
        self._show()

    def _on_file_clicked(self) -> None:
        start = str(self._dataset.folder if self._dataset else Path.home())
        kinds = "Patients (*.csv *.tsv *.json *.txt);;All files (*)"
        file, _ = QFileDialog.getOpenFileName(self, "Which case is which patient", start, kinds)
        self.choose_file(Path(file) if file else None)

    # ---- what it means ---------------------------------------------------------------
    def _show(self, *_: object) -> None:
        words, tip = self._words()
        self.sentence.set_whole(words)
        self.sentence.setToolTip(tip or words)

    def _words(self) -> tuple[str, str]:
        """Return what the names mean for the folds, in short and at length."""
        if self._dataset is None:
            return NOBODY, ""
        try:
            told = self.patients is not None
            groups = self.groups()
        except UNetMicError as error:
            return str(error), ""
        if not groups:
            return ("no two cases have one patient" if told else NOBODY), ""
        changes = fold_changes(self._dataset, self._splits, groups) if self._splits else []
        who = "" if told else "suspected: "
        if not changes:
            return f"{who}{len(groups)} patients with several cases", ""
        first = changes[0]
        apart = sum(len(change.shared) for change in changes)
        if not apart:
            return f"{who}every patient is on one side of each fold", ""
        short = (
            f"fold 0: {len(first.shared)} of {first.validation} have their "
            f"{'' if told else 'suspected '}patient in training → {len(first.shared_grouped)}"
        )
        return short, "\n".join(change.sentence for change in changes)
