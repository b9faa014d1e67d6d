"""How far colours look apart to normal and to colour-blind eyes, and colours that look far apart.

Colours are (n, 3) sRGB in 0…1. Eyes: normal, protanopic, deuteranopic and tritanopic
(Machado, Oliveira and Fernandes 2009, severity 1). Distances are CIEDE2000 (Sharma, Wu and
Dalal 2005): about 1 can just be seen side by side, 10 is seen at a glance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EYES = {
    "normal": np.eye(3),
    "protanopic": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopic": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopic": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# the colour-blind keep part of the weight, or lightness alone would decide
WEIGHTS = np.array([1.0, 1.3, 1.3, 1.6])
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.9505, 1.0, 1.089])
_STEPS = 13  # candidates: so many values of red, green and blue
_LIGHTNESS = (45.0, 93.0)  # darker or lighter ones drown in the image
_SPREAD = 0.2  # least difference between red, green and blue: greys drown in the image too


def seen(rgb: npt.ArrayLike) -> Floats:
    """Return (n, 4, 3) CIELAB of (n, 3) colours as the four `EYES` see them."""
    colours = np.asarray(rgb, dtype=np.float64)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.stack([_lab(np.clip(linear @ eye.T, 0.0, 1.0)) for eye in EYES.values()], axis=1)


def _lab(linear: Floats) -> Floats:
    xyz = linear @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    red_green, yellow_blue = 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])
    return np.stack([116 * f[:, 1] - 16, red_green, yellow_blue], axis=1)


def ciede2000(first: Floats, second: Floats) -> Floats:
    """Return the CIEDE2000 difference of CIELAB colours (..., 3); shapes broadcast."""
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(np.asarray(one), -1, 0) for one in (first, second))
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = np.where(c1 * c2 == 0, 0.0, (h2 - h1 + 180) % 360 - 180)
    hue = np.where(c1 * c2 == 0, h1 + h2, h1 + turn / 2) % 360
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    dl = (l2 - l1) / (1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2) / (1 + 0.015 * chroma * t)
    blue = 30 * np.exp(-(((hue - 275) / 25) ** 2))
    twist = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(2 * blue))
    return np.asarray(np.sqrt(dl**2 + dc**2 + dh**2 + twist * dc * dh))


def farthest(start: npt.ArrayLike, n: int) -> Floats:
    """Return `n` colours, each chosen to look as far as possible from `start` and all before.

    The distance of two colours is the smallest over the eyes, weighed by `WEIGHTS`.
    """
    values = np.linspace(0.0, 1.0, _STEPS)
    grid = np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = seen(grid)[:, 0, 0]
    bright = (lightness > _LIGHTNESS[0]) & (lightness < _LIGHTNESS[1])
    grid = grid[bright & (np.ptp(grid, axis=1) > _SPREAD)]
    candidates = seen(grid)
    apart = np.full(len(grid), np.inf)
    for colour in seen(start):
        apart = np.minimum(apart, _apart(candidates, colour))
    chosen = []
    for _ in range(n):
        best = int(np.argmax(apart))
        chosen.append(grid[best])
        apart = np.minimum(apart, _apart(candidates, candidates[best]))
    return np.array(chosen).reshape(-1, 3)


def _apart(colours: Floats, one: Floats) -> Floats:
    return np.asarray((ciede2000(colours, one) * WEIGHTS).min(axis=1))
