"""Contrast windows: the usual ones of CT, and those measured from an image's own values.

A window is given as radiologists give it, level (its middle) and width, in Hounsfield units;
`limits` are the values drawn black and white. Nothing here needs Qt or napari.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Limits = tuple[float, float]


@dataclass(frozen=True)
class Window:
    """A CT window in Hounsfield units."""

    name: str
    level: float
    width: float

    @property
    def limits(self) -> Limits:
        """The values drawn black and white."""
        return self.level - self.width / 2, self.level + self.width / 2

    @property
    def explanation(self) -> str:
        """What it does, as a tooltip says it."""
        low, high = self.limits
        return f"Level {self.level:g}, width {self.width:g}: {low:g} to {high:g} HU".replace(
            "-", "−"
        )


PRESETS = (
    Window("abdomen", 40, 400),
    Window("liver", 60, 160),
    Window("lung", -600, 1500),
    Window("bone", 400, 1800),
    Window("brain", 40, 80),
)
CT_WINDOW = PRESETS[0].limits
CT_RANGE = (-1024.0, 3071.0)


def window_of(array: Array, channel_name: str = "") -> Limits:
    """Return the limits an image opens with: the abdomen window for CT, else `usual_limits`."""
    low, high = usual_limits(array)
    if looks_like_ct(array, channel_name) and low < CT_WINDOW[1] and high > CT_WINDOW[0]:
        return CT_WINDOW
    return low, high


def looks_like_ct(array: Array, channel_name: str = "") -> bool:
    """Return whether values are Hounsfield units: the name says CT, or there is air and more."""
    if "ct" in channel_name.lower().split():
        return True
    sample = _sample(array)
    return bool(sample.size and sample.min() <= -500 and np.percentile(sample, 99.8) > 0)


def usual_limits(array: Array) -> Limits:
    """Return the 1st and the 99.8th percentile of a sample of the finite values."""
    sample = _sample(array)
    if sample.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, [1.0, 99.8]))
    return _apart(low, high)


def full_limits(array: Array) -> Limits:
    """Return the lowest and the highest finite value; for a thread, since it reads every voxel."""
    lows, highs = [], []
    for part in array if array.ndim > 2 else [array]:
        values = part if part.dtype.kind in "iub" else part[np.isfinite(part)]
        if values.size:
            lows.append(float(values.min()))
            highs.append(float(values.max()))
    return _apart(min(lows), max(highs)) if lows else (0.0, 1.0)


def _sample(array: Array) -> npt.NDArray[np.float64]:
    steps = tuple(slice(None, None, max(1, size // 48)) for size in array.shape)
    sample = np.asarray(array[steps], dtype=np.float64)
    return sample[np.isfinite(sample)]


def _apart(low: float, high: float) -> Limits:
    return (low, high) if high > low else (low, low + 1.0)
