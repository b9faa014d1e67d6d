"""Everything a workspace must hold before training, made where it lacks.

What enters: a dataset, a workspace folder and what the person asked for. What leaves:
fingerprint, plan, folds and preprocessed cases on disk, and the record `Materials` that
names them. What is there already and still fits is used as it is.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_unet_mic.data.dataset import Dataset, open_dataset, read_test_cases
from napari_unet_mic.data.files import read_json
from napari_unet_mic.data.patients import Patients, choose_patients, read_patients
from napari_unet_mic.data.sides import Sides
from napari_unet_mic.data.splits import (
    Fold,
    five_folds,
    fold_cases,
    grouped_folds,
    read_splits,
    write_splits,
)
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput, Cancelled, ChannelMismatch
from napari_unet_mic.planning.fingerprint import Fingerprint, extract
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan, write_plan
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.preprocessing import store
from napari_unet_mic.preprocessing.provenance import settings_of
from napari_unet_mic.training.adjust import adjusted, check_classes
from napari_unet_mic.training.events import Event, Progress
from napari_unet_mic.training.run import CROSS_VALIDATION, RunSettings

Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Materials:
    """What training needs: the plan's configuration, the cases of the fold, where they lie."""

    workspace: Workspace
    dataset: Dataset
    plan: Plan
    configuration: Configuration
    preprocessed: Path
    training: tuple[str, ...]
    validation: tuple[str, ...]

    @property
    def test(self) -> tuple[str, ...]:
        """The held-out cases."""
        return tuple(case.name for case in self.dataset.test)


def prepare(settings: RunSettings, emit: Emit, should_stop: ShouldStop) -> Materials:
    """Make what the workspace lacks for a run, and say so on the way.

    Raises
    ------
    BadInput
        A setting does not fit the dataset or the workspace.
    Cancelled
        `should_stop` said so.
    """
    workspace = open_workspace(settings)
    dataset = workspace.dataset()
    names = [case.name for case in dataset.training]
    splits_file = Path(settings.splits) if settings.splits else workspace.splits_file
    patients = _patients(settings, dataset, workspace.patients_file)
    training, validation = _fold(settings.fold, splits_file, dataset, names, patients)
    if patients is not None and not workspace.patients_file.exists():
        patients.write(workspace.patients_file)
    check_classes(settings, dataset)
    plan = adjusted(make_plan(settings, workspace, dataset, emit, should_stop), settings)
    configuration = plan.configuration(settings.configuration)
    check_channels(dataset, plan, configuration)
    folder = preprocess(workspace, dataset, plan, configuration, emit, should_stop)
    return Materials(
        workspace, dataset, plan, configuration, folder, tuple(training), tuple(validation)
    )


def check_settings(settings: RunSettings) -> None:
    """Refuse, before anything is written, what the settings alone show to be wrong.

    Raises
    ------
    BadInput
        Dataset, test set, fold, plans or weights to start from cannot be used.
    """
    dataset = open_dataset(settings.dataset)
    if settings.test is not None:
        dataset = dataset.with_test(named_cases(settings.test, dataset))
    names = [case.name for case in dataset.training]
    splits = settings.splits or Path(settings.workspace) / "splits_final.json"
    patients = _patients(settings, dataset, Path(settings.workspace) / "patients.json")
    for fold in CROSS_VALIDATION if settings.fold == "each" else (settings.fold,):
        _fold(fold, Path(splits), dataset, names, patients, write=False)
    check_classes(settings, dataset)
    if settings.plans:
        plan = adjusted(read_plan(Path(settings.plans)), settings)
        check_channels(dataset, plan, plan.configuration(settings.configuration))
    if settings.start_from and not Path(settings.start_from).exists():
        raise BadInput(
            settings.start_from,
            expected="a checkpoint, a run or a model folder to start from",
            got="no such file",
            advice="check the path",
        )


def prepare_workspace(
    dataset: str | Path,
    workspace: str | Path,
    *,
    configuration: str = "3d_fullres",
    planner: str = "default",
    report: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make fingerprint, plan, folds and one configuration's cases; returns the cases' folder."""
    settings = RunSettings(
        dataset=str(dataset),
        workspace=str(workspace),
        name="prepare",
        configuration=configuration,
        planner=planner,
        fold="all",
    ).absolute()
    said: set[str] = set()

    def emit(event: Event) -> None:
        if not isinstance(event, Progress):
            return
        if report is not None and event.stage not in said:
            said.add(event.stage)
            report(f"{event.stage}: {event.total} to do" if event.total > 1 else event.stage)
        if progress is not None and event.stage == "preprocess":
            progress(event.done, event.total)

    return prepare(settings, emit, lambda: False).preprocessed


def open_workspace(settings: RunSettings) -> Workspace:
    """Create the workspace or open it, with the test set that the settings name.

    Raises
    ------
    BadInput
        When the workspace was made with another test set: its fingerprint, plan and folds
        would know cases that must stay unseen.
    """
    dataset = open_dataset(settings.dataset)
    asked = None if settings.test is None else named_cases(settings.test, dataset)
    if asked is not None:
        dataset = dataset.with_test(asked)
    workspace = Workspace.create(settings.workspace, dataset)
    held = {case.name for case in workspace.dataset().test}
    wanted = {case.name for case in dataset.test}
    if asked is not None and held != wanted:
        raise BadInput(
            workspace.test_cases_file,
            expected=f"the {len(wanted)} test cases asked for",
            got=f"{len(held)} that differ",
            advice="use a new workspace folder: this one's fingerprint and folds belong to "
            "its own test set",
        )
    return workspace


def named_cases(words: tuple[str, ...], dataset: Dataset) -> tuple[str, ...]:
    """Return the case names that --test means: its words, or the lines of the one file it names."""
    known = {case.name for case in dataset.cases}
    if len(words) == 1 and words[0] not in known and Path(words[0]).is_file():
        return read_test_cases(Path(words[0]))
    return words


def _patients(settings: RunSettings, dataset: Dataset, kept: Path) -> Patients | None:
    """Return who is who: as the settings say, else the workspace, else the dataset's folder.

    Raises
    ------
    BadInput
        When a patient has cases in training and in the test set, or the workspace knows
        other patients.
    """
    told = settings.patients is not None or settings.patient_pattern is not None
    if not told and kept.is_file():
        patients: Patients | None = read_patients(kept)
    else:
        file = Path(settings.patients) if settings.patients else None
        patients = choose_patients(settings.dataset, file, settings.patient_pattern)
    if patients is None:
        return None
    groups = patients.groups(case.name for case in dataset.cases)
    if told and kept.is_file():
        before = read_patients(kept).groups(case.name for case in dataset.cases)
        if before != groups:
            raise BadInput(
                kept,
                expected=f"the patients of {patients.source}",
                got="others, and folds may have been made from them",
                advice="use a new workspace folder",
            )
    sides = Sides(dataset, [])
    for group in groups:
        if sides.apart(group).test:
            raise BadInput(
                patients.source,
                expected=f"the cases of patient {patients.patient(group[0])} all in the test set "
                "or all in training",
                got=", ".join(f"{name} ({sides.role(name)})" for name in group),
                advice="hold all of them out with --test, or none",
            )
    return patients


def _fold(
    fold: int | str,
    splits_file: Path,
    dataset: Dataset,
    names: list[str],
    patients: Patients | None = None,
    *,
    write: bool = True,
) -> tuple[list[str], list[str]]:
    assert fold != "each"  # a cross-validation asks for its folds one by one
    wanted: Fold = "all" if isinstance(fold, str) else fold
    if wanted == "all":
        return fold_cases([], "all", names)
    groups = [] if patients is None else patients.groups(names)
    there = splits_file.exists()
    if there:
        splits = read_splits(splits_file)
    else:
        splits = grouped_folds(names, groups) if patients is not None else five_folds(names)
    held = [case.name for case in dataset.test]
    cases = fold_cases(splits, wanted, names, held_out=held)
    sides = Sides(dataset, [{"train": cases[0], "val": cases[1]}])
    for group in groups:
        if sides.apart(group).folds:
            raise BadInput(
                splits_file,
                expected=f"the cases of one patient on one side of fold {wanted}",
                got=f"{', '.join(group)} on both",
                advice="write grouped folds with `unet-mic check --grouped-splits`, or use a new "
                "workspace folder",
            )
    if write and not there:
        write_splits(splits_file, splits)
    return cases


def plan_file(settings: RunSettings, workspace: Workspace) -> Path:
    """Return where the plan of these settings lies: plans.json for the default planner."""
    if settings.plans:
        return Path(settings.plans)
    if settings.planner == "default" and settings.gpu_memory_gb is None:
        return workspace.plans_file
    memory = "" if settings.gpu_memory_gb is None else f"_{settings.gpu_memory_gb:g}gb"
    return workspace.folder / f"plans_{settings.planner}{memory}.json"


def make_plan(
    settings: RunSettings,
    workspace: Workspace,
    dataset: Dataset,
    emit: Emit,
    should_stop: ShouldStop,
) -> Plan:
    """Read the plan of these settings, or make it (and the fingerprint) first."""
    file = plan_file(settings, workspace)
    if settings.plans or file.exists():
        return read_plan(file)
    if workspace.fingerprint_file.exists():
        fingerprint = Fingerprint.read(workspace.fingerprint_file)
    else:
        total = len(dataset.training)
        emit(Progress("fingerprint", 0, total))
        fingerprint = extract(
            dataset,
            progress=lambda done, of: emit(Progress("fingerprint", done, of)),
            should_stop=should_stop,
        )
        fingerprint.write(workspace.fingerprint_file)
    if should_stop():
        raise Cancelled("planning")
    emit(Progress("plan", 0, 1))
    plan = plan_experiment(
        fingerprint,
        dataset.nnunet_json(),
        planner=settings.planner,
        gpu_memory_gb=settings.gpu_memory_gb,
        dataset_name=dataset.name,
    )
    write_plan(file, plan)
    emit(Progress("plan", 1, 1))
    return plan


def check_channels(dataset: Dataset, plan: Plan, configuration: Configuration) -> None:
    """See that the dataset has the channels that the plan was made for.

    Raises
    ------
    ChannelMismatch
        When it has more or fewer.
    """
    if configuration.n_channels != len(dataset.channel_names):
        raise ChannelMismatch(
            dataset.folder,
            expected=f"{configuration.n_channels} channels as in plan {plan.plans_name}",
            got=f"{len(dataset.channel_names)} ({', '.join(dataset.channel_names)})",
            advice="use a plan made for this dataset",
        )


def preprocess(
    workspace: Workspace,
    dataset: Dataset,
    plan: Plan,
    configuration: Configuration,
    emit: Emit,
    should_stop: ShouldStop,
) -> Path:
    """Bring the training cases onto the configuration's grid; returns their folder.

    Cases made for another plan's grid and normalisation are never used: such a plan gets a
    folder of its own.
    """
    settings = settings_of(dataset, plan, configuration)
    folder = workspace.preprocessed(configuration.name)
    note = folder / "_settings.json"
    if note.exists() and read_json(note).get("settings") != settings:
        mark = zlib.crc32(json.dumps(settings, sort_keys=True).encode())
        folder = folder.with_name(f"{configuration.name}-{mark:08x}")
    store.prepare_dataset(
        dataset,
        plan,
        configuration.name,
        folder,
        progress=lambda done, total: emit(Progress("preprocess", done, total)),
        should_stop=should_stop,
    )
    return folder
