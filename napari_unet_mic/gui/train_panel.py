"""What to train: the form of a new run.

The form's fields go out as `RunSettings` without dataset and workspace, which
`TrainingControl` adds; what goes on is shown by `runs_panel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.commands import option_of
from napari_unet_mic.gui.controls import holding
from napari_unet_mic.gui.devices import DeviceCombo
from napari_unet_mic.gui.fitting import Room
from napari_unet_mic.gui.forms import (
    ErrorLine,
    PathChoice,
    Section,
    explained,
    guard_wheel,
    polish_hidden,
    short_combo,
    short_spin,
)
from napari_unet_mic.gui.more_settings import MoreSettings
from napari_unet_mic.gui.settings_words import FIELDS, USUAL
from napari_unet_mic.gui.start_choice import StartChoice
from napari_unet_mic.training.run import RunSettings

FEWEST_FOR_FOLDS = 5
OWN_SPLIT = "own"
FOLDS = (
    *((str(n), n) for n in range(5)),
    ("all", "all"),
    ("0 – 4 in turn", "each"),
    ("own split…", OWN_SPLIT),
)
NOT_ESTIMATED = "Estimate tries a few steps and says how long the run would take"


class TrainPanel(QWidget):
    """The form for a new run.

    Signals
    -------
    train_requested (RunSettings), estimate_requested (RunSettings), estimate_cancelled (),
    configuration_chosen (str), small_lesions_wanted (), changed ()
    """

    train_requested = Signal(object)
    estimate_requested = Signal(object)
    estimate_cancelled = Signal()
    configuration_chosen = Signal(str)
    small_lesions_wanted = Signal()
    changed = Signal()

    def __init__(
        self, command_button: QWidget | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._base = USUAL  # what the form has no field for, from a duplicated run
        self._only_all = False  # too few cases for folds
        self._make_form()
        self.start = StartChoice()
        self.start.changed.connect(self._on_changed)
        self.more = MoreSettings()
        self.more.small_lesions_wanted.connect(self.small_lesions_wanted)
        self.more.changed.connect(self._on_changed)
        self.more_section = Section(
            "More settings",
            self.more,
            "Batch, patch, early stopping, augmentation, precision, small lesions, seed",
        )
        self.more_section.fold()
        self._make_buttons()
        self.error = ErrorLine()
        self._lay_out(command_button)
        self.set_can_train(False, "Open a dataset first (panel Dataset)")
        self._on_changed()

    # ---- the fields ----------------------------------------------------------------------
    def _make_form(self) -> None:
        self.name = explained(
            QLineEdit("run-1"), "Name of the run, and of its folder in the workspace", "--name RUN"
        )
        self.configuration = explained(
            short_combo(QComboBox()),
            "Which network of the plan is trained",
            option_of("configuration"),
        )
        self.configuration.activated.connect(
            lambda: self.configuration_chosen.emit(self.configuration.currentText())
        )
        self._make_fold()
        self._make_length()

    def _make_fold(self) -> None:
        self.fold = short_combo(QComboBox(), 3)
        for words, fold in FOLDS:
            self.fold.addItem(words, fold)
        explained(
            self.fold,
            "Which fifth of the training cases is kept aside for validation. 'all' trains on "
            "every case and keeps none aside (needed with fewer than five cases); '0 – 4 in "
            "turn' trains five networks, one after the other, and scores all cases together; "
            "'own split' reads the folds from a file",
            option_of("fold"),
        )
        self.fold.currentIndexChanged.connect(self._on_fold_changed)
        self.splits = PathChoice(
            "Folds", folder=False, nothing="no file chosen", pattern="Splits (*.json)"
        )
        explained(
            self.splits.button,
            "Choose a splits_final.json: a list of folds, each with train and val",
            option_of("splits"),
        )
        self.splits.chosen.connect(self._on_changed)
        self.own_fold = explained(
            short_spin(QSpinBox(), 0, 99, 0), "Which fold of that file", option_of("fold")
        )
        self.own_fold.setMinimumWidth(62)

    def _make_length(self) -> None:
        self.epochs = short_spin(QSpinBox(), 1, 100_000, 1000)
        explained(
            self.epochs,
            "How many epochs. After each one the network is scored on validation patches and "
            "a checkpoint is written. nnU-Net's recipe has 1000",
            option_of("epochs"),
        )
        self.iterations = short_spin(QSpinBox(), 1, 100_000, 250)
        explained(
            self.iterations,
            "Learning steps per epoch, each on one batch of patches. nnU-Net's recipe has 250; "
            "a fifth as many batches score the network at the end of the epoch",
            f"{option_of('iterations_per_epoch')} {option_of('validation_iterations')}",
        )
        self.device = DeviceCombo()
        for spin in (self.epochs, self.iterations):
            spin.setMinimumWidth(76)
        for spin in (self.epochs, self.iterations, self.own_fold):
            spin.valueChanged.connect(self._on_changed)
        self.device.currentIndexChanged.connect(self._on_changed)
        self.name.textChanged.connect(self._on_changed)
        wheels = (self.fold, self.own_fold, self.epochs, self.iterations, self.device)
        guard_wheel(self.configuration, *wheels)

    def _make_buttons(self) -> None:
        self.train = QPushButton("Train")
        self.train.clicked.connect(lambda: self._ask(self.train_requested))
        self.estimate = explained(
            QPushButton("Estimate"),
            "Train a few steps in a process of its own, and say how long the whole run would "
            "take and how much memory; nothing is kept",
            "unet-mic train … --estimate",
        )
        self.estimate.clicked.connect(lambda: self._ask(self.estimate_requested))
        self.cancel = explained(QPushButton("Cancel"), "End the estimate")
        self.cancel.clicked.connect(self.estimate_cancelled)
        self.cancel.hide()
        self.estimated = explained(
            QLabel(NOT_ESTIMATED), "How long the run as it stands in this form would take"
        )
        self.estimated.setWordWrap(True)

    def _lay_out(self, command_button: QWidget | None) -> None:
        buttons = QHBoxLayout()
        for button in (self.train, self.estimate, self.cancel):
            buttons.addWidget(button)
        buttons.addStretch(1)
        if command_button is not None:
            buttons.addWidget(command_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 6)
        layout.setSpacing(4)
        layout.addLayout(self._grid())
        layout.addWidget(self.more_section)
        layout.addWidget(self.estimated)
        layout.addLayout(buttons)
        layout.addWidget(self.error)

    def _grid(self) -> QGridLayout:
        """Return the fields in their places; those of an own split are hidden at first."""
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        grid.setHorizontalSpacing(4)
        grid.setColumnStretch(1, 3)
        grid.setColumnStretch(3, 3)
        places = (
            ("Run", self.name, 0, 0),
            ("Network", self.configuration, 0, 2),
            ("Fold", self.fold, 1, 0),
            ("Device", self.device, 1, 2),
        )
        for words, part, row, column in places:
            grid.addWidget(QLabel(words), row, column)
            grid.addWidget(part, row, column + 1)
        own = QHBoxLayout()
        own.addWidget(self.splits, 1)
        own.addWidget(QLabel("its fold"))
        own.addWidget(self.own_fold)
        self._split_row = holding(own)
        self._split_row.hide()
        grid.addWidget(self._split_row, 2, 0, 1, 4)
        steps = QHBoxLayout()
        steps.setSpacing(3)
        steps.addWidget(self.epochs, 1)
        steps.addWidget(QLabel("of"))
        steps.addWidget(self.iterations, 1)
        steps.addWidget(QLabel("steps"))
        grid.addWidget(QLabel("Epochs"), 3, 0)
        grid.addLayout(steps, 3, 1, 1, 3)
        grid.addWidget(QLabel("Start from"), 4, 0)
        grid.addWidget(self.start, 4, 1, 1, 3)
        return grid

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Style what is hidden now, rather than when it appears."""
        super().showEvent(event)
        polish_hidden(self)

    # ---- what the control shows --------------------------------------------------------
    def set_can_train(self, can: bool, why_not: str = "") -> None:
        """Allow a new run, or say what is missing."""
        words = (
            "Start a new run in a process of its own. It makes whatever the workspace still "
            "lacks, trains, and scores the validation and test cases; it goes on when napari is "
            "closed"
        )
        reason = "" if can else f".\nNot now: {why_not}"
        if can and not self.train.isEnabled():
            self.estimated.setText(NOT_ESTIMATED)
        self.train.setEnabled(can)
        explained(self.train, f"{words}{reason}", "unet-mic train DATASET --workspace W --name RUN")
        self.estimate.setEnabled(can)
        if not can:
            self.estimated.setText(why_not)

    def offer_configurations(self, names: Sequence[str], chosen: str) -> None:
        """Offer the networks of the plan."""
        with QSignalBlocker(self.configuration):
            self.configuration.clear()
            self.configuration.addItems(list(names) or ["3d_fullres"])
            self.configuration.setCurrentText(chosen)
        self.configuration.setEnabled(len(names) > 1)

    def offer_folds(self, n_training: int) -> None:
        """Offer the five folds, or only 'all' where there are fewer than five cases."""
        enough = n_training >= FEWEST_FOR_FOLDS
        model: Any = self.fold.model()
        for row in range(self.fold.count()):
            if self.fold.itemData(row) not in ("all", OWN_SPLIT):
                model.item(row).setEnabled(enough)
        chosen = self.fold.currentData()
        if not enough or (self._only_all and chosen == "all"):
            self.fold.setCurrentIndex(self.fold.findData(0 if enough else "all"))
        self._only_all = not enough

    def show_room(self, room: Room | None, classes: Mapping[int, str]) -> None:
        """Bound batch and patch by the plan and the device's memory."""
        self.more.show_room(room, classes)

    def suggest_name(self, name: str) -> None:
        """Put a free name into the form."""
        self.name.setText(name)

    def show_error(self, sentence: str) -> None:
        """Show what went wrong inside the panel; "" clears it."""
        self.error.show_sentence(sentence)

    def show_estimating(self, working: bool) -> None:
        """Show that the estimate is being made, or that it is not any more."""
        self.estimate.setVisible(not working)
        self.cancel.setVisible(working)
        self.estimated.setText("Trying a few steps…" if working else NOT_ESTIMATED)

    def show_estimate(self, words: str) -> None:
        """Show what the estimate found."""
        self.show_estimating(False)
        self.estimated.setText(words)

    def show_settings(self, settings: RunSettings) -> None:
        """Fill the form with the settings of another run; its name stays as it is."""
        self._base = settings
        own = settings.splits is not None
        self.fold.setCurrentIndex(self.fold.findData(OWN_SPLIT if own else settings.fold))
        self.splits.set_path(Path(settings.splits) if settings.splits else None)
        if own and isinstance(settings.fold, int):
            self.own_fold.setValue(settings.fold)
        self.epochs.setValue(settings.epochs)
        self.iterations.setValue(settings.iterations_per_epoch)
        self.device.setCurrentIndex(max(0, self.device.findData(settings.device)))
        self.start.set_path(Path(settings.start_from) if settings.start_from else None)
        self.more.apply({field: getattr(settings, field) for field in FIELDS})

    def forget_base(self) -> None:
        """Forget what the form has no field for (after another dataset was opened)."""
        self._base = USUAL

    # ---- what the person does ----------------------------------------------------------
    @property
    def gist(self) -> str:
        """The form in a few words."""
        length = f"{self.epochs.value()} × {self.iterations.value()}"
        return f"{self.name.text()} · fold {self.fold.currentText()} · {length}"

    @property
    def wish(self) -> RunSettings:
        """What the form says; dataset and workspace are not in it.

        Raises
        ------
        BadInput
            When a field is out of bounds, or batch and patch do not fit.
        """
        refusal = self.more.refusal
        if refusal:
            raise BadInput(
                "More settings",
                expected="a batch and a patch that fit",
                got=refusal,
                advice="or choose another device",
            )
        own = self.fold.currentData() == OWN_SPLIT
        iterations = self.iterations.value()
        start_from = self.start.path
        return replace(
            self._base,
            dataset="",
            workspace="",
            name=self.name.text().strip(),
            fold=self.own_fold.value() if own else self.fold.currentData(),
            splits=str(self.splits.path) if own and self.splits.path else None,
            epochs=self.epochs.value(),
            iterations_per_epoch=iterations,
            validation_iterations=self._validation_iterations(iterations),
            device=self.device.device,
            start_from=str(start_from) if start_from else None,
            **self.more.values(),
        )

    def _validation_iterations(self, iterations: int) -> int:
        """Return a fifth of the steps, or what the duplicated run has for as many steps."""
        base = self._base
        if base is not USUAL and base.iterations_per_epoch == iterations:
            return base.validation_iterations
        return max(1, iterations // 5)

    def _missing_path(self) -> PathChoice | None:
        """Return the choice of a file that the form needs and does not have."""
        if self.start.missing is not None:
            return self.start.missing
        if self.fold.currentData() == OWN_SPLIT and self.splits.path is None:
            return self.splits
        return None

    def _ask(self, signal: Any) -> None:
        missing = self._missing_path()
        if missing is not None:
            missing.button.click()
            return
        self.show_error("")
        try:
            wish = self.wish
        except BadInput as error:
            self.show_error(str(error))
            return
        signal.emit(wish)

    def _on_fold_changed(self) -> None:
        self._split_row.setVisible(self.fold.currentData() == OWN_SPLIT)
        self._on_changed()

    def _on_changed(self) -> None:
        if not hasattr(self, "estimated"):
            return  # the form is being made
        self.more_section.set_gist(self.more.gist)
        if self.cancel.isHidden() and self.train.isEnabled():
            self.estimated.setText(NOT_ESTIMATED)
        self.changed.emit()
