"""Prepared cases on disk, written once and read in patches.

In: a dataset, a plan and the name of a configuration. Out: a folder that holds, for
every case,

- ``<case>.b2nd`` (float32 (C, z, y, x)) and ``<case>.labels.b2nd`` (int16 (z, y, x)),
  compressed in blocks so that a patch is read without the rest;
- ``<case>.locations.npz``: where each class lies, for foreground oversampling;
- ``<case>.json``: how the case came onto the grid, the settings, and the files it was made
  from. It is written last: a case without it does not exist.

``_settings.json`` says what the folder was made for last. A case made with other settings,
or from files that changed since, is made again.
"""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.data.crop import OUTSIDE
from napari_unet_mic.data.dataset import Case, Dataset, load_case
from napari_unet_mic.data.files import read_json, write_json, write_whole
from napari_unet_mic.errors import BadDataset, BadInput, Cancelled, UnreadableFile
from napari_unet_mic.planning.plan import Configuration, Plan
from napari_unet_mic.preprocessing.blocks import read_blocks, write_blocks
from napari_unet_mic.preprocessing.locations import sample_locations
from napari_unet_mic.preprocessing.pipeline import Prepared, Properties, prepare
from napari_unet_mic.preprocessing.provenance import (
    FORMAT_VERSION,
    mark_of,
    settings_of,
    source_of,
)

_SETTINGS = "_settings.json"
_CACHE_BYTES = 512 * 2**20

Patch = tuple[NDArray[np.float32], NDArray[np.int16]]


def prepare_dataset(
    dataset: Dataset,
    plan: Plan,
    configuration_name: str,
    folder: str | os.PathLike[str],
    *,
    cases: Iterable[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    workers: int = 2,
) -> PreparedStore:
    """Bring a dataset's cases onto a configuration's grid, those that are not there yet.

    Parameters
    ----------
    cases
        Names of labelled cases; the training cases without it.
    progress
        Called with (done, total) at the start and after each case.
    should_stop
        Asked between cases.
    workers
        Cases at a time. They are threads: decompression, matrix products and compression
        all run outside Python's lock.

    Raises
    ------
    Cancelled
        `should_stop` said so; finished cases stay.
    BadInput
        For the first case that cannot be prepared, naming its file; finished cases stay.
    """
    configuration = plan.configuration(configuration_name)
    target = Path(folder)
    wanted = dataset.training if cases is None else tuple(dataset.case(name) for name in cases)
    unlabelled = [case.name for case in wanted if case.label is None]
    if unlabelled or not wanted:
        raise BadDataset(
            dataset.folder,
            expected="labelled cases to prepare for training",
            got=f"{unlabelled[0]} without a label" if unlabelled else "none",
            advice="add labels, or choose other cases",
        )
    settings = settings_of(dataset, plan, configuration)
    mark = mark_of(settings)
    write_json(target / _SETTINGS, {"mark": mark, "settings": settings})
    missing = [case for case in wanted if not _is_done(target, case, mark)]
    job = _Job(dataset, plan, configuration, target, mark)
    done = len(wanted) - len(missing)
    report = progress or (lambda done, total: None)
    report(done, len(wanted))
    for _ in _in_threads(job.run, missing, workers, should_stop or (lambda: False)):
        done += 1
        report(done, len(wanted))
    return PreparedStore(target)


def _in_threads(
    work: Callable[[Case], None],
    cases: Sequence[Case],
    workers: int,
    should_stop: Callable[[], bool],
) -> Iterable[Case]:
    """Yield each case as it is done; the first error, or a stop, ends the rest."""
    waiting = list(reversed(cases))
    running: dict[Future[None], Case] = {}
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="prepare") as pool:
        while waiting or running:
            if should_stop():
                raise Cancelled("preparing the cases")
            while waiting and len(running) < max(1, workers):
                case = waiting.pop()
                running[pool.submit(work, case)] = case
            for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                case = running.pop(future)
                future.result()
                yield case


@dataclass(frozen=True)
class _Job:
    """Prepare one case after the other into one folder."""

    dataset: Dataset
    plan: Plan
    configuration: Configuration
    folder: Path
    mark: str

    def run(self, case: Case) -> None:
        source = source_of(case)
        image, reference = load_case(self.dataset, case)
        try:
            prepared = prepare(image, reference, self.plan, self.configuration)
        except MemoryError as error:
            raise BadInput(
                case.images[0],
                expected="enough free memory to prepare it",
                got=f"none left ({error})",
                advice="close other programs, or prepare one case at a time",
            ) from error
        del image, reference
        try:
            self._write(case, prepared, source)
        except (OSError, RuntimeError) as error:
            raise BadInput(
                self.folder,
                expected=f"a folder that case {case.name} can be written to",
                got=str(error),
                advice="free some disk space, or choose another workspace",
            ) from error

    def _write(self, case: Case, prepared: Prepared, source: list[Any]) -> None:
        files = _CaseFiles(self.folder, case.name)
        files.record.unlink(missing_ok=True)
        assert prepared.labels is not None
        patch = self.configuration.patch_size
        write_whole(files.data, lambda path: write_blocks(path, prepared.data, patch))
        labels = prepared.labels
        write_whole(files.labels, lambda path: write_blocks(path, labels, patch))
        locations = sample_locations(
            labels,
            [value for value in self.dataset.class_values if value != 0],
            annotated=self.dataset.ignore_value is not None,
        )
        by_name = {str(value): voxels for value, voxels in locations.items()}
        write_whole(files.locations, lambda path: np.savez(path, **by_name))  # type: ignore[arg-type]
        record = {
            "format_version": FORMAT_VERSION,
            "settings": self.mark,
            "source": source,
            "channels": len(prepared.data),
            "properties": prepared.properties.to_json(),
        }
        write_json(files.record, record, indent=None)


@dataclass(frozen=True)
class _CaseFiles:
    folder: Path
    name: str

    @property
    def data(self) -> Path:
        return self.folder / f"{self.name}.b2nd"

    @property
    def labels(self) -> Path:
        return self.folder / f"{self.name}.labels.b2nd"

    @property
    def locations(self) -> Path:
        return self.folder / f"{self.name}.locations.npz"

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.json"


def _is_done(folder: Path, case: Case, mark: str) -> bool:
    files = _CaseFiles(folder, case.name)
    if not all(f.is_file() for f in (files.record, files.data, files.labels, files.locations)):
        return False
    try:
        record = read_json(files.record)
        return bool(record["settings"] == mark and record["source"] == source_of(case))
    except (UnreadableFile, KeyError, TypeError):
        return False


def forget_case(folder: str | os.PathLike[str], name: str) -> None:
    """Take a prepared case (a damaged one) for not there, so that it is prepared again."""
    _CaseFiles(Path(folder), name).record.unlink(missing_ok=True)


class PreparedStore:
    """Read prepared cases, whole or in patches.

    Small cases stay decompressed in memory, up to `cache_bytes` in all; of larger ones only
    the blocks a patch touches are read. Safe to use from several threads; may be pickled.

    Raises
    ------
    UnreadableFile
        When the folder holds no prepared cases.
    """

    def __init__(self, folder: str | os.PathLike[str], *, cache_bytes: int = _CACHE_BYTES) -> None:
        self.folder = Path(folder)
        self.cache_bytes = cache_bytes
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, Patch] = OrderedDict()
        self._cached_bytes = 0
        mark = read_json(self.folder / _SETTINGS).get("mark")
        self._records: dict[str, dict[str, Any]] = {}
        for file in sorted(self.folder.glob("*.json")):
            if file.name == _SETTINGS or file.name.startswith("."):
                continue
            record = read_json(file)
            if isinstance(record, dict) and record.get("settings") == mark:
                self._records[file.name.removesuffix(".json")] = record

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "cache_bytes": self.cache_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"], cache_bytes=state["cache_bytes"])  # type: ignore[misc]

    @property
    def names(self) -> tuple[str, ...]:
        """The cases, sorted."""
        return tuple(self._records)

    def n_channels(self, name: str) -> int:
        """Return the number of channels of a case."""
        return int(self._record(name)["channels"])

    def properties(self, name: str) -> Properties:
        """Return how a case came onto the grid."""
        return Properties.from_json(self._record(name)["properties"])

    def shape(self, name: str) -> tuple[int, int, int]:
        """Return the voxels of a case along (z, y, x)."""
        z, y, x = self._record(name)["properties"]["shape"]
        return z, y, x

    def read_patch(self, name: str, lower: Sequence[int], upper: Sequence[int]) -> Patch:
        """Read the half-open box `lower`:`upper` (z, y, x), which may reach outside the case.

        Returns
        -------
        data, labels
            float32 (C, *size), 0 outside the case, and int16 (*size), -1 outside; new arrays.
        """
        shape = self.shape(name)
        size = tuple(max(0, int(u) - int(low)) for low, u in zip(lower, upper, strict=True))
        first = [min(max(0, int(low)), n) for low, n in zip(lower, shape, strict=True)]
        last = [max(min(int(u), n), f) for u, n, f in zip(upper, shape, first, strict=True)]
        inside = tuple(slice(f, e) for f, e in zip(first, last, strict=True))
        data, labels = self._read(name, inside)
        if tuple(labels.shape) == size:
            return _own(data), _own(labels)
        wide = np.zeros((len(data), *size), dtype=np.float32)
        wide_labels = np.full(size, OUTSIDE, dtype=np.int16)
        if labels.size:
            place = tuple(
                slice(f - int(low), e - int(low))
                for f, e, low in zip(first, last, lower, strict=True)
            )
            wide[(slice(None), *place)] = data
            wide_labels[place] = labels
        return wide, wide_labels

    def read(self, name: str) -> Patch:
        """Read a whole case."""
        return self.read_patch(name, (0, 0, 0), self.shape(name))

    def foreground_locations(self, name: str) -> dict[int, NDArray[np.int32]]:
        """Return a sample of each class's voxels, (n, 3) each; see `locations`.

        Raises
        ------
        UnreadableFile
            When their file is missing or damaged.
        """
        self._record(name)
        file = _CaseFiles(self.folder, name).locations
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
                return {int(value): found[value] for value in found.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UnreadableFile(
                file,
                expected="where the classes of a prepared case lie (.npz)",
                got=f"a damaged file ({error})",
                advice="delete it and prepare the dataset again",
            ) from error

    def _read(self, name: str, inside: tuple[slice, ...]) -> Patch:
        """Read a box within the case: read-only views of a cached case, else new arrays."""
        with self._lock:
            cached = self._cached.get(name)
            if cached is not None:
                self._cached.move_to_end(name)
        if cached is None:
            size = self._bytes(name)
            if size * 8 > self.cache_bytes:
                return self._decompress(name, inside)
            cached = self._decompress(name, (slice(None), slice(None), slice(None)))
            self._keep(name, cached, size)
        return cached[0][(slice(None), *inside)], cached[1][inside]

    def _decompress(self, name: str, inside: tuple[slice, ...]) -> Patch:
        files = _CaseFiles(self.folder, name)
        return read_blocks(files.data, (slice(None), *inside)), read_blocks(files.labels, inside)

    def _keep(self, name: str, patch: Patch, size: int) -> None:
        for array in patch:
            array.flags.writeable = False
        with self._lock:
            if name in self._cached:
                return
            self._cached[name] = patch
            self._cached_bytes += size
            while self._cached_bytes > self.cache_bytes:
                forgotten, _ = self._cached.popitem(last=False)
                self._cached_bytes -= self._bytes(forgotten)

    def _bytes(self, name: str) -> int:
        z, y, x = self.shape(name)
        return z * y * x * (4 * self.n_channels(name) + 2)

    def _record(self, name: str) -> dict[str, Any]:
        try:
            return self._records[name]
        except KeyError:
            raise BadInput(
                self.folder,
                expected=f"the prepared case {name}",
                got=f"{len(self._records)} other cases",
                advice="prepare the dataset again",
            ) from None


def _own(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.flags.writeable else array.copy()
