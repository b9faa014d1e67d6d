"""Size of every lesion against its IoU, over all cases, on bars of the recall by size.

Judged lesions with their cases and size bins enter; the lesion that is clicked leaves. Found ones
are discs, missed ones rings on the zero line, spurious ones triangles below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout

from napari_unet_mic.evaluation.lesion import Judged, Match, State
from napari_unet_mic.evaluation.lesion_figures import SizeBin
from napari_unet_mic.gui.late_plots import LatePlots, new_plot, paint_theme

COLOURS: dict[State, str] = {"found": "#009e73", "missed": "#d55e00", "spurious": "#9a9aa5"}
SYMBOLS: dict[State, str] = {"found": "o", "missed": "o", "spurious": "t1"}
BELOW = -0.22  # where spurious lesions lie
TOP = 1.3  # of the plot: the numbers stand above every mark
TIP = (
    "Every lesion of every case: its size against its IoU. Missed ones lie on the zero line, "
    "spurious ones below. The bars are the recall: how many lesions of a size were found. Click a "
    "mark to open its case there"
)


class LesionScatter(LatePlots):
    """The plot; `lesion_clicked` carries the case's name and the lesion."""

    lesion_clicked = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self._lesions: list[tuple[str, Judged]] = []
        self._bins: tuple[SizeBin, ...] = ()
        self._match: Match = "any"
        self.marks: Any = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.setToolTip(TIP)
        self.setMinimumHeight(90)

    def show_lesions(
        self, lesions: Sequence[tuple[str, Judged]], bins: Sequence[SizeBin], match: Match
    ) -> None:
        """Draw other lesions, and the recall of their sizes by a criterion."""
        self._lesions, self._bins, self._match = list(lesions), tuple(bins), match
        if self.ready:
            self._draw()

    def build_plots(self) -> None:
        """Make the one plot."""
        plot = new_plot()
        plot.setMinimumSize(100, 90)
        self._plots["sizes"] = plot
        paint_theme(plot, *self._theme)
        plot.setLogMode(x=False)
        plot.getAxis("bottom").setHeight(32)
        plot.setLabel("bottom", "size of a lesion, ml")
        left = plot.getAxis("left")
        left.setWidth(64)
        left.setTicks([[(0, "0"), (0.5, "0.5"), (1, "IoU 1"), (BELOW, "spurious")]])
        plot.setYRange(BELOW - 0.14, TOP, padding=0)  # room for the name of that line
        plot.setMouseEnabled(y=False)
        self._layout.addWidget(plot)
        self._draw()

    def set_theme(self, text: str, background: str) -> None:
        """Take over the theme's colours; the numbers over the bars are drawn anew."""
        super().set_theme(text, background)
        if self.ready:
            self._draw()

    def _draw(self) -> None:
        plot = self._plots["sizes"]
        plot.clear()
        self.marks = None
        if not self._lesions:
            return
        logs = np.array([math.log10(one.lesion.ml) for _, one in self._lesions])
        low, high = float(logs.min()) - 0.15, float(logs.max()) + 0.15
        self._draw_bars(plot, low, high)
        self._draw_marks(plot, logs)
        plot.setXRange(low, high, padding=0)
        decades = range(math.floor(low), math.ceil(high) + 1)
        steps = (1, 2, 5) if high - low < 2.5 else (1,)
        ticks = [(math.log10(s * 10.0**d), f"{s * 10.0**d:g}") for d in decades for s in steps]
        plot.getAxis("bottom").setTicks([ticks])

    def _draw_bars(self, plot: Any, low: float, high: float) -> None:
        """Draw the recall of each size bin behind the marks, with how many were found."""
        import pyqtgraph

        fill = pyqtgraph.mkColor(COLOURS["found"])
        fill.setAlpha(60)
        for one in self._bins:
            recall = one.recall(self._match)
            if recall is None:
                continue
            left = max(low, math.log10(one.low_ml)) if one.low_ml else low
            right = high if one.high_ml is None else min(high, math.log10(one.high_ml))
            wide = max(right - left - 0.02, 0.02)
            middle = (left + right) / 2
            bar = pyqtgraph.BarGraphItem(
                x=[middle], height=[recall], width=wide, brush=fill, pen=pyqtgraph.mkPen(fill)
            )
            words = pyqtgraph.TextItem(
                f"{one.found[self._match]}/{one.lesions}", color=self._theme[0], anchor=(0.5, 0.1)
            )
            words.setPos(middle, TOP)
            plot.addItem(bar)
            plot.addItem(words)

    def _draw_marks(self, plot: Any, logs: Any) -> None:
        import pyqtgraph

        marks = pyqtgraph.ScatterPlotItem(
            hoverable=True,
            hoverSize=12,
            tip=lambda x, y, data: _words(*self._lesions[data]),
        )
        brushes, pens = {}, {}  # one for all marks of a state: thousands of them take their time
        for state, colour in COLOURS.items():
            brushes[state] = pyqtgraph.mkBrush(None if state == "missed" else colour)
            pens[state] = pyqtgraph.mkPen(colour, width=2)
        judged = [one for _, one in self._lesions]
        marks.addPoints(
            x=logs,
            y=[BELOW if one.state == "spurious" else one.lesion.iou for one in judged],
            data=np.arange(len(judged)),
            size=[11 if one.state == "missed" else 8 for one in judged],
            symbol=[SYMBOLS[one.state] for one in judged],
            brush=[brushes[one.state] for one in judged],
            pen=[pens[one.state] for one in judged],
        )
        marks.sigClicked.connect(self._on_clicked)
        self.marks = marks
        plot.addItem(marks)

    def _on_clicked(self, _: Any, points: Sequence[Any], *__: Any) -> None:
        if len(points):
            case, one = self._lesions[points[0].data()]
            self.lesion_clicked.emit(case, one.lesion)


def _words(case: str, one: Judged) -> str:
    return f"{case}: {one.lesion.ml:.3g} ml, {one.state}, IoU {one.lesion.iou:.2f}"
