"""Probabilities that a prediction kept: found beside its label file, read where they are wanted.

A label file's path enters, the file with its probabilities leaves; that file with voxels and
their classes enters, one probability each leaves. ``<case>.npz`` holds `probabilities`
(K, Z, Y, X) on the label's grid, as nnU-Net and `unet-mic predict --probabilities` write it;
it is unpacked as a stream, a few megabytes at a time, and never held whole.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from napari_unet_mic.errors import Cancelled, GridMismatch, UnreadableFile

KEY = "probabilities"
CHUNK_VALUES = 1 << 20
Values = npt.NDArray[np.float16]
Indices = npt.NDArray[np.intp]


def probabilities_beside(label_file: str | Path | None) -> Path | None:
    """Return the probabilities that lie beside a label file, or None where there are none.

    ``case.npz`` beside ``case.nii.gz``, or ``case_probabilities.npy``.
    """
    if label_file is None:
        return None
    label_file = Path(label_file)
    stem = label_file.name.removesuffix(".gz").removesuffix(".nii")
    for name in (f"{stem}.npz", f"{stem}_probabilities.npy"):
        if label_file.with_name(name).is_file():
            return label_file.with_name(name)
    return None


def probabilities_at(
    file: Path,
    places: Indices,
    classes: npt.NDArray[np.integer],
    shape: Sequence[int],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Values:
    """Return the probability of one class at each of some voxels.

    Parameters
    ----------
    file
        An .npz with `probabilities`, or an .npy, of (K, Z, Y, X).
    places
        (3, n) indices z, y, x.
    classes
        (n,) the class asked for at each; one the network does not know gives NaN.
    shape
        (Z, Y, X) the grid must have.

    Raises
    ------
    UnreadableFile
        When the file holds no such array.
    GridMismatch
        When it is of another grid.
    Cancelled
        When `should_stop` answered yes.
    """
    try:
        if file.suffix == ".npy":
            with file.open("rb") as stream:
                return _streamed(file, stream, places, classes, shape, should_stop)
        with zipfile.ZipFile(file) as archive, archive.open(f"{KEY}.npy") as stream:
            return _streamed(file, stream, places, classes, shape, should_stop)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableFile(
            file,
            expected=f"an array {KEY} (K, Z, Y, X)",
            got=" ".join(str(error).split()) or type(error).__name__,
            advice="predict again with --probabilities",
        ) from error


def _streamed(
    file: Path,
    stream: IO[bytes],
    places: Indices,
    classes: npt.NDArray[np.integer],
    shape: Sequence[int],
    should_stop: Callable[[], bool],
) -> Values:
    """Read the array from front to back and keep the values that are wanted."""
    whole, fortran, dtype = _header(stream)
    if dtype.kind != "f" or len(whole) != 4:
        raise ValueError(f"{dtype} values of shape {whole}")
    if tuple(whole[1:]) != tuple(shape):
        raise GridMismatch(
            file,
            expected=f"probabilities on the grid {tuple(shape)} of the prediction",
            got=f"{tuple(whole[1:])}",
            advice="predict again with --probabilities",
        )
    found = np.full(classes.size, np.nan, np.float16)
    known = np.flatnonzero(classes < whole[0])
    at = (classes[known].astype(np.intp), *(place[known] for place in places))
    flat = np.ravel_multi_index(at, whole, order="F" if fortran else "C")
    order = np.argsort(flat)
    flat, known = flat[order], known[order]
    done, last = 0, int(flat[-1]) + 1 if flat.size else 0
    while done < last:
        if should_stop():
            raise Cancelled("reading probabilities")
        n_values = min(CHUNK_VALUES, last - done)
        values = np.frombuffer(_exactly(stream, n_values * dtype.itemsize), dtype)
        low, high = np.searchsorted(flat, [done, done + n_values])
        found[known[low:high]] = values[flat[low:high] - done]
        done += n_values
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"an array file of version {version}")
    return read[version](stream)


def _exactly(stream: IO[bytes], n_bytes: int) -> bytes:
    parts = []
    while n_bytes > 0:
        part = stream.read(n_bytes)
        if not part:
            raise EOFError("the file ends too early")
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)
