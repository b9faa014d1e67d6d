"""The regions behind a number: shown, listed by size, walked with N and Shift+N, and decided about.

A cell of the confusion table, or a number of the second prediction's table, enters; its voxels
light up, and the view goes to its regions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from napari_unet_mic.gui import inspector_tables, layers
from napari_unet_mic.gui import region_table as contents
from napari_unet_mic.gui.colours import RGBA, pair_colour
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.controls import later, stacked
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.later_figures import LaterFigures
from napari_unet_mic.gui.later_work import Found
from napari_unet_mic.gui.layer_events import slicing_axis
from napari_unet_mic.gui.lit_voxels import Cell, Lit, LitCell, LitDifference
from napari_unet_mic.gui.review_bar import ReviewBar
from napari_unet_mic.gui.review_keeper import ReviewKeeper
from napari_unet_mic.gui.tables import TableView

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Region
    from napari_unet_mic.gui.app import App
    from napari_unet_mic.gui.state import Difference

NO_CELL = "Mistakes: click a cell of the table"
REDRAW_MS, QUIET_MS = 30, 250


class MistakesView(QWidget):
    """Lights up the voxels of one number; `class_looked_at` carries its class, or None."""

    class_looked_at = Signal(object)

    def __init__(self, app: App, comparer: Comparer, figures: LaterFigures) -> None:
        super().__init__()
        self._app = app
        self._comparer = comparer
        self._figures = figures
        self.keeper = ReviewKeeper(app, comparer)
        self.lit: Lit | None = None
        self.regions: tuple[Region, ...] = ()
        self._here: Region | None = None
        self._next_row = 0
        self._go: bool = False  # go to the largest region once it is known
        self._fit = False
        self._redraw_timer = self._single_shot(REDRAW_MS, self._redraw)
        self._quiet_timer = self._single_shot(QUIET_MS, self._ask)
        self._found = Found()
        self._statuses: dict[int, str] = {}  # by rank
        self._colours: dict[int, RGBA] = {}
        self._build()
        figures.mistakes_found.connect(self._on_mistakes_found)
        self.keeper.changed.connect(self._list)
        app.state.events.difference.connect(self._on_difference_changed)
        app.in_thread(pair_colour, 0, 1, 11)  # the list of colours: the first click has it ready

    def _single_shot(self, ms: int, act: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(ms)
        timer.timeout.connect(act)
        return timer

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
        self.hide_done = explained(
            QCheckBox("hide done"), "Do not list regions that are fixed, or whose label is wrong"
        )
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        for box, on in ((self.boundary, True), (self.inside, True), (self.hide_done, False)):
            box.setChecked(on)
            box.toggled.connect(lambda _: self._list())
            line.addWidget(box)
        stacked(self, line, self.table, self._bottom_line())

    def _bottom_line(self) -> QHBoxLayout:
        """Return the buttons that walk, and those that decide."""
        self.review = ReviewBar(
            self._app, self._comparer, self._figures, self.keeper, self._looked_at
        )
        line = QHBoxLayout()
        line.setSpacing(3)
        for text, words, step in (
            ("◀", "The region before (Shift+N)", -1),
            ("next N ▶", "The next region, by size (N)", 1),
        ):
            button = explained(QPushButton(text), words)
            button.setMinimumWidth(24)
            button.clicked.connect(lambda _=False, step=step: self.step(step))
            line.addWidget(button)
        line.addWidget(self.review, 1)
        return line

    @property
    def cell(self) -> Cell | None:
        """The cell of the confusion table that is shown, if it is one."""
        return self.lit.cell if isinstance(self.lit, LitCell) else None

    # ---- which voxels ----------------------------------------------------------------
    def select(self, true_class: int | None, predicted_class: int | None) -> None:
        """Show the voxels of a cell, a row's or a column's errors, or all errors; go there.

        None stands for any class; both None for every wrong voxel.
        """
        if self._app.state.comparison is None or self._comparer.layers is None:
            return
        cell = (true_class, predicted_class)
        self._light(LitCell(self._app, self._comparer, self._figures, cell))
        self._comparer.look()

    def select_difference(self, true_class: int | None, state: int | None) -> None:
        """Show what a second prediction changed: of one true class or any, one state or all."""
        if self._app.state.difference is not None and self._comparer.layers is not None:
            self._light(LitDifference(self._app, self._comparer, true_class, state))

    def _light(self, lit: Lit) -> None:
        self.lit = lit
        self._here, self._next_row, self._go, self._fit = None, 0, True, False
        self.class_looked_at.emit(lit.value())
        if not self._ask():
            self._show_voxels()  # the regions take a moment: the voxels need not wait for them

    def fit_largest(self) -> None:
        """Zoom to the largest region of the cell, now or when it is known."""
        if self._go:
            self._fit = True
        elif self.regions:
            self.go_to_region(0, fit=True)

    def clear(self) -> None:
        """Forget the cell and hide its voxels."""
        self.lit, self._here, self._go = None, None, False
        self._found, self.regions = Found(), ()
        contents.show_regions(self.model, (), None)
        self.title.set_whole(NO_CELL)
        self.class_looked_at.emit(None)
        layers.hide_errors(self._app.viewer)

    def refresh(self) -> None:
        """Follow a change of the maps: voxels at once, regions a moment later."""
        errors = layers.errors_layer(self._app.viewer)
        shown = self.lit is not None and errors is not None and errors.visible
        if shown and not self._redraw_timer.isActive():
            self._redraw_timer.start()

    def _on_difference_changed(self, difference: Difference | None) -> None:
        if not isinstance(self.lit, LitDifference):
            return
        if difference is None and self._app.state.comparison is not None:
            self.clear()
        elif difference is not None:
            self.refresh()
            self._quiet_timer.start()

    def _show_voxels(self) -> None:
        """Light up the voxels of the cell."""
        shown, pair = self.lit.voxels() if self.lit is not None else None, self._comparer.layers
        if shown is None or pair is None:
            return
        codes, self._colours = shown
        layers.show_errors(self._app.viewer, pair[0], codes, self._colours)

    def _redraw(self) -> None:
        """Draw what changed; a cell that was empty before needs its colour first."""
        shown, errors = self.lit.voxels() if self.lit else None, self._errors_in_sight()
        if shown is None or errors is None:
            return
        codes, colours = shown
        if errors.data is codes and colours.items() <= self._colours.items():
            errors.refresh(extent=False, thumbnail=False, highlight=False)
        else:
            self._show_voxels()

    def _errors_in_sight(self) -> Any:
        errors = layers.errors_layer(self._app.viewer)
        return errors if errors is not None and errors.visible else None

    # ---- their regions ---------------------------------------------------------------
    def _on_mistakes_found(self) -> None:
        if isinstance(self.lit, LitCell):
            self._ask()

    def _ask(self) -> bool:
        """Have the regions formed; False while that has to wait."""
        pair, lit = self._comparer.layers, self.lit
        if lit is None or pair is None:
            return False
        axis = slicing_axis(self._app.viewer, pair[0])
        return lit.ask(axis, lambda found: self._on_regions(lit, found))

    def _on_regions(self, lit: Lit, found: Found) -> None:
        if lit is not self.lit:
            return
        self._found = found
        go, self._go = self._go, False
        self._list()
        if go:
            if self.regions:
                self.go_to_region(0, fit=self._fit)
            if layers.errors_layer(self._app.viewer) is None:
                later(self, self._show_voxels)  # a new layer takes a while: move first
            else:
                self._show_voxels()

    def _list(self) -> None:
        """Show the regions of the kinds that are asked for; stay at the one looked at."""
        comparison = self._app.state.comparison
        if self.lit is None or comparison is None:
            return
        self._statuses = self._known_statuses()
        n_done = len(self._statuses)
        self.hide_done.setText(f"hide {n_done} done" if n_done else "hide done")
        self.regions = tuple(one for one in self._found.regions if self._wanted(one))
        statuses = [self._statuses.get(one.rank) for one in self.regions]
        contents.show_regions(self.model, self.regions, self.lit, comparison.voxel_ml, statuses)
        short, details = self._words(comparison.voxel_ml)
        self.title.set_whole(short)
        self.title.setToolTip(short + details)
        row = _row_of(self._here, self.regions)
        if row is not None:
            self.table.select_row(row)
        else:
            self.table.clearSelection()
            self.table.setCurrentIndex(self.table.model().index(-1, -1))

    def _known_statuses(self) -> dict[int, str]:
        if self.cell is None:
            return {}
        regions = self._found.regions
        pairs = zip(regions, self.keeper.statuses(regions), strict=True)
        return {region.rank: status for region, status in pairs if status}

    def _wanted(self, region: Region) -> bool:
        if self.cell is None:
            return True
        if self.hide_done.isChecked() and region.rank in self._statuses:
            return False
        return (self.boundary if region.kind == "rim" else self.inside).isChecked()

    def _words(self, voxel_ml: float) -> tuple[str, str]:
        """Say how many regions there are, those too that are not listed; and what they hold."""
        found, lit = self._found, self.lit
        assert lit is not None
        if lit.too_many:
            return f"{lit.name}: too many wrong voxels to list their regions", ""
        hidden = [one for one in found.regions if not self._wanted(one)]
        n, n_voxels = found.n_regions - len(hidden), found.n_voxels
        n_voxels -= sum(region.voxels for region in hidden)
        if found.n_regions > len(found.regions) and not self.inside.isChecked():
            n, n_voxels = len(self.regions), sum(region.voxels for region in self.regions)
        short = f"{lit.name}: {n} region{'s' * (n != 1)}"
        if self._figures.leading:
            short += f" at step {', '.join(map(str, self._figures.leading))}"
        details = f", {inspector_tables.millilitres(n_voxels * voxel_ml)} ml"
        if len(self.regions) < n:
            details += f" (the {len(self.regions)} largest are listed)"
        return short, details

    # ---- walking ---------------------------------------------------------------------
    def _looked_at(self) -> tuple[Region, Cell] | None:
        """Return the region that is chosen in the table, and the cell it was listed for."""
        row, cell = self.table.current_row(), self.cell
        return (self.regions[row], cell) if cell and 0 <= row < len(self.regions) else None

    def go_to_region(self, row: int, *, fit: bool = False) -> None:
        """Show a region's slice and centre it; with `fit`, zoom to its box."""
        pair = self._comparer.layers
        if pair is None or not 0 <= row < len(self.regions):
            return
        region = self._here = self.regions[row]
        if self.lit is not None:
            self.class_looked_at.emit(self.lit.value(region))
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
