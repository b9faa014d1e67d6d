"""One case's image looked at: its values, and what it can be recognised by.

Opened files enter; an `ImageFacts` (digests, quantiles, intensity step, raster) and findings
leave. Every file's voxels are read once, one file in memory at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .file_check import OpenedFile, read_file
from .findings import Finding, found
from .fingerprints import raster_of

Array = NDArray[Any]

QUANTILES = (1, 10, 25, 50, 75, 90, 99)
_SAMPLE_VOXELS = 200_000


@dataclass(frozen=True)
class ChannelFacts:
    """What is kept of a channel.

    Attributes
    ----------
    digest
        Equal for equal voxels, whatever type they are stored in.
    quantiles
        Intensities at `QUANTILES` percent.
    step
        The smallest step between intensities when all are multiples of it, else None.
    """

    digest: str
    quantiles: tuple[float, ...]
    step: float | None
    is_constant: bool = False


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """What is kept of an image: its channels, and the raster of its first one."""

    channels: tuple[ChannelFacts, ...] = ()
    raster: NDArray[np.float16] | None = field(default=None, repr=False)


def check_image(
    files: Sequence[OpenedFile], case: str, cell_mm: float | None
) -> tuple[ImageFacts, list[Finding]]:
    """Read a case's image files and look at every channel.

    Parameters
    ----------
    cell_mm
        Cell size of the raster; None makes none (no search for leaks).
    """
    channels: list[ChannelFacts] = []
    findings: list[Finding] = []
    raster = None
    for opened in files:
        voxels, wrong = read_file(opened, case)
        findings += wrong
        if voxels is None:
            continue
        for number in range(voxels.shape[3]):
            channel = voxels[..., number].T  # (Z, Y, X)
            if raster is None and cell_mm is not None:
                raster = raster_of(channel, opened.grid, cell_mm)
            facts, wrong = _check_channel(channel, opened, case, len(channels))
            channels.append(facts)
            findings += wrong
    findings += _same_twice(channels, files, case)
    return ImageFacts(tuple(channels), raster), findings


def _check_channel(
    channel: Array, opened: OpenedFile, case: str, number: int
) -> tuple[ChannelFacts, list[Finding]]:
    findings: list[Finding] = []
    what = f"channel {number}: " if number else ""
    if channel.dtype.kind == "f":
        n_bad = channel.size - sum(int(np.isfinite(plane).sum()) for plane in channel)
        if n_bad:
            got = f"{what}{n_bad} voxel{'s' * (n_bad != 1)} that are NaN or infinite"
            findings.append(
                found("not-finite", case=case, file=opened.path, expected="finite numbers", got=got)
            )
    sample = _sample(channel)
    is_constant = bool(sample.size and sample[0] == sample[-1]) and _is_constant(channel)
    if is_constant:
        got = f"{what}{channel.flat[0]:g} everywhere"
        expected = "an image with more than one value"
        findings.append(
            found("constant-image", case=case, file=opened.path, expected=expected, got=got)
        )
    quantiles = np.percentile(sample, QUANTILES) if sample.size else np.zeros(len(QUANTILES))
    facts = ChannelFacts(
        digest_of(channel),
        tuple(float(q) for q in quantiles),
        intensity_step(sample),
        is_constant,
    )
    return facts, findings


def _sample(channel: Array) -> NDArray[np.float64]:
    """Return finite values spread over the volume, sorted."""
    stride = max(1, channel.size // _SAMPLE_VOXELS)
    values = channel.T.ravel(order="F")[::stride] if stride == 1 else channel.reshape(-1)[::stride]
    sample = np.asarray(values, dtype=np.float64)
    return np.sort(sample[np.isfinite(sample)])


def _is_constant(channel: Array) -> bool:
    first = channel.flat[0]
    return all(bool((plane == first).all()) for plane in channel)


def digest_of(volume: Array) -> str:
    """Return a digest of a volume (Z, Y, X): equal for equal shapes and values."""
    digest = hashlib.blake2b(str(volume.shape).encode(), digest_size=16)
    for plane in volume:
        digest.update(np.ascontiguousarray(plane, dtype=np.float32).data)
    return digest.hexdigest()


def intensity_step(values: NDArray[np.float64]) -> float | None:
    """Return the step of which all differences between values are multiples, or None.

    Notes
    -----
    Scanners store whole numbers; a rescaling turns them into multiples of one odd number,
    such as 5.9589, which belongs to the scan. Values that were interpolated have no step.
    """
    distinct = np.unique(values)
    if len(distinct) < 20:
        return None
    above = distinct - distinct[0]
    step = float(np.median(np.diff(distinct)))
    for _ in range(3):  # the median of the gaps is the step up to rounding
        counts = np.rint(above / step)
        far = counts >= counts[-1] / 2
        step = float((above[far] / counts[far]).mean())
    off = np.abs(above / step - np.rint(above / step)).max()
    return step if off < 0.02 else None


def _same_twice(
    channels: Sequence[ChannelFacts], files: Sequence[OpenedFile], case: str
) -> list[Finding]:
    first: dict[str, int] = {}
    findings = []
    for number, channel in enumerate(channels):
        if channel.digest in first:
            file = files[min(number, len(files) - 1)].path
            got = f"the voxels of channel {first[channel.digest]} again in channel {number}"
            expected = "channels that differ"
            findings.append(
                found("same-channel-twice", case=case, file=file, expected=expected, got=got)
            )
        first.setdefault(channel.digest, number)
    return findings
