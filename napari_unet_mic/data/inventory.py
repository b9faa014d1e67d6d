"""The inventory: what a dataset's dataset.json says against what lies in its folder.

In comes a dataset that may be wrong in any way, out come its cases as far as they can be
made out, and a finding for everything that does not agree. No image is opened.
`data.dataset.open_dataset` is the strict sibling: it stops at the first thing wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ..errors import BadDataset, BadInput, UNetMicError
from .dataset import Case, Dataset, dataset_file, read_test_cases
from .files import read_json
from .findings import Finding, found
from .folder_check import FOLDERS, Listed, files_in, folder_findings
from .layout import (
    Declared,
    Found,
    entries_of,
    is_hidden,
    listed_case,
    read_channels,
    read_classes,
    read_file_ending,
    scanned_cases,
    tabled_case,
)

Record = list[Finding]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Inventory:
    """A dataset as far as it could be made out, and what is wrong with the making out.

    Attributes
    ----------
    dataset
        Every case once, whether or not its files are there.
    classes_known
        False when dataset.json does not say which label values there are.
    channels_known
        False when it does not say which channels there are.
    """

    dataset: Dataset
    findings: tuple[Finding, ...]
    classes_known: bool = True
    channels_known: bool = True


def take_inventory(path: str | Path) -> Inventory:
    """Read dataset.json and the folders, whatever is wrong with them.

    Raises
    ------
    BadDataset
        When there is no dataset.json, or no case at all: nothing can be checked.
    """
    file = dataset_file(path)
    findings: Record = []
    content = _content(file, findings)
    declared, classes_known, channels_known = _declared(file, content, findings)
    listing = _Listing(file.parent, declared, findings)
    cases = listing.cases()
    if not cases:
        raise BadDataset(
            file.parent,
            expected=f"cases in imagesTr named like <case>_0000{declared.file_ending}, "
            "or listed under `training` in dataset.json",
            got=findings[0].got if findings else "none",
            advice="check file names and file_ending",
        )
    dataset = Dataset(
        name=declared.name,
        folder=file.parent,
        channel_names=declared.channel_names,
        classes=declared.classes,
        ignore_value=declared.ignore_value,
        file_ending=declared.file_ending,
        cases=tuple(cases),
    )
    dataset = _held_out(dataset, findings)
    findings += folder_findings(dataset, declared, listing.listed)
    if len(dataset.training) < 5:
        expected, got = "at least five labelled training cases", f"{len(dataset.training)}"
        findings.append(found("few-training-cases", expected=expected, got=got, file=file))
    return Inventory(dataset, tuple(findings), classes_known, channels_known)


# ---- dataset.json ------------------------------------------------------------------------
def _content(file: Path, findings: Record) -> dict[str, Any]:
    try:
        content = read_json(file)
    except BadInput as error:
        findings.append(_from_error("bad-dataset-json", error, file))
        return {}
    if isinstance(content, dict):
        return content
    got = f"a JSON {type(content).__name__}"
    findings.append(found("bad-dataset-json", expected="a JSON object", got=got, file=file))
    return {}


def _from_error(kind: str, error: BadInput, file: Path | None, case: str = "") -> Finding:
    return found(
        kind, expected=error.expected, got=error.got, advice=error.advice, file=file, case=case
    )


def _declared(file: Path, content: dict[str, Any], findings: Record) -> tuple[Declared, bool, bool]:
    """Read what dataset.json declares, item by item; what is wrong is guessed."""

    def tried(kind: str, read: Callable[[], Value], otherwise: Callable[[], Value]) -> Value:
        try:
            return read()
        except BadInput as error:
            if content:  # an unreadable file has its finding already
                findings.append(_from_error(kind, error, file))
            return otherwise()

    labels = content.get("labels")
    channels = content.get("channel_names", content.get("modality"))
    classes, ignored = tried(
        "bad-classes", lambda: read_classes(file, labels), lambda: (_guessed_classes(labels), None)
    )
    _check_background(file, classes, findings)
    names = tried("bad-channels", lambda: read_channels(file, channels), lambda: ())
    ending = tried(
        "bad-file-ending", lambda: read_file_ending(file, content), lambda: _guessed_ending(file)
    )
    if not content:
        ending = _guessed_ending(file)
    declared = Declared(
        file=file,
        name=str(content.get("name") or file.absolute().parent.name),
        channel_names=names or ("image",),
        classes=classes or {0: "background"},
        ignore_value=ignored,
        file_ending=ending,
        content=content,
    )
    return declared, len(classes) > 1, bool(names)


def _guessed_classes(labels: object) -> dict[int, str]:
    """Take every number out of a `labels` that is wrong as a whole."""
    guessed: dict[int, str] = {}
    for key, value in labels.items() if isinstance(labels, dict) else ():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not isinstance(number, bool):
                guessed.setdefault(number, str(key))
            elif str(key).isdecimal():
                guessed.setdefault(int(key), str(value))
            elif isinstance(number, str) and number.isdecimal():
                guessed.setdefault(int(number), str(key))
    return dict(sorted(guessed.items()))


def _check_background(file: Path, classes: dict[int, str], findings: Record) -> None:
    elsewhere = [v for v, name in classes.items() if v and name.lower() == "background"]
    if elsewhere:
        got = f"the value {elsewhere[0]}"
        expected = "the value 0 for `background`"
        findings.append(found("background-not-zero", expected=expected, got=got, file=file))


def _guessed_ending(file: Path) -> str:
    names = [f.name for folder in FOLDERS for f in files_in(file.parent / folder)]
    return (
        ".nii"
        if any(n.endswith(".nii") for n in names) and not any(n.endswith(".nii.gz") for n in names)
        else ".nii.gz"
    )


# ---- cases -------------------------------------------------------------------------------
class _Listing:
    """The cases of dataset.json and of the folders, each entry on its own."""

    def __init__(self, folder: Path, declared: Declared, findings: Record) -> None:
        self.folder = folder
        self.declared = declared
        self.findings = findings
        content = declared.content
        table = content.get("dataset")
        if isinstance(table, dict):
            self.training = self._each(table.items(), self._tabled)
        elif entries_of(content, "training"):
            self.training = self._each(entries_of(content, "training"), self._listed)
        else:
            self.training = scanned_cases(folder, declared, test=False)
        self.listed = Listed(
            training=self.training,
            listed_test=self._each(entries_of(content, "test"), self._listed),
            scanned_test=scanned_cases(folder, declared, test=True),
            is_scanned=not (isinstance(table, dict) or entries_of(content, "training")),
        )

    def _listed(self, entry: object) -> Found:
        return listed_case(self.folder, self.declared, entry)

    def _tabled(self, row: tuple[str, object]) -> Found:
        return tabled_case(self.folder, self.declared, *row)

    def _each(self, entries: Iterable[Value], read: Callable[[Value], Found]) -> list[Found]:
        cases: list[Found] = []
        for entry in entries:
            try:
                case = read(entry)
            except BadInput as error:
                file = self.declared.file
                self.findings.append(_from_error("bad-entry", error, file))
                continue
            if not is_hidden(case.name):
                cases.append(case)
        return cases

    def cases(self) -> list[Case]:
        """Return every case once; what is there twice becomes a finding."""
        training = self._once(self.training)
        test = {case.name: case for case in self.listed.scanned_test}
        for case in self._once(self.listed.listed_test).values():
            if case.label is not None or case.images[0].parent.is_dir():
                test.setdefault(case.name, replace(case, in_test_folder=True))
        for name in sorted(set(training) & set(test)):
            self._report_both(training[name], test.pop(name))
        self._check_labels(training)
        listed = [_case(c, "train") for c in training.values()]
        held = [_case(c, "unlabelled" if c.label is None else "test") for c in test.values()]
        order = {"train": 0, "test": 1, "unlabelled": 2}
        return sorted(listed + held, key=lambda case: (order[case.split], case.name))

    def _once(self, cases: Sequence[Found]) -> dict[str, Found]:
        unique: dict[str, Found] = {}
        for case in cases:
            if case.name in unique:
                first = unique[case.name]
                same = case.images == first.images and case.label == first.label
                self.findings.append(
                    found(
                        "duplicate-case",
                        case=case.name,
                        file=self.declared.file,
                        expected="every case once",
                        got="the same entry twice" if same else "two entries of this name",
                        related=[str(case.images[0])],
                    )
                )
            unique.setdefault(case.name, case)
        return unique

    def _report_both(self, training: Found, test: Found) -> None:
        self.findings.append(
            found(
                "case-in-training-and-test",
                case=training.name,
                file=test.images[0],
                expected="a case in the training set or in the test set",
                got="one of this name in both",
                related=[str(training.images[0])],
            )
        )

    def _check_labels(self, training: dict[str, Found]) -> None:
        for case in training.values():
            if case.label is None:
                self.findings.append(
                    found(
                        "missing-label",
                        case=case.name,
                        file=case.images[0],
                        expected="an entry with `image` and `label`",
                        got="an image alone under `training`",
                    )
                )


def _case(case: Found, split: Any) -> Case:
    images = case.images
    return Case(case.name, images, case.label, "unlabelled" if case.label is None else split)


def _held_out(dataset: Dataset, findings: Record) -> Dataset:
    file = dataset.folder / "test_cases.json"
    if not file.is_file():
        return dataset
    try:
        names = read_test_cases(file)
    except BadInput as error:
        findings.append(_from_error("bad-test-cases", error, file))
        return dataset
    for name in names:
        try:
            dataset = dataset.with_test([name])
        except UNetMicError as error:
            expected, got = "a labelled case of this dataset", name
            if isinstance(error, BadInput):
                expected, got = error.expected, error.got
            findings.append(found("bad-test-cases", expected=expected, got=got, file=file))
    return dataset
