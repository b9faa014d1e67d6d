"""The fingerprint: shapes, spacings and foreground intensities of the training cases."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.data.crop import box_of
from napari_unet_mic.data.dataset import Case, Dataset, load_case
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import BadDataset, BadInput, Cancelled

FOREGROUND_VOXELS = 10**8  # nnU-Net writes 10e7: drawn in all, shared evenly by the cases
DRAWN_AT_ONCE = 2**22
SEED = 1234
STATISTICS = ("mean", "median", "std", "min", "max", "percentile_99_5", "percentile_00_5")


@dataclass(frozen=True)
class Fingerprint:
    """nnU-Net's dataset_fingerprint.json.

    `spacings` in millimetres and `shapes_after_crop` in voxels are (z, y, x), one
    per training case in the order of their names. The intensity statistics are
    per channel ("0") over drawn foreground voxels.
    """

    spacings: tuple[tuple[float, ...], ...]
    shapes_after_crop: tuple[tuple[int, ...], ...]
    foreground_intensity_properties_per_channel: dict[str, dict[str, float]]
    median_relative_size_after_cropping: float

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> Fingerprint:
        """Read dataset_fingerprint.json.

        Raises
        ------
        UnreadableFile
            The file is missing or not JSON.
        BadInput
            It is not a fingerprint: the sentence names the field.
        """
        return _checked(read_json(Path(file)), str(file))

    def write(self, file: str | os.PathLike[str]) -> None:
        """Write dataset_fingerprint.json as nnU-Net does."""
        write_json(Path(file), self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The dict that nnU-Net reads."""
        return {
            "foreground_intensity_properties_per_channel": {
                channel: dict(facts)
                for channel, facts in self.foreground_intensity_properties_per_channel.items()
            },
            "median_relative_size_after_cropping": self.median_relative_size_after_cropping,
            "shapes_after_crop": [list(shape) for shape in self.shapes_after_crop],
            "spacings": [list(spacing) for spacing in self.spacings],
        }


@dataclass(frozen=True)
class _CaseFacts:
    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    relative_size: float
    # per channel: the distinct drawn foreground voxels and how often each was drawn
    values: tuple[NDArray[np.float32], ...]
    counts: tuple[NDArray[np.int64], ...]


def extract(
    dataset: Dataset,
    *,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    workers: int = 2,
) -> Fingerprint:
    """The fingerprint of a dataset's training cases (test cases never enter it).

    Parameters
    ----------
    progress
        Called with (cases done, cases in all), on the calling thread.
    should_stop
        Asked between cases.
    workers
        Threads that read cases.

    Raises
    ------
    BadDataset
        No training case, or no foreground voxel in any of them.
    Cancelled
        `should_stop` said so.

    Notes
    -----
    Source: nnunetv2 fingerprint_extractor.py; the draws are the same, voxel for
    voxel, the statistics are summed in float64.
    """
    cases = dataset.training
    if not cases:
        raise BadDataset(
            dataset.folder,
            expected="at least one labelled training case",
            got="none",
            advice="see that imagesTr and labelsTr hold cases that are not all test cases",
        )
    n_drawn = FOREGROUND_VOXELS // len(cases)
    found: dict[str, _CaseFacts] = {}
    with ThreadPoolExecutor(max_workers=max(1, min(workers, 2))) as pool:
        waiting = {pool.submit(_case_facts, dataset, case, n_drawn): case.name for case in cases}
        try:
            for future in as_completed(waiting):
                if should_stop is not None and should_stop():
                    raise Cancelled("the fingerprint")
                found[waiting[future]] = future.result()
                if progress is not None:
                    progress(len(found), len(cases))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    facts = [found[case.name] for case in cases]
    return Fingerprint(
        spacings=tuple(one.spacing for one in facts),
        shapes_after_crop=tuple(one.shape for one in facts),
        foreground_intensity_properties_per_channel={
            str(channel): _statistics(dataset, facts, channel)
            for channel in range(len(dataset.channel_names))
        },
        median_relative_size_after_cropping=float(np.median([one.relative_size for one in facts])),
    )


def _case_facts(dataset: Dataset, case: Case, n_drawn: int) -> _CaseFacts:
    image, reference = load_case(dataset, case)
    assert reference is not None, "a training case has a reference"
    # nnU-Net fills the holes of the non-zero mask first, which never moves its box
    box = box_of((image.array != 0).any(axis=0))
    foreground = reference.array[box.slices] > 0
    # one generator for the case, its channels drawn one after the other, as nnU-Net does
    generator = np.random.RandomState(SEED)
    values, counts = [], []
    for channel in image.array:
        inside = channel[box.slices][foreground].astype(np.float32)
        if np.isnan(inside).any():
            raise BadDataset(
                case.images[0],
                expected="numbers in every foreground voxel",
                got="NaN",
                advice="replace them in the image",
            )
        drawn = np.zeros(len(inside), np.int64)
        # drawn in pieces, which gives the same draws and bounds the memory
        for start in range(0, n_drawn if len(inside) else 0, DRAWN_AT_ONCE):
            n_now = min(DRAWN_AT_ONCE, n_drawn - start)
            picks = generator.choice(len(inside), n_now, replace=True)
            drawn += np.bincount(picks, minlength=len(inside))
        distinct, where = np.unique(inside[drawn > 0], return_inverse=True)
        values.append(distinct)
        counts.append(np.bincount(where, drawn[drawn > 0], len(distinct)).astype(np.int64))
    return _CaseFacts(
        spacing=tuple(float(s) for s in image.spacing_mm),
        shape=box.shape,
        relative_size=math.prod(box.shape) / math.prod(image.array.shape[1:]),
        values=tuple(values),
        counts=tuple(counts),
    )


def _statistics(dataset: Dataset, facts: Sequence[_CaseFacts], channel: int) -> dict[str, float]:
    """Weighted statistics of the drawn voxels, percentiles linear between neighbours."""
    values = np.concatenate([one.values[channel] for one in facts])
    counts = np.concatenate([one.counts[channel] for one in facts])
    if not len(values):
        raise BadDataset(
            dataset.folder,
            expected="foreground voxels in at least one training case",
            got="none",
            advice="see that the labels are not empty",
        )
    order = np.argsort(values, kind="stable")
    values, counts = values[order].astype(np.float64), counts[order]
    total = int(counts.sum())
    mean = float((values * counts).sum() / total)
    upto = np.cumsum(counts)

    def percentile(q: float) -> float:
        place = q / 100 * (total - 1)
        low = int(place)
        below = values[np.searchsorted(upto, low, side="right")]
        above = values[np.searchsorted(upto, min(low + 1, total - 1), side="right")]
        return float(below + (above - below) * (place - low))

    return {
        "max": float(values[-1]),
        "mean": mean,
        "median": percentile(50.0),
        "min": float(values[0]),
        "percentile_00_5": percentile(0.5),
        "percentile_99_5": percentile(99.5),
        "std": math.sqrt(float(((values - mean) ** 2 * counts).sum() / total)),
    }


def _checked(raw: Any, thing: str) -> Fingerprint:
    def bad(expected: str, got: Any) -> BadInput:
        return BadInput(
            thing,
            expected=expected,
            got=repr(got)[:80],
            advice="give nnU-Net's dataset_fingerprint.json, or extract it again",
        )

    if not isinstance(raw, dict):
        raise bad("a JSON object", type(raw).__name__)
    tables: dict[str, tuple[tuple[Any, ...], ...]] = {}
    for key in ("spacings", "shapes_after_crop"):
        rows = raw.get(key)
        if not isinstance(rows, list) or not rows:
            raise bad(f"{key} with one entry a case", rows)
        for row in rows:
            positive = isinstance(row, list) and len(row) == 3
            if not positive or not all(isinstance(n, int | float) and n > 0 for n in row):
                raise bad(f"three positive numbers in each of {key}", row)
        tables[key] = tuple(tuple(row) for row in rows)
    if len(tables["spacings"]) != len(tables["shapes_after_crop"]):
        raise bad("as many spacings as shapes_after_crop", [len(rows) for rows in tables.values()])
    intensity = raw.get("foreground_intensity_properties_per_channel")
    if not isinstance(intensity, dict) or not all(isinstance(v, dict) for v in intensity.values()):
        raise bad("foreground_intensity_properties_per_channel", intensity)
    relative = raw.get("median_relative_size_after_cropping")
    if not isinstance(relative, int | float):
        raise bad("median_relative_size_after_cropping", relative)
    return Fingerprint(
        spacings=tables["spacings"],
        shapes_after_crop=tables["shapes_after_crop"],
        foreground_intensity_properties_per_channel=intensity,
        median_relative_size_after_cropping=float(relative),
    )
