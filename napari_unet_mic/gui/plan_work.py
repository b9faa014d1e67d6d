"""What planning does on disk, for a thread: workspace folder, fingerprint, plan. No Qt."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput, BadPlan, Cancelled, ChannelMismatch
from napari_unet_mic.gui.plan_panel import PlanWish
from napari_unet_mic.planning.fingerprint import Fingerprint, extract
from napari_unet_mic.planning.picture import draw
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan, write_plan
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.planning.topology import describe


@dataclass(frozen=True, eq=False)
class Planned:
    """A workspace, its dataset (test set held out), its plan and that plan's file, if any."""

    workspace: Workspace
    dataset: Dataset
    plan: Plan | None = None
    plan_file: Path | None = None


def default_workspace(dataset: Dataset) -> Path:
    """Return the workspace folder to suggest: beside the dataset, else in the home folder."""
    folder = dataset.folder.absolute()
    if os.access(folder.parent, os.W_OK):
        return folder.with_name(f"{folder.name}-unet-mic")
    return Path.home() / "unet-mic" / folder.name


def open_workspace(folder: Path, dataset: Dataset | None) -> Planned:
    """Open an existing workspace and the plan in it.

    Raises
    ------
    BadInput
        When the folder is no workspace, or that of another dataset than the open one.
    """
    workspace = Workspace.open(folder) if dataset is None else Workspace.create(folder, dataset)
    opened = workspace.dataset()
    files = [workspace.plans_file, *sorted(workspace.folder.glob("plans_*.json"))]
    for file in files:
        if file.is_file():
            return Planned(
                workspace, opened, with_reasons(read_plan(file), workspace, opened), file
            )
    return Planned(workspace, opened)


def make_plan(
    dataset: Dataset,
    folder: Path,
    wish: PlanWish,
    *,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Planned:
    """Make the plan that the person wishes and write it into the workspace.

    The fingerprint is measured once and kept. A plans file is taken over as it is, once its
    channels fit the dataset.

    Raises
    ------
    BadInput
        When the workspace belongs to another dataset, or the plan does not fit it.
    Cancelled
        `should_stop` said so; what was there stays.
    """
    workspace = Workspace.create(folder, dataset)
    opened = workspace.dataset()
    if wish.plans_file is not None:
        plan = read_plan(wish.plans_file)
        _check_fits(plan, opened, wish.plans_file)
        file = workspace.folder / "plans_from_file.json"
    else:
        fingerprint = _fingerprint(workspace, opened, progress, should_stop)
        plan = plan_experiment(
            fingerprint,
            opened.nnunet_json(),
            planner=wish.planner,
            gpu_memory_gb=wish.gpu_memory_gb,
            dataset_name=opened.name,
        )
        file = workspace.folder / plan_name(wish)
    if should_stop():
        raise Cancelled("planning")
    write_plan(file, plan)
    return Planned(workspace, opened, plan, file)


def plan_name(wish: PlanWish) -> str:
    """Return the file name of a plan: plans.json for the default planner, as training has it."""
    if wish.planner == "default" and wish.gpu_memory_gb is None:
        return "plans.json"
    memory = "" if wish.gpu_memory_gb is None else f"_{wish.gpu_memory_gb:g}gb"
    return f"plans_{wish.planner}{memory}.json"


def with_reasons(plan: Plan, workspace: Workspace, dataset: Dataset) -> Plan:
    """Return a plan read from disk with its reasons, when planning anew gives the same plan."""
    if not workspace.fingerprint_file.is_file():
        return plan
    try:
        anew = plan_experiment(
            Fingerprint.read(workspace.fingerprint_file),
            dataset.nnunet_json(),
            dataset_name=plan.dataset_name,
        )
    except BadInput:
        return plan
    same = anew.to_json() == plan.to_json()
    return dataclasses.replace(plan, reasons=anew.reasons) if same else plan


def draw_network(
    configuration: Configuration, n_channels: int, n_classes: int, file: Path
) -> list[Path]:
    """Draw a configuration's network into an .svg or .png file; returns the files written."""
    return draw(describe(configuration, n_channels, n_classes), file)


def _fingerprint(
    workspace: Workspace,
    dataset: Dataset,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Fingerprint:
    """Read the workspace's fingerprint, or measure it when it is missing or of other cases."""
    if workspace.fingerprint_file.is_file():
        known = Fingerprint.read(workspace.fingerprint_file)
        if len(known.spacings) == len(dataset.training):
            return known
    fingerprint = extract(dataset, progress=progress, should_stop=should_stop)
    fingerprint.write(workspace.fingerprint_file)
    return fingerprint


def _check_fits(plan: Plan, dataset: Dataset, file: Path) -> None:
    known = [name for name in plan.configurations if not _is_bad(plan, name)]
    for name in known:
        planned = plan.configuration(name).n_channels
        if planned != len(dataset.channel_names):
            raise ChannelMismatch(
                file,
                expected=f"a plan for {len(dataset.channel_names)} channels "
                f"({', '.join(dataset.channel_names)})",
                got=f"one for {planned}",
                advice="take the plans file of a dataset with the same channels",
            )


def _is_bad(plan: Plan, name: str) -> bool:
    try:
        plan.configuration(name)
    except BadPlan:
        return True
    return False
