"""Many cases: each predicted and written on its own, a bad one reported while others go on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.data.volume import read_image, write_labels
from napari_unet_mic.errors import Cancelled, UNetMicError
from napari_unet_mic.inference.inputs import InputCase
from napari_unet_mic.inference.sliding_window import Progress, ShouldStop

if TYPE_CHECKING:
    from napari_unet_mic.inference.predictor import Predictor


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

    Raises
    ------
    Cancelled
        `should_stop` said so; files of finished cases stay, nothing is half-written.
    """
    folder = Path(out_folder)
    folder.mkdir(parents=True, exist_ok=True)
    events = []
    for case in cases:
        file = folder / f"{case.name}.nii.gz"
        shares = folder / f"{case.name}.npz" if probabilities else None
        if not overwrite and file.exists() and (shares is None or shares.exists()):
            event = CaseEvent("skipped", case.name, file)
        else:
            try:
                seconds = _predict_case(
                    predictor, case, file, shares, progress, should_stop, report
                )
                event = CaseEvent("done", case.name, file, seconds=seconds)
            except Cancelled:
                raise
            except UNetMicError as error:
                event = CaseEvent("failed", case.name, file, message=str(error))
                if report:
                    report(f"{case.name}: {error}")
        events.append(event)
        if emit:
            emit(event)
    return BatchSummary(tuple(events))


def _predict_case(
    predictor: Predictor,
    case: InputCase,
    file: Path,
    shares: Path | None,
    progress: Progress | None,
    should_stop: ShouldStop | None,
    report: Callable[[str], None] | None,
) -> dict[str, float]:
    """Read, predict and write one case; the seconds of every stage."""
    start = time.perf_counter()
    image = read_image(case.files)
    read = time.perf_counter()
    found = predictor.predict(
        image,
        probabilities=shares is not None,
        progress=progress,
        should_stop=should_stop,
        say=report,
    )
    predicted = time.perf_counter()
    if shares is not None and found.probabilities is not None:
        values = found.probabilities

        def write(path: Path) -> None:
            np.savez_compressed(path, probabilities=values)

        write_whole(shares, write)
    write_labels(file, found.labels, image)
    written = time.perf_counter()
    return {"read": read - start, **found.seconds, "write": written - predicted}
