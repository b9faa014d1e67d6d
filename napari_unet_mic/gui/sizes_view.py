"""Volumes of a class and sizes of its lesions, by split, as two plots.

What a check measured enters. Left: one dot a case, its volume; right: how many lesions there
are of which size. The plots are built when they are first seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QSizePolicy

from napari_unet_mic.gui.check_report import Sizes
from napari_unet_mic.gui.forms import explained, guard_wheel, short_combo
from napari_unet_mic.gui.late_plots import LatePlots, new_plot, paint_theme
from napari_unet_mic.gui.plots import TRAIN_COLOUR, VALIDATION_COLOUR

SPLIT_COLOURS = {"train": TRAIN_COLOUR, "test": VALIDATION_COLOUR}
BINS_PER_DECADE = 4
DECADES_WITH_STEPS = 2.5
NOTHING = "Not checked yet: Check measures every label"


class SizesView(LatePlots):
    """The two plots and the class they show; `case_asked` carries a case whose dot was clicked."""

    case_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._sizes: tuple[Sizes, ...] = ()
        self.choice = explained(short_combo(QComboBox(), 12), "The class whose sizes are shown")
        guard_wheel(self.choice)
        self.choice.currentIndexChanged.connect(self._draw)
        self.legend = QLabel(NOTHING)
        self.legend.setWordWrap(True)
        self.legend.setToolTip("The splits, and in how many of their cases the class is")
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 2, 0, 0)
        self._layout.addWidget(self.choice, 0, 0)
        self._layout.addWidget(self.legend, 1, 0, 1, 2)
        self._layout.setRowStretch(2, 1)
        self._layout.setRowStretch(3, 1)
        self._layout.setColumnStretch(1, 1)

    def show_sizes(self, sizes: Sequence[Sizes], classes: Mapping[int, str]) -> None:
        """Show other sizes; the class stays when it is still there."""
        self._sizes = tuple(sizes)
        chosen = self.choice.currentData()
        self.choice.blockSignals(True)
        self.choice.clear()
        for value in sorted({one.value for one in sizes}):
            self.choice.addItem(classes.get(value, str(value)), value)
        # the last class is the one with the small lesions more often than not
        place = self.choice.findData(chosen)
        self.choice.setCurrentIndex(place if place >= 0 else self.choice.count() - 1)
        self.choice.blockSignals(False)
        self._draw()

    def build_plots(self) -> None:
        """Place volumes above lesions."""
        for row, (name, tip) in enumerate(_TOOLTIPS.items()):
            plot = new_plot()
            plot.setToolTip(tip)
            paint_theme(plot, *self._theme)
            plot.setLogMode(x=True)
            plot.setMinimumSize(100, 70)
            plot.getAxis("bottom").setHeight(32)
            plot.setLabel("bottom", _UNITS[name])
            self._plots[name] = plot
            self._layout.addWidget(plot, row + 2, 0, 1, 2)
        self._plots["volumes"].getAxis("left").setWidth(40)
        self._plots["lesions"].getAxis("left").setWidth(40)
        self._plots["volumes"].getAxis("left").setTicks([[(1, "train"), (0, "test")]])
        self._plots["volumes"].setYRange(-0.6, 1.6, padding=0)
        self._plots["volumes"].setMouseEnabled(y=False)
        self._draw()

    def _draw(self) -> None:
        own = [one for one in self._sizes if one.value == self.choice.currentData()]
        self.legend.setText(self._words(own) if own else NOTHING)
        if not self.ready:
            return
        for plot in self._plots.values():
            plot.clear()
        for row, (split, colour) in enumerate(SPLIT_COLOURS.items()):
            there = [one for one in own if one.split == split and one.volume_ml > 0]
            self._draw_volumes(there, 1 - row, colour)
            self._draw_lesions([ml for one in there for ml in one.lesions_ml], colour)
        self._set_ticks("volumes", [one.volume_ml for one in own])
        self._set_ticks("lesions", [ml for one in own for ml in one.lesions_ml])

    def _set_ticks(self, name: str, volumes_ml: Sequence[float]) -> None:
        """Write 1, 2, 5 … where there is room for them, else powers of ten."""
        logs = np.log10([ml for ml in volumes_ml if ml > 0] or [1.0])
        steps = (1, 2, 5) if np.ptp(logs) < DECADES_WITH_STEPS else (1,)
        decades = range(int(np.floor(logs.min())) - 1, int(np.ceil(logs.max())) + 2)
        values = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [(float(np.log10(value)), f"{value:g}") for value in values]
        self._plots[name].getAxis("bottom").setTicks([ticks])

    def _draw_volumes(self, cases: Sequence[Sizes], row: int, colour: str) -> None:
        import pyqtgraph

        if not cases:
            return
        away = 0.28 * np.sin(1 + np.arange(len(cases)) * 2.4)  # spread, the same every time
        dots = pyqtgraph.ScatterPlotItem(
            x=np.log10([one.volume_ml for one in cases]),
            y=row + away,
            data=[one.case for one in cases],
            size=7,
            brush=pyqtgraph.mkBrush(colour),
            pen=None,
            hoverable=True,
            tip=lambda x, y, data: f"{data}: {10**x:.3g} ml",
        )
        dots.sigClicked.connect(lambda _, points, *__: self.case_asked.emit(points[0].data()))
        self._plots["volumes"].addItem(dots)

    def _draw_lesions(self, volumes_ml: Sequence[float], colour: str) -> None:
        import pyqtgraph

        if not volumes_ml:
            return
        logs = np.log10(volumes_ml)
        low, high = np.floor(logs.min()), np.ceil(logs.max() + 1e-9)
        edges = np.linspace(low, high, round((high - low) * BINS_PER_DECADE) + 1)
        counts, edges = np.histogram(logs, edges)
        fill = pyqtgraph.mkColor(colour)
        fill.setAlpha(90)
        curve = pyqtgraph.PlotDataItem(
            10**edges,
            counts,
            stepMode="center",
            fillLevel=0,
            brush=fill,
            pen=pyqtgraph.mkPen(colour, width=2),
        )
        self._plots["lesions"].addItem(curve)

    def _words(self, own: Sequence[Sizes]) -> str:
        strokes = []
        for split, colour in SPLIT_COLOURS.items():
            cases = [one for one in own if one.split == split]
            there = [one for one in cases if one.volume_ml > 0]
            n_lesions = sum(len(one.lesions_ml) for one in there)
            if cases:
                words = f"{split}: {len(there)} of {len(cases)} cases, {n_lesions} components"
                strokes.append((words, colour))
        return " &nbsp; ".join(
            f'<span style="color:{colour}">●</span>&nbsp;{words}' for words, colour in strokes
        )


_TOOLTIPS = {
    "volumes": "Volume of the class, one dot a case; click a dot to open its case",
    "lesions": "How many connected components (lesions) there are of each size; connected over "
    "faces, edges and corners",
}
_UNITS = {"volumes": "volume per case, ml", "lesions": "size of a lesion, ml"}
