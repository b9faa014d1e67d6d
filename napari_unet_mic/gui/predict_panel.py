"""Predict: with which model, what, how, and how far it is.

The panel shows records and emits what the person wants; `PredictionControl` acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui.devices import DeviceCombo
from napari_unet_mic.gui.forms import ErrorLine, explained, guard_wheel, polish_hidden, short_combo
from napari_unet_mic.gui.models import Fold, Model

OTHER_MODEL = "a model folder…"
CHECKPOINT_WORDS = {
    "final": "the end of training",
    "best": "its best epoch",
    "latest": "the last one saved",
}


@dataclass(frozen=True)
class Subject:
    """What can be predicted: the open case, an image layer, or cases of the dataset.

    `kind` is case, layer, test or validation; `names` the cases, or the layer's name.
    """

    kind: str
    words: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class PredictWish:
    """What the person asks for; `folds` None: all that there are."""

    model: Model
    subject: Subject
    folds: tuple[Fold, ...] | None
    checkpoint: str
    mirroring: bool
    device: str
    probabilities: bool = False


class PredictPanel(QWidget):
    """The form and the progress.

    Signals
    -------
    predict_requested (PredictWish), cancel_requested (), model_chosen (folder Path),
    lists_wanted () when somebody looks, wish_changed ()
    """

    predict_requested = Signal(object)
    cancel_requested = Signal()
    model_chosen = Signal(object)
    lists_wanted = Signal()
    wish_changed = Signal()

    def __init__(self, command_button: QWidget | None = None, parent: QWidget | None = None):
        super().__init__(parent)
        self._working = False
        self._mirroring_touched = False
        self._make_form()
        self._make_buttons()
        self.progress = QLabel()
        self.progress.setWordWrap(True)
        explained(self.progress, "Which case is being predicted, and how far it is")
        self.bar = explained(QProgressBar(), "Tiles of the current case that are done")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.needs = QLabel()
        self.needs.setWordWrap(True)
        explained(self.needs, "Memory at the peak, of the case that needs most", "--memory-gb")
        self.needs.hide()
        self.error = ErrorLine()
        self._lay_out(command_button)
        self.show_models(())
        self.show_subjects(())
        self.set_working(False)

    def _make_form(self) -> None:
        self.model = explained(
            short_combo(QComboBox(), 12),
            "The trained model: a run of the workspace, or the model folder of nnU-Net",
            "unet-mic predict MODEL",
        )
        self.model.activated.connect(self._on_model_activated)
        self.model.currentIndexChanged.connect(self._on_model_changed)
        self.subject = explained(
            short_combo(QComboBox(), 12),
            "What to predict: the open case, an image layer, or all cases of the test set",
            "unet-mic predict MODEL INPUT",
        )
        self.folds = explained(
            short_combo(QComboBox(), 5),
            "Which folds' networks: with several, their answers are averaged",
            "--folds 0 1 …",
        )
        self.checkpoint = explained(
            short_combo(QComboBox(), 8),
            "Which weights: those at the end of training, of the epoch with the best validation "
            "score, or the last ones saved",
            "--checkpoint final|best|latest",
        )
        self.checkpoint.currentIndexChanged.connect(self._on_checkpoint_changed)
        self.device = DeviceCombo()
        self.device.currentIndexChanged.connect(self._on_device_changed)
        self.device.filled.connect(self._on_device_changed)
        self.mirroring = explained(
            QCheckBox("mirroring"),
            "Predict mirrored copies of the image too and average: a little better, but 8 times "
            "the work in 3-D (4 times in 2-D). So it is off by default on a processor and on with "
            "a graphics card. Only axes that were mirrored in training are used",
            "--mirroring | --no-mirroring",
        )
        self.mirroring.clicked.connect(self._on_mirroring_clicked)
        self.probabilities = explained(
            QCheckBox("keep probabilities"),
            "Keep beside every prediction how sure the network was of each class: large files. The "
            "error inspector then shows it, and tells a lesion that was almost found from one that "
            "the network was blind to. Not for an image layer, whose prediction has no file",
            "--probabilities",
        )
        self.probabilities.toggled.connect(self.wish_changed)
        self.subject.currentIndexChanged.connect(self._on_subject_changed)
        guard_wheel(self.model, self.subject, self.folds, self.checkpoint, self.device)
        for choice in (self.model, self.subject, self.folds, self.checkpoint):
            choice.currentIndexChanged.connect(self.wish_changed)

    def _make_buttons(self) -> None:
        self.predict = explained(
            QPushButton("Predict"),
            "Predict in a process of its own, which stays ready for a while. The result becomes a "
            "labels layer and is compared with the reference",
            "unet-mic predict MODEL INPUT -o OUT",
        )
        self.predict.clicked.connect(self._on_predict_clicked)
        self.cancel = explained(
            QPushButton("Cancel"), "Stop predicting; cases that are finished stay"
        )
        self.cancel.clicked.connect(self.cancel_requested)

    def _lay_out(self, command_button: QWidget | None) -> None:
        form = QGridLayout()
        form.setColumnStretch(1, 3)
        form.setColumnStretch(3, 2)
        form.addWidget(QLabel("Model"), 0, 0)
        form.addWidget(self.model, 0, 1, 1, 3)
        form.addWidget(QLabel("What"), 1, 0)
        form.addWidget(self.subject, 1, 1, 1, 3)
        form.addWidget(QLabel("Weights"), 2, 0)
        form.addWidget(self.checkpoint, 2, 1)
        form.addWidget(QLabel("Folds"), 2, 2)
        form.addWidget(self.folds, 2, 3)
        form.addWidget(QLabel("Device"), 3, 0)
        form.addWidget(self.device, 3, 1)
        form.addWidget(self.mirroring, 3, 2, 1, 2)
        form.addWidget(self.probabilities, 4, 1, 1, 3)
        buttons = QHBoxLayout()
        buttons.addWidget(self.predict)
        buttons.addWidget(self.cancel)
        buttons.addStretch(1)
        if command_button is not None:
            buttons.addWidget(command_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(self.needs)
        layout.addLayout(buttons)
        layout.addWidget(self.error)
        layout.addWidget(self.progress)
        layout.addWidget(self.bar)
        layout.addStretch(1)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Ask for the lists anew: a run may have got its first checkpoint meanwhile."""
        super().showEvent(event)
        polish_hidden(self)
        self.lists_wanted.emit()

    # ---- what the control shows --------------------------------------------------------
    def show_models(self, models: Sequence[Model], choose: Path | None = None) -> None:
        """List the models; the chosen one stays chosen, unless `choose` names another."""
        chosen = self._chosen_model
        wanted = choose or (chosen.folder if chosen else None)
        self.model.blockSignals(True)
        self.model.clear()
        for model in models:
            self.model.addItem(model.name, model)
            self.model.setItemData(
                self.model.count() - 1, str(model.folder), Qt.ItemDataRole.ToolTipRole
            )
        self.model.addItem(OTHER_MODEL, None)
        folders = [model.folder for model in models]
        row = folders.index(wanted) if wanted in folders else 0
        self.model.setCurrentIndex(row)
        self.model.blockSignals(False)
        if self._chosen_model != chosen or not models:
            self._on_model_changed()

    def show_subjects(self, subjects: Sequence[Subject]) -> None:
        """List what can be predicted; the same kind stays chosen."""
        chosen = self.subject.currentData()
        self.subject.clear()
        for subject in subjects:
            self.subject.addItem(subject.words, subject)
        if not subjects:
            self.subject.addItem("open a case or an image first", None)
        kinds = [(s.kind, s.names if s.kind == "layer" else ()) for s in subjects]
        if chosen is not None:
            wanted = (chosen.kind, chosen.names if chosen.kind == "layer" else ())
            self.subject.setCurrentIndex(kinds.index(wanted) if wanted in kinds else 0)
        self._show_whether_ready()

    def set_working(self, working: bool, words: str = "") -> None:
        """Show that a prediction is under way, or what became of it."""
        self._working = working
        self.cancel.setVisible(working)
        self.bar.setVisible(working)
        self.bar.setRange(0, 0)  # nothing known yet: a moving bar
        self.show_progress(words)
        self._show_whether_ready()

    def show_progress(self, words: str, done: int = 0, total: int = 0) -> None:
        """Show where the prediction is; `total` tiles of the case, when known."""
        self.progress.setText(words)
        self.progress.setVisible(bool(words))
        if total > 0:
            self.bar.setRange(0, total)
            self.bar.setValue(done)

    def show_needs(self, words: str) -> None:
        """Show what the prediction will need; "" while that is not known."""
        self.needs.setText(words)
        self.needs.setVisible(bool(words))

    def show_error(self, sentence: str) -> None:
        """Show what went wrong inside the panel; "" clears it."""
        self.error.show_sentence(sentence)

    # ---- what the person does ----------------------------------------------------------
    @property
    def _chosen_model(self) -> Model | None:
        model = self.model.currentData()
        return model if isinstance(model, Model) else None

    @property
    def wish(self) -> PredictWish | None:
        """What the form says; None while model or subject are missing."""
        model, subject = self._chosen_model, self.subject.currentData()
        if model is None or subject is None:
            return None
        return PredictWish(
            model=model,
            subject=subject,
            folds=self.folds.currentData(),
            checkpoint=self.checkpoint.currentData() or "final",
            mirroring=self.mirroring.isChecked(),
            device=self.device.device,
            probabilities=self.probabilities.isChecked() and self.probabilities.isEnabled(),
        )

    def _show_whether_ready(self) -> None:
        self.predict.setEnabled(self.wish is not None and not self._working)

    def _on_model_activated(self) -> None:
        if self._chosen_model is None:
            folder = QFileDialog.getExistingDirectory(self, "Model folder", str(Path.home()))
            if folder:
                self.model_chosen.emit(Path(folder))

    def _on_model_changed(self) -> None:
        model = self._chosen_model
        self.checkpoint.clear()
        for kind in model.checkpoints if model else ():
            self.checkpoint.addItem(CHECKPOINT_WORDS[kind], kind)
        self._on_checkpoint_changed()
        self._show_whether_ready()

    def _on_checkpoint_changed(self) -> None:
        model, kind = self._chosen_model, self.checkpoint.currentData()
        folds = model.folds.get(kind, ()) if model is not None and kind else ()
        self.folds.clear()
        if len(folds) > 1:
            self.folds.addItem(f"all {len(folds)}", None)
        for fold in folds:
            self.folds.addItem(str(fold), (fold,))

    def _on_device_changed(self) -> None:
        if not self._mirroring_touched:
            self.mirroring.setChecked(not self.device.on_cpu)

    def _on_subject_changed(self) -> None:
        subject = self.subject.currentData()
        self.probabilities.setEnabled(subject is None or subject.kind != "layer")

    def _on_mirroring_clicked(self) -> None:
        self._mirroring_touched = True

    def _on_predict_clicked(self) -> None:
        if self.wish is not None:
            self.predict_requested.emit(self.wish)
