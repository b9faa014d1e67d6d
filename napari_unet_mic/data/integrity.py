"""The check of a dataset: every file looked at, cases compared, leaks searched.

A dataset's folder enters, a `Check` leaves: findings in order, and what was kept of every
case. Files are read by threads (unpacking and numpy let others run meanwhile), headers first;
each file's voxels are read once. Whatever a file holds, the check goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from ..errors import Cancelled
from .cohort import compare_cases
from .dataset import Dataset
from .examine import Declaration, Examined, examine_headers, examine_voxels
from .findings import Finding, in_order
from .fingerprints import choose_cell_mm
from .inventory import Inventory, take_inventory
from .leakage import Leak, find_leaks, leak_findings
from .lesion_statistics import (
    CaseClass,
    case_statistics,
    class_statistics,
    small_lesion_findings,
)
from .patients import Patients
from .sides import Sides
from .split_check import FoldChange, fold_changes, load_splits, patient_findings
from .splits import Splits

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; the stages are headers, files, pairs."""
ShouldStop = Callable[[], bool]
Item = TypeVar("Item")
Answer = TypeVar("Answer")

_MOST_WORKERS = 8
_BYTES_AT_ONCE = 2_000_000_000
_COPIES = 3  # packed, as stored, scaled


@dataclass(frozen=True)
class Question:
    """What to check beside the files.

    Attributes
    ----------
    patients
        Who is who; without them only suspicions are reported.
    splits_file
        The folds to judge; without it those in the dataset's folder, else nnU-Net's.
    leaks
        Whether to compare all images with each other.
    """

    patients: Patients | None = None
    splits_file: Path | None = None
    leaks: bool = True


@dataclass(frozen=True, eq=False)
class Check:
    """What the check of a dataset found.

    Attributes
    ----------
    findings
        Gravest first.
    leaks
        The pairs behind the findings about leakage; `cell_mm` is their rasters' cell.
    splits, splits_source
        The folds that were judged, and where they come from.
    groups
        Cases of one patient together: as told, else as suspected.
    changes
        What grouping by patient changes in the folds.
    """

    dataset: Dataset
    cases: tuple[Examined, ...]
    findings: tuple[Finding, ...]
    leaks: tuple[Leak, ...] = ()
    cell_mm: float = 1.0
    splits: Splits = field(default_factory=list)
    splits_source: str = ""
    patients: Patients | None = None
    groups: tuple[tuple[str, ...], ...] = ()
    changes: tuple[FoldChange, ...] = ()

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def statistics(self) -> list[CaseClass]:
        """Volumes and lesions of every class in every labelled case."""
        return case_statistics(self.cases, self.dataset.classes)

    def to_json(self) -> dict[str, Any]:
        """Return what `unet-mic check --json` prints."""
        rows = self.statistics
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "cases": len(self.cases),
            "splits": {
                "source": self.splits_source,
                "patients": self.patients.source if self.patients else "suspected",
                "groups": [list(group) for group in self.groups if len(group) > 1],
                "folds": [change.to_json() for change in self.changes],
            },
            "statistics": [s.to_json() for s in class_statistics(rows, self.dataset.classes)],
            "case_statistics": [row.to_json() for row in rows],
        }


def check_dataset(
    path: str | Path,
    question: Question = Question(),
    *,
    progress: Progress = lambda stage, done, total: None,
    should_stop: ShouldStop = lambda: False,
    held_out: Iterable[str] = (),
) -> Check:
    """Check a dataset.

    Parameters
    ----------
    held_out
        Cases that are held out for the test beside those the dataset itself holds out.

    Raises
    ------
    BadDataset
        When there is nothing to check (no dataset.json, no cases).
    Cancelled
        `should_stop` said so.
    """
    inventory = take_inventory(path)
    dataset = inventory.dataset.with_test(held_out)
    declared = declaration_of(inventory)
    with _quiet_nibabel(), threadpool_limits(limits=1, user_api="blas"):
        cases, cell_mm = examine_cases(
            dataset, declared, progress=progress, should_stop=should_stop
        )
        leaks: list[Leak] = []
        if question.leaks:
            leaks = find_leaks(
                cases,
                progress=lambda done, total: progress("pairs", done, total),
                should_stop=should_stop,
            )
    findings = [*inventory.findings, *(f for case in cases for f in case.findings)]
    findings += compare_cases(cases, declared.classes)
    rows = case_statistics(cases, dataset.classes)
    findings += small_lesion_findings(class_statistics(rows, dataset.classes))
    return _with_splits(
        Check(dataset, tuple(cases), (), cell_mm=cell_mm), findings, leaks, question
    )


def _with_splits(
    check: Check, findings: list[Finding], leaks: Sequence[Leak], question: Question
) -> Check:
    """Judge pairs and patients by the folds, and put all findings in order."""
    dataset, patients = check.dataset, question.patients
    splits, source, wrong = load_splits(dataset, question.splits_file)
    sides = Sides(dataset, splits)
    findings = [*findings, *wrong]
    if patients is not None:
        findings += patient_findings(dataset, patients, sides)
        leaks = [leak for leak in leaks if not _is_answered(leak, patients)]
    findings += leak_findings(leaks, check.cases, sides, check.cell_mm)
    groups = _groups(dataset, patients, leaks)
    return replace(
        check,
        findings=tuple(in_order(findings)),
        leaks=tuple(leaks),
        splits=splits,
        splits_source=source,
        patients=patients,
        groups=tuple(groups),
        changes=tuple(fold_changes(dataset, splits, groups) if splits else ()),
    )


def _is_answered(leak: Leak, patients: Patients) -> bool:
    """Return whether a suspicion is settled, since somebody said whose both scans are."""
    known = patients.patient(leak.first), patients.patient(leak.second)
    return leak.kind == "same-patient-suspected" and None not in known


def _groups(
    dataset: Dataset, patients: Patients | None, leaks: Iterable[Leak]
) -> list[tuple[str, ...]]:
    """Join the cases of one patient, and cases that share an image; the others stand alone."""
    names = [case.name for case in dataset.cases]
    told = patients.groups(names) if patients is not None else [(name,) for name in names]
    of = {name: number for number, group in enumerate(told) for name in group}
    for leak in leaks:
        one, other = of[leak.first], of[leak.second]
        of = {name: one if number == other else number for name, number in of.items()}
    joined: dict[int, list[str]] = {}
    for name in names:
        joined.setdefault(of[name], []).append(name)
    return sorted(tuple(sorted(group)) for group in joined.values())


def declaration_of(inventory: Inventory) -> Declaration:
    """Return what the inventory's dataset.json declares."""
    dataset = inventory.dataset
    return Declaration(
        dataset.channel_names if inventory.channels_known else None,
        dataset.classes if inventory.classes_known else None,
        dataset.ignore_value,
    )


def examine_cases(
    dataset: Dataset, declared: Declaration, *, progress: Progress, should_stop: ShouldStop
) -> tuple[list[Examined], float]:
    """Examine every case, all headers, then all voxels; also return the rasters' cell in mm."""
    headers = _in_threads(
        lambda case: examine_headers(case, declared),
        dataset.cases,
        _workers(0),
        lambda done, total: progress("headers", done, total),
        should_stop,
    )
    cell_mm = choose_cell_mm([h.grid for h in headers if h.image_files and h.grid])
    cases = _in_threads(
        lambda one: examine_voxels(one, declared, cell_mm),
        headers,
        _workers(max((one.n_bytes for one in headers), default=0)),
        lambda done, total: progress("files", done, total),
        should_stop,
    )
    return cases, cell_mm


def _workers(n_bytes: int) -> int:
    """Return how many threads: one a core, fewer when the cases are very large."""
    fitting = _BYTES_AT_ONCE // max(1, _COPIES * n_bytes)
    return int(max(1, min(os.cpu_count() or 1, _MOST_WORKERS, fitting)))


def _in_threads(
    work: Callable[[Item], Answer],
    items: Sequence[Item],
    workers: int,
    progress: Callable[[int, int], None],
    should_stop: ShouldStop,
) -> list[Answer]:
    """Apply `work` to every item; the answers come in the items' order."""
    answers: dict[int, Answer] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="unet-mic-check") as pool:
        waiting = {pool.submit(work, item): place for place, item in enumerate(items)}
        try:
            for future in as_completed(waiting):
                if should_stop():
                    raise Cancelled("the check of the dataset")
                answers[waiting[future]] = future.result()
                progress(len(answers), len(items))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return [answers[place] for place in range(len(items))]


@contextlib.contextmanager
def _quiet_nibabel() -> Iterator[None]:
    """Keep nibabel from printing what the findings say better."""
    logger = logging.getLogger("nibabel.global")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
