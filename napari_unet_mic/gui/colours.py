"""One colour per class and per (true, predicted) pair, the same in every view.

The first seven class colours are Okabe and Ito's, chosen for the colour-blind; the further
ones were chosen by `colour_vision.farthest` to lie far from all before them for normal and
colour-blind eyes, and ordered so that neighbouring classes differ most. Colours are RGBA in
0…1; class 0, the background, is transparent in layers and grey in tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from napari_unet_mic.gui.colour_vision import farthest

RGBA = tuple[float, float, float, float]

CLEAR: RGBA = (0.0, 0.0, 0.0, 0.0)
BACKGROUND: RGBA = (0.55, 0.55, 0.55, 1.0)
UNKNOWN: RGBA = (1.0, 1.0, 1.0, 1.0)
MOST_APART = 5  # up to so many classes every pair looks different from every other
_FEW = 48  # up to so many classes pairs take no class's colour
_CHOSEN = bytes.fromhex(
    "E69F00 56B4E9 009E73 F0E442 0072B2 D55E00 CC79A7 95FFD4 AA5540 6A80FF "
    "EAEAAA BFEAFF D40095 AA9555 EAAABF 6A55FF BF4000 AABF80 55D4FF AA5580 "
    "408055 AAFF80 EA80D4 EA6A80 BF2AD4 00EAD4 EA1555 6AAA95 8080BF 95D4AA "
    "D4802A 9595FF 008095 6AD455 BF6A6A 559595 D4D480 D4402A 55BF95 BFD400 "
    "BF40AA 009555 40AABF AA6A80 AAAA55 EA2A95 95D4EA FF8095 BF6AD4 6AFFEA "
    "80BF2A 6A6AFF BF406A FFD4BF 2A6AD4 D46A40 80BFAA AAD495 956A2A FF55AA "
    "95EAEA 80AA6A BF15AA 55D4BF FFAA55 BF556A AABFEA 00FFBF 55AA80 FFBFD4 "
    "AAAAFF 6ABF6A 95BFD4 806A15 EAD46A 6A95BF D495EA AA6A40 FF95D4 AAEA95 "
    "FFAAFF D40080 40D46A 4095EA EA95AA EAD4AA AA15EA BF806A EAEA6A FF15EA "
    "AA6AAA EA6AD4 95FF95 EA1540 5580EA EABFAA 00802A AA55BF BFAA80 2AAA55 "
    "FF80BF FF9540 0080BF FF2A80 40FF40 D49500 6A95AA AA40EA D4BF2A EA8080 "
    "FF5515 408080 FF6ABF BF9540 55EA80 FF6A95 80802A AA802A 809540 0095D4 "
    "95EAAA 806A40 AA6AFF 959515 D46A95 EAAA80 D4152A AA80FF FFEA95 D40055 "
    "2AAAD4 80EA55 BF5555 8055D4 BFBF6A 2A9580 958055 FFD415 FF2ABF AA80EA "
    "6ABF40 FF4095 80EABF EA0015 956AD4 FFEA55 D42A95 EA6AAA FFBF40 8055BF "
)


def class_colour(value: int) -> RGBA:
    """Return the colour of a class value (0: the background's grey)."""
    if value == 0:
        return BACKGROUND
    return _nth(value - 1)


def pair_colour(true_class: int, predicted_class: int, n_classes: int) -> RGBA:
    """Return the colour of voxels of one class that were taken for another.

    Correct voxels have their class's colour. Up to `MOST_APART` classes all pairs look
    different from each other and from the classes. With more classes there are not so many
    colours that look different: then those of one row or one column of the table do, and a
    pair and its reverse; all others differ in brightness at least.
    """
    if true_class == predicted_class:
        return class_colour(true_class)
    if n_classes <= MOST_APART:
        rank = true_class * (n_classes - 1) + predicted_class - (predicted_class > true_class)
        return _pairs(n_classes)[rank]
    n_colours = _prime_above(n_classes + 2)
    base = _nth(
        (n_classes - 1 if n_classes <= _FEW else 0) + (2 * true_class + predicted_class) % n_colours
    )
    shade = 1.0 - 0.05 * true_class / n_classes
    return base[0] * shade, base[1] * shade, base[2] * shade, 1.0


def layer_colours(values: Iterable[int]) -> dict[int | None, RGBA]:
    """Return the colour dictionary of a labels layer for these class values."""
    colours: dict[int | None, RGBA] = {None: UNKNOWN, 0: CLEAR}
    colours.update({value: class_colour(value) for value in values if value != 0})
    return colours


def hexadecimal(colour: RGBA) -> str:
    """Return ``#rrggbb`` of a colour."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


@cache
def _pairs(n_classes: int) -> tuple[RGBA, ...]:
    """Return the colours of the off-diagonal cells, row by row, far from the classes' too."""
    classes = [class_colour(value)[:3] for value in range(1, n_classes)]
    chosen = farthest(classes, n_classes * (n_classes - 1))
    return tuple((float(red), float(green), float(blue), 1.0) for red, green, blue in chosen)


def _prime_above(least: int) -> int:
    """Return a prime that is not below: sums of rows and columns then meet no two alike."""
    while any(least % divisor == 0 for divisor in range(2, int(least**0.5) + 1)):
        least += 1
    return least


def _nth(index: int) -> RGBA:
    """Return colour `index` of the endless list: chosen ones first, then a spiral of hues."""
    if 3 * index < len(_CHOSEN):
        red, green, blue = _CHOSEN[3 * index : 3 * index + 3]
        return red / 255, green / 255, blue / 255, 1.0
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
