"""Probabilities that a prediction kept: found beside its label file, read where they are wanted.

A label file's path enters, the file with its probabilities leaves; that file with voxels and
their classes enters, one probability each leaves; or with one class, whose probabilities leave;
or alone, and how uncertain the network was leaves.
``<case>.npz`` holds `probabilities` (K, Z, Y, X) on the label's grid, as nnU-Net and
`unet-mic predict --probabilities` write it; it is unpacked as a stream, a few megabytes at a
time, and never held whole.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.errors import Cancelled, GridMismatch, UnknownClass, UnreadableFile

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
    with _opened(file) as stream:
        return _streamed(_Kept.of(file, stream, shape), stream, places, classes, should_stop)


def probability_map(
    file: Path,
    value: int,
    shape: Sequence[int],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Values:
    """Return the probabilities of one class at all voxels, as float16 (Z, Y, X).

    Parameters
    ----------
    file, shape, should_stop
        As `probabilities_at` takes them.
    value
        The class.

    Raises
    ------
    UnknownClass
        When the file has none of this class.
    UnreadableFile, GridMismatch, Cancelled
        As `probabilities_at` raises them.
    """
    with _opened(file) as stream:
        kept = _Kept.of(file, stream, shape)
        if not 0 <= value < kept.whole[0]:
            raise UnknownClass(
                file,
                expected=f"probabilities of class {value}",
                got=f"those of {kept.whole[0]} classes",
                advice="choose a class that the network knows",
            )
        return _one_class(kept, stream, value, should_stop)


def uncertainty_map(
    file: Path, shape: Sequence[int], *, should_stop: Callable[[], bool] = lambda: False
) -> Values:
    """Return how uncertain the network was at all voxels, as float16 (Z, Y, X), 0 to 1.

    Parameters
    ----------
    file, shape, should_stop
        As `probabilities_at` takes them.

    Raises
    ------
    UnreadableFile, GridMismatch, Cancelled
        As `probabilities_at` raises them.

    Notes
    -----
    The predictive entropy −Σ p ln p over the classes, divided by ln K: 0 where one class has all
    the probability, 1 where all classes have the same.
    """
    with _opened(file) as stream:
        return _entropy(_Kept.of(file, stream, shape), stream, should_stop)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """Open the array file; what goes wrong while it is read is told in a sentence."""
    try:
        if file.suffix == ".npy":
            with file.open("rb") as stream:
                yield stream
        else:
            with zipfile.ZipFile(file) as archive, archive.open(f"{KEY}.npy") as stream:
                yield stream
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableFile(
            file,
            expected=f"an array {KEY} (K, Z, Y, X)",
            got=" ".join(str(error).split()) or type(error).__name__,
            advice="predict again with --probabilities",
        ) from error


@dataclass(frozen=True)
class _Kept:
    """How an array of probabilities lies in its file: shape (K, Z, Y, X), order, type."""

    whole: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, file: Path, stream: IO[bytes], shape: Sequence[int]) -> _Kept:
        """Read the header; the array must lie on the grid `shape`."""
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
        return cls(whole, fortran, dtype)

    def chunks(
        self, stream: IO[bytes], last: int, should_stop: Callable[[], bool]
    ) -> Iterator[tuple[int, npt.NDArray[np.floating]]]:
        """Read values from front to back up to `last`: the first one's place, and a chunk."""
        done = 0
        while done < last:
            if should_stop():
                raise Cancelled("reading probabilities")
            n_values = min(CHUNK_VALUES, last - done)
            yield done, np.frombuffer(_exactly(stream, n_values * self.dtype.itemsize), self.dtype)
            done += n_values


def _streamed(
    kept: _Kept,
    stream: IO[bytes],
    places: Indices,
    classes: npt.NDArray[np.integer],
    should_stop: Callable[[], bool],
) -> Values:
    """Read the array from front to back and keep the values that are wanted."""
    found = np.full(classes.size, np.nan, np.float16)
    known = np.flatnonzero(classes < kept.whole[0])
    at = (classes[known].astype(np.intp), *(place[known] for place in places))
    flat = np.ravel_multi_index(at, kept.whole, order="F" if kept.fortran else "C")
    order = np.argsort(flat)
    flat, known = flat[order], known[order]
    last = int(flat[-1]) + 1 if flat.size else 0
    for start, values in kept.chunks(stream, last, should_stop):
        low, high = np.searchsorted(flat, [start, start + values.size])
        found[known[low:high]] = values[flat[low:high] - start]
    return found


def _one_class(
    kept: _Kept, stream: IO[bytes], value: int, should_stop: Callable[[], bool]
) -> Values:
    """Read the array from front to back and keep one class: a block, or every K-th value."""
    n_classes, *shape = kept.whole
    n_voxels = math.prod(shape)
    found = np.empty(n_voxels, np.float16)
    first, step = (value, n_classes) if kept.fortran else (value * n_voxels, 1)
    done = 0
    for start, values in kept.chunks(stream, first + step * (n_voxels - 1) + 1, should_stop):
        wanted = values[max(0, first + step * done - start) :: step]
        found[done : done + wanted.size] = wanted
        done += wanted.size
    return found.reshape(shape, order="F" if kept.fortran else "C")


def _entropy(kept: _Kept, stream: IO[bytes], should_stop: Callable[[], bool]) -> Values:
    """Read the array from front to back and add up -p ln p of every voxel's classes."""
    n_classes, *shape = kept.whole
    n_voxels = math.prod(shape)
    total = np.zeros(n_voxels, np.float32)
    for start, values in kept.chunks(stream, n_classes * n_voxels, should_stop):
        p = np.clip(values, 1e-12, 1.0, dtype=np.float32)
        terms = -p * np.log(p)
        places = np.arange(start, start + values.size)
        if kept.fortran:  # the classes of a voxel lie side by side
            first = start // n_classes
            sums = np.bincount(places // n_classes - first, weights=terms)
            total[first : first + sums.size] += sums.astype(np.float32)
        else:
            while terms.size:  # a class after the other
                at = int(places[0]) % n_voxels
                n = min(terms.size, n_voxels - at)
                total[at : at + n] += terms[:n]
                terms, places = terms[n:], places[n:]
    total /= math.log(max(2, n_classes))
    return total.astype(np.float16).reshape(shape, order="F" if kept.fortran else "C")


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
