"""The regions behind a cell of the table: shown, listed by size, walked with N and Shift+N."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.gui import inspector_tables as contents
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.colours import RGBA, pair_colour
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.comparison import name_of
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.later_figures import LaterFigures
from napari_unet_mic.gui.later_work import Found
from napari_unet_mic.gui.layer_events import slicing_axis
from napari_unet_mic.gui.tables import TableView

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Region
    from napari_unet_mic.gui.app import App

Cell = tuple[int | None, int | None]
NO_CELL = "Mistakes: click a cell of the table"
REDRAW_MS = 30


class MistakesView(QWidget):
    """Lights up the voxels of one cell and leads to their regions."""

    def __init__(self, app: App, comparer: Comparer, figures: LaterFigures) -> None:
        super().__init__()
        self._app = app
        self._comparer = comparer
        self._figures = figures
        self.cell: Cell | None = None
        self.regions: tuple[Region, ...] = ()
        self._here: Region | None = None
        self._next_row = 0
        self._go: bool = False  # go to the largest region once it is known
        self._fit = False
        self._redraw_timer = QTimer(self)
        self._redraw_timer.setSingleShot(True)
        self._redraw_timer.setInterval(REDRAW_MS)
        self._redraw_timer.timeout.connect(self._redraw)
        self._found = Found()
        self._colours: dict[int, RGBA] = {}
        self._build()
        figures.mistakes_found.connect(self._ask)
        app.in_thread(pair_colour, 0, 1, 11)  # the list of colours: the first click has it ready

    def _build(self) -> None:
        self.model = contents.region_model()
        self.table = TableView(self.model)
        self.table.cell_clicked.connect(lambda row, _: self.go_to_region(row))
        self.table.cell_double_clicked.connect(lambda row, _: self.go_to_region(row, fit=True))
        self.title = ElidedLabel(NO_CELL)
        self.boundary = explained(
            QCheckBox("boundary"),
            "List the rim too: wrong voxels beside a border of the reference, taken together",
        )
        self.inside = explained(
            QCheckBox("inside"),
            "List what lies deeper than the rim: missed and spurious lesions, swapped classes, "
            "holes and bulges",
        )
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        for box in (self.boundary, self.inside):
            box.setChecked(True)
            box.toggled.connect(lambda _: self._list())
            line.addWidget(box)
        for text, words, step in (
            ("◀", "The region before (Shift+N)", -1),
            ("next N ▶", "The next region, by size (N)", 1),
        ):
            button = explained(QPushButton(text), words)
            button.clicked.connect(lambda _=False, step=step: self.step(step))
            line.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.table, 1)

    # ---- which voxels ----------------------------------------------------------------
    def select(self, true_class: int | None, predicted_class: int | None) -> None:
        """Show the voxels of a cell, a row's or a column's errors, or all errors; go there.

        None stands for any class; both None for every wrong voxel.
        """
        if self._app.state.comparison is None or self._comparer.layers is None:
            return
        self.cell = (true_class, predicted_class)
        self._here, self._next_row, self._go, self._fit = None, 0, True, False
        if self._figures.mistakes is None:
            self._show_voxels()  # the regions take a moment: the voxels need not wait for them
        self._ask()
        self._comparer.look()

    def fit_largest(self) -> None:
        """Zoom to the largest region of the cell, now or when it is known."""
        if self._go:
            self._fit = True
        elif self.regions:
            self.go_to_region(0, fit=True)

    def clear(self) -> None:
        """Forget the cell and hide its voxels."""
        self.cell, self._here, self._go = None, None, False
        self._found, self.regions = Found(), ()
        contents.show_regions(self.model, (), None)
        self.title.set_whole(NO_CELL)
        layers.hide_errors(self._app.viewer)

    def refresh(self) -> None:
        """Follow a change of the maps: voxels at once, regions a moment later."""
        errors = layers.errors_layer(self._app.viewer)
        shown = self.cell is not None and errors is not None and errors.visible
        if shown and not self._redraw_timer.isActive():
            self._redraw_timer.start()

    def _show_voxels(self) -> None:
        """Light up the voxels of the cell."""
        comparison, pair = self._app.state.comparison, self._comparer.layers
        if self.cell is None or comparison is None or pair is None:
            return
        self._colours = contents.selected_codes(comparison, *self.cell)
        layers.show_errors(self._app.viewer, pair[0], comparison.codes, self._colours)

    def _redraw(self) -> None:
        """Draw what changed; a cell that was empty before needs its colour first."""
        comparison, errors = self._app.state.comparison, layers.errors_layer(self._app.viewer)
        if self.cell is None or comparison is None or errors is None or not errors.visible:
            return
        colours = contents.selected_codes(comparison, *self.cell)
        if errors.data is comparison.codes and colours.items() <= self._colours.items():
            errors.refresh(extent=False, thumbnail=False, highlight=False)
        else:
            self._show_voxels()

    # ---- their regions ---------------------------------------------------------------
    def _ask(self) -> None:
        pair = self._comparer.layers
        if self.cell is not None and pair is not None:
            axis = slicing_axis(self._app.viewer, pair[0])
            self._figures.ask(*self.cell, axis, self._on_regions)

    def _on_regions(self, found: Found) -> None:
        if self.cell is None:
            return
        self._found = found
        go, self._go = self._go, False
        self._list()
        if go:
            if self.regions:
                self.go_to_region(0, fit=self._fit)
            if layers.errors_layer(self._app.viewer) is None:
                QTimer.singleShot(0, self._show_voxels)  # a new layer takes a while: move first
            else:
                self._show_voxels()

    def _list(self) -> None:
        """Show the regions of the kinds that are asked for; stay at the one looked at."""
        comparison = self._app.state.comparison
        if self.cell is None or comparison is None:
            return
        self.regions = tuple(one for one in self._found.regions if self._wanted(one))
        contents.show_regions(self.model, self.regions, comparison)
        short, details = self._words()
        self.title.set_whole(short)
        self.title.setToolTip(short + details)
        row = _row_of(self._here, self.regions)
        if row is not None:
            self.table.select_row(row)
        else:
            self.table.clearSelection()
            self.table.setCurrentIndex(self.table.model().index(-1, -1))

    def _wanted(self, region: Region) -> bool:
        return (self.boundary if region.kind == "rim" else self.inside).isChecked()

    def _words(self) -> tuple[str, str]:
        """Say how many regions there are, those too that are not listed; and what they hold."""
        found, comparison = self._found, self._app.state.comparison
        assert comparison is not None
        if self._figures.too_many:
            return f"{self._cell_name()}: too many wrong voxels to list their regions", ""
        hidden = [one for one in found.regions if not self._wanted(one)]
        n, n_voxels = found.n_regions - len(hidden), found.n_voxels
        n_voxels -= sum(region.voxels for region in hidden)
        if found.n_regions > len(found.regions) and not self.inside.isChecked():
            n, n_voxels = len(self.regions), sum(region.voxels for region in self.regions)
        short = f"{self._cell_name()}: {n} region{'s' * (n != 1)}"
        if self._figures.leading:
            short += f" at step {', '.join(map(str, self._figures.leading))}"
        details = f", {contents.millilitres(n_voxels * comparison.voxel_ml)} ml"
        if len(self.regions) < n:
            details += f" (the {len(self.regions)} largest are listed)"
        return short, details

    def _cell_name(self) -> str:
        comparison = self._app.state.comparison
        if comparison is None or self.cell is None:
            return ""
        names = dict(zip(comparison.class_values, comparison.class_names, strict=True))
        true, predicted = self.cell
        if true is None and predicted is None:
            return "All errors"
        left = "any" if true is None else name_of(true, names)
        right = "any" if predicted is None else name_of(predicted, names)
        return f"{left} → {right}"

    # ---- walking ---------------------------------------------------------------------
    def go_to_region(self, row: int, *, fit: bool = False) -> None:
        """Show a region's slice and centre it; with `fit`, zoom to its box."""
        pair = self._comparer.layers
        if pair is None or not 0 <= row < len(self.regions):
            return
        region = self._here = self.regions[row]
        self.table.select_row(row)
        self._next_row = self.table.visible_rows().index(row)
        layers.go_to(self._app.viewer, pair[0], region.point, region.box if fit else None)

    def step(self, step: int, _: Any = None) -> None:
        """Go to the next (1) or previous (-1) region in the order of the table.

        A region that was corrected away leaves its place to the one after it.
        """
        rows = self.table.visible_rows()
        if not rows:
            self._app.say("Click a cell of the error table first: N walks through its regions")
            return
        here = self.table.current_row()
        if here in rows:
            at = rows.index(here) + step
        else:
            at = self._next_row if step > 0 else self._next_row - 1
        self.go_to_region(rows[at % len(rows)])


def _row_of(region: Region | None, regions: tuple[Region, ...]) -> int | None:
    """Return where a region is in another list: the same place and kind, or one around it."""
    if region is None:
        return None
    alike = [n for n, one in enumerate(regions) if _same_sort(one, region)]
    for row in alike:
        if regions[row].point == region.point:
            return row
    for row in alike:
        inside = zip(region.point, regions[row].box, strict=True)
        if all(one.start <= place < one.stop for place, one in inside):
            return row
    return None


def _same_sort(one: Region, other: Region) -> bool:
    return (one.kind, one.true_class, one.predicted_class) == (
        other.kind,
        other.true_class,
        other.predicted_class,
    )
