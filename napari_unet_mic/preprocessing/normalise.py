"""Intensity normalisation: nnU-Net's five schemes, one channel at a time, in place.

In: a channel (Z, Y, X) in float32 and the name of its scheme. Out: the same array with
the intensities the network is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.errors import BadInput, BadPlan

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SMALLEST_STD = 1e-8
# Voxels whose deviations are squared at a time.
_PART = 4_000_000


def normalise(
    channel: FloatArray,
    scheme: str,
    *,
    intensity: Mapping[str, float] | None = None,
    mask: Mask | None = None,
    thing: str | os.PathLike[str] = "image",
) -> None:
    """Normalise one channel in place.

    Parameters
    ----------
    channel
        float32 (Z, Y, X), contiguous.
    scheme
        The name in a plan's ``normalization_schemes``.
    intensity
        Foreground ``mean``, ``std``, ``percentile_00_5`` and ``percentile_99_5`` of this
        channel over the training set; only ``CTNormalization`` asks for it.
    mask
        Where ``ZScoreNormalization`` looks and works (``use_mask_for_norm``); elsewhere the
        channel stays as it is. The whole channel without it, nothing where it is empty.
    thing
        The file that errors name.

    Raises
    ------
    BadPlan
        For an unknown scheme, or CT without its intensities.
    BadInput
        For RGB values outside 0–255.

    Notes
    -----
    nnU-Net ``default_normalization_schemes.py``; a constant channel becomes 0, not NaN.
    """
    if scheme == "CTNormalization":
        _ct(channel, intensity)
    elif scheme == "RGBTo01Normalization":
        _rgb(channel, thing)
    elif scheme in _SCHEMES:
        _SCHEMES[scheme](channel, mask)
    else:
        raise BadPlan(
            "normalization_schemes",
            expected=f"one of {', '.join((*_SCHEMES, 'CTNormalization', 'RGBTo01Normalization'))}",
            got=scheme,
            advice="correct the plans file",
        )


def _ct(channel: FloatArray, intensity: Mapping[str, float] | None) -> None:
    needed = ("mean", "std", "percentile_00_5", "percentile_99_5")
    if intensity is None or not all(key in intensity for key in needed):
        raise BadPlan(
            "foreground_intensity_properties_per_channel",
            expected=f"{', '.join(needed)} for every CT channel",
            got=", ".join(intensity or {}) or "nothing",
            advice="plan the dataset again",
        )
    np.clip(channel, intensity["percentile_00_5"], intensity["percentile_99_5"], out=channel)
    channel -= np.float32(intensity["mean"])
    channel /= np.float32(max(intensity["std"], _SMALLEST_STD))


def _zscore(channel: FloatArray, mask: Mask | None) -> None:
    if mask is None:
        _standardise(channel)
    elif mask.any():
        inside = channel[mask]
        _standardise(inside)
        channel[mask] = inside


def _standardise(values: FloatArray) -> None:
    flat = values.reshape(-1)
    mean = flat.mean(dtype=np.float64)
    squares = 0.0
    for start in range(0, flat.size, _PART):
        part = flat[start : start + _PART] - np.float32(mean)
        squares += float(np.square(part, out=part).sum(dtype=np.float64))
    std = (squares / flat.size) ** 0.5
    values -= np.float32(mean)
    values /= np.float32(max(std, _SMALLEST_STD))


def _none(channel: FloatArray, mask: Mask | None) -> None:
    """Leave the channel as it is."""


def _rescale(channel: FloatArray, mask: Mask | None) -> None:
    channel -= channel.min()
    channel /= max(channel.max(), np.float32(_SMALLEST_STD))


def _rgb(channel: FloatArray, thing: str | os.PathLike[str]) -> None:
    low, high = float(channel.min()), float(channel.max())
    if low < 0 or high > 255:
        raise BadInput(
            thing,
            expected="RGB intensities from 0 to 255",
            got=f"{low:g} to {high:g}",
            advice="check the image, or plan the dataset with another channel name",
        )
    channel /= np.float32(255)


_SCHEMES: dict[str, Callable[[FloatArray, Mask | None], None]] = {
    "ZScoreNormalization": _zscore,
    "NoNormalization": _none,
    "RescaleTo01Normalization": _rescale,
}
