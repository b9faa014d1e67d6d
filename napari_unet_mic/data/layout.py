"""Layouts: what a dataset.json declares, and which files belong to which case.

In comes the parsed dataset.json of a Decathlon or nnU-Net raw folder (or nnU-Net v1's
mixture of both), out come a `Declared` and a list of `Found` cases. Only names are looked
at. Files starting with ``.`` or ``_`` (macOS leaves ``._`` files) are not cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import BadDataset
from .files import read_json

ENDINGS = (".nii.gz", ".nii")
_CHANNEL = re.compile(r"_(\d{4})$")


@dataclass(frozen=True)
class Declared:
    """What dataset.json says about channels, classes and files."""

    file: Path
    name: str
    channel_names: tuple[str, ...]
    classes: dict[int, str]
    ignore_value: int | None
    file_ending: str
    content: dict[str, Any]


@dataclass(frozen=True)
class Found:
    """A case as its files tell: not yet opened, perhaps not even there."""

    name: str
    images: tuple[Path, ...]
    label: Path | None
    in_test_folder: bool = False


def read_declared(file: Path) -> Declared:
    """Read dataset.json of either layout.

    Raises
    ------
    UnreadableFile
        When the file cannot be read as JSON.
    BadDataset
        When channels, classes or the file ending are not as either layout has them.
    """
    content = read_json(file)
    if not isinstance(content, dict):
        raise BadDataset(
            file,
            expected="an object with `labels` and `channel_names` (or `modality`)",
            got=f"a JSON {type(content).__name__}",
            advice="is this the right file?",
        )
    classes, ignore_value = read_classes(file, content.get("labels"))
    return Declared(
        file=file,
        name=str(content.get("name") or file.absolute().parent.name),
        channel_names=read_channels(file, content.get("channel_names", content.get("modality"))),
        classes=classes,
        ignore_value=ignore_value,
        file_ending=read_file_ending(file, content),
        content=content,
    )


def read_classes(file: Path, labels: object) -> tuple[dict[int, str], int | None]:
    """Read labels as ``{"0": name}`` (Decathlon) or ``{name: 0}`` (nnU-Net)."""
    if not isinstance(labels, dict) or not labels:
        raise BadDataset(
            file,
            expected='`labels` such as {"background": 0, "liver": 1}',
            got="none" if not labels else f"{type(labels).__name__}",
            advice="add them to dataset.json",
        )
    classes: dict[int, str] = {}
    for key, value in labels.items():
        number, name = _class(file, key, value)
        if number in classes or name in classes.values():
            raise BadDataset(
                file,
                expected="every class with its own name and value",
                got=f"`{name}` or {number} twice under `labels`",
                advice="rename or renumber one of them",
            )
        classes[number] = name
    ignored = [value for value, name in classes.items() if name == "ignore"]
    ignore_value = ignored[0] if ignored else None
    numbers = sorted(classes)
    if numbers != list(range(len(numbers))) or (ignored and ignore_value != numbers[-1]):
        raise BadDataset(
            file,
            expected="label values 0 (background), 1, 2, … without gaps, `ignore` the highest",
            got=", ".join(f"{value} {classes[value]}" for value in numbers),
            advice="renumber the classes in dataset.json and in the label files",
        )
    return {v: classes[v] for v in numbers if v != ignore_value}, ignore_value


def _class(file: Path, key: str, value: object) -> tuple[int, str]:
    if isinstance(value, list):
        if len(value) != 1:
            raise BadDataset(
                file,
                expected="one number for each class under `labels`",
                got=f"the region `{key}` of classes {value}",
                advice="regions come with a later release; give every class its own number",
            )
        value = value[0]
    if isinstance(value, str) and key.isdecimal():
        return int(key), value
    if isinstance(value, str) and value.isdecimal():
        return int(value), key
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, key
    raise BadDataset(
        file,
        expected="a name and a whole number for each class under `labels`",
        got=f"{key!r}: {value!r}",
        advice='write {"background": 0, "liver": 1}',
    )


def read_channels(file: Path, channels: object) -> tuple[str, ...]:
    """Read `channel_names` (nnU-Net) or `modality` (Decathlon), in order."""
    named: list[str] = []
    if isinstance(channels, list):
        named = [str(name) for name in channels]
    elif isinstance(channels, dict):
        try:
            order = sorted(channels, key=int)
        except ValueError:
            order = []
        if [int(key) for key in order] == list(range(len(channels))):
            named = [str(channels[key]) for key in order]
    if not named:
        raise BadDataset(
            file,
            expected='`channel_names` (or `modality`) such as {"0": "CT"}',
            got="none" if not channels else f"{channels!r}",
            advice="number the channels from 0 in dataset.json",
        )
    return tuple(named)


def read_file_ending(file: Path, content: dict[str, Any]) -> str:
    """Read `file_ending`; Decathlon has none, so its listed images tell."""
    ending = content.get("file_ending")
    if ending is None:
        entries = entries_of(content, "training")
        images = [entry.get("image") if isinstance(entry, dict) else entry for entry in entries]
        plain = [str(image).endswith(".nii") for image in images]
        return ".nii" if plain and all(plain) else ".nii.gz"
    if ending not in ENDINGS:
        raise BadDataset(
            file,
            expected=f"file_ending {' or '.join(ENDINGS)}",
            got=f"{ending}",
            advice="convert the images to NIfTI and correct file_ending",
        )
    return str(ending)


def find_cases(folder: Path, declared: Declared) -> list[Found]:
    """Return every case that dataset.json lists, or that lies in the folders.

    Raises
    ------
    BadDataset
        When an entry of `training`, `test` or `dataset` is not as its layout has it.

    Notes
    -----
    nnU-Net raw: a ``dataset`` table in dataset.json replaces the look into imagesTr.
    Decathlon: the lists `training` and `test`; unlabelled test images count only when
    their folder is there (many people never download it).
    """
    content = declared.content
    if isinstance(content.get("dataset"), dict):
        table = content["dataset"].items()
        training = _unhidden(tabled_case(folder, declared, name, entry) for name, entry in table)
        return training + scanned_cases(folder, declared, test=True)
    if not entries_of(content, "training"):
        return scanned_cases(folder, declared, test=False) + scanned_cases(
            folder, declared, test=True
        )
    training = _unhidden(
        listed_case(folder, declared, entry) for entry in entries_of(content, "training")
    )
    test = {case.name: case for case in scanned_cases(folder, declared, test=True)}
    for case in _unhidden(listed_case(folder, declared, e) for e in entries_of(content, "test")):
        if case.label is not None or case.images[0].parent.is_dir():
            test.setdefault(case.name, replace(case, in_test_folder=True))
    return training + list(test.values())


def entries_of(content: dict[str, Any], key: str) -> list[Any]:
    """Return a list of dataset.json, empty when it is not there."""
    entries = content.get(key)
    return entries if isinstance(entries, list) else []


def _unhidden(cases: Iterable[Found]) -> list[Found]:
    return [case for case in cases if not is_hidden(case.name)]


def is_hidden(name: str) -> bool:
    """Return whether a file or case is passed over for its name."""
    return name.startswith((".", "_"))


def _stem(declared: Declared, name: str) -> str:
    """Return a file name without the dataset's ending; other endings are refused."""
    if name.endswith(declared.file_ending):
        return name.removesuffix(declared.file_ending)
    for ending in ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending)
    raise BadDataset(
        declared.file,
        expected=f"files ending in {declared.file_ending}",
        got=f"{name}",
        advice="convert it to NIfTI, or take it out of dataset.json",
    )


def listed_case(folder: Path, declared: Declared, entry: object) -> Found:
    """Read one entry of a Decathlon list: ``{image, label}``, or an image alone."""
    image: Any = entry.get("image") if isinstance(entry, dict) else entry
    label: Any = entry.get("label") if isinstance(entry, dict) else None
    files: list[Any] = image if isinstance(image, list) else [image]
    if not files or not all(isinstance(file, str) for file in (*files, label or "")):
        raise BadDataset(
            declared.file,
            expected='entries such as {"image": "./imagesTr/a.nii.gz", "label": …}',
            got=f"{entry!r}"[:120],
            advice="correct the entry",
        )
    images = tuple(_inside(folder, file) for file in files)
    name = _stem(declared, images[0].name)
    if len(images) > 1:
        name = _CHANNEL.sub("", name)
    elif not images[0].is_file():
        images, name = _channel_files(images[0].parent, declared, name, images)
    return Found(name, images, _inside(folder, label) if label else None)


def _channel_files(
    folder: Path, declared: Declared, name: str, otherwise: tuple[Path, ...]
) -> tuple[tuple[Path, ...], str]:
    """Find what nnU-Net v1 made of a listed image: channel files under the same name."""
    if (folder / f"{name}_0000{declared.file_ending}").is_file():
        return tuple(_numbered(folder, declared, name)), name
    return otherwise, name


def _numbered(folder: Path, declared: Declared, name: str) -> list[Path]:
    n_channels = len(declared.channel_names)
    return [folder / f"{name}_{c:04d}{declared.file_ending}" for c in range(n_channels)]


def tabled_case(folder: Path, declared: Declared, name: str, entry: object) -> Found:
    """Read one row of nnU-Net's ``dataset`` table: ``{images: [...], label: …}``."""
    images = entry.get("images") if isinstance(entry, dict) else None
    label = entry.get("label") if isinstance(entry, dict) else None
    if isinstance(images, list) and images and isinstance(label, str):
        files = tuple(_inside(folder, str(image)) for image in images)
        return Found(name, files, _inside(folder, label))
    raise BadDataset(
        declared.file,
        expected='rows of `dataset` such as {"images": ["…_0000.nii.gz"], "label": "…"}',
        got=f"{name}: {entry!r}"[:120],
        advice="correct the row",
    )


def _inside(folder: Path, entry: str) -> Path:
    """Resolve a path of dataset.json (relative to its folder, slashes of either kind)."""
    return folder / Path(entry.replace("\\", "/"))


def scanned_cases(folder: Path, declared: Declared, *, test: bool) -> list[Found]:
    """Find the cases that lie in imagesTr/labelsTr, or in imagesTs/labelsTs.

    ``<case>_0000.nii.gz`` are channel files; a name without channel number (or whose label
    carries the number too) is one file with all channels. In imagesTr every image needs a
    label and every label an image; what is missing is still named here.
    """
    image_folder = folder / ("imagesTs" if test else "imagesTr")
    label_folder = folder / ("labelsTs" if test else "labelsTr")
    labels = {_stem(declared, name): label_folder / name for name in _names(declared, label_folder)}
    cases: dict[str, list[Path]] = {}
    for file_name in _names(declared, image_folder):
        stem = _stem(declared, file_name)
        name = stem if stem in labels else _CHANNEL.sub("", stem)
        cases.setdefault(name, []).append(image_folder / file_name)
    if not test:
        for name in labels:
            cases.setdefault(name, [])
    found = []
    for name, files in sorted(cases.items()):
        label = labels.get(name)
        if label is None and not test:
            label = label_folder / f"{name}{declared.file_ending}"
        if [file.name for file in files] != [f"{name}{declared.file_ending}"]:
            files = sorted({*files, *_numbered(image_folder, declared, name)})
        found.append(Found(name, tuple(files), label, in_test_folder=test))
    return found


def _names(declared: Declared, folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    names = (file.name for file in folder.iterdir())
    return sorted(n for n in names if n.endswith(declared.file_ending) and not is_hidden(n))
