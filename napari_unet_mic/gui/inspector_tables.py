"""The inspector's table per class: overlap, surfaces, volumes.

A `Comparison` enters, and HD95 and NSD when they are known; rows with their formats and
swatches leave.
"""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox

from napari_unet_mic.gui.colours import class_colour
from napari_unet_mic.gui.forms import explained, guard_wheel
from napari_unet_mic.gui.state import Comparison, Surfaces
from napari_unet_mic.gui.tables import TableModel, thousands

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


MEASURING = "…"
"""What stands in a cell whose number is being measured anew."""


def class_model() -> TableModel:
    """Return the model of the table with one row per class."""
    model = TableModel(
        {
            "IoU": lambda value: f"{value:.4f}",
            "Dice": lambda value: f"{value:.4f}",
            "HD95 mm": lambda value: value if value == MEASURING else f"{value:.1f}",
            "true ml": millilitres,
            "pred ml": millilitres,
        }
    )
    model.tooltips = {
        "IoU": "Overlap: voxels both maps have, of all voxels one of them has (Jaccard index)",
        "Dice": "Overlap: twice the voxels both maps have, of the sum of both sizes",
        "HD95 mm": "How far the two surfaces lie apart: 95 % of each lie nearer to the other; "
        "blank where one of the maps has none of the class",
        "true ml": "Volume of the class in the reference",
        "pred ml": "Volume of the class in the prediction",
        "note": "absent: in neither map; missed: only in the reference; "
        "spurious: only in the prediction",
    }
    return model


def tolerance_box(tolerance_mm: float) -> QDoubleSpinBox:
    """Return the small box in which the tolerance of the NSD is chosen."""
    box = explained(
        QDoubleSpinBox(),
        "Tolerance: how far a surface may lie from the other one and still count as right (NSD), "
        "and how far the rim reaches (at least one voxel)",
        "unet-mic evaluate --tolerance-mm",
    )
    box.setRange(0.1, 20.0)
    box.setSingleStep(0.5)
    box.setDecimals(1)
    box.setSuffix(" mm")
    box.setValue(tolerance_mm)
    box.setKeyboardTracking(False)
    guard_wheel(box)
    return box


def show_classes(
    model: TableModel, comparison: Comparison | None, surfaces: Surfaces | None = None
) -> None:
    """Fill the table with one row per class; without `surfaces` HD95 and NSD are blank."""
    if comparison is None:
        model.set_rows([], [])
        return
    ml = comparison.voxel_ml
    nsd = nsd_column(surfaces.tolerance_mm if surfaces is not None else 1.0)
    model.formats[nsd] = lambda value: value if value == MEASURING else f"{value:.3f}"
    model.tooltips[nsd] = (
        "Share of both surfaces that lies within the tolerance of the other one (NSD, surface "
        "Dice); 0 where only one of the maps has the class"
    )
    notes = [[_STATES[score.state]] for score in comparison.scores]
    if not any(note for [note] in notes):  # nothing to say: no empty column
        notes = [[] for _ in notes]
    columns = ["class", *(["note"] if notes[0] else [])]
    columns += ["IoU", "Dice", "HD95 mm", nsd, "true ml", "pred ml"]
    rows = [
        [
            name,
            *note,
            score.iou,
            score.dice,
            *_surface_cells(score.value, surfaces),
            score.n_ref * ml,
            score.n_pred * ml,
        ]
        for name, score, note in zip(comparison.class_names, comparison.scores, notes, strict=True)
    ]
    values, scores = comparison.class_values, comparison.scores
    model.swatch_of = lambda row, column: class_colour(values[row]) if column == 0 else None
    model.tooltip_of = lambda row, _: (
        f"{comparison.class_names[row]} (value {values[row]}): TP {scores[row].tp}, "
        f"FP {scores[row].fp}, FN {scores[row].fn} voxels. "
        + _STATE_TIPS.get(scores[row].state, "")
    )
    model.set_rows(columns, rows)


def nsd_column(tolerance_mm: float) -> str:
    """Return the heading of the NSD at a tolerance: ``NSD 1 mm``."""
    return f"NSD {tolerance_mm:g} mm"


def _surface_cells(value: int, surfaces: Surfaces | None) -> list[float | str | None]:
    """Return HD95 and NSD: None where undefined or unknown, a mark while being measured."""
    if surfaces is None:
        return [None, None]
    if value in surfaces.pending:
        return [MEASURING, MEASURING]
    score = surfaces.of(value)
    return [None, None] if score is None else [score.hd95_mm, score.nsd]
