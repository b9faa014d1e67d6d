"""Lesion statistics: volumes, numbers and sizes of connected components, by class and split.

Examined cases enter; one `CaseClass` for each case and class leaves, one `ClassSplit` for
each class and split, and a finding when the test set lacks the small lesions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .examine import Examined
from .findings import Finding, found

SMALL_SHARE = 25
"""The smallest quarter of the training set's lesions are its small ones (percent)."""
_SPREAD = 4.0
_FEWEST_LESIONS = 8


@dataclass(frozen=True)
class CaseClass:
    """One class in one labelled case; `lesions_ml` are its components, largest first."""

    case: str
    split: str
    value: int
    volume_ml: float
    lesions_ml: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as `unet-mic check --json` prints it."""
        return {
            "case": self.case,
            "split": self.split,
            "class": self.value,
            "volume_ml": round(self.volume_ml, 6),
            "lesions_ml": [round(ml, 6) for ml in self.lesions_ml],
        }


@dataclass(frozen=True)
class ClassSplit:
    """One class over the cases of one split.

    Attributes
    ----------
    cases, present
        Labelled cases, and those that hold the class.
    volumes_ml, lesions_by_case
        In the cases that hold it: its volume, and the volumes of its components.
    """

    value: int
    name: str
    split: str
    cases: int
    present: int
    volumes_ml: tuple[float, ...]
    lesions_by_case: tuple[tuple[float, ...], ...]

    @property
    def lesions_ml(self) -> tuple[float, ...]:
        """Volumes of all components."""
        return tuple(ml for case in self.lesions_by_case for ml in case)

    @property
    def comes_in_many_sizes(self) -> bool:
        """Whether the class is lesions rather than an organ of much the same size everywhere.

        More than half of the cases hold several components, or the largest components of the
        cases differ: their ninth decile is four times the first or more. Stray specks beside
        an organ do not make it lesions.
        """
        if not self.lesions_by_case:
            return False
        low, high = np.percentile([case[0] for case in self.lesions_by_case], (10, 90))
        many = float(np.median([len(case) for case in self.lesions_by_case])) >= 2
        return many or bool(high >= _SPREAD * low)

    def to_json(self) -> dict[str, Any]:
        """Return it as `unet-mic check --json` prints it."""
        return {
            "class": self.value,
            "name": self.name,
            "split": self.split,
            "cases": self.cases,
            "present": self.present,
            "volume_ml": spread(self.volumes_ml),
            "lesions": len(self.lesions_ml),
            "lesion_ml": spread(self.lesions_ml),
        }


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return smallest, quartiles and largest of some values; None when there are none."""
    if not values:
        return None
    numbers = np.percentile(values, (0, 25, 50, 75, 100))
    words = ("smallest", "quarter", "median", "three_quarters", "largest")
    return {word: round(float(number), 6) for word, number in zip(words, numbers, strict=True)}


def case_statistics(cases: Iterable[Examined], classes: Mapping[int, str]) -> list[CaseClass]:
    """Return every foreground class of every labelled case."""
    return [
        CaseClass(
            case=case.name,
            split=case.case.split,
            value=value,
            volume_ml=case.label.volume_ml(value),
            lesions_ml=tuple(case.label.components_ml.get(value, ())),
        )
        for case in cases
        if case.label is not None
        for value in classes
        if value
    ]


def class_statistics(rows: Sequence[CaseClass], classes: Mapping[int, str]) -> list[ClassSplit]:
    """Gather the rows of cases by class and split (train before test)."""
    gathered = []
    for value, name in classes.items():
        for split in ("train", "test"):
            own = [row for row in rows if row.value == value and row.split == split]
            if own and value:
                gathered.append(_gathered(value, name, split, own))
    return gathered


def _gathered(value: int, name: str, split: str, own: Sequence[CaseClass]) -> ClassSplit:
    return ClassSplit(
        value=value,
        name=name,
        split=split,
        cases=len(own),
        present=sum(row.volume_ml > 0 for row in own),
        volumes_ml=tuple(row.volume_ml for row in own if row.volume_ml > 0),
        lesions_by_case=tuple(row.lesions_ml for row in own if row.lesions_ml),
    )


def small_lesion_findings(statistics: Iterable[ClassSplit]) -> list[Finding]:
    """Return a finding for every class of which the test set lacks the small lesions.

    Notes
    -----
    Only where there is something to lack: at least eight lesions in training, of many sizes,
    and some in the test set (else `class-missing-in-test` says it).
    """
    by_class: dict[int, dict[str, ClassSplit]] = {}
    for one in statistics:
        by_class.setdefault(one.value, {})[one.split] = one
    findings = []
    for value, splits in by_class.items():
        train, test = splits.get("train"), splits.get("test")
        if train is None or test is None or not test.lesions_ml:
            continue
        if len(train.lesions_ml) < _FEWEST_LESIONS or not train.comes_in_many_sizes:
            continue
        small = float(np.percentile(train.lesions_ml, SMALL_SHARE))
        if min(test.lesions_ml) <= small:
            continue
        n_small = sum(ml <= small for ml in train.lesions_ml)
        findings.append(
            found(
                "small-lesions-missing-in-test",
                expected=f"{train.name} of {small:.3g} ml or less in the test set, as {n_small} of "
                f"{len(train.lesions_ml)} in training",
                got=f"none in {test.cases} cases (the smallest has {min(test.lesions_ml):.3g} ml)",
                evidence={"class": value, "small_ml": round(small, 6)},
            )
        )
    return findings
