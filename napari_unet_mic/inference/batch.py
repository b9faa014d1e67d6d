"""Many cases: each predicted and written on its own, a bad one reported while others go on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_unet_mic.data.volume import Volume, read_image
from napari_unet_mic.errors import Cancelled, UNetMicError
from napari_unet_mic.inference.inputs import InputCase
from napari_unet_mic.inference.outputs import probabilities_file, write_prediction
from napari_unet_mic.inference.sliding_window import Progress, ShouldStop

if TYPE_CHECKING:
    from napari_unet_mic.inference.predictor import Prediction, Predictor, Ready


@dataclass(frozen=True)
class CaseEvent:
    """What became of one case: `done`, `skipped` (its file was there) or `failed` (`message`)."""

    kind: Literal["done", "skipped", "failed"]
    name: str
    file: Path
    message: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchSummary:
    """What became of all cases; `str()` is a sentence."""

    events: tuple[CaseEvent, ...]

    @property
    def failed(self) -> dict[str, str]:
        """Case names and why they could not be predicted."""
        return {event.name: event.message for event in self.events if event.kind == "failed"}

    def __str__(self) -> str:
        counts = {
            kind: sum(event.kind == kind for event in self.events)
            for kind in ("done", "skipped", "failed")
        }
        parts = [f"{counts['done']} cases predicted"]
        if counts["skipped"]:
            parts.append(f"{counts['skipped']} already there")
        if counts["failed"]:
            parts.append(f"{counts['failed']} failed ({', '.join(self.failed)})")
        return ", ".join(parts)


def predict_files(
    predictor: Predictor,
    cases: Sequence[InputCase],
    out_folder: str | os.PathLike[str],
    emit: Callable[[CaseEvent], None] | None = None,
    should_stop: ShouldStop | None = None,
    *,
    probabilities: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    report: Callable[[str], None] | None = None,
    overlap: bool | None = None,
) -> BatchSummary:
    """Predict cases into `out_folder`/<case>.nii.gz, each with its source's geometry.

    Parameters
    ----------
    emit
        Told of every case, as it ends.
    should_stop
        Asked before every pass through the network.
    probabilities
        Also write <case>.npz with `probabilities` (K, Z, Y, X), as nnU-Net does.
    overwrite
        Predict again what is already there; without it a restart goes on where it stopped.
    progress
        Called with (tiles done, tiles in all) of the current case.
    report
        Told in a sentence when a case fails or a device runs short.
    overlap
        Read the next case and write the last one while the network works; None: on a GPU,
        whose work leaves the CPU idle, yes; on a CPU, where it gains nothing, no.

    Raises
    ------
    Cancelled
        `should_stop` said so; files of finished cases stay, nothing is half-written.
    """
    folder = Path(out_folder)
    folder.mkdir(parents=True, exist_ok=True)
    overlap = predictor.device.type != "cpu" if overlap is None else overlap
    road = _Road(
        predictor, folder, probabilities, overwrite, progress, should_stop, report, overlap
    )
    events = []
    for event in road.travel(cases):
        events.append(event)
        if emit:
            emit(event)
    return BatchSummary(tuple(events))


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A case between reading and the network: its geometry and what the network needs."""

    geometry: Volume
    ready: Ready
    seconds: float


@dataclass(eq=False)
class _Road:
    """Reading, network and writing, each case on its own; neighbours may overlap.

    With `overlap` the case before is packed and written, and the one after read and prepared,
    while the network works.
    """

    predictor: Predictor
    folder: Path
    probabilities: bool
    overwrite: bool
    progress: Progress | None
    should_stop: ShouldStop | None
    report: Callable[[str], None] | None
    overlap: bool

    def travel(self, cases: Sequence[InputCase]) -> Iterator[CaseEvent]:
        """Give what became of every case, in order."""
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            loading: dict[int, Future[_Loaded]] = {}

            def load(index: int) -> Future[_Loaded] | None:
                if index < len(cases) and index not in loading and not self._is_there(cases[index]):
                    loading[index] = reader.submit(self._load, cases[index])
                return loading.get(index)

            before: Future[CaseEvent] | None = None
            try:
                for index, case in enumerate(cases):
                    now = load(index)
                    if self.overlap:
                        load(index + 1)
                    after = writer.submit(self._skipped, case) if now is None else None
                    after = after or self._predicted(case, now, writer)
                    loading.pop(index, None)
                    if before is not None:
                        yield before.result()
                    before = after
                    if not self.overlap:
                        yield before.result()
                        before = None
                if before is not None:
                    yield before.result()
            except BaseException:
                for future in loading.values():
                    future.cancel()
                raise

    def _predicted(
        self, case: InputCase, loading: Future[_Loaded] | None, writer: ThreadPoolExecutor
    ) -> Future[CaseEvent]:
        """Send a case through the network; what follows goes on in the writer's thread."""
        assert loading is not None
        try:
            loaded = loading.result()
            found = self.predictor.predict_prepared(
                loaded.ready,
                probabilities=self.probabilities,
                progress=self.progress,
                should_stop=self.should_stop,
                say=self.report,
            )
        except Cancelled:
            raise
        except UNetMicError as error:
            return writer.submit(self._failed, case, error)
        return writer.submit(self._write, case, loaded, found)

    def _load(self, case: InputCase) -> _Loaded:
        start = time.perf_counter()
        image = read_image(case.files)
        read = time.perf_counter()
        ready = self.predictor.prepare(image, probabilities=self.probabilities, say=self.report)
        return _Loaded(image.without_voxels(), ready, read - start)

    def _write(self, case: InputCase, loaded: _Loaded, found: Prediction) -> CaseEvent:
        start = time.perf_counter()
        file = self._file(case)
        try:
            write_prediction(file, found, loaded.geometry)
        except UNetMicError as error:
            return self._failed(case, error)
        written = time.perf_counter() - start
        seconds = {"read": loaded.seconds, **found.seconds, "write": written}
        return CaseEvent("done", case.name, file, seconds=seconds)

    def _failed(self, case: InputCase, error: UNetMicError) -> CaseEvent:
        if self.report:
            self.report(f"{case.name}: {error}")
        return CaseEvent("failed", case.name, self._file(case), message=str(error))

    def _skipped(self, case: InputCase) -> CaseEvent:
        return CaseEvent("skipped", case.name, self._file(case))

    def _is_there(self, case: InputCase) -> bool:
        file = self._file(case)
        complete = not self.probabilities or probabilities_file(file).exists()
        return not self.overwrite and file.exists() and complete

    def _file(self, case: InputCase) -> Path:
        return self.folder / f"{case.name}.nii.gz"
