"""The table of regions: what each is, how large, where, how sure the network was, whether done.

Regions enter, with their statuses and what `napari_unet_mic.gui.lit_voxels` says of them; rows
with their formats and swatches leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet_mic.gui.colours import RGBA, pair_colour
from napari_unet_mic.gui.inspector_tables import millilitres
from napari_unet_mic.gui.state import Comparison
from napari_unet_mic.gui.tables import TableModel, thousands

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Region
    from napari_unet_mic.gui.lit_voxels import Lit

STATUS_MARKS = {"fixed": "✓ fixed", "label is wrong": "✎ label is wrong", "accepted": "✓ accepted"}
STATUS = "status"


def region_model() -> TableModel:
    """Return the model of the table of regions."""
    model = TableModel(
        {"ml": millilitres, "voxels": thousands, "confidence": lambda value: f"{value:.2f}"}
    )
    model.tooltips = {
        "#": "Rank by size; the rim comes last",
        "kind": "missed lesion: nothing of it was found; spurious lesion: nothing true is there; "
        "swapped class: one class taken for another; inside: deeper than the border; "
        "rim: within the tolerance or one voxel of the reference's border, taken together",
        "slice": "The slice on which the region is largest",
        "confidence": "The network's probability for the true class, averaged over the region: "
        "high where it was almost found, low where the network was blind",
        STATUS: "What was decided about the region: fixed, the label is wrong, or the prediction "
        "accepted; kept with the case",
    }
    return model


def show_regions(
    model: TableModel,
    regions: Sequence[Region],
    lit: Lit | None,
    voxel_ml: float = 0.0,
    statuses: Sequence[str | None] = (),
) -> None:
    """Fill the table of regions, largest first, each in the colour it has in the viewer.

    The column of statuses is there when some region has one.
    """
    if lit is None:
        model.set_rows([], [])
        return
    columns = ["#", "kind", "ml", "voxels", "slice"]
    rows: list[list[Any]] = [
        [one.rank, lit.kind(one), one.voxels * voxel_ml, one.voxels, one.slice] for one in regions
    ]
    if any(one.confidence is not None for one in regions):
        columns.append("confidence")
        for row, one in zip(rows, regions, strict=True):
            row.append(one.confidence)
    if any(statuses):
        columns.append(STATUS)
        for row, status in zip(rows, statuses, strict=True):
            row.append(STATUS_MARKS[status] if status else "")
    model.swatch_of = lambda row, column: lit.colour(regions[row]) if column == 1 else None
    model.tooltip_of = lambda row, _: lit.words(regions[row])
    model.set_rows(columns, rows)


def region_words(comparison: Comparison, region: Region) -> str:
    """Say what a region is: which class was taken for which, and what clicks do."""
    names = dict(zip(comparison.class_values, comparison.class_names, strict=True))
    true, predicted = (
        "several classes" if value is None else names.get(value, f"class {value}")
        for value in (region.true_class, region.predicted_class)
    )
    what = f"{true}, found" if region.kind == "correct" else f"{true} taken for {predicted}"
    return f"{what}. Click to go there, double-click to zoom in"


def region_colour(comparison: Comparison, region: Region) -> RGBA | None:
    """Return the colour in which a region's voxels light up; None when it has several."""
    if region.true_class is None or region.predicted_class is None:
        return None
    values = comparison.class_values
    if region.true_class not in values or region.predicted_class not in values:
        return None
    row, column = values.index(region.true_class), values.index(region.predicted_class)
    return pair_colour(row, column, len(values))


def selected_codes(
    comparison: Comparison, true_class: int | None, predicted_class: int | None
) -> dict[int, RGBA]:
    """Return code -> colour of a cell, of a row or column's errors, or of all errors.

    Cells without a voxel are left out.
    """
    values = comparison.class_values
    wanted = comparison.table > 0
    if true_class is None or predicted_class is None:
        np.fill_diagonal(wanted, False)
    if true_class is not None:
        wanted &= np.equal(values, true_class)[:, None]
    if predicted_class is not None:
        wanted &= np.equal(values, predicted_class)
    return {
        comparison.code(row, column): pair_colour(row, column, len(values))
        for row, column in np.argwhere(wanted).tolist()
    }
