"""Datasets: Medical Segmentation Decathlon and nnU-Net raw folders read into one record.

In comes a folder (or its dataset.json), out comes a frozen `Dataset` of `Case`s: which
files, which classes, which split. Opening reads names only, no voxels. A case's split is
*train* (labelled), *test* (labelled and held out: in no fingerprint, plan or fold), or
*unlabelled*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import BadDataset, ChannelMismatch, UnknownClass
from .files import read_json
from .layout import Found, find_cases, read_declared
from .volume import Array, Volume, check_same_grid, read_image, read_labels

Split = Literal["train", "test", "unlabelled"]


@dataclass(frozen=True)
class Case:
    """One case: its channel files (or one 4-D file), its label, and where it belongs."""

    name: str
    images: tuple[Path, ...]
    label: Path | None
    split: Split


@dataclass(frozen=True)
class Dataset:
    """A dataset of either layout.

    Attributes
    ----------
    channel_names
        The channels in order, such as ``("T2", "ADC")``.
    classes
        Value to name, background 0 first; the ignore value is not a class.
    ignore_value
        The label value of voxels that count neither in training nor in evaluation.
    cases
        All cases, sorted by name within training, test and unlabelled.
    """

    name: str
    folder: Path
    channel_names: tuple[str, ...]
    classes: dict[int, str]
    ignore_value: int | None
    file_ending: str
    cases: tuple[Case, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for case in self.cases:
            if case.name in seen:
                raise BadDataset(
                    self.folder,
                    expected="every case once",
                    got=f"case {case.name} twice",
                    advice="rename or remove one of them",
                )
            seen.add(case.name)

    @property
    def training(self) -> tuple[Case, ...]:
        """The labelled cases that fingerprint, plan and folds may use."""
        return tuple(case for case in self.cases if case.split == "train")

    @property
    def test(self) -> tuple[Case, ...]:
        """The labelled cases held out."""
        return tuple(case for case in self.cases if case.split == "test")

    @property
    def class_values(self) -> tuple[int, ...]:
        """The values of all classes, background included, ascending."""
        return tuple(self.classes)

    def case(self, name: str) -> Case:
        """Return the case of that name.

        Raises
        ------
        BadDataset
            When there is none.
        """
        for case in self.cases:
            if case.name == name:
                return case
        raise BadDataset(
            self.folder,
            expected=f"a case of {self.name}",
            got=f"{name}",
            advice="names are those of the files without channel number and ending",
        )

    def with_test(self, names: Iterable[str]) -> Dataset:
        """Hold out these labelled cases too; a case that is held out already stays so.

        Raises
        ------
        BadDataset
            When a name is unknown or its case has no label.
        """
        chosen = {self._labelled(name) for name in names}
        held = [replace(c, split="test") if c.name in chosen else c for c in self.cases]
        return replace(self, cases=_sorted(held))

    def _labelled(self, name: str) -> str:
        case = self.case(str(name).removesuffix(self.file_ending))
        if case.label is None:
            raise BadDataset(
                self.folder,
                expected="test cases with labels",
                got=f"{case.name}, which has none",
                advice="take it out of the test set, or add its label",
            )
        return case.name

    def nnunet_json(self) -> dict[str, Any]:
        """Return dataset.json as nnU-Net v2 keeps it in a model folder."""
        labels: dict[str, int] = {name: value for value, name in self.classes.items()}
        if self.ignore_value is not None:
            labels["ignore"] = self.ignore_value
        return {
            "name": self.name,
            "channel_names": {str(i): name for i, name in enumerate(self.channel_names)},
            "labels": labels,
            "numTraining": len(self.training),
            "file_ending": self.file_ending,
        }


def open_dataset(path: str | Path, *, check_files: bool = True) -> Dataset:
    """Open a Decathlon or nnU-Net raw dataset by its folder or its dataset.json.

    Cases of ``test_cases.json`` in the folder (a list of names, or ``{"test": [...]}``)
    are held out, and so are cases of imagesTs that have a label in labelsTs.

    Parameters
    ----------
    check_files
        Whether a listed file that is not there is an error (False: for `unet-mic check`,
        which reports every missing file itself).

    Raises
    ------
    BadDataset
        When the folder holds no usable dataset, or files are missing.
    UnreadableFile
        When dataset.json or test_cases.json cannot be read.
    """
    file = dataset_file(path)
    folder = file.parent
    declared = read_declared(file)
    found = find_cases(folder, declared)
    if not found:
        raise BadDataset(
            folder,
            expected=f"cases in imagesTr named like <case>_0000{declared.file_ending}, "
            "or listed under `training` in dataset.json",
            got="none",
            advice="check file names and file_ending",
        )
    if check_files:
        _require_files(folder, found)
    dataset = Dataset(
        name=declared.name,
        folder=folder,
        channel_names=declared.channel_names,
        classes=declared.classes,
        ignore_value=declared.ignore_value,
        file_ending=declared.file_ending,
        cases=_sorted([Case(f.name, f.images, f.label, _split(f)) for f in found]),
    )
    held_out = folder / "test_cases.json"
    return dataset.with_test(read_test_cases(held_out)) if held_out.is_file() else dataset


def dataset_file(path: str | Path) -> Path:
    """Return the dataset.json meant by a folder or by the file itself, as an absolute path.

    Raises
    ------
    BadDataset
        When there is none.
    """
    given = Path(path).expanduser()
    file = given if given.name.endswith(".json") else given / "dataset.json"
    if given.is_file() and file != given:
        got, advice = "a file", "name the folder that holds dataset.json"
    elif file.is_file():
        return file.absolute()
    elif not file.parent.is_dir():
        got, advice = "no such folder", "check the path"
    elif not any(file.parent.iterdir()):
        got, advice = "an empty folder", "choose the folder that holds dataset.json"
    else:
        got, advice = "a folder without dataset.json", "choose its folder, or write that file"
    raise BadDataset(given, expected="a Decathlon or nnU-Net raw dataset", got=got, advice=advice)


def read_test_cases(file: str | Path) -> tuple[str, ...]:
    """Read the names of held-out cases: a JSON list, or ``{"test": [...]}``.

    Raises
    ------
    UnreadableFile
        When the file cannot be read.
    BadDataset
        When it holds something else.
    """
    content = read_json(file)
    names = content.get("test") if isinstance(content, dict) else content
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadDataset(
            file,
            expected='a list of case names, or {"test": [...]}',
            got=type(content).__name__ if names is content else "no such list",
            advice="write the names as strings in square brackets",
        )
    return tuple(names)


def load_case(dataset: Dataset, case: Case | str) -> tuple[Volume, Volume | None]:
    """Read a case's image and reference, and check that they fit the dataset and each other.

    Returns
    -------
    image
        (C, Z, Y, X).
    reference
        (Z, Y, X) integers; None when the case has no label.

    Raises
    ------
    ChannelMismatch
        When the image has another number of channels than the dataset.
    GridMismatch
        When the label lies on another grid than the image.
    UnknownClass
        When the label holds a value the dataset does not declare.
    """
    wanted = dataset.case(case) if isinstance(case, str) else case
    image = read_image(wanted.images)
    if image.n_channels != len(dataset.channel_names):
        raise ChannelMismatch(
            wanted.images[0],
            expected=f"{len(dataset.channel_names)} channels "
            f"({', '.join(dataset.channel_names)}) as dataset.json says",
            got=f"{image.n_channels}",
            advice="add the missing channel files, or correct dataset.json",
        )
    if wanted.label is None:
        return image, None
    reference = read_labels(wanted.label)
    check_same_grid(
        image, reference, advice="export the label again on its image's grid, or remove the case"
    )
    check_values(dataset, reference)
    return image, reference


def check_values(dataset: Dataset, labels: Volume) -> None:
    """Refuse labels with a value that is neither a class nor the ignore value.

    Raises
    ------
    UnknownClass
        Naming the values, and in how many voxels they are.
    """
    allowed = {*dataset.classes, dataset.ignore_value}
    counts = value_counts(labels.array)
    unknown = {value: n for value, n in counts.items() if value not in allowed}
    if unknown:
        shown = ", ".join(f"{value} ({n} voxels)" for value, n in list(unknown.items())[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        declared = ", ".join(f"{value} {name}" for value, name in dataset.classes.items())
        raise UnknownClass(
            labels.file or "labels",
            expected=f"the classes of dataset.json ({declared})",
            got=f"the value {shown}{more}",
            advice="correct the label, or declare the class in dataset.json",
        )


def value_counts(labels: Array) -> dict[int, int]:
    """Return how many voxels hold each value of an integer array, ascending by value."""
    if labels.size == 0:
        return {}
    low, high = int(labels.min()), int(labels.max())
    if high - low > 65535:
        values, counts = np.unique(labels, return_counts=True)
        return {int(v): int(n) for v, n in zip(values, counts, strict=True)}
    total = np.zeros(high - low + 1, dtype=np.int64)
    for part in labels:  # slice by slice: bincount works on 8 bytes a voxel
        total += np.bincount(part.ravel().astype(np.int64) - low, minlength=len(total))
    return {int(v) + low: int(total[v]) for v in np.flatnonzero(total)}


def _split(found: Found) -> Split:
    if found.label is None:
        return "unlabelled"
    return "test" if found.in_test_folder else "train"


def _sorted(cases: Iterable[Case]) -> tuple[Case, ...]:
    order: Mapping[str, int] = {"train": 0, "test": 1, "unlabelled": 2}
    return tuple(sorted(cases, key=lambda case: (order[case.split], case.name)))


def _require_files(folder: Path, found: list[Found]) -> None:
    """Refuse files that are not there; folders are listed once, not asked file by file."""
    listed: dict[Path, set[str]] = {}

    def exists(file: Path) -> bool:
        if file.parent not in listed:
            listed[file.parent] = (
                {f.name for f in file.parent.iterdir()} if file.parent.is_dir() else set()
            )
        return file.name in listed[file.parent]

    wanted = [
        (case, file)
        for case in found
        for file in (*case.images, *([case.label] if case.label else []))
    ]
    missing = [(case.name, file) for case, file in wanted if not exists(file)]
    if not missing:
        return
    name, file = missing[0]
    others = f" ({len(missing)} files are missing in all)" if len(missing) > 1 else ""
    raise BadDataset(
        file,
        expected=f"a file of case {name}",
        got=f"no such file{others}",
        advice="add the file, or remove the case from the dataset",
    )
