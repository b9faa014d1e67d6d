"""Curves of runs written to a file: a picture (PNG, SVG) for a paper, or numbers (CSV).

Names and snapshots of runs come in, one file goes out, whole or not at all.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from qtpy.QtCore import QRect, QSize
from qtpy.QtGui import QImage, QPainter

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.curves import lines_of
from napari_unet_mic.gui.curves_figure import HEIGHT, WIDTH, Figure, paint
from napari_unet_mic.gui.history import Curve, Snapshot

KINDS = "Picture (*.png);;Picture that scales (*.svg);;Numbers (*.csv)"
PIXELS_PER_POINT = 2.5
Runs = Sequence[tuple[str, Snapshot]]


def save_curves(runs: Runs, file: Path, *, log: bool = False, smooth: int = 1) -> Path:
    """Write the curves of runs into a .png, .svg or .csv file; returns the file.

    Parameters
    ----------
    runs
        Names and snapshots, the run to show in full first.
    log
        Draw the loss on a logarithmic axis.
    smooth
        Draw means over so many epochs over what was measured. Numbers are never smoothed.

    Raises
    ------
    BadInput
        Another kind of file, or one that cannot be written.
    """
    kind = file.suffix.lower()
    if kind not in (".png", ".svg", ".csv"):
        raise BadInput(
            file,
            expected="a name that ends in .png, .svg or .csv",
            got=kind or "no ending",
            advice="name the file so",
        )
    try:
        if kind == ".csv":
            write_whole(file, lambda path: _write_csv(path, runs))
        else:
            figure = figure_of(runs, log=log, smooth=smooth)
            write = _write_svg if kind == ".svg" else _write_png
            write_whole(file, lambda path: write(path, figure))
    except OSError as error:
        raise BadInput(
            file,
            expected="a place that can be written",
            got=(error.strerror or type(error).__name__).lower(),
            advice="choose another folder",
        ) from error
    return file


def figure_of(runs: Runs, *, log: bool = False, smooth: int = 1) -> Figure:
    """Return the figure of runs: loss of training and validation above, IoU per class below."""
    plots = []
    for quantity in ("loss", "iou"):
        lines = [
            line
            for number, (_, shot) in enumerate(runs)
            for line in lines_of(shot, run=number, smooth=smooth)
            if line.quantity == quantity
        ]
        plots.append((quantity, tuple(lines)))
    names = tuple(name for name, _ in runs)
    return Figure(", ".join(names), tuple(plots), names, log)


def _write_png(file: Path, figure: Figure) -> None:
    size = QSize(round(WIDTH * PIXELS_PER_POINT), round(HEIGHT * PIXELS_PER_POINT))
    image = QImage(size, QImage.Format.Format_RGB32)
    image.setDotsPerMeterX(round(PIXELS_PER_POINT * 96 / 0.0254))
    image.setDotsPerMeterY(round(PIXELS_PER_POINT * 96 / 0.0254))
    painter = QPainter(image)
    painter.scale(PIXELS_PER_POINT, PIXELS_PER_POINT)
    paint(painter, figure)
    painter.end()
    if not image.save(str(file), "PNG"):
        raise OSError(f"{file} was not written")


def _write_svg(file: Path, figure: Figure) -> None:
    from qtpy.QtSvg import QSvgGenerator

    generator = QSvgGenerator()
    generator.setFileName(str(file))
    generator.setSize(QSize(WIDTH, HEIGHT))
    generator.setViewBox(QRect(0, 0, WIDTH, HEIGHT))
    generator.setTitle(figure.title)
    generator.setDescription("Loss of training and validation, and IoU per class, over epochs")
    painter = QPainter()
    if not painter.begin(generator):
        raise OSError(f"{file} was not written")
    paint(painter, figure)
    painter.end()


def _write_csv(file: Path, runs: Runs) -> None:
    """Write one row an epoch of every run; an empty cell is a value that is not there."""
    classes: dict[int, str] = {}
    for _, shot in runs:
        classes |= shot.classes
    head = ["run", "epoch", "train loss", "validation loss"]
    head += [f"IoU {name}" for name in classes.values()]
    head += [f"Dice {name}" for name in classes.values()]
    head += ["learning rate", "seconds per iteration", "memory GB", "graphics card memory GB"]
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        for name, shot in runs:
            nothing: Curve = (np.empty(0), np.empty(0))
            columns = [shot.train_loss, shot.validation_loss]
            columns += [shot.iou.get(value, nothing) for value in classes]
            columns += [shot.dice.get(value, nothing) for value in classes]
            columns += [shot.learning_rate, shot.seconds_per_iteration]
            columns += [shot.memory_gb, shot.gpu_memory_gb]
            known = [dict(zip(x.tolist(), y.tolist(), strict=True)) for x, y in columns]
            for epoch in sorted({x for column in known for x in column}):
                cells = [f"{c[epoch]:.6g}" if epoch in c else "" for c in known]
                writer.writerow([name, f"{epoch:g}", *cells])
