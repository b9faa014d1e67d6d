"""The check of a dataset: every file looked at, cases compared, leaks searched.

A dataset's folder enters, a `Check` leaves: findings in order, and what was kept of every
case. Files are read by threads (unpacking and numpy let others run meanwhile), headers first;
each file's voxels are read once. Whatever a file holds, the check goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import Cancelled
from .cohort import compare_cases
from .dataset import Dataset
from .examine import Declaration, Examined, examine_headers, examine_voxels
from .findings import Finding, in_order
from .fingerprints import choose_cell_mm
from .inventory import Inventory, take_inventory

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; the stages are headers, files, pairs."""
ShouldStop = Callable[[], bool]
Item = TypeVar("Item")
Answer = TypeVar("Answer")

_MOST_WORKERS = 8
_BYTES_AT_ONCE = 2_000_000_000
_COPIES = 3  # packed, as stored, scaled


@dataclass(frozen=True, eq=False)
class Check:
    """What the check of a dataset found.

    Attributes
    ----------
    dataset
        As far as it could be made out; in the order of `cases`.
    findings
        Gravest first.
    """

    dataset: Dataset
    cases: tuple[Examined, ...]
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return what `unet-mic check --json` prints."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "cases": len(self.cases),
        }


def check_dataset(
    path: str | Path,
    *,
    progress: Progress = lambda stage, done, total: None,
    should_stop: ShouldStop = lambda: False,
) -> Check:
    """Check a dataset.

    Raises
    ------
    BadDataset
        When there is nothing to check (no dataset.json, no cases).
    Cancelled
        `should_stop` said so.
    """
    inventory = take_inventory(path)
    dataset, declared = inventory.dataset, declaration_of(inventory)
    with _quiet_nibabel():
        cases = examine_cases(dataset, declared, progress=progress, should_stop=should_stop)
    findings = [*inventory.findings, *(f for case in cases for f in case.findings)]
    findings += compare_cases(cases, declared.classes)
    return Check(dataset, tuple(cases), tuple(in_order(findings)))


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
) -> list[Examined]:
    """Examine every case: all headers, then all voxels."""
    headers = _in_threads(
        lambda case: examine_headers(case, declared),
        dataset.cases,
        _workers(0),
        lambda done, total: progress("headers", done, total),
        should_stop,
    )
    cell_mm = choose_cell_mm([h.grid for h in headers if h.image_files and h.grid])
    return _in_threads(
        lambda one: examine_voxels(one, declared, cell_mm),
        headers,
        _workers(max((one.n_bytes for one in headers), default=0)),
        lambda done, total: progress("files", done, total),
        should_stop,
    )


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
