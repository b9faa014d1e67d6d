"""The controller behind "Plan and train": starts, follows, stops and resumes runs.

Training is a detached child that outlives napari. The runs of the
workspace are watched from a thread (`RunWatch`); a timer applies what it found, at most four
times a second, so that nothing here takes long on the GUI thread.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput, UNetMicError
from napari_unet_mic.gui.commands import train_command
from napari_unet_mic.gui.controls import CommandButton
from napari_unet_mic.gui.forms import Section, scrolled
from napari_unet_mic.gui.plan_panel import PlanPanel
from napari_unet_mic.gui.planning_control import PlanningControl
from napari_unet_mic.gui.run_watch import RunStatus, RunWatch
from napari_unet_mic.gui.train_panel import TrainPanel, TrainWish
from napari_unet_mic.jobs.process import Job, attach, start
from napari_unet_mic.training.run import Run, RunSettings

if TYPE_CHECKING:
    from napari_unet_mic.data.dataset import Dataset
    from napari_unet_mic.gui.app import App

APPLY_MS = 250
STOP_GRACE_SECONDS = 120.0


class TrainingControl:
    """The controller behind "Plan and train"; `widget` is what is docked."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.plan_panel = PlanPanel()
        button = CommandButton(self._command, app.say)
        self.train_panel = TrainPanel(command_button=button)
        self.widget = self._make_widget()
        self.planning = PlanningControl(app, self.plan_panel)
        self._watch: RunWatch | None = None
        self._seen = 0
        self._states: dict[Path, str] = {}
        self._devices: dict[Path, str] = {}  # where a run was last said to compute
        self._plan_shown_of: Path | None = None  # the workspace whose plan was looked for
        self._suggested = self.train_panel.name.text()
        self._connect()
        self._show_gist()
        self._on_theme_changed()
        self._on_workspace_changed()

    def _make_widget(self) -> QScrollArea:
        self.plan_section = Section(
            "Plan", self.plan_panel, "Fold the plan away, or show it: training needs the room"
        )
        self.train_section = Section(
            "Train", self.train_panel, "Fold the training part away, or show it"
        )
        parts = QWidget()
        layout = QVBoxLayout(parts)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.plan_section)
        layout.addWidget(self.train_section, 1)
        return scrolled(parts)

    def _connect(self) -> None:
        train, state = self.train_panel, self.app.state
        train.train_requested.connect(self._on_train_requested)
        train.stop_requested.connect(self._on_stop_requested)
        train.resume_requested.connect(self._on_resume_requested)
        train.run_chosen.connect(self._on_run_chosen)
        state.events.dataset.connect(self._show_whether_ready)
        state.events.workspace.connect(self._on_workspace_changed)
        state.events.plan.connect(self._show_gist)
        state.events.configuration.connect(self._show_gist)
        self.app.viewer.events.theme.connect(self._on_theme_changed)
        self.app.on_close.append(self.close)
        self._timer = QTimer(self.widget)
        self._timer.setInterval(APPLY_MS)
        self._timer.timeout.connect(self._on_timer)
        self._timer.start()

    def close(self) -> None:
        """Stop watching; training goes on."""
        self._timer.stop()
        if self._watch is not None:
            self._watch.close(0.0)

    # ---- runs --------------------------------------------------------------------------
    def settings_of(self, wish: TrainWish) -> RunSettings:
        """Return the settings of a new run.

        Raises
        ------
        BadInput
            When there is no dataset, or a setting is out of bounds.
        """
        state = self.app.state
        folder = self.planning.folder
        if state.dataset is None or folder is None:
            raise BadInput(
                "Train", expected="an open dataset", got="none", advice="open one (panel Dataset)"
            )
        plans = self.planning.plan_file
        if plans == folder / "plans.json":
            plans = None  # training takes it, or makes it, by itself
        return RunSettings(
            dataset=str(state.dataset.folder),
            workspace=str(folder),
            name=wish.name,
            configuration=state.configuration or "3d_fullres",
            fold=wish.fold,
            plans=str(plans) if plans else None,
            epochs=wish.epochs,
            iterations_per_epoch=wish.iterations_per_epoch,
            validation_iterations=wish.validation_iterations,
            device=wish.device,
            start_from=str(wish.start_from) if wish.start_from else None,
        )

    def _command(self) -> str:
        try:
            return train_command(self.settings_of(self.train_panel.wish))
        except BadInput:
            return "unet-mic train DATASET --workspace W --name RUN"

    def _on_train_requested(self, wish: TrainWish) -> None:
        self.train_panel.show_error("")
        try:
            settings = self.settings_of(wish)
        except BadInput as error:
            self._show_error(error)
            return
        self.train_panel.train.setEnabled(False)
        self.app.in_thread(
            start_run,
            settings,
            self.app.state.dataset,
            on_done=self._on_started,
            on_error=self._on_start_failed,
            busy=f"Starting {wish.name}",
        )

    def _on_resume_requested(self, folder: Path) -> None:
        self.train_panel.show_error("")
        self.train_panel.resume.setEnabled(False)
        self.app.in_thread(
            resume_run,
            folder,
            on_done=self._on_started,
            on_error=self._on_start_failed,
            busy=f"Resuming {folder.name}",
        )

    def _on_started(self, job: Job) -> None:
        self._show_whether_ready()
        folder = job.run.folder
        if self.app.state.workspace is None:
            self.planning.adopt(Workspace(folder.parents[1]))
        if self._watch is not None:
            self._watch.adopt(job)
        self.train_panel.choose_run(folder)
        self.plan_section.fold()
        self.app.state.run_folder = folder
        self.app.say(f"{job.run.name}: training has started; it goes on when napari is closed")

    def _on_start_failed(self, error: BaseException) -> None:
        self._show_whether_ready()
        self._seen = -1  # show the buttons as they were
        self._show_error(error)

    def _on_stop_requested(self, folder: Path) -> None:
        self.train_panel.show_stopping(folder)
        self.app.say(f"{folder.name}: asked to stop; it writes a checkpoint first")
        job = self._watch.job_of(folder) if self._watch is not None else None

        def work() -> None:
            try:
                stop_run(folder, job)
            except (UNetMicError, OSError) as error:
                self.app.tell(self._show_error, error)

        threading.Thread(target=work, name="stop-run", daemon=True).start()

    def _on_run_chosen(self, folder: Path) -> None:
        self.app.state.run_folder = folder

    # ---- following ---------------------------------------------------------------------
    def _show_whether_ready(self) -> None:
        dataset = self.app.state.dataset
        why_not = "Open a dataset first (panel Dataset)"
        self.train_panel.set_can_train(dataset is not None, why_not)
        if dataset is not None:
            self.train_panel.offer_folds(len(dataset.training))

    def _on_workspace_changed(self) -> None:
        """Follow the runs of another workspace; those of the old one go on unseen."""
        self._show_whether_ready()
        workspace = self.app.state.workspace
        if self._watch is not None:
            if workspace is not None and self._watch.workspace == workspace.folder:
                return
            self._watch.close(0.0)
            self._watch = None
            self.train_panel.show_runs(())
        if workspace is not None:
            self._watch, self._seen, self._states = RunWatch(workspace.folder), 0, {}

    def _on_timer(self) -> None:
        watch = self._watch
        if watch is None or watch.generation == self._seen:
            return
        self._seen, statuses = watch.generation, watch.statuses
        self.train_panel.show_runs(statuses)
        self._suggest_name({status.name for status in statuses})
        for status in statuses:
            self._tell_change(status)
        self._take_over_plan(watch.workspace)
        current = self.train_panel.current
        if self.app.state.run_folder is None and current is not None:
            self.app.state.run_folder = current.folder

    def _take_over_plan(self, folder: Path) -> None:
        """Show the plan once a trainer has made one."""
        missing = self.app.state.plan is None and self._plan_shown_of != folder
        if missing and self.planning.idle and (folder / "plans.json").is_file():
            self._plan_shown_of = folder
            self.planning.adopt(Workspace(folder))

    def _tell_change(self, status: RunStatus) -> None:
        """Say where a run computes, and what became of one that was seen running."""
        before = self._states.get(status.folder)
        self._states[status.folder] = status.state
        device = status.snapshot.device
        if status.state == "running" and device and self._devices.get(status.folder) != device:
            self._devices[status.folder] = device
            self.app.say(f"{status.name}: {device}")
        elif before == "running" and status.state != "running":
            name = "" if status.sentence.startswith(status.name) else f"{status.name}: "
            self.app.say(f"{name}{status.sentence}")

    def _suggest_name(self, taken: set[str]) -> None:
        if (
            self.train_panel.name.text() not in (self._suggested, "")
            or self._suggested not in taken
        ):
            return
        number = next(n for n in range(1, len(taken) + 2) if f"run-{n}" not in taken)
        self._suggested = f"run-{number}"
        self.train_panel.suggest_name(self._suggested)

    def _show_gist(self) -> None:
        state, panel = self.app.state, self.plan_panel
        patch_and_batch = panel.summary.text().rpartition(" · ")[0]
        words = f"{state.configuration} · {patch_and_batch}" if state.plan else "none yet"
        self.plan_section.set_gist(words)

    def _on_theme_changed(self) -> None:
        theme = get_theme(self.app.viewer.theme)
        self.train_panel.curves.set_theme(theme.text.as_hex(), theme.background.as_hex())

    def _show_error(self, error: BaseException) -> None:
        if isinstance(error, UNetMicError):
            self.train_panel.show_error(str(error))
        else:
            self.app.show_error(error)


def start_run(settings: RunSettings, dataset: Dataset) -> Job:
    """Make the run (and the workspace where it lacks) and start its trainer."""
    Workspace.create(settings.workspace, dataset)
    return start(Run.create(settings))


def resume_run(folder: Path) -> Job:
    """Start a trainer that goes on with a run."""
    return start(Run.open(folder))


def stop_run(folder: Path, job: Job | None, *, grace: float = STOP_GRACE_SECONDS) -> None:
    """Ask a run's trainer to stop, and end it when it has not after `grace` seconds."""
    run = Run.open(folder)
    found = job or attach(run)
    if found is not None:
        found.stop(grace)
    else:
        run.request_stop()
