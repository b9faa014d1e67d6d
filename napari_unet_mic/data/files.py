"""Files on disk: written whole or not at all, and read with a sentence when they cannot be.

In comes a path and a function that writes, or an object for JSON; out comes the old
file or the new one, never a half. A *Git-LFS pointer* is the small text file that Git
leaves in place of a large file which was not fetched.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UnreadableFile

_LFS_START = b"version https://git-lfs.github.com/spec/"
_REPLACE_TRIES = 20
_REPLACE_WAIT_SECONDS = 0.1
_serial = count()


def write_whole(file: str | os.PathLike[str], write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary sibling, then put it in the place of `file`.

    Parameters
    ----------
    file
        The target. Its folder is made when it does not exist.
    write
        Called with the temporary path, which ends like the target (``.nii.gz`` stays
        ``.nii.gz``) and starts with a dot, so that no listing takes it for a case.

    Notes
    -----
    `os.replace` is atomic, so a kill at any moment leaves the old file or the new one.
    Windows refuses the rename while somebody reads the target: it is tried again for
    two seconds. Whatever `write` raises is passed on and the temporary file is removed.
    """
    target = Path(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".part-{os.getpid()}-{next(_serial)}-{target.name}")
    try:
        write(temporary)
        _replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _replace(source: Path, target: Path) -> None:
    for attempt in range(_REPLACE_TRIES):
        try:
            source.replace(target)
            return
        except PermissionError:
            if attempt == _REPLACE_TRIES - 1:
                raise
            time.sleep(_REPLACE_WAIT_SECONDS)


def write_json(file: str | os.PathLike[str], content: Any, indent: int | None = 4) -> None:
    """Write `content` as JSON, whole; numpy numbers, arrays and paths are converted."""
    text = json.dumps(content, indent=indent, default=_plain)
    write_whole(file, lambda path: _write_text(path, text + "\n"))


def write_csv(
    file: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write a table as CSV, whole: a line of column names, then the rows; None is left empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_whole(file, lambda path: _write_text(path, text.getvalue()))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def read_json(file: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises
    ------
    UnreadableFile
        When the file is missing, a folder, a Git-LFS pointer, or not JSON.
    """
    path = Path(file)
    require_file(path, "a JSON file")
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise unreadable(path, "a JSON file", error) from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            path,
            expected="JSON text in UTF-8",
            got="bytes that are not text",
            advice="write the file again as UTF-8",
        ) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnreadableFile(
            path,
            expected="JSON",
            got=_what_is_wrong(error),
            advice="correct the file, or write it again",
        ) from error


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"text that breaks off at line {error.lineno}, column {error.colno} ({error.msg})"
    return "brackets nested without end"


def require_file(file: str | os.PathLike[str], kind: str) -> None:
    """Raise `UnreadableFile` unless `file` is a file with content that is no Git-LFS pointer.

    `kind` says what was expected, such as ``"a NIfTI file"``.
    """
    path = Path(file)
    if path.is_dir():
        raise UnreadableFile(path, expected=kind, got="a folder", advice="name the file itself")
    if not path.exists():
        raise UnreadableFile(path, expected=kind, got="no such file", advice="check the path")
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_LFS_START))
    except OSError as error:
        raise unreadable(path, kind, error) from error
    if not start:
        raise UnreadableFile(path, expected=kind, got="an empty file", advice="copy it again")
    if start == _LFS_START:
        raise UnreadableFile(
            path,
            expected=kind,
            got="a Git-LFS pointer (the content was never fetched)",
            advice="run `git lfs pull` where the file came from",
        )


def unreadable(file: str | os.PathLike[str], kind: str, error: OSError) -> UnreadableFile:
    """Turn what the system said into the sentence for a file that cannot be opened."""
    return UnreadableFile(
        file,
        expected=f"{kind} that can be opened",
        got=(error.strerror or str(error) or type(error).__name__).lower(),
        advice="check the file and its permissions",
    )
