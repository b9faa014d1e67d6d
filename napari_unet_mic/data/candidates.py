"""Candidates: which pairs of images could be the same one, among all pairs.

Rasters enter; a few pairs a case leave, each with how the first would lie on the second. The
middle of every image, in all eight mirrorings, is correlated with windows of every other one
at all shifts that a crop can cause, as matrix products; and whole images, squeezed into a
cube, in all 48 turns, for those whose voxel size was changed or that lie on their side.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Cancelled
from .fingerprints import Floats, Shape, detail, halved, resized, unit

Array = NDArray[Any]

MIDDLE = 0.6
"""The share of each axis that survives any crop of at least 80 %, wherever it was taken."""
REACH = 0.1
"""How far the middle of such a crop can lie from the image's, as a share of the axis."""
CUBE = 14
BY_CUBE = 2
"""How many partners of each case are looked at closely for the sake of their cubes."""
_LOOKS, _FEWEST, _MOST = 2000, 8, 40

FLIPS: tuple[Shape, ...] = tuple((a, b, c) for a, b, c in itertools.product((1, -1), repeat=3))
TURNS: tuple[Shape, ...] = tuple((a, b, c) for a, b, c in itertools.permutations(range(3)))


@dataclass(frozen=True)
class Pose:
    """How a first image lies on a second one: turned, mirrored, shifted.

    Attributes
    ----------
    axes, flips
        Which axis of the first becomes each axis of the second; -1 where it is mirrored.
    shift
        Where the first's middle lies from the second's, in cells of the raster.
    squeezed
        Whether the two were brought to one size first (their voxel sizes disagree).
    """

    axes: Shape = (0, 1, 2)
    flips: Shape = (1, 1, 1)
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    squeezed: bool = False

    def turned(self, array: Array) -> Array:
        """Turn and mirror a raster of the first image (a view)."""
        z, y, x = (slice(None, None, step) for step in self.flips)
        return array.transpose(self.axes)[z, y, x]


@dataclass(frozen=True)
class Candidate:
    """A pair (places in the list, the first smaller) that deserves a closer look."""

    first: int
    second: int
    poses: tuple[Pose, ...]


@dataclass(frozen=True, eq=False)
class Search:
    """What the search over all pairs found.

    Attributes
    ----------
    likeness
        (n, n) best correlation of each pair's details at low resolution; diagonal 0.
    """

    candidates: tuple[Candidate, ...]
    likeness: Floats


def find_candidates(
    rasters: Sequence[Array],
    *,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Search:
    """Return the pairs worth a closer look, and how alike all pairs are.

    Raises
    ------
    Cancelled
        `should_stop` said so.
    """
    n = len(rasters)
    if n < 2:
        return Search((), np.zeros((n, n), dtype=np.float32))
    shifted = _Shifted(rasters)
    likeness = np.zeros((n, n), dtype=np.float32)
    where = np.zeros((n, n), dtype=np.int32)
    for second in range(1, n):
        if should_stop():
            raise Cancelled("the search for leaks")
        scores, places = shifted.against(second)
        likeness[:second, second] = likeness[second, :second] = scores
        where[:second, second] = places
        if progress is not None:
            progress(second + 1, n)
    poses: dict[tuple[int, int], list[Pose]] = {}
    for first, second in _best_pairs(likeness, min(_MOST, max(_FEWEST, _LOOKS // n))):
        poses.setdefault((first, second), []).append(
            shifted.pose(first, second, int(where[first, second]))
        )
    cubes = unit(np.stack([detail(resized(r, [CUBE] * 3), reach=4).ravel() for r in rasters]))
    alike, turn = _turned_likeness(cubes)
    for first, second in _best_pairs(alike, BY_CUBE):
        axes, flips = divmod(int(turn[first, second]), len(FLIPS))
        pose = Pose(TURNS[axes], FLIPS[flips], squeezed=True)
        poses.setdefault((first, second), []).append(pose)
    found = tuple(Candidate(a, b, tuple(them)) for (a, b), them in sorted(poses.items()))
    return Search(found, likeness)


def _best_pairs(scores: Floats, per_case: int) -> list[tuple[int, int]]:
    """Return every case with its best partners, each pair once."""
    n = len(scores)
    kept = min(per_case, n - 1)
    ranked = scores.copy()
    np.fill_diagonal(ranked, -np.inf)
    partners = np.argpartition(-ranked, kept - 1, axis=1)[:, :kept]
    pairs = {(min(a, int(b)), max(a, int(b))) for a in range(n) for b in partners[a]}
    return sorted(pairs)


class _Shifted:
    """The middles of all images in eight mirrorings, and the windows to compare them with.

    Windows are cut out of detail pictures of half the raster's resolution, at whole cells and
    again half a cell further along every axis: a crop seldom falls on whole cells.
    """

    def __init__(self, rasters: Sequence[Array]) -> None:
        thin = min(min(raster.shape) for raster in rasters) < 4
        rows = [(raster,) if thin else (raster, raster[2:, 2:, 2:]) for raster in rasters]
        pictures = [[detail(halved(part), reach=4) for part in row] for row in rows]
        self._shapes = [[picture.shape for picture in row] for row in pictures]
        shapes = np.array([row[0] for row in self._shapes])
        # a small image's crop must still hold the window, a large one's must be reached
        self._size = np.maximum(1, np.rint(MIDDLE * np.quantile(shapes, 0.2, axis=0))).astype(int)
        large: NDArray[np.float64] = np.quantile(shapes, 0.6, axis=0)
        reach = np.where(large > 1, np.maximum(1, np.ceil(REACH * large)), 0).astype(int)
        ranges = [range(-int(r), int(r) + 1) for r in reach]
        self._places = [
            (part, (z, y, x))
            for part in range(len(pictures[0]))
            for z, y, x in itertools.product(*ranges)
        ]
        border = [(int(s) + int(r),) * 2 for s, r in zip(self._size, reach, strict=True)]
        self._padded = [[np.pad(picture, border) for picture in row] for row in pictures]
        middles = [self._window(n, 0, (0, 0, 0)) for n in range(len(rasters))]
        mirrored = [m[::a, ::b, ::c].ravel() for m in middles for a, b, c in FLIPS]
        self._middles = unit(np.stack(mirrored))

    def _window(self, number: int, part: int, shift: Shape) -> Floats:
        picture = self._padded[number][part]
        start = [(n - s) // 2 + d for n, s, d in zip(picture.shape, self._size, shift, strict=True)]
        z, y, x = (slice(a, a + int(s)) for a, s in zip(start, self._size, strict=True))
        return picture[z, y, x]

    def against(self, second: int) -> tuple[Floats, NDArray[np.intp]]:
        """Correlate all images before this one with it: best scores and where they are.

        An inverted image correlates negatively: what counts is the size.
        """
        windows = np.stack([self._window(second, *place).ravel() for place in self._places])
        products = np.abs(self._middles[: len(FLIPS) * second] @ unit(windows).T)
        by_pair = products.reshape(second, -1)  # mirroring outside, place inside
        best = by_pair.argmax(axis=1)
        return by_pair[np.arange(second), best], best

    def pose(self, first: int, second: int, place: int) -> Pose:
        """Return the pose of a place that `against` gave, in cells of the whole raster.

        A window starts at a whole cell: where a picture and the window differ by an odd
        number of cells, the window's middle is not the picture's. The second picture's
        middle lies one cell of the raster further.
        """
        flip, number = divmod(place, len(self._places))
        part, steps = self._places[number]
        shift = []
        for axis, step in enumerate(steps):
            shapes = self._shapes[first][0][axis], self._shapes[second][part][axis]
            off = [-((n - int(self._size[axis])) % 2) / 2 for n in shapes]
            shift.append(2.0 * (step + off[1] - FLIPS[flip][axis] * off[0]) + part)
        return Pose(flips=FLIPS[flip], shift=(shift[0], shift[1], shift[2]))


def _turned_likeness(cubes: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """Correlate all cubes (n, cells) in all 48 turns: best scores, and which turn it was."""
    n = len(cubes)
    volumes = cubes.reshape(n, CUBE, CUBE, CUBE)
    best = np.full((n, n), -1, dtype=np.float32)
    turn = np.zeros((n, n), dtype=np.int8)
    for number, (axes, flips) in enumerate(itertools.product(TURNS, FLIPS)):
        a, b, c = flips
        moved = volumes.transpose(0, *(axis + 1 for axis in axes))[:, ::a, ::b, ::c]
        scores = np.abs(moved.reshape(n, -1) @ cubes.T)  # (first, second)
        better = scores > best
        best[better], turn[better] = scores[better], number
    upper = np.triu(best, 1)
    return upper + upper.T, turn
