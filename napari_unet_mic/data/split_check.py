"""The folds of a dataset checked: do they fit its cases, and do patients stay on one side.

A dataset, its folds and who is who enter; findings leave, and a `FoldChange` for every fold:
what grouping by patient would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadInput, UnreadableFile
from .dataset import Dataset
from .findings import Finding, found
from .patients import Patients
from .sides import Sides
from .splits import Splits, five_folds, grouped_folds, read_splits, write_splits

Groups = Sequence[Sequence[str]]
_SHOWN = 5


@dataclass(frozen=True)
class FoldChange:
    """What grouping by patient changes in one fold.

    Attributes
    ----------
    shared, shared_grouped
        The validation cases that have a case of their patient in training, before and after.
    joined, left
        The cases that validate in this fold only after, or only before.
    """

    fold: int
    validation: int
    shared: tuple[str, ...]
    validation_grouped: int
    shared_grouped: tuple[str, ...]
    joined: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The change in words."""
        return (
            f"fold {self.fold}: {len(self.shared)} of {self.validation} validation cases have "
            f"their patient in training; grouped by patient {len(self.shared_grouped)} of "
            f"{self.validation_grouped}, {len(self.joined)} cases join and {len(self.left)} leave"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as `unet-mic check --json` prints it."""
        return {
            "fold": self.fold,
            "validation": self.validation,
            "patient_in_training": list(self.shared),
            "grouped": {
                "validation": self.validation_grouped,
                "patient_in_training": list(self.shared_grouped),
                "joined": list(self.joined),
                "left": list(self.left),
            },
        }


def load_splits(dataset: Dataset, file: Path | None) -> tuple[Splits, str, list[Finding]]:
    """Return a dataset's folds, where they come from, and what is wrong with them.

    Parameters
    ----------
    file
        A splits file; without one that of the dataset's folder, or else nnU-Net's folds.
    """
    beside = dataset.folder / "splits_final.json"
    if file is None and beside.is_file():
        file = beside
    if file is None:
        try:
            return five_folds([case.name for case in dataset.training]), "nnU-Net's folds", []
        except BadInput:
            return [], "no folds", []
    try:
        splits = read_splits(file)
    except UnreadableFile as error:
        wrong = found(
            "bad-splits",
            file=file,
            expected=error.expected,
            got=error.got,
            advice=error.advice,
        )
        return [], str(file), [wrong]
    return splits, str(file), _splits_findings(dataset, splits, file)


def _splits_findings(dataset: Dataset, splits: Splits, file: Path) -> list[Finding]:
    known = {case.name for case in dataset.training}
    held = {case.name for case in dataset.test}
    findings = []

    def add(kind: str, names: Sequence[str], expected: str, got: str) -> None:
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            shown = ", ".join(names[:_SHOWN]) + more
            findings.append(
                found(
                    kind,
                    case=names[0],
                    file=file,
                    expected=expected,
                    got=got.format(shown),
                    related=names,
                )
            )

    for number, fold in enumerate(splits):
        named = [*fold["train"], *fold["val"]]
        strange = sorted({name for name in named if name not in known and name not in held})
        twice = sorted(set(fold["train"]) & set(fold["val"]))
        expected = f"training cases of the dataset in fold {number}"
        add("bad-splits", strange, expected, "{}")
        expected = f"each case on one side of fold {number}"
        add("fold-overlap", twice, expected, "{} on both")
    validating = {name for fold in splits for name in fold["val"]}
    missing = sorted(known - validating)
    add("not-in-folds", missing, "every training case to validate in one fold", "{} in none")
    return findings


def patient_findings(dataset: Dataset, patients: Patients, sides: Sides) -> list[Finding]:
    """Return the findings about patients: on both sides of a split, unknown, without cases."""
    names = [case.name for case in dataset.cases]
    findings = _unknown_findings(names, patients)
    for group in patients.groups(names):
        apart = sides.apart(group)
        if not apart:
            continue
        case = next((n for n in group if sides.role(n) == "test"), group[0])
        others = [name for name in group if name != case]
        patient = patients.patient(case)
        findings.append(
            found(
                "same-patient-across-split",
                case=case,
                file=dataset.case(case).images[0],
                expected=f"the cases of patient {patient} on one side of every split",
                got=f"{', '.join([case, *others])} {apart.phrase}",
                related=others,
                evidence={"patient": patient, **apart.to_json()},
            )
        )
    return findings


def _unknown_findings(names: Sequence[str], patients: Patients) -> list[Finding]:
    source = Path(patients.source) if Path(patients.source).is_file() else None
    nobody = sorted(set(patients.of_case) - set(names))
    findings = []
    if nobody:
        more = f" and {len(nobody) - _SHOWN} more" if len(nobody) > _SHOWN else ""
        got = ", ".join(nobody[:_SHOWN]) + more
        expected = "cases of this dataset"
        findings.append(
            found("bad-patients", file=source, expected=expected, got=got, related=nobody)
        )
    if not set(names) & set(patients.of_case):
        got, expected = "none", f"a patient for some case ({patients.source})"
        return [*findings, found("bad-patients", file=source, expected=expected, got=got)]
    without = [name for name in names if name not in patients.of_case]
    if without:
        more = f" and {len(without) - _SHOWN} more" if len(without) > _SHOWN else ""
        got = f"none for {', '.join(without[:_SHOWN])}{more}"
        findings.append(
            found(
                "patient-unknown",
                case=without[0],
                file=source,
                expected="a patient for every case",
                got=got,
                related=without,
            )
        )
    return findings


def write_grouped_splits(file: Path, dataset: Dataset, splits: Splits, groups: Groups) -> Splits:
    """Write (and return) folds near to `splits` in which the cases of a group stay together.

    Raises
    ------
    BadInput
        When there are fewer than five groups.
    """
    names = [case.name for case in dataset.training]
    grouped = grouped_folds(names, groups, splits or None)
    write_splits(file, grouped)
    return grouped


def fold_changes(dataset: Dataset, splits: Splits, groups: Groups) -> list[FoldChange]:
    """Return what grouping would change in every fold; nothing when there are no five groups."""
    names = [case.name for case in dataset.training]
    together = [group for group in groups if len(group) > 1]
    try:
        grouped = grouped_folds(names, groups, splits)
    except BadInput:
        return []
    before, after = Sides(dataset, splits), Sides(dataset, grouped)
    held = {case.name for case in dataset.test}
    changes = []
    for number, (old, new) in enumerate(zip(splits, grouped, strict=True)):
        was, will = set(old["val"]) - held, set(new["val"])
        changes.append(
            FoldChange(
                fold=number,
                validation=len(was),
                shared=tuple(before.with_partner_in_training(number, together)),
                validation_grouped=len(will),
                shared_grouped=tuple(after.with_partner_in_training(number, together)),
                joined=tuple(sorted(will - was)),
                left=tuple(sorted(was - will)),
            )
        )
    return changes
