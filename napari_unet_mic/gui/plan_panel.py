"""The plan of a dataset: where it comes from, its network stage by stage, and why.

The panel shows a `PlanView` and emits what the person wants; `TrainingControl` acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui.forms import (
    ErrorLine,
    PathChoice,
    explained,
    guard_wheel,
    short_combo,
    short_spin,
)
from napari_unet_mic.gui.plan_view import COLUMN_TIPS, STAGE_COLUMNS, PlanView
from napari_unet_mic.planning.presets import PRESETS

PLANNER_WORDS = {
    "default": "default",
    "resenc-m": "residual, medium",
    "resenc-l": "residual, large",
    "resenc-xl": "residual, extra large",
}


@dataclass(frozen=True)
class PlanWish:
    """What the person asks for: a planner and a memory target, or a plans file as it is."""

    planner: str = "default"
    gpu_memory_gb: float | None = None
    plans_file: Path | None = None


class PlanPanel(QWidget):
    """Chooses workspace, planner and configuration, and shows the plan with its reasons.

    Signals
    -------
    workspace_chosen (Path), plan_requested (PlanWish), cancel_requested (),
    configuration_chosen (str), picture_requested (file Path)
    """

    workspace_chosen = Signal(object)
    plan_requested = Signal(object)
    cancel_requested = Signal()
    configuration_chosen = Signal(str)
    picture_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make_source()
        self._make_planner()
        self._make_buttons()
        self._make_plan()
        guard_wheel(self.source, self.planner, self.memory, self.configuration)
        self._lay_out()
        self._on_source_changed()
        self.set_working(None)
        self.show_plan(None)
        self.button.setEnabled(False)

    # ---- the parts -----------------------------------------------------------------------
    def _make_source(self) -> None:
        """Make what says where things go and where the plan comes from."""
        self.workspace = PathChoice("Workspace folder", folder=True, nothing="open a dataset first")
        explained(
            self.workspace.button,
            "Choose the folder for everything that is made from the dataset: plan, prepared "
            "cases, runs, predictions. An existing workspace brings its plan and runs back",
            "--workspace W",
        )
        self.workspace.chosen.connect(self.workspace_chosen)
        self.source = short_combo(QComboBox())
        self.source.addItems(["this dataset", "a plans file…"])
        explained(
            self.source,
            "Plan the open dataset by rule, or take over the plans.json of nnU-Net or of another "
            "dataset",
            "--plans FILE",
        )
        self.source.currentIndexChanged.connect(self._on_source_changed)
        self.plans_file = PathChoice(
            "Plans file", folder=False, nothing="no file chosen", pattern="Plans (*.json)"
        )
        explained(self.plans_file.button, "Choose a plans.json", "--plans FILE")
        self.plans_file.chosen.connect(self._on_plans_file_chosen)

    def _make_planner(self) -> None:
        self.planner = short_combo(QComboBox())
        for name, preset in PRESETS.items():
            self.planner.addItem(PLANNER_WORDS.get(name, name), (name, preset.memory_gb))
        explained(
            self.planner,
            "Which rules make the plan: nnU-Net's default, or one of its three larger networks "
            "with residual blocks",
            "--planner default|resenc-m|resenc-l|resenc-xl",
        )
        self.planner.currentIndexChanged.connect(self._on_planner_changed)
        self.memory = short_spin(QDoubleSpinBox(), 1, 512, round(PRESETS["default"].memory_gb))
        self.memory.setDecimals(0)
        self.memory.setSuffix(" GB")
        explained(
            self.memory,
            "Patch and batch are made to fit a graphics card with so much memory",
            "--gpu-memory-gb G",
        )

    def _make_buttons(self) -> None:
        self.button = QPushButton("Plan")
        explained(
            self.button,
            "Measure the training cases (once) and derive patch, batch, spacing and network",
            "unet-mic plan DATASET",
        )
        self.button.clicked.connect(self._on_plan_clicked)
        self.cancel = explained(QPushButton("Cancel"), "Stop measuring; nothing is written")
        self.cancel.clicked.connect(self.cancel_requested)
        self.progress = explained(QProgressBar(), "Training cases measured so far")
        self.progress.setFormat("%v of %m cases")
        self.error = ErrorLine()

    def _make_plan(self) -> None:
        """Make what shows the plan: its configurations, the stages of one, and what they cost."""
        self.configuration = short_combo(QComboBox(), 10)
        explained(
            self.configuration,
            "Which network of the plan: 3d_fullres looks at blocks of the whole resolution, 2d at "
            "slices, 3d_lowres at a coarser grid",
            "--configuration C",
        )
        self.configuration.activated.connect(self._on_configuration_activated)
        self.picture = explained(
            QPushButton("Picture…"),
            "Draw the network stage by stage into an .svg or .png file",
            "unet-mic network PLANS --picture FILE",
        )
        self.picture.clicked.connect(self._on_picture_clicked)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.stages = StageTable()
        self.stage_check = explained(
            QLabel(),
            "A network with n pooling steps has n + 1 stages; plan, network and checkpoint are "
            "held against this",
        )
        self.size = QLabel()
        self.size.setWordWrap(True)

    def _lay_out(self) -> None:
        form = QGridLayout()
        form.setColumnStretch(1, 4)
        form.setColumnStretch(3, 3)
        form.addWidget(QLabel("Workspace"), 0, 0)
        form.addWidget(self.workspace, 0, 1, 1, 3)
        form.addWidget(QLabel("From"), 1, 0)
        form.addWidget(self.source, 1, 1)
        self._planner_parts = (QLabel("Planner"), self.planner, QLabel("GPU memory"), self.memory)
        form.addWidget(self._planner_parts[0], 1, 2)
        form.addWidget(self.planner, 1, 3)
        form.addWidget(self._planner_parts[2], 2, 0)
        form.addWidget(self.memory, 2, 1)
        form.addWidget(self.plans_file, 1, 2, 1, 2)
        buttons = QHBoxLayout()
        buttons.addWidget(self.progress, 1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.button)
        form.addLayout(buttons, 2, 2, 1, 2)
        chosen = QHBoxLayout()
        chosen.addWidget(QLabel("Configuration"))
        chosen.addWidget(self.configuration, 1)
        chosen.addWidget(self.picture)
        facts = QVBoxLayout()
        facts.setSpacing(0)
        facts.addWidget(self.stage_check)
        facts.addWidget(self.size)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(self.error)
        layout.addLayout(chosen)
        layout.addWidget(self.summary)
        layout.addWidget(self.stages)
        layout.addLayout(facts)
        layout.addStretch(1)

    # ---- what the control shows --------------------------------------------------------
    def show_workspace(self, folder: Path | None, *, can_plan: bool) -> None:
        """Show the workspace folder; planning needs one and a dataset."""
        self.workspace.set_path(folder)
        self.button.setEnabled(can_plan)

    def set_working(self, done_of: tuple[int, int] | None) -> None:
        """Show how many cases were measured; None: not at work."""
        working = done_of is not None
        self.progress.setVisible(working)
        self.cancel.setVisible(working)
        self.button.setVisible(not working)
        if done_of is not None:
            self.progress.setRange(0, done_of[1])
            self.progress.setValue(done_of[0])

    def show_error(self, sentence: str) -> None:
        """Show what went wrong inside the panel; "" clears it."""
        self.error.show_sentence(sentence)

    def show_plan(self, view: PlanView | None) -> None:
        """Show one configuration of a plan, or nothing."""
        self.configuration.clear()
        self.configuration.addItems(list(view.configurations) if view else [])
        for widget in (self.configuration, self.picture, self.stages, self.stage_check, self.size):
            widget.setEnabled(view is not None)
        if view is None:
            self.summary.setText("No plan yet")
            self.summary.setToolTip("Press Plan, or choose a workspace that has a plan")
            self.stages.show_rows([])
            self.stage_check.clear()
            self.size.clear()
            return
        self.configuration.setCurrentText(view.configuration)
        self.summary.setText(view.summary)
        explained(self.summary, view.summary_reason)
        self.stages.show_rows([(row.cells, row.reason) for row in view.rows])
        self.stage_check.setText(view.stage_check)
        self.size.setText(view.size)
        explained(self.size, view.size_reason)

    # ---- what the person does ----------------------------------------------------------
    @property
    def wish(self) -> PlanWish:
        """What the form says."""
        if self.from_file:
            return PlanWish(plans_file=self.plans_file.path)
        name, preset_gb = self.planner.currentData()
        memory = self.memory.value()
        return PlanWish(name, None if memory == preset_gb else memory)

    @property
    def from_file(self) -> bool:
        """Whether a plans file is to be taken over."""
        return self.source.currentIndex() == 1

    def _on_source_changed(self) -> None:
        for widget in self._planner_parts:
            widget.setVisible(not self.from_file)
        self.plans_file.setVisible(self.from_file)
        self.button.setText("Take over" if self.from_file else "Plan")

    def _on_planner_changed(self) -> None:
        self.memory.setValue(self.planner.currentData()[1])

    def _on_plans_file_chosen(self, file: Path) -> None:
        self.plan_requested.emit(PlanWish(plans_file=file))

    def _on_plan_clicked(self) -> None:
        if self.from_file and self.plans_file.path is None:
            self.plans_file.button.click()
            return
        self.plan_requested.emit(self.wish)

    def _on_picture_clicked(self) -> None:
        name = f"{self.configuration.currentText()}.svg"
        start = str((self.workspace.path or Path.home()) / name)
        kinds = "Pictures (*.svg *.png)"
        file, _ = QFileDialog.getSaveFileName(self, "Picture of the network", start, kinds)
        if file:
            self.picture_requested.emit(Path(file))

    def _on_configuration_activated(self) -> None:
        self.configuration_chosen.emit(self.configuration.currentText())


class StageTable(QTableWidget):
    """Stages of the encoder, one a row; every row tells its reason as its tooltip."""

    def __init__(self) -> None:
        super().__init__(0, len(STAGE_COLUMNS))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(20)
        self.setHorizontalHeaderLabels(STAGE_COLUMNS)
        for column, tip in enumerate(COLUMN_TIPS):
            explained_item = self.horizontalHeaderItem(column)
            explained_item.setToolTip(tip)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        self.setMinimumHeight(header.sizeHint().height() + 4 * 20)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Show every row where there is room."""
        height = self.horizontalHeader().sizeHint().height() + 20 * max(4, self.rowCount()) + 4
        return QSize(super().sizeHint().width(), height)

    def show_rows(self, rows: Sequence[tuple[Sequence[str], str]]) -> None:
        """Show cells and, as tooltip, the reason of every row."""
        self.setRowCount(len(rows))
        for number, (cells, reason) in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(reason)
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                self.setItem(number, column, item)
        self.updateGeometry()
