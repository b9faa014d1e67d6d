"""The table of means over cases: one row a class, every column named, every mean with its n.

`ClassMeans` enter, rows leave; a cell's column says which cases are behind its figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt

from napari_unet_mic.gui.colours import class_colour
from napari_unet_mic.gui.table_model import TableModel, swatch
from napari_unet_mic.reporting.mean_columns import MeanColumn, all_columns

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.results import ClassMeans


def show_means(
    model: TableModel, means: Sequence[ClassMeans], tolerance_mm: float | None
) -> tuple[MeanColumn, ...]:
    """Fill the table and return its columns."""
    measured = any(one.n_nsd for one in means)
    columns = all_columns(tolerance_mm, measured=measured)
    model.formats = {column.heading: column.text for column in columns}
    model.tooltips = {
        column.heading: f"{column.words}. Click for the cases behind it" for column in columns
    }
    model.row_headers = [one.name for one in means]
    model.row_icons = [swatch(class_colour(one.value)) for one in means]
    model.tooltip_of = lambda row, column: (
        f"{means[row].name}, {columns[column].heading}: {columns[column].words}. "
        "Click for the cases behind it"
    )
    headings = [column.heading for column in columns]
    model.set_rows(headings, [[column.of(one) for column in columns] for one in means])
    if means:
        model.headerDataChanged.emit(Qt.Orientation.Vertical, 0, len(means) - 1)
    return columns
