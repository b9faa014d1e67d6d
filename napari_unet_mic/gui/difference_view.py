"""What a second prediction changed, as a table: one row a true class, every number clickable.

A `Difference` enters; a click leaves as the true class (None: any) and the state that were meant
(None: all three). The headings carry the colours in which the voxels light up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unet_mic.evaluation.difference import (
    BROKEN,
    FIXED,
    STATES,
    STILL_WRONG,
    difference_code,
)
from napari_unet_mic.gui.colours import RGBA, class_colour
from napari_unet_mic.gui.table_model import TableModel, swatch, thousands
from napari_unet_mic.gui.tables import TableView

if TYPE_CHECKING:
    from napari_unet_mic.gui.state import Difference

SHOWN = (FIXED, BROKEN, STILL_WRONG)
EXPLAINED = {
    FIXED: "the first prediction is wrong here, the second is right",
    BROKEN: "the first prediction is right here, the second is wrong",
    STILL_WRONG: "both predictions are wrong here",
}
STATE_COLOURS: dict[int, RGBA] = {
    FIXED: (0.12, 0.2, 1.0, 1.0),
    BROKEN: (0.92, 0.0, 0.15, 1.0),
    STILL_WRONG: (1.0, 0.96, 0.65, 1.0),
}
"""Told apart by all eyes, and from the first classes' colours (`tests/gui/test_colours.py`)."""


class DifferenceView(QWidget):
    """The table of fixed, broken and still wrong voxels by true class."""

    chosen = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._difference: Difference | None = None
        self.model = TableModel()
        self.table = TableView(self.model, sortable=False, by_row=False)
        self.table.cell_clicked.connect(self._on_cell_clicked)
        self.table.row_header_clicked.connect(lambda row: self._emit(row, None))
        self.table.column_header_clicked.connect(self._on_heading_clicked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)

    def show_difference(self, difference: Difference | None) -> None:
        """Show other numbers."""
        self._difference, model = difference, self.model
        if difference is None:
            model.row_headers = model.row_icons = None
            model.set_rows([], [])
            return
        names, values, counts = difference.class_names, difference.class_values, difference.table
        columns = [STATES[state] for state in SHOWN]
        model.formats = dict.fromkeys(columns, thousands)
        model.tooltips = {
            STATES[state]: f"{STATES[state].capitalize()}: {EXPLAINED[state]}. Click to see all"
            for state in SHOWN
        }
        model.row_headers, model.row_icons = (
            list(names),
            [swatch(class_colour(value)) for value in values],
        )
        net = (counts[:, FIXED] - counts[:, BROKEN]).tolist()
        model.row_tooltips = [
            f"True class {name}: {signed(won)} voxels (fixed less broken). Click for all three"
            for name, won in zip(names, net, strict=True)
        ]
        model.header_colour_of = lambda column: STATE_COLOURS.get(column + 1)
        model.tooltip_of = self._tip
        rows = counts[:, list(SHOWN)].tolist()
        model.set_rows(columns, rows)
        if rows:
            model.headerDataChanged.emit(Qt.Orientation.Vertical, 0, len(rows) - 1)

    def _tip(self, row: int, column: int) -> str | None:
        if self._difference is None:
            return None
        name = self._difference.class_names[row]
        state = SHOWN[column]
        voxels = int(self._difference.table[row, state])
        return (
            f"True {name}, {STATES[state]}: {thousands(voxels)} voxels "
            f"({voxels * self._difference.voxel_ml:.3g} ml); {EXPLAINED[state]}. Click to see them"
        )

    def _on_cell_clicked(self, row: int, column: int) -> None:
        self._emit(row, SHOWN[column])

    def _on_heading_clicked(self, column: int) -> None:
        self.chosen.emit(None, SHOWN[column])

    def _emit(self, row: int, state: int | None) -> None:
        if self._difference is not None and row < len(self._difference.class_values):
            self.chosen.emit(self._difference.class_values[row], state)


def signed(number: float) -> str:
    """Return an integer with its sign and thin spaces: +1 204, −37, 0."""
    sign = "+" if number > 0 else "−" if number < 0 else ""
    return sign + thousands(abs(number))


def chosen_codes(
    difference: Difference, true_class: int | None, state: int | None
) -> dict[int, RGBA]:
    """Return code -> colour of a number of the table; those without a voxel are left out."""
    wanted = np.zeros(difference.table.shape, bool)
    wanted[:, list(SHOWN) if state is None else [state]] = True
    if true_class is not None:
        wanted &= np.equal(difference.class_values, true_class)[:, None]
    wanted &= difference.table > 0
    return {
        difference_code(difference.class_values[row], column): STATE_COLOURS[column]
        for row, column in np.argwhere(wanted).tolist()
    }
