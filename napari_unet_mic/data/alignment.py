"""A closer look at one pair of images: laid onto each other, how much alike are they.

Two rasters and a pose enter; a `Match` leaves. The pose is refined to a fraction of a cell,
then the details of all that both show are correlated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .candidates import MIDDLE, Pose
from .fingerprints import Floats, along, correlations, detail, resized, unit

Array = NDArray[Any]
Shift = tuple[float, float, float]

REACH_CELLS = 4
_SEARCH_CELLS = 2
_BORDER_CELLS = 2
_CLOSER_ABOVE = 0.55
_CUBE = 28
_SQUEEZED_COSTS = 0.02


@dataclass(frozen=True)
class Match:
    """How alike two images are where they overlap.

    Attributes
    ----------
    correlation
        Of their details; negative when one is the other's negative.
    overlap
        The share of the smaller one that both show.
    """

    correlation: float
    pose: Pose
    overlap: float


class Looker:
    """Compares pairs of rasters; keeps what it made of each."""

    def __init__(self, rasters: Sequence[Array]) -> None:
        self._rasters = rasters
        self._kept: dict[tuple[int, bool], tuple[Floats, Floats]] = {}

    def _pictures(self, number: int, cube: bool) -> tuple[Floats, Floats]:
        """Return a raster and its detail picture, squeezed into a cube when asked."""
        if (number, cube) not in self._kept:
            raster = np.asarray(self._rasters[number], dtype=np.float32)
            raster = resized(raster, [_CUBE] * 3) if cube else raster
            self._kept[number, cube] = raster, detail(raster, reach=REACH_CELLS)
        return self._kept[number, cube]

    def compare(self, first: int, second: int, poses: Sequence[Pose]) -> Match:
        """Return the best match over some poses."""
        matches = [self._compare(first, second, pose) for pose in poses]
        # of two that are as good, the one that keeps millimetres says more
        return max(matches, key=lambda m: abs(m.correlation) - _SQUEEZED_COSTS * m.pose.squeezed)

    def _compare(self, first: int, second: int, pose: Pose) -> Match:
        raster, a = (pose.turned(array) for array in self._pictures(first, pose.squeezed))
        _, b = self._pictures(second, pose.squeezed)
        shift, correlation = _best_shift(a, b, pose.shift)
        match = Match(correlation, replace(pose, shift=shift), 0.0)
        if abs(correlation) < _CLOSER_ABOVE:
            return match
        return _overlaid(raster, b, match.pose)


def _best_shift(a: Floats, b: Floats, shift: Shift) -> tuple[Shift, float]:
    """Look around a shift for the best one, to a fraction of a cell.

    Every other cell of the middle is enough to find the place; its neighbours are then
    correlated in full, and a parabola through them gives the fraction.
    """
    size = [max(1, round(MIDDLE * min(n, m))) for n, m in zip(a.shape, b.shape, strict=True)]
    middle = _window(a, size, (0, 0, 0))
    # windows start at whole cells: how far their middles lie from where a shift puts them
    odd = [((n - s) % 2 - (m - s) % 2) / 2 for n, m, s in zip(a.shape, b.shape, size, strict=True)]
    start = [round(s - o) for s, o in zip(shift, odd, strict=True)]
    reach = [_SEARCH_CELLS if n > 1 else 0 for n in b.shape]
    block = _window(b, [s + 2 * r for s, r in zip(size, reach, strict=True)], start)
    windows = np.lib.stride_tricks.sliding_window_view(block, size)  # (shifts, window)
    z, y, x = (slice(None, None, 2 if n > 8 else 1) for n in size)
    thin = windows[..., z, y, x]
    thin = unit(thin.reshape(math.prod(thin.shape[:3]), -1))
    scores = correlations(thin, unit(middle[z, y, x].reshape(1, -1)))
    place = np.unravel_index(int(np.abs(scores).argmax()), windows.shape[:3])
    best = [s - r + int(p) for s, r, p in zip(start, reach, place, strict=True)]
    whole = unit(middle.reshape(1, -1))

    def score(place: Sequence[int]) -> float:
        return float(correlations(unit(_window(b, size, place).reshape(1, -1)), whole)[0])

    top, peak = score(best), [0.0, 0.0, 0.0]
    for axis in range(3 if abs(top) > _CLOSER_ABOVE else 0):
        if b.shape[axis] > 1:
            sides = [score([p + d * (a == axis) for a, p in enumerate(best)]) for d in (-1, 1)]
            peak[axis] = _vertex(sides[0], top, sides[1])
    z, y, x = (p + o + f for p, o, f in zip(best, odd, peak, strict=True))
    return (z, y, x), top


def _vertex(left: float, middle: float, right: float) -> float:
    """Return how far the top of a parabola through three scores lies from the middle one."""
    left, middle, right = abs(left), abs(middle), abs(right)
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else min(0.5, max(-0.5, 0.5 * (left - right) / bend))


def _window(picture: Floats, size: Sequence[int], shift: Sequence[int]) -> Floats:
    """Cut a window about the middle; what lies outside is 0."""
    start = [(n - s) // 2 + d for n, s, d in zip(picture.shape, size, shift, strict=True)]
    ends = zip(start, size, picture.shape, strict=True)
    z, y, x = (slice(max(0, a), max(0, min(n, a + s))) for a, s, n in ends)
    cut = picture[z, y, x]
    if list(cut.shape) == list(size):
        return cut
    window = np.zeros(size, dtype=np.float32)
    lead = [max(0, -a) for a in start]
    into = tuple(slice(p, p + n) for p, n in zip(lead, cut.shape, strict=True))
    window[into] = cut
    return window


def _overlaid(raster: Floats, picture: Floats, pose: Pose) -> Match:
    """Move a turned raster by a fraction of a cell and correlate all that both show."""
    sizes = zip(pose.shift, raster.shape, picture.shape, strict=True)
    offsets = [shift + (m - n) / 2 for shift, n, m in sizes]
    whole = [round(offset) for offset in offsets]
    moved = _moved(raster, [o - w for o, w in zip(offsets, whole, strict=True)])
    ours, theirs, shared = [], [], 1
    for w, n, m in zip(whole, raster.shape, picture.shape, strict=True):
        low, high = max(0, w), min(m, w + n)
        shared *= max(0, high - low)
        border = _BORDER_CELLS if high - low > 6 * _BORDER_CELLS else 0
        theirs.append(slice(low + border, max(low + border, high - border)))
        ours.append(slice(theirs[-1].start - w, theirs[-1].stop - w))
    a = detail(moved, reach=REACH_CELLS)[ours[0], ours[1], ours[2]]
    b = picture[theirs[0], theirs[1], theirs[2]]
    if a.size < 8:
        return Match(0.0, pose, 0.0)
    pair = unit(np.stack([a.ravel(), b.ravel()]))
    overlap = min(1.0, shared / min(raster.size, picture.size))
    return Match(float(correlations(pair[:1], pair[1:])[0]), pose, overlap)


def _moved(raster: Floats, by: Sequence[float]) -> Floats:
    """Move a raster by less than a cell along each axis (Lanczos, three cells wide)."""
    for axis, part in enumerate(by):
        n = raster.shape[axis]
        if n > 1 and abs(part) > 0.02:
            place = np.arange(n)
            away = place[:, None] - place[None, :] - part
            weights = np.where(np.abs(away) < 3, np.sinc(away) * np.sinc(away / 3), 0)
            weights /= weights.sum(axis=1, keepdims=True)
            raster = along(weights.astype(np.float32), raster, axis)
    return raster
