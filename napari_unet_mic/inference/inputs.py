"""Inputs: files or folders in, cases out.

A case is one image: a single file (3-D, or 4-D with channels), or nnU-Net's channel files
`case_0000.nii.gz`, `case_0001.nii.gz`, …. Nothing is opened here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unet_mic.errors import BadInput, UnreadableFile

ENDINGS = (".nii.gz", ".nii")
_CHANNEL = re.compile(r"^(.+)_(\d{4})$")


@dataclass(frozen=True)
class InputCase:
    """One image to predict: its name and its channel files in order (or its only file)."""

    name: str
    files: tuple[Path, ...]


def find_inputs(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], n_channels: int
) -> list[InputCase]:
    """Find the cases that files and folders hold, sorted by name.

    Parameters
    ----------
    paths
        Files, or folders of files; in a folder what starts with `.` or `_` is skipped.
    n_channels
        Channels that the model needs. Files `case_0000`, `case_0001`, … (from 0000 on) are
        one case's channels.

    Raises
    ------
    UnreadableFile
        A path does not exist, or is no image; a folder holds no image.
    BadInput
        Two files would be predicted under the same name.

    Notes
    -----
    The number of channels is checked when a case is read, so that one bad case does
    not keep the others from being predicted. With a model of one channel, `case_0000` to
    `case_0002` without other cases between could be three cases or three channels: they
    are taken as channels, as nnU-Net names them.
    """
    given = [Path(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    files = [file for path in given for file in _images_at(path)]
    cases: dict[str, InputCase] = {}
    for case in _grouped(dict.fromkeys(files), n_channels):
        if case.name in cases:
            raise BadInput(
                case.files[0],
                expected="one image per case name",
                got=f"{case.name} also in {cases[case.name].files[0]}",
                advice="predict the two folders into different output folders",
            )
        cases[case.name] = case
    return [cases[name] for name in sorted(cases)]


def case_name(file: Path) -> str:
    """File name without its image ending."""
    for ending in ENDINGS:
        if file.name.lower().endswith(ending):
            return file.name[: -len(ending)]
    return file.stem


def _images_at(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(
            file
            for file in path.iterdir()
            if file.name.lower().endswith(ENDINGS) and file.name[0] not in "._" and file.is_file()
        )
        if not found:
            raise UnreadableFile(
                path,
                expected="a folder with NIfTI images",
                got="none",
                advice=f"files must end in {' or '.join(ENDINGS)} and not start with . or _",
            )
        return found
    if not path.is_file():
        raise UnreadableFile(
            path, expected="an image file or a folder", got="nothing there", advice="check the path"
        )
    if not path.name.lower().endswith(ENDINGS):
        raise UnreadableFile(
            path,
            expected=f"a NIfTI image ({', '.join(ENDINGS)})",
            got=f"a file ending in {path.suffix or 'nothing'}",
            advice="convert it to NIfTI first",
        )
    return [path]


def _grouped(files: Iterable[Path], n_channels: int) -> list[InputCase]:
    """Put channel files together: groups that start at 0000; the rest are cases of their own."""
    groups: dict[tuple[Path, str], dict[int, Path]] = {}
    alone: list[Path] = []
    for file in files:
        match = _CHANNEL.match(case_name(file))
        if match:
            groups.setdefault((file.parent, match[1]), {})[int(match[2])] = file
        else:
            alone.append(file)
    cases = [InputCase(case_name(file), (file,)) for file in alone]
    for (_, name), channels in groups.items():
        numbers = sorted(channels)
        if numbers == list(range(len(numbers))):
            cases.append(InputCase(name, tuple(channels[number] for number in numbers)))
        else:
            cases.extend(InputCase(case_name(file), (file,)) for file in channels.values())
    return cases
