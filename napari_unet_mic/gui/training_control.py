"""The controller behind "Plan and train": makes settings of what the form says, starts runs.

Training is a detached child that outlives napari; `RunsControl` follows it. Estimates come from
a child process too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput, Cancelled, UNetMicError
from napari_unet_mic.gui.commands import train_command
from napari_unet_mic.gui.controls import CommandButton
from napari_unet_mic.gui.estimating import Estimate, ask_estimate
from napari_unet_mic.gui.fitting import Room
from napari_unet_mic.gui.forms import Section, scrolled
from napari_unet_mic.gui.plan_panel import PlanPanel
from napari_unet_mic.gui.planning_control import PlanningControl
from napari_unet_mic.gui.run_watch import RunStatus
from napari_unet_mic.gui.run_work import start_run
from napari_unet_mic.gui.runs_control import RunsControl
from napari_unet_mic.gui.runs_panel import RunsPanel
from napari_unet_mic.gui.train_panel import TrainPanel
from napari_unet_mic.jobs.process import Job
from napari_unet_mic.training.run import RunSettings

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App, Ticket

USUAL_COMMAND = "unet-mic train DATASET --workspace W --name RUN"


class TrainingControl:
    """The controller behind "Plan and train"; `widget` is what is docked."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.plan_panel = PlanPanel()
        self.train_panel = TrainPanel(command_button=CommandButton(self._command, app.say))
        self.runs_panel = RunsPanel()
        self.widget = self._make_widget()
        self.planning = PlanningControl(app, self.plan_panel)
        self.runs = RunsControl(app, self.runs_panel, self._on_duplicate_asked)
        self.runs.on_runs = self._on_runs
        self._plan_shown_of: Path | None = None  # the workspace whose plan was looked for
        self._listed: Path | None = None  # the workspace whose runs were listed already
        self._duplicated: tuple[Any, str | None] = (None, None)  # plan open then, plans file
        self._estimating: Ticket | None = None
        self._suggested = self.train_panel.name.text()
        self._connect()
        self._on_form_changed()
        self._on_plan_changed()
        self._on_workspace_changed()

    def _make_widget(self) -> QScrollArea:
        self.plan_section = Section(
            "Plan", self.plan_panel, "Fold the plan away, or show it: training needs the room"
        )
        self.train_section = Section(
            "New run", self.train_panel, "Fold the form of a new run away, or show it"
        )
        self.runs_section = Section("Runs", self.runs_panel, "Fold the runs away, or show them")
        parts = QWidget()
        layout = QVBoxLayout(parts)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.plan_section)
        layout.addWidget(self.train_section)
        layout.addWidget(self.runs_section, 1)
        return scrolled(parts)

    def _connect(self) -> None:
        train, state = self.train_panel, self.app.state
        train.train_requested.connect(self._on_train_requested)
        train.estimate_requested.connect(self._on_estimate_requested)
        train.estimate_cancelled.connect(self._on_estimate_cancelled)
        train.small_lesions_wanted.connect(self._on_small_lesions_wanted)
        train.configuration_chosen.connect(self._on_configuration_chosen)
        train.changed.connect(self._on_form_changed)
        train.device.filled.connect(self._show_room)
        train.device.currentIndexChanged.connect(self._show_room)
        state.events.dataset.connect(self._on_dataset_changed)
        state.events.workspace.connect(self._on_workspace_changed)
        state.events.plan.connect(self._on_plan_changed)
        state.events.configuration.connect(self._on_plan_changed)
        self.app.on_close.append(self.close)

    def close(self) -> None:
        """Stop watching; training goes on."""
        self._on_estimate_cancelled()
        self.runs.close()

    # ---- settings ------------------------------------------------------------------------
    def settings_of(self, wish: RunSettings) -> RunSettings:
        """Return the settings of a new run: the form's, with dataset, workspace and plan.

        Raises
        ------
        BadInput
            When there is no dataset.
        """
        state = self.app.state
        folder = self.planning.folder
        if state.dataset is None or folder is None:
            raise BadInput(
                "Train", expected="an open dataset", got="none", advice="open one (panel Dataset)"
            )
        return replace(
            wish,
            dataset=str(state.dataset.folder),
            workspace=str(folder),
            configuration=state.configuration or "3d_fullres",
            plans=self._plans_of(folder),
        )

    def _plans_of(self, folder: Path) -> str | None:
        """Return the plans file of a new run: the one shown, or that of the duplicated run."""
        plan_then, file_then = self._duplicated
        if plan_then is not None and plan_then is self.app.state.plan and file_then:
            return file_then
        plans = self.planning.plan_file
        if plans is None or plans == folder / "plans.json":
            return None  # training takes it, or makes it, by itself
        return str(plans)

    def _command(self) -> str:
        try:
            return train_command(self.settings_of(self.train_panel.wish))
        except BadInput:
            return USUAL_COMMAND

    def _on_duplicate_asked(self, status: RunStatus) -> None:
        settings = status.settings
        state = self.app.state
        if state.plan is not None and settings.configuration in state.plan.configurations:
            state.configuration = settings.configuration
        self._duplicated = (state.plan, settings.plans)
        self.train_panel.show_settings(settings)
        taken = {path.name for path in status.folder.parent.glob("*")}
        numbers = range(2, len(taken) + 3)
        name = next(f"{status.name}-{n}" for n in numbers if f"{status.name}-{n}" not in taken)
        self.train_panel.suggest_name(name)
        self.train_section.fold(False)
        self.train_panel.more_section.fold(False)
        self.app.say(f"The form has the settings of {status.name}: change some, then press Train")

    def _on_small_lesions_wanted(self) -> None:
        from napari_unet_mic.training.presets import small_lesions

        dataset = self.app.state.dataset
        if dataset is None:
            self.train_panel.show_error("Open a dataset first (panel Dataset)")
            return
        self.app.in_thread(
            small_lesions,
            dataset,
            on_done=self._on_small_lesions,
            on_error=self._show_error,
            topic="preset",
            busy="Looking for the class with the smallest lesions",
        )

    def _on_small_lesions(self, values: dict[str, Any]) -> None:
        self.train_panel.more.apply(values)
        dataset = self.app.state.dataset
        focus = dataset.classes.get(values["focus_class"], "?") if dataset else "?"
        self.app.say(f"Settings for small lesions of {focus}: {self.train_panel.more.gist}")

    # ---- starting ------------------------------------------------------------------------
    def _on_train_requested(self, wish: RunSettings) -> None:
        self.train_panel.show_error("")
        try:
            settings = self.settings_of(wish)
        except BadInput as error:
            self._show_error(error)
            return
        self._on_estimate_cancelled()
        self.train_panel.train.setEnabled(False)
        self.app.in_thread(
            start_run,
            settings,
            self.app.state.dataset,
            on_done=self._on_started,
            on_error=self._on_start_failed,
            busy=f"Starting {wish.name}",
        )

    def _on_started(self, job: Job) -> None:
        self._show_whether_ready()
        if self.app.state.workspace is None:
            self.planning.adopt(Workspace(job.run.folder.parents[1]))
        self.runs.take_over(job)
        self._make_room_for_runs()

    def _make_room_for_runs(self) -> None:
        self.plan_section.fold()
        self.train_section.fold()
        self.runs_section.fold(False)

    def _on_start_failed(self, error: BaseException) -> None:
        self._show_whether_ready()
        self._show_error(error)

    # ---- the estimate --------------------------------------------------------------------
    def _on_estimate_requested(self, wish: RunSettings) -> None:
        try:
            settings = self.settings_of(wish)
        except BadInput as error:
            self._show_error(error)
            return
        self.train_panel.show_estimating(True)
        self._estimating = self.app.in_thread(
            ask_estimate,
            settings,
            on_done=self._on_estimated,
            on_error=self._on_estimate_failed,
            topic="estimate",
            stoppable=True,
        )

    def _on_estimated(self, estimate: Estimate) -> None:
        self._estimating = None
        self.train_panel.show_estimate(estimate.words)
        self.app.say(estimate.sentence)

    def _on_estimate_failed(self, error: BaseException) -> None:
        self._estimating = None
        self.train_panel.show_estimating(False)
        if not isinstance(error, Cancelled):
            self._show_error(error)

    def _on_estimate_cancelled(self) -> None:
        if self._estimating is not None:
            self._estimating.stale = True
            self._estimating = None
            self.train_panel.show_estimating(False)

    # ---- following -----------------------------------------------------------------------
    def _show_whether_ready(self) -> None:
        dataset = self.app.state.dataset
        self.train_panel.set_can_train(dataset is not None, "Open a dataset first (panel Dataset)")
        if dataset is not None:
            self.train_panel.offer_folds(len(dataset.training))

    def _on_dataset_changed(self) -> None:
        self.train_panel.forget_base()
        self._duplicated = (None, None)
        self._show_whether_ready()
        self._show_room()

    def _on_workspace_changed(self) -> None:
        self._show_whether_ready()
        self.runs.watch(self.app.state.workspace)

    def _on_runs(self, statuses: tuple[RunStatus, ...]) -> None:
        self._suggest_name({status.name for status in statuses})
        folder = self.runs.workspace
        if folder is not None:
            self._take_over_plan(folder)
        if statuses and folder != self._listed:
            self._listed = folder
            if any(status.alive for status in statuses):  # training went on without this viewer
                self._make_room_for_runs()
        current = self.runs_panel.current
        if current is not None:
            self.runs_section.set_gist(f"{current.name} {current.state}")

    def _take_over_plan(self, folder: Path) -> None:
        """Show the plan once a trainer has made one."""
        missing = self.app.state.plan is None and self._plan_shown_of != folder
        if missing and self.planning.idle and (folder / "plans.json").is_file():
            self._plan_shown_of = folder
            self.planning.adopt(Workspace(folder))

    def _suggest_name(self, taken: set[str]) -> None:
        name = self.train_panel.name.text()
        if name not in (self._suggested, "") or self._suggested not in taken:
            return
        number = next(n for n in range(1, len(taken) + 2) if f"run-{n}" not in taken)
        self._suggested = f"run-{number}"
        self.train_panel.suggest_name(self._suggested)

    # ---- the plan ------------------------------------------------------------------------
    def _on_configuration_chosen(self, name: str) -> None:
        self.app.state.configuration = name

    def _on_plan_changed(self) -> None:
        state, panel = self.app.state, self.plan_panel
        patch_and_batch = panel.summary.text().rpartition(" · ")[0]
        words = f"{state.configuration} · {patch_and_batch}" if state.plan else "none yet"
        self.plan_section.set_gist(words)
        names = tuple(state.plan.configurations) if state.plan else ()
        self.train_panel.offer_configurations(names, state.configuration)
        self._show_room()

    def _show_room(self) -> None:
        """Tell the form what the plan and the chosen device leave to choose."""
        state = self.app.state
        dataset = state.dataset
        room = None
        if state.plan is not None and dataset is not None and state.configuration:
            try:
                room = Room(
                    state.plan.configuration(state.configuration),
                    len(dataset.channel_names),
                    len(dataset.classes),
                    self.train_panel.device.memory_bytes,
                )
            except UNetMicError:  # the plan panel says why
                room = None
        self.train_panel.show_room(room, dataset.classes if dataset else {})

    def _on_form_changed(self) -> None:
        self.train_section.set_gist(self.train_panel.gist)

    def _show_error(self, error: BaseException) -> None:
        if isinstance(error, UNetMicError):
            self.train_panel.show_error(str(error))
        else:
            self.app.show_error(error)
