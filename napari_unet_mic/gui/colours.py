"""One colour per class and per (true, predicted) pair, the same in every view.

The first seven class colours are Okabe and Ito's, chosen for the colour-blind. Further ones
are picked one by one so that each lies as far as possible from all before it, for normal,
protanopic and deuteranopic eyes alike (farthest-point choice in CIELAB). Colours are RGBA
in 0…1; class 0, the background, is transparent in layers and grey in tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

RGBA = tuple[float, float, float, float]

CLEAR: RGBA = (0.0, 0.0, 0.0, 0.0)
BACKGROUND: RGBA = (0.55, 0.55, 0.55, 1.0)
UNKNOWN: RGBA = (1.0, 1.0, 1.0, 1.0)
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")

# Linear RGB seen by a protanope and a deuteranope (Viénot, Brettel and Mollon 1999)
_PROTAN = np.array([[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.0040, -0.0040, 1.0]])
_DEUTAN = np.array([[0.2927, 0.7073, 0.0], [0.2927, 0.7073, 0.0], [-0.0223, 0.0223, 1.0]])
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_MOST_CHOSEN = 150


def class_colour(value: int) -> RGBA:
    """Return the colour of a class value (0: the background's grey)."""
    if value == 0:
        return BACKGROUND
    return _nth(value - 1)


def pair_colour(true_class: int, predicted_class: int, n_classes: int) -> RGBA:
    """Return the colour of voxels of one class that were taken for another.

    Distinct for every off-diagonal cell of a K x K table, and (up to 11 classes) from the
    class colours too; correct voxels have their class's colour.
    """
    if true_class == predicted_class:
        return class_colour(true_class)
    rank = true_class * (n_classes - 1) + predicted_class - (predicted_class > true_class)
    return _nth(n_classes + rank)


def layer_colours(values: Iterable[int]) -> dict[int | None, RGBA]:
    """Return the colour dictionary of a labels layer for these class values."""
    colours: dict[int | None, RGBA] = {None: UNKNOWN, 0: CLEAR}
    colours.update({value: class_colour(value) for value in values if value != 0})
    return colours


def hexadecimal(colour: RGBA) -> str:
    """Return ``#rrggbb`` of a colour."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def _nth(index: int) -> RGBA:
    """Return colour `index` of the endless list: chosen ones first, then a spiral of hues."""
    if index < len(OKABE_ITO):
        text = OKABE_ITO[index]
        red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return red, green, blue, 1.0
    if index < _MOST_CHOSEN:
        red, green, blue = _chosen()[index]
        return float(red), float(green), float(blue), 1.0
    turn = index * 0.618033988749895
    lightness = 0.45 + 0.5 * ((index * 0.7548776662466927) % 1.0)
    saturation = 0.45 + 0.5 * ((index * 0.5698402909980532) % 1.0)
    return _from_hsv(turn % 1.0, saturation, lightness)


def _from_hsv(hue: float, saturation: float, value: float) -> RGBA:
    sextant, part = divmod(6 * hue, 1.0)
    low = value * (1 - saturation)
    falling, rising = value * (1 - saturation * part), value * (1 - saturation * (1 - part))
    red, green, blue = {
        0: (value, rising, low),
        1: (falling, value, low),
        2: (low, value, rising),
        3: (low, falling, value),
        4: (rising, low, value),
    }.get(int(sextant), (value, low, falling))
    return red, green, blue, 1.0


@cache
def _chosen() -> npt.NDArray[np.float64]:
    """Return the first colours of the list, (n, 3) RGB, farthest from each other in turn."""
    start = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in OKABE_ITO])
    steps = np.linspace(0.0, 1.0, 13)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = _seen(grid)[:, 0]
    grid = grid[(lightness > 38) & (lightness < 92) & (np.ptp(grid, axis=1) > 0.2)]
    candidates = _seen(grid)
    far = np.min([_distance(candidates, one) for one in _seen(start)], axis=0)
    chosen = list(start)
    while len(chosen) < _MOST_CHOSEN:
        best = int(np.argmax(far))
        chosen.append(grid[best])
        far = np.minimum(far, _distance(candidates, candidates[best]))
    return np.array(chosen)


def _distance(
    colours: npt.NDArray[np.float64], one: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Smallest CIELAB distance over the three kinds of eyes; `colours` is (n, 9)."""
    difference = (colours - one).reshape(-1, 3, 3)
    distance = np.linalg.norm(difference, axis=2)
    # the colour-blind keep a third of the weight, or lightness alone would decide
    return np.asarray(np.minimum(distance[:, 0], 1.5 * distance[:, 1:].min(axis=1)))


def _seen(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """CIELAB as seen by normal, protanopic and deuteranopic eyes, (n, 9)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.concatenate(
        [_lab(linear), _lab(linear @ _PROTAN.T), _lab(linear @ _DEUTAN.T)], axis=1
    )


def _lab(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    xyz = np.clip(linear, 0, 1) @ _TO_XYZ.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )
