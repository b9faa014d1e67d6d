"""The curves of runs, chosen, named and coloured: snapshots in, lines to draw out. No Qt.

A *quantity* is what one plot shows: loss, IoU, Dice, learning rate, seconds per iteration,
memory. A line is smoothed on request; the curve as it was measured then stays behind it,
faint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np

from napari_unet_mic.gui.colours import class_colour, hexadecimal
from napari_unet_mic.gui.history import Curve, Snapshot

TRAIN_COLOUR, VALIDATION_COLOUR = "#56b4e9", "#e69f00"
"""Okabe and Ito's sky blue and orange: told apart by the colour-blind, seen on both themes."""
PLAIN_COLOUR, SECOND_COLOUR = "#009e73", "#cc79a7"
DASHES = ("━", "╌", "┈", "┅")
"""The strokes of the first run and of those overlaid, as the legend shows them."""


@dataclass(frozen=True)
class Quantity:
    """What one plot shows: its title with unit, what to say about it, its y range if fixed."""

    title: str
    explanation: str
    y_range: tuple[float, float] | None = None


QUANTITIES = {
    "loss": Quantity(
        "Loss",
        "Loss per epoch: how far the network is from the references, on training patches and on "
        "validation patches it never learns from. Drag to move, Ctrl + wheel to zoom, A to fit",
    ),
    "iou": Quantity(
        "IoU",
        "IoU per class and epoch on the validation patches: voxels that network and reference "
        "share, divided by those that either has (1 is perfect)",
        (0.0, 1.0),
    ),
    "dice": Quantity(
        "Dice",
        "Dice per class and epoch on the validation patches: twice the voxels that network and "
        "reference share, divided by the sum of both (1 is perfect)",
        (0.0, 1.0),
    ),
    "rate": Quantity(
        "Learning rate",
        "How large the network's steps are in each epoch; nnU-Net's schedule lets it fall to zero",
    ),
    "seconds": Quantity(
        "Seconds per iteration",
        "How long one learning step takes, reading its batch included",
    ),
    "memory": Quantity(
        "Memory, GB",
        "The most memory taken so far, by the training process and on its graphics card",
    ),
}
USUAL = ("loss", "iou")


@dataclass(frozen=True, eq=False)
class Line:
    """One curve to draw: its quantity, its name in the legend, colour, points, and which run's.

    `run` counts from 0, the run that is shown in full; `faint` lines stand behind others.
    """

    quantity: str
    name: str
    colour: str
    curve: Curve
    run: int = 0
    faint: bool = False


def line_colour(value: int) -> str:
    """Return the colour that a class has in every view, as ``#rrggbb``."""
    return hexadecimal(class_colour(value))


def lines_of(
    shot: Snapshot, colour_of: Callable[[int], str] = line_colour, *, run: int = 0, smooth: int = 1
) -> list[Line]:
    """Return the curves of one run, in the order they are drawn.

    Parameters
    ----------
    colour_of
        Class value -> colour.
    run
        0 for the run shown in full; others have no iteration curve and nothing faint.
    smooth
        Draw means over so many neighbouring epochs, what was measured faint behind them.
    """
    lines: list[Line] = []
    if run == 0 and len(shot.iteration_loss[0]):
        lines.append(Line("loss", "", TRAIN_COLOUR, shot.iteration_loss, faint=True))
    measured = [
        Line("loss", "train", TRAIN_COLOUR, shot.train_loss, run),
        Line("loss", "validation", VALIDATION_COLOUR, shot.validation_loss, run),
    ]
    for quantity, curves in (("iou", shot.iou), ("dice", shot.dice)):
        for value, curve in curves.items():
            name = shot.classes.get(value, str(value))
            measured.append(Line(quantity, name, colour_of(value), curve, run))
    measured += [
        Line("rate", "learning rate", PLAIN_COLOUR, shot.learning_rate, run),
        Line("seconds", "seconds", PLAIN_COLOUR, shot.seconds_per_iteration, run),
        Line("memory", "process", PLAIN_COLOUR, shot.memory_gb, run),
    ]
    if len(shot.gpu_memory_gb[0]):
        measured.append(Line("memory", "graphics card", SECOND_COLOUR, shot.gpu_memory_gb, run))
    if smooth <= 1:
        return lines + measured
    if run == 0:
        lines += [replace(line, name="", faint=True) for line in measured]
    return lines + [replace(line, curve=smoothed(line.curve, smooth)) for line in measured]


def smoothed(curve: Curve, n: int) -> Curve:
    """Return the means over `n` neighbouring points, over fewer at both ends.

    Examples
    --------
    >>> smoothed((np.arange(4.0), np.array([0.0, 3.0, 6.0, 0.0])), 3)[1].tolist()
    [1.5, 3.0, 3.0, 3.0]
    """
    x, y = curve
    if n <= 1 or len(y) < 2:
        return curve
    half = n // 2
    sums = np.concatenate([[0.0], np.cumsum(y)])
    place = np.arange(len(y))
    first = np.maximum(place - half, 0)
    last = np.minimum(place + half + 1, len(y))
    return x, (sums[last] - sums[first]) / (last - first)


def legend_html(title: str, lines: Sequence[Line]) -> str:
    """Return the legend of a plot: its title, then a coloured stroke and name per curve."""
    names = {line.name: line.colour for line in lines if line.name and line.run == 0}
    alone = len(names) == 1 and title.lower().startswith(next(iter(names)))
    strokes = [
        f'<span style="color:{colour}">━</span>&nbsp;{escape(name)}'
        for name, colour in names.items()
        if not alone
    ]
    return " &nbsp; ".join([f"<b>{title}</b>", *strokes])


def runs_legend(names: Sequence[str]) -> str:
    """Return which stroke is which run's; "" when there is only one."""
    if len(names) < 2:
        return ""
    strokes = []
    for number, name in enumerate(names):
        strokes.append(f"{DASHES[min(number, len(DASHES) - 1)]}&nbsp;{escape(name)}")
    return " &nbsp; ".join(strokes)
