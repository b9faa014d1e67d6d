"""Live curves of runs, drawn with pyqtgraph: loss, IoU, Dice, learning rate, speed, memory.

A `Snapshot` comes in for every run shown; the first is drawn in full, the others, for
comparison, thin and dashed. The plots are built when the widget is first seen, so that
opening the panel costs nothing; hidden plots are not drawn. Long curves are reduced to the
peaks that the width can show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from napari_unet_mic.gui.controls import later
from napari_unet_mic.gui.curves import (
    QUANTITIES,
    TRAIN_COLOUR,
    USUAL,
    VALIDATION_COLOUR,
    Line,
    legend_html,
    line_colour,
    lines_of,
    runs_legend,
)
from napari_unet_mic.gui.forms import explained, guard_wheel, short_combo
from napari_unet_mic.gui.history import Snapshot
from napari_unet_mic.gui.late_plots import LatePlots, new_plot, paint_theme

__all__ = [
    "TRAIN_COLOUR",
    "VALIDATION_COLOUR",
    "LiveCurves",
]

SMOOTHINGS = (("as measured", 1), ("mean of 5", 5), ("mean of 21", 21), ("mean of 51", 51))
STYLES = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
COLUMNS = 2
PLOT_HEIGHT = 110


class LiveCurves(LatePlots):
    """The curves of one run, and of others for comparison.

    Parameters
    ----------
    colour_of
        Class value -> colour ("#rrggbb"), the one the class has in the viewer.

    Signals
    -------
    save_requested ()
        The curves shall be written to a file.
    """

    save_requested = Signal()

    def __init__(
        self, colour_of: Callable[[int], str] = line_colour, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._colour_of = colour_of
        self._names: list[str] = []
        self._shots: list[Snapshot] = []
        self._items: dict[str, list[Any]] = {name: [] for name in QUANTITIES}
        self._legends = {name: QLabel() for name in QUANTITIES}
        self._runs = QLabel()
        self._make_controls()
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setVerticalSpacing(2)
        self._layout.addLayout(self._controls_line(), 0, 0, 1, COLUMNS)
        self._layout.addWidget(self._runs, 1, 0, 1, COLUMNS)
        for number, (name, label) in enumerate(self._legends.items()):
            row, column = _cell(number)
            self._layout.addWidget(label, row, column)
            self._layout.setColumnStretch(column, 1)
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setMinimumWidth(1)
            label.setWordWrap(True)
            label.setToolTip(QUANTITIES[name].explanation)
            label.setText(legend_html(QUANTITIES[name].title, []))
        self._runs.setTextFormat(Qt.TextFormat.RichText)
        self._runs.setWordWrap(True)
        self._runs.hide()
        self._runs.setToolTip("Which stroke is which run's; colours mean the same in all of them")
        self._show_wanted()

    def _make_controls(self) -> None:
        self.choice = explained(
            short_combo(QComboBox(), 8),
            "Which curves to show: loss and IoU, or also Dice, learning rate, speed and memory",
        )
        self.choice.addItem("loss and IoU", USUAL)
        self.choice.addItem("all curves", tuple(QUANTITIES))
        self.choice.currentIndexChanged.connect(self._show_wanted)
        self.smoothing = explained(
            short_combo(QComboBox(), 7),
            "Draw the mean over neighbouring epochs; what was measured stays behind it, faint",
        )
        for words, n in SMOOTHINGS:
            self.smoothing.addItem(words, n)
        self.smoothing.currentIndexChanged.connect(self._draw)
        self._log = explained(
            QCheckBox("log"),
            "Show the loss on a logarithmic axis (points at or below zero are left out)",
        )
        self._log.toggled.connect(self._on_log_toggled)
        self.save = explained(
            QPushButton("Save…"),
            "Write the curves of the runs shown as a picture (PNG, SVG) for a paper, or as "
            "numbers (CSV)",
        )
        self.save.setEnabled(False)
        self.save.clicked.connect(self.save_requested)
        guard_wheel(self.choice, self.smoothing)

    def _controls_line(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(4)
        for control in (self.choice, self.smoothing, self._log):
            line.addWidget(control)
        line.addStretch(1)
        line.addWidget(self.save)
        return line

    @property
    def log(self) -> bool:
        """Whether the loss is shown on a logarithmic axis."""
        return bool(self._log.isChecked())

    @property
    def smooth(self) -> int:
        """Over how many epochs the curves are averaged."""
        return int(self.smoothing.currentData())

    def show_runs(self, runs: Sequence[tuple[str, Snapshot]]) -> None:
        """Draw these runs, each with its name; the first in full, the others thin and dashed."""
        names, shots = [name for name, _ in runs], [shot for _, shot in runs]
        same = names == self._names and all(map(_is, shots, self._shots))
        self._names, self._shots = names, shots
        self.save.setEnabled(bool(shots))
        if not same:
            self._draw()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw what came while nobody looked."""
        super().showEvent(event)
        if self.ready:
            later(self, self._draw)

    def build_plots(self) -> None:
        """Build those that are wanted."""
        self._build([name for name in QUANTITIES if name in self.choice.currentData()])

    def _build(self, names: Sequence[str]) -> None:
        """Build one plot a turn of the event loop: each takes some twenty milliseconds."""
        missing = [name for name in names if name not in self._plots]
        if missing:
            name, *rest = missing
            self._add_plot(name)
            later(self, lambda: self._build(rest))
            return
        self._show_wanted()
        self._on_log_toggled(self.log)

    def _add_plot(self, name: str) -> None:
        quantity = QUANTITIES[name]
        plot = new_plot()
        plot.setToolTip(quantity.explanation)
        paint_theme(plot, *self._theme)
        if quantity.y_range is not None:
            plot.setYRange(*quantity.y_range, padding=0.03)
        if name == "rate":
            plot.getAxis("left").setWidth(54)
        if self._plots:
            plot.setXLink(next(iter(self._plots.values())))
        row, column = _cell(list(QUANTITIES).index(name))
        self._plots[name] = plot
        self._layout.addWidget(plot, row + 1, column)

    def _show_wanted(self) -> None:
        wanted = self.choice.currentData()
        for number, (name, label) in enumerate(self._legends.items()):
            label.setVisible(name in wanted)
            self._layout.setRowStretch(_cell(number)[0] + 1, int(name in wanted))
            if name in self._plots:
                self._plots[name].setVisible(name in wanted)
        rows = -(-len(wanted) // COLUMNS)
        self.setMinimumHeight(30 + rows * (PLOT_HEIGHT + 24))
        missing = [name for name in wanted if name not in self._plots]
        if self.ready and missing:
            self._build(missing)
        else:
            self._draw()

    def _on_log_toggled(self, on: bool) -> None:
        if "loss" in self._plots:
            self._plots["loss"].setLogMode(y=on)
            self._draw()

    # ---- drawing -----------------------------------------------------------------------
    def _draw(self) -> None:
        if not self.ready or not self.isVisible():
            return
        self._runs.setText(runs_legend(self._names))
        self._runs.setVisible(len(self._names) > 1)
        lines: dict[str, list[Line]] = {name: [] for name in QUANTITIES}
        for number, shot in enumerate(self._shots):
            for line in lines_of(shot, self._colour_of, run=number, smooth=self.smooth):
                lines[line.quantity].append(line)
        for name, plot in self._plots.items():
            if name in self.choice.currentData():
                self._draw_plot(name, plot, lines[name])

    def _draw_plot(self, name: str, plot: Any, lines: Sequence[Line]) -> None:
        self._legends[name].setText(legend_html(QUANTITIES[name].title, lines))
        items = self._items[name]
        while len(items) < len(lines):
            items.append(_new_item(plot))
        for item, line in zip(items, lines, strict=False):
            _set_line(item, line, log=name == "loss" and self.log)
        for item in items[len(lines) :]:
            item.setData([], [])


def _is(one: object, other: object) -> bool:
    return one is other


def _cell(number: int) -> tuple[int, int]:
    """Return row and column of a plot's legend in the grid; the plot is below it."""
    return 2 + 2 * (number // COLUMNS), number % COLUMNS


def _new_item(plot: Any) -> Any:
    item = plot.plot([], [])
    item.setDownsampling(auto=True, method="peak")
    item.setClipToView(True)
    return item


def _set_line(item: Any, line: Line, *, log: bool) -> None:
    """Give a plot's item the points and the look of a line, in one go."""
    import pyqtgraph

    x, y = line.curve
    if log:
        positive = y > 0
        x, y = x[positive], y[positive]
    colour = pyqtgraph.mkColor(line.colour)
    if line.faint or line.run:
        colour.setAlpha(90 if line.faint else 190)
    style = STYLES[min(line.run, len(STYLES) - 1)]
    alone = len(x) == 1 and not line.faint
    item.setData(
        np.asarray(x),
        np.asarray(y),
        pen=pyqtgraph.mkPen(colour, width=1 if line.faint or line.run else 2, style=style),
        symbol="o" if alone else None,
        symbolSize=5,
        symbolBrush=colour,
        symbolPen=None,
    )
