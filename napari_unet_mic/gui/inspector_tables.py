"""The inspector's tables: per class, and regions.

A `Comparison` or regions enter; rows with their formats and swatches leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari_unet_mic.gui.colours import RGBA, class_colour, pair_colour
from napari_unet_mic.gui.state import Comparison
from napari_unet_mic.gui.tables import TableModel, thousands

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Region

_STATES = {
    "present": "",
    "absent": "absent",
    "missed": "missed",
    "spurious": "spurious",
}
_STATE_TIPS = {
    "absent": "This class is in neither map: there is nothing to score",
    "missed": "The reference has this class, the prediction has none of it",
    "spurious": "The prediction has this class, the reference has none of it",
}


def millilitres(value: float) -> str:
    """Return a volume with three significant digits: 0.46, 12.3, 1 480."""
    if value >= 100:
        return thousands(round(value))
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.095 or value == 0 else f"{value:.3f}"


def class_model() -> TableModel:
    """Return the model of the table with one row per class."""
    model = TableModel(
        {
            "IoU": lambda value: f"{value:.4f}",
            "Dice": lambda value: f"{value:.4f}",
            "true ml": millilitres,
            "pred ml": millilitres,
        }
    )
    model.tooltips = {
        "IoU": "Overlap: voxels both maps have, of all voxels one of them has (Jaccard index)",
        "Dice": "Overlap: twice the voxels both maps have, of the sum of both sizes",
        "true ml": "Volume of the class in the reference",
        "pred ml": "Volume of the class in the prediction",
        "note": "absent: in neither map; missed: only in the reference; "
        "spurious: only in the prediction",
    }
    return model


def show_classes(model: TableModel, comparison: Comparison | None) -> None:
    """Fill the table with one row per class."""
    if comparison is None:
        model.set_rows([], [])
        return
    ml = comparison.voxel_ml
    columns = ["class", "IoU", "Dice", "true ml", "pred ml", "note"]
    rows = [
        [name, score.iou, score.dice, score.n_ref * ml, score.n_pred * ml, _STATES[score.state]]
        for name, score in zip(comparison.class_names, comparison.scores, strict=True)
    ]
    values, scores = comparison.class_values, comparison.scores
    model.swatch_of = lambda row, column: class_colour(values[row]) if column == 0 else None
    model.tooltip_of = lambda row, _: (
        f"{comparison.class_names[row]} (value {values[row]}): TP {scores[row].tp}, "
        f"FP {scores[row].fp}, FN {scores[row].fn} voxels. "
        + _STATE_TIPS.get(scores[row].state, "")
    )
    model.set_rows(columns, rows)


def region_model() -> TableModel:
    """Return the model of the table of regions."""
    model = TableModel({"ml": millilitres, "voxels": thousands})
    model.tooltips = {
        "#": "Rank by size; the rim comes last",
        "kind": "missed lesion: nothing of it was found; spurious lesion: nothing true is there; "
        "swapped class: one class taken for another; inside: deeper than the border; "
        "rim: within one voxel of the reference's border, taken together",
        "slice": "The slice on which the region is largest",
    }
    return model


def show_regions(
    model: TableModel,
    regions: Sequence[Region],
    voxel_ml: float,
    colour_of: Callable[[Region], RGBA | None] = lambda _: None,
) -> None:
    """Fill the table of regions, largest first, each in the colour it has in the viewer."""
    rows = [[one.rank, one.kind, one.voxels * voxel_ml, one.voxels, one.slice] for one in regions]
    model.swatch_of = lambda row, column: colour_of(regions[row]) if column == 1 else None
    model.set_rows(["#", "kind", "ml", "voxels", "slice"], rows)


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
    """Return code -> colour of a cell, of a row or column's errors, or of all errors."""
    values = comparison.class_values
    chosen: dict[int, RGBA] = {}
    for row, true in enumerate(values):
        for column, predicted in enumerate(values):
            if true_class is not None and true != true_class:
                continue
            if predicted_class is not None and predicted != predicted_class:
                continue
            if true == predicted and (true_class is None or predicted_class is None):
                continue
            code = comparison.code(row, column)
            chosen[code] = pair_colour(row, column, len(values))
    return chosen
