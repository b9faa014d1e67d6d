"""Training: what to train, how it goes, and the workspace's runs.

The panel shows `RunStatus` records and emits what the person wants; `TrainingControl` acts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui.devices import DeviceCombo
from napari_unet_mic.gui.forms import (
    ErrorLine,
    PathChoice,
    explained,
    guard_wheel,
    polish_hidden,
    short_combo,
    short_spin,
)
from napari_unet_mic.gui.plots import LiveCurves, line_colour
from napari_unet_mic.gui.run_list import RunList
from napari_unet_mic.gui.run_watch import RunStatus

RESUMABLE = ("new", "paused", "stopped", "failed", "lost its process")
STEPS = 1000
FEWEST_FOR_FOLDS = 5


@dataclass(frozen=True)
class TrainWish:
    """What the person asks for; `start_from` is None for a network that starts from scratch."""

    name: str
    fold: int | str
    epochs: int
    iterations_per_epoch: int
    validation_iterations: int
    device: str
    start_from: Path | None = None


class TrainPanel(QWidget):
    """The form for a new run, the live view of one run, and the list of all.

    Signals
    -------
    train_requested (TrainWish), stop_requested (run folder), resume_requested (run folder),
    run_chosen (run folder)
    """

    train_requested = Signal(object)
    stop_requested = Signal(object)
    resume_requested = Signal(object)
    run_chosen = Signal(object)

    def __init__(
        self,
        colour_of: Callable[[int], str] = line_colour,
        command_button: QWidget | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._statuses: tuple[RunStatus, ...] = ()
        self._current: Path | None = None
        self._wanted: Path | None = None  # to be chosen as soon as it is listed
        self._stopping: set[Path] = set()
        self._only_all = False  # too few cases for folds
        self._make_form()
        self._make_buttons()
        self.progress = QLabel()
        self.progress.setWordWrap(True)
        explained(self.progress, "Where the chosen run is, how fast it goes and what is left")
        self.bar = explained(QProgressBar(), "Part of the epochs that is done")
        self.bar.setRange(0, STEPS)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.error = ErrorLine()
        self.curves = LiveCurves(colour_of)
        self.runs = RunList()
        self.runs.itemSelectionChanged.connect(self._on_runs_selection_changed)
        self._lay_out(command_button)
        self.set_can_train(False, "Open a dataset first (panel Dataset)")
        self.show_runs(())

    def _make_form(self) -> None:
        self.name = explained(
            QLineEdit("run-1"), "Name of the run, and of its folder in the workspace", "--name RUN"
        )
        self.fold = short_combo(QComboBox(), 3)
        for fold in ("0", "1", "2", "3", "4", "all"):
            self.fold.addItem(fold, fold if fold == "all" else int(fold))
        explained(
            self.fold,
            "Which fifth of the training cases is kept aside for validation; 'all' trains on "
            "every case and keeps none aside (needed with fewer than five cases)",
            "--fold K",
        )
        self.epochs = short_spin(QSpinBox(), 1, 100_000, 1000)
        explained(
            self.epochs,
            "How many epochs. After each one the network is scored on validation patches and "
            "a checkpoint is written. nnU-Net's recipe has 1000",
            "--epochs N",
        )
        self.iterations = short_spin(QSpinBox(), 1, 100_000, 250)
        explained(
            self.iterations,
            "Learning steps per epoch, each on one batch of patches. nnU-Net's recipe has 250; "
            "a fifth as many batches score the network at the end of the epoch",
            "--iterations-per-epoch M --validation-iterations V",
        )
        self.device = DeviceCombo()
        self.start = short_combo(QComboBox())
        self.start.addItems(["scratch", "a checkpoint…"])
        explained(
            self.start,
            "Start with random weights, or with those of a run, of an nnU-Net model folder or of "
            "one of their checkpoint files",
            "--from MODEL_OR_CHECKPOINT",
        )
        self.start.activated.connect(self._on_start_activated)
        self.checkpoint = PathChoice(
            "Checkpoint", folder=False, nothing="no checkpoint chosen", pattern="Weights (*.pth)"
        )
        explained(self.checkpoint.button, "Choose a checkpoint_….pth", "--from CHECKPOINT")
        self.checkpoint.hide()
        guard_wheel(self.fold, self.epochs, self.iterations, self.device, self.start)

    def _make_buttons(self) -> None:
        self.train = explained(
            QPushButton("Train"),
            "Start a new run in a process of its own. It makes whatever the workspace still "
            "lacks, trains, and scores the validation and test cases; it goes on when napari is "
            "closed",
            "unet-mic train DATASET --workspace W --name RUN",
        )
        self.train.clicked.connect(self._on_train_clicked)
        self.stop = explained(
            QPushButton("Stop"),
            "Ask the chosen run to stop: it writes a checkpoint first and can be resumed",
        )
        self.stop.clicked.connect(lambda: self.stop_requested.emit(self._current))
        self.resume = explained(
            QPushButton("Resume"),
            "Go on with the chosen run from its last checkpoint",
            "unet-mic resume RUN_FOLDER",
        )
        self.resume.clicked.connect(lambda: self.resume_requested.emit(self._current))

    def _lay_out(self, command_button: QWidget | None) -> None:
        form = QGridLayout()
        form.setColumnStretch(1, 3)
        form.setColumnStretch(3, 3)
        steps = QHBoxLayout()
        steps.setSpacing(3)
        steps.addWidget(self.epochs, 1)
        steps.addWidget(QLabel("epochs of"))
        steps.addWidget(self.iterations, 1)
        steps.addWidget(QLabel("steps"))
        places = (
            ("Run", self.name, 0, 0),
            ("Fold", self.fold, 0, 2),
            ("Device", self.device, 2, 0),
            ("Start from", self.start, 2, 2),
        )
        for words, part, row, column in places:
            form.addWidget(QLabel(words), row, column)
            form.addWidget(part, row, column + 1)
        form.addWidget(QLabel("Length"), 1, 0)
        form.addLayout(steps, 1, 1, 1, 3)
        form.addWidget(self.checkpoint, 3, 0, 1, 4)
        buttons = QHBoxLayout()
        for button in (self.train, self.stop, self.resume):
            buttons.addWidget(button)
        buttons.addStretch(1)
        if command_button is not None:
            buttons.addWidget(command_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.error)
        layout.addWidget(self.progress)
        layout.addWidget(self.bar)
        layout.addWidget(self.curves, 3)
        layout.addWidget(self.runs, 1)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Style what is hidden now, rather than when it appears during training."""
        super().showEvent(event)
        polish_hidden(self)

    # ---- what the control shows --------------------------------------------------------
    def set_can_train(self, can: bool, why_not: str = "") -> None:
        """Allow a new run, or say what is missing."""
        self.train.setEnabled(can)
        if not self._statuses:
            self.progress.setText("" if can else why_not)
            self.progress.setVisible(bool(why_not) and not can)

    def offer_folds(self, n_training: int) -> None:
        """Offer the five folds, or only 'all' where there are fewer than five cases."""
        enough = n_training >= FEWEST_FOR_FOLDS
        model: Any = self.fold.model()
        for row in range(self.fold.count() - 1):
            model.item(row).setEnabled(enough)
        chosen = self.fold.currentData()
        if not enough or (self._only_all and chosen == "all"):
            self.fold.setCurrentIndex(0 if enough else self.fold.count() - 1)
        self._only_all = not enough

    def suggest_name(self, name: str) -> None:
        """Put a free name into the form."""
        self.name.setText(name)

    def show_error(self, sentence: str) -> None:
        """Show what went wrong inside the panel; "" clears it."""
        self.error.show_sentence(sentence)

    def show_runs(self, statuses: Sequence[RunStatus]) -> None:
        """Show the runs; the chosen one stays chosen, else the first running or newest is."""
        self._statuses = tuple(statuses)
        folders = [status.folder for status in statuses]
        if self._wanted in folders:
            self._current, self._wanted = self._wanted, None
            self.runs.choose(self._current)
        if self._current not in folders:
            running = [status.folder for status in statuses if status.state == "running"]
            self._current = next(iter([*running, *folders]), None)
        still = {s.folder for s in statuses if s.state == "running"}
        self._stopping &= still
        self.runs.show_runs(statuses, self._current)
        self._show_current()

    def choose_run(self, folder: Path) -> None:
        """Show a run, now or as soon as it is listed."""
        self._wanted = folder
        self.show_runs(self._statuses)

    def show_stopping(self, folder: Path) -> None:
        """Say that a run was asked to stop and has not answered yet."""
        self._stopping.add(folder)
        self._show_current()

    @property
    def current(self) -> RunStatus | None:
        """The run whose curves are shown."""
        return next((s for s in self._statuses if s.folder == self._current), None)

    def _show_current(self) -> None:
        status = self.current
        stopping = self._current in self._stopping
        self.stop.setEnabled(status is not None and status.state == "running" and not stopping)
        self.resume.setEnabled(status is not None and status.state in RESUMABLE)
        if status is None:
            self.bar.setValue(0)
            self.curves.show_runs([])
            return
        shot = status.snapshot
        words = shot.progress if status.state == "running" else status.sentence
        if stopping:
            words = f"{words} · stopping, a checkpoint is being written".removeprefix(" · ")
        elif status.state == "running" and not words:
            words = "starting"
        self.progress.setText(f"<b>{status.name}</b> &nbsp; {words}")
        self.progress.setVisible(True)
        self.bar.setValue(round(STEPS * shot.fraction))
        others = [s.snapshot for s in self._chosen() if s.folder != self._current]
        self.curves.show_runs([shot, *others])

    def _chosen(self) -> list[RunStatus]:
        chosen = self.runs.chosen()
        return [status for status in self._statuses if status.folder in chosen]

    # ---- what the person does ----------------------------------------------------------
    @property
    def wish(self) -> TrainWish:
        """What the form says."""
        iterations = self.iterations.value()
        from_checkpoint = self.start.currentIndex() == 1
        return TrainWish(
            name=self.name.text().strip(),
            fold=self.fold.currentData(),
            epochs=self.epochs.value(),
            iterations_per_epoch=iterations,
            validation_iterations=max(1, iterations // 5),
            device=self.device.device,
            start_from=self.checkpoint.path if from_checkpoint else None,
        )

    def _on_train_clicked(self) -> None:
        if self.start.currentIndex() == 1 and self.checkpoint.path is None:
            self.checkpoint.button.click()
            return
        self.train_requested.emit(self.wish)

    def _on_start_activated(self) -> None:
        from_checkpoint = self.start.currentIndex() == 1
        self.checkpoint.setVisible(from_checkpoint)
        if from_checkpoint and self.checkpoint.path is None:
            self.checkpoint.button.click()

    def _on_runs_selection_changed(self) -> None:
        chosen = self.runs.chosen()
        newest = self.runs.newest_chosen()
        if newest is not None and (self._current not in chosen or len(chosen) == 1):
            self._current = newest
            self.run_chosen.emit(newest)
        self._show_current()
