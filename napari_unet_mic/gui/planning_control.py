"""Acts on what the plan panel asks for: opens workspaces, measures, plans, in a thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import plan_work
from napari_unet_mic.gui.plan_panel import PlanPanel, PlanWish
from napari_unet_mic.gui.plan_view import view_of

if TYPE_CHECKING:
    from napari_unet_mic.data.workspace import Workspace
    from napari_unet_mic.gui.app import App, Ticket


class PlanningControl:
    """Keeps workspace, plan and configuration of `state` in step with the plan panel.

    Attributes
    ----------
    folder
        The workspace folder; it may not exist yet (then ``state.workspace`` is None).
    plan_file
        Where the plan shown lies, None before there is one.
    """

    def __init__(self, app: App, panel: PlanPanel) -> None:
        self.app = app
        self.panel = panel
        self.folder: Path | None = None
        self.plan_file: Path | None = None
        self._dataset_folder: Path | None = None  # that of the open workspace
        self._work: Ticket | None = None
        panel.workspace_chosen.connect(self._on_workspace_chosen)
        panel.plan_requested.connect(self._on_plan_requested)
        panel.cancel_requested.connect(self._on_cancel_requested)
        panel.configuration_chosen.connect(self._on_configuration_chosen)
        panel.picture_requested.connect(self._on_picture_requested)
        app.state.events.dataset.connect(self._on_dataset_changed)
        app.state.events.plan.connect(self._show_plan)
        app.state.events.configuration.connect(self._show_plan)
        self._on_dataset_changed()
        self._show_plan()

    @property
    def ready(self) -> bool:
        """Whether there is a dataset, and a folder to work in."""
        return self.folder is not None and self.app.state.dataset is not None

    @property
    def idle(self) -> bool:
        """Whether no workspace is being opened or planned."""
        return self._work is None

    # ---- dataset and workspace ---------------------------------------------------------
    def _on_dataset_changed(self) -> None:
        dataset, workspace = self.app.state.dataset, self.app.state.workspace
        if dataset is None:
            self._show_workspace()
        elif workspace is not None and self._is_of(workspace, dataset.folder.absolute()):
            self.folder = workspace.folder
            self._show_workspace()
        else:
            self._leave_workspace()
            self._use_folder(plan_work.default_workspace(dataset))

    def _is_of(self, workspace: Workspace, dataset_folder: Path) -> bool:
        if self.folder != workspace.folder or self._dataset_folder is None:
            self._dataset_folder = workspace.dataset_folder.absolute()
        return self._dataset_folder == dataset_folder

    def _leave_workspace(self) -> None:
        self._stop_planning()
        self.folder = self.plan_file = self._dataset_folder = None
        state = self.app.state
        state.workspace = state.plan = state.run_folder = None
        state.configuration = ""

    def _use_folder(self, folder: Path) -> None:
        """Take a folder as workspace: open it when it is one, else keep it for later."""
        self.folder = folder
        self._show_workspace()
        if (folder / "workspace.json").is_file():
            self._work = self.app.in_thread(
                plan_work.open_workspace,
                folder,
                self.app.state.dataset,
                on_done=self._on_planned,
                on_error=self._on_failed,
                topic="workspace",
            )

    def _on_workspace_chosen(self, folder: Path) -> None:
        self.panel.show_error("")
        if self.app.state.dataset is None and not (folder / "workspace.json").is_file():
            self.panel.show_error(
                f"{folder}: expected an existing workspace, got a folder without workspace.json; "
                "open a dataset first to make a new workspace there"
            )
            self._show_workspace()
            return
        self._leave_workspace()
        self._use_folder(folder)

    def adopt(self, workspace: Workspace) -> None:
        """Take over a workspace of the open dataset, and the plan in it."""
        if self.app.state.workspace != workspace:
            self.folder, self._dataset_folder = workspace.folder, None
            self.app.state.workspace = workspace
        self._use_folder(workspace.folder)

    def _show_workspace(self) -> None:
        self.panel.show_workspace(self.folder, can_plan=self.ready)

    def _on_planned(self, planned: plan_work.Planned) -> None:
        """Take over a workspace that was opened or planned."""
        self._work = None
        self.panel.set_working(None)
        state = self.app.state
        self.folder, self.plan_file = planned.workspace.folder, planned.plan_file
        self._dataset_folder = planned.dataset.folder.absolute()
        if state.workspace != planned.workspace:
            state.workspace = planned.workspace
        if state.dataset is None or state.dataset.cases != planned.dataset.cases:
            state.dataset = planned.dataset
        names = tuple(planned.plan.configurations) if planned.plan else ()
        if state.configuration not in names:
            state.configuration = planned.plan.default_configuration if planned.plan else ""
        state.plan = planned.plan
        self._show_workspace()

    # ---- planning ----------------------------------------------------------------------
    def _on_plan_requested(self, wish: PlanWish) -> None:
        dataset = self.app.state.dataset
        if dataset is None or self.folder is None:
            self.panel.show_error("Open a dataset first (panel Dataset)")
            return
        self.panel.show_error("")
        self.panel.set_working((0, len(dataset.training)))
        self._work = self.app.in_thread(
            plan_work.make_plan,
            dataset,
            self.folder,
            wish,
            on_done=self._on_planned,
            on_error=self._on_failed,
            topic="workspace",
            busy=f"Planning {dataset.name}",
            stoppable=True,
            progress=self._tell_progress,
        )

    def _tell_progress(self, done: int, total: int) -> None:
        self.app.tell(self._on_progress, done, total)  # comes from the planning thread

    def _on_progress(self, done: int, total: int) -> None:
        if self._work is not None:
            self.panel.set_working((done, total))

    def _on_cancel_requested(self) -> None:
        self._stop_planning()
        self.app.say("Planning was cancelled; nothing was written")

    def _stop_planning(self) -> None:
        if self._work is not None:
            self._work.stale = True
            self._work = None
        self.panel.set_working(None)

    def _on_failed(self, error: BaseException) -> None:
        self._work = None
        self.panel.set_working(None)
        if isinstance(error, UNetMicError):
            self.panel.show_error(str(error))
        else:
            self.app.show_error(error)

    # ---- the plan ----------------------------------------------------------------------
    def _on_configuration_chosen(self, name: str) -> None:
        self.app.state.configuration = name

    def _show_plan(self) -> None:
        state = self.app.state
        if state.plan is None or state.dataset is None or not state.configuration:
            self.panel.show_plan(None)
            return
        channels, classes = len(state.dataset.channel_names), len(state.dataset.classes)
        try:
            view = view_of(state.plan, state.configuration, channels, classes)
        except UNetMicError as error:
            self.panel.show_error(str(error))
            return
        self.panel.show_plan(view)

    def _on_picture_requested(self, file: Path) -> None:
        state = self.app.state
        if state.plan is None or state.dataset is None:
            return
        self.panel.show_error("")
        self.app.in_thread(
            plan_work.draw_network,
            state.plan.configuration(state.configuration),
            len(state.dataset.channel_names),
            len(state.dataset.classes),
            file,
            on_done=lambda files: self.app.say(f"Drawn: {', '.join(str(one) for one in files)}"),
            on_error=self._on_failed,
        )
