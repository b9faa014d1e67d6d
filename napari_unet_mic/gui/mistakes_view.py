"""The regions behind a cell of the table: shown, listed by size, walked with N and Shift+N."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.gui import inspector_tables as contents
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.colours import pair_colour
from napari_unet_mic.gui.comparison import Comparer, name_of
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.tables import TableView

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Region
    from napari_unet_mic.gui.app import App

Cell = tuple[int | None, int | None]
NO_CELL = "Mistakes: click a cell of the table"


class MistakesView(QWidget):
    """Lights up the voxels of one cell and leads to their regions."""

    def __init__(self, app: App, comparer: Comparer) -> None:
        super().__init__()
        self._app = app
        self._comparer = comparer
        self.cell: Cell | None = None
        self.regions: tuple[Region, ...] = ()
        self.model = contents.region_model()
        self.table = TableView(self.model)
        self.table.cell_clicked.connect(lambda row, _: self.go_to_region(row))
        self.table.cell_double_clicked.connect(lambda row, _: self.go_to_region(row, fit=True))
        self.title = ElidedLabel(NO_CELL)
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
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
        app.in_thread(_prepare)

    def select(self, true_class: int | None, predicted_class: int | None) -> None:
        """Show the voxels of a cell, a row's or a column's errors, or all errors; go there.

        None stands for any class; both None for every wrong voxel.
        """
        comparison, pair = self._app.state.comparison, self._comparer.layers
        if comparison is None or pair is None:
            return
        self.cell = (true_class, predicted_class)
        colours = contents.selected_codes(comparison, true_class, predicted_class)
        layers.show_errors(self._app.viewer, pair[0], comparison.codes, colours)
        self._find(move=True)

    def clear(self) -> None:
        """Forget the cell and hide its voxels."""
        self.cell, self.regions = None, ()
        contents.show_regions(self.model, (), 0.0)
        self.title.set_whole(NO_CELL)
        layers.hide_errors(self._app.viewer)

    def refresh(self) -> None:
        """Follow a change of the maps: voxels at once, regions a moment later."""
        comparison, pair = self._app.state.comparison, self._comparer.layers
        if self.cell is None or comparison is None or pair is None:
            return
        errors = layers.errors_layer(self._app.viewer)
        if errors is not None and errors.visible:
            if errors.data is comparison.codes:
                errors.refresh(extent=False)
            else:
                colours = contents.selected_codes(comparison, *self.cell)
                layers.show_errors(self._app.viewer, pair[0], comparison.codes, colours)
        self._find(move=False)

    def _find(self, *, move: bool) -> None:
        pair, comparison = self._comparer.layers, self._app.state.comparison
        if pair is None or comparison is None or self.cell is None:
            return
        if pair[0].data.ndim > 3:
            self.title.set_whole("Regions are listed for 2-D and 3-D layers")
            return
        self._app.in_thread(
            _regions,
            pair[0].data,
            pair[1].data,
            *self.cell,
            comparison.spacing_mm,
            ignore=comparison.ignore,
            topic="regions",
            on_done=lambda regions: self._on_found(regions, move),
        )

    def _on_found(self, regions: Sequence[Region], move: bool) -> None:
        comparison = self._app.state.comparison
        if self.cell is None or comparison is None:
            return
        self.regions = tuple(regions)
        contents.show_regions(
            self.model,
            regions,
            comparison.voxel_ml,
            lambda region: contents.region_colour(comparison, region),
        )
        ml = sum(region.voxels for region in regions) * comparison.voxel_ml
        n = len(regions)
        self.title.set_whole(
            f"{self._cell_name()}: {n} region{'s' * (n != 1)}, {contents.millilitres(ml)} ml"
        )
        if move and regions:
            self.go_to_region(0)

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

    def go_to_region(self, row: int, *, fit: bool = False) -> None:
        """Show a region's slice and centre it; with `fit`, zoom to its box."""
        pair = self._comparer.layers
        if pair is None or not 0 <= row < len(self.regions):
            return
        region = self.regions[row]
        self.table.select_row(row)
        layers.go_to(self._app.viewer, pair[0], region.point, region.box if fit else None)

    def step(self, step: int, _: Any = None) -> None:
        """Go to the next (1) or previous (-1) region in the order of the table."""
        rows = self.table.visible_rows()
        if not rows:
            self._app.say("Click a cell of the error table first: N walks through its regions")
            return
        here = self.table.current_row()
        at = rows.index(here) if here in rows else (-1 if step > 0 else 0)
        self.go_to_region(rows[(at + step) % len(rows)])


def _prepare() -> None:
    """Do in a thread what the first click would wait for: imports, the list of colours."""
    import napari_unet_mic.evaluation.mistakes  # noqa: F401

    pair_colour(0, 1, 11)


def _regions(*args: Any, **kwargs: Any) -> tuple[Region, ...]:
    """Form regions; imports what that needs here, off the GUI thread."""
    from napari_unet_mic.evaluation.mistakes import regions_of

    return regions_of(*args, **kwargs)
