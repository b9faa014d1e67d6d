"""Live curves of runs: loss (train, validation) and IoU per class, drawn with pyqtgraph.

A `Snapshot` comes in for every run shown; the first is drawn in full, the others, for
comparison, thin and dashed. pyqtgraph is imported in a thread when the widget is made and
the plots are built when the widget is first seen, so that opening the panel costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from napari_unet_mic.gui.colours import class_colour, hexadecimal
from napari_unet_mic.gui.history import Curve, Snapshot
from napari_unet_mic.gui.late_plots import LatePlots, new_plot, paint_theme

TRAIN_COLOUR, VALIDATION_COLOUR = "#56b4e9", "#e69f00"
"""Okabe and Ito's sky blue and orange: told apart by the colour-blind, seen on both themes."""


@dataclass(frozen=True)
class Line:
    """One curve to draw: which plot (loss or iou), its name in the legend, colour and points."""

    plot: str
    name: str
    colour: str
    curve: Curve
    faint: bool = False


def line_colour(value: int) -> str:
    """Return the colour that a class has in every view, as ``#rrggbb``."""
    return hexadecimal(class_colour(value))


def lines_of(
    shot: Snapshot, colour_of: Callable[[int], str], *, other_run: bool = False
) -> list[Line]:
    """Return the curves of one run; a run shown for comparison has no iteration curve."""
    lines = []
    if not other_run and len(shot.iteration_loss[0]):
        lines.append(Line("loss", "", TRAIN_COLOUR, shot.iteration_loss, faint=True))
    lines.append(Line("loss", "train", TRAIN_COLOUR, shot.train_loss))
    lines.append(Line("loss", "validation", VALIDATION_COLOUR, shot.validation_loss))
    for value, curve in shot.iou.items():
        name = shot.classes.get(value, str(value))
        lines.append(Line("iou", name, colour_of(value), curve))
    return lines


def legend_html(title: str, lines: Sequence[Line]) -> str:
    """Return the legend of a plot: its title, then a coloured stroke and name per curve."""
    names = {line.name: line.colour for line in lines if line.name}
    strokes = [f'<span style="color:{c}">━</span>&nbsp;{n}' for n, c in names.items()]
    return f"<b>{title}</b> &nbsp; " + " &nbsp; ".join(strokes)


class LiveCurves(LatePlots):
    """Loss and IoU of one run, and of others for comparison.

    Parameters
    ----------
    colour_of
        Class value -> colour ("#rrggbb"), the one the class has in the viewer.
    """

    def __init__(
        self, colour_of: Callable[[int], str] = line_colour, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._colour_of = colour_of
        self._shots: list[Snapshot] = []
        self._items: dict[str, list[Any]] = {"loss": [], "iou": []}
        self._legends = {"loss": QLabel(), "iou": QLabel()}
        self._log = QCheckBox("log")
        self._log.setToolTip(
            "Show the loss on a logarithmic axis (points at or below zero are left out)"
        )
        self._log.toggled.connect(self._on_log_toggled)
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setVerticalSpacing(2)
        self._layout.addWidget(self._legends["loss"], 0, 0)
        self._layout.addWidget(self._log, 0, 1)
        self._layout.addWidget(self._legends["iou"], 0, 2)
        self._layout.setColumnStretch(0, 1)
        self._layout.setColumnStretch(2, 1)
        self._layout.setRowStretch(1, 1)
        self.setMinimumHeight(150)
        for name, label in self._legends.items():
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setMinimumWidth(1)
            label.setWordWrap(True)
            label.setText(legend_html(_TITLES[name], []))

    def show_runs(self, shots: Sequence[Snapshot]) -> None:
        """Draw these runs; the first in full, the others thin and dashed."""
        self._shots = list(shots)
        if self.ready:
            self._draw()

    def build_plots(self) -> None:
        """Place loss and IoU beside each other."""
        for column, (name, tip) in enumerate(_TOOLTIPS.items()):
            plot = new_plot()
            plot.setToolTip(tip)
            paint_theme(plot, *self._theme)
            self._plots[name] = plot
            self._layout.addWidget(plot, 1, 2 * column, 1, 2 - column)
        self._plots["iou"].setYRange(0, 1, padding=0.03)
        self._plots["iou"].setXLink(self._plots["loss"])
        self._on_log_toggled(self._log.isChecked())

    def _on_log_toggled(self, on: bool) -> None:
        if self.ready:
            self._plots["loss"].setLogMode(y=on)
            self._draw()

    def _draw(self) -> None:
        lines: dict[str, list[tuple[Line, bool]]] = {"loss": [], "iou": []}
        for number, shot in enumerate(self._shots):
            for line in lines_of(shot, self._colour_of, other_run=number > 0):
                lines[line.plot].append((line, number > 0))
        for name, plot in self._plots.items():
            self._legends[name].setText(
                legend_html(_TITLES[name], [line for line, other in lines[name] if not other])
            )
            items = self._items[name]
            while len(items) < len(lines[name]):
                items.append(_new_item(plot))
            for item, (line, other) in zip(items, lines[name], strict=False):
                _set_line(item, line, other=other, log=name == "loss" and self._log.isChecked())
            for item in items[len(lines[name]) :]:
                item.setData([], [])


_TITLES = {"loss": "Loss", "iou": "IoU"}
_TOOLTIPS = {
    "loss": "Loss per epoch: how far the network is from the references, on training patches and "
    "on validation patches it never learns from. Drag to move, Ctrl + wheel to zoom, A to fit",
    "iou": "IoU per class and epoch on the validation patches: voxels that network and "
    "reference share, divided by those that either has (1 is perfect)",
}


def _new_item(plot: Any) -> Any:
    item = plot.plot([], [])
    item.setDownsampling(auto=True, method="peak")
    item.setClipToView(True)
    return item


def _set_line(item: Any, line: Line, *, other: bool, log: bool) -> None:
    import pyqtgraph

    x, y = line.curve
    if log:
        positive = y > 0
        x, y = x[positive], y[positive]
    colour = pyqtgraph.mkColor(line.colour)
    if line.faint or other:
        colour.setAlpha(90 if line.faint else 150)
    style = Qt.PenStyle.DashLine if other else Qt.PenStyle.SolidLine
    item.setPen(pyqtgraph.mkPen(colour, width=1 if line.faint or other else 2, style=style))
    alone = len(x) == 1 and not line.faint
    item.setSymbol("o" if alone else None)
    item.setSymbolSize(5)
    item.setSymbolBrush(colour)
    item.setSymbolPen(None)
    item.setData(np.asarray(x), np.asarray(y))
