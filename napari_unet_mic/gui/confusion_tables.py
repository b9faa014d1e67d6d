"""What the K x K table and its flat list show: voxels, millilitres or shares, shaded.

The numbers of one comparison or of a whole evaluation enter as a `Confusion`; rows with their
formats, swatches and shades leave. Rows and columns are positions in `Confusion.values`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt

from napari_unet_mic.gui.colours import RGBA, class_colour, pair_colour
from napari_unet_mic.gui.inspector_tables import millilitres
from napari_unet_mic.gui.table_model import TableModel, swatch, thousands

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.pooling import MeanShares
    from napari_unet_mic.evaluation.results import Evaluation
    from napari_unet_mic.gui.state import Comparison

Cells = npt.NDArray[np.float64]
VIEWS = ("voxels", "% of true", "% of predicted", "ml")
POOLED_VIEWS = tuple(f"{view}, pooled" for view in VIEWS)
MEAN_TRUE, MEAN_PREDICTED = "% of true, mean over cases", "% of predicted, mean over cases"
MEAN_VIEWS = (MEAN_TRUE, MEAN_PREDICTED)
MOST_SWATCHES = 11  # classes: beyond, the colours of pairs are too many to tell apart
LIST_COLUMNS = ("True class", "Predicted class", "Number of voxels", "ml")
QUIET: RGBA = (0.5, 0.5, 0.5, 0.18)
LOUD = (0.835, 0.369, 0.0)


@dataclass(frozen=True, eq=False)
class Confusion:
    """A confusion table to show.

    Attributes
    ----------
    names, values
        Name and value of the class of each row and column.
    table, ml
        (K, K) voxels and millilitres; `ml` is None where a voxel's size is not known.
    mean_true, mean_predicted
        Shares averaged over cases; None for a single case.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    table: npt.NDArray[np.int64]
    ml: Cells | None
    mean_true: MeanShares | None = None
    mean_predicted: MeanShares | None = None


def of_comparison(comparison: Comparison) -> Confusion:
    """Return the table of two layers."""
    table = comparison.table
    return Confusion(
        comparison.class_names,
        comparison.class_values,
        table,
        table.astype(np.float64) * comparison.voxel_ml,
    )


def of_evaluation(evaluation: Evaluation) -> Confusion | None:
    """Return the table of all cases, None when nobody counted it (a summary.json alone)."""
    from napari_unet_mic.evaluation.pooling import mean_shares

    table = evaluation.pooled_table
    if table is None:
        return None
    cases, values = evaluation.cases, evaluation.values
    return Confusion(
        tuple(evaluation.classes.get(value, f"class {value}") for value in values),
        values,
        table,
        evaluation.pooled_ml,
        mean_shares(cases, values, "true"),
        mean_shares(cases, values, "predicted"),
    )


def cells(confusion: Confusion, view: str) -> Cells:
    """Return the (K, K) values of a view; NaN where the share of nothing is asked."""
    table = confusion.table
    if view in MEAN_VIEWS:
        mean = confusion.mean_true if view == MEAN_TRUE else confusion.mean_predicted
        return np.full(table.shape, np.nan) if mean is None else mean.percent
    measure = view.removesuffix(", pooled")
    if measure == "ml":
        return np.full(table.shape, np.nan) if confusion.ml is None else confusion.ml
    if measure == "voxels":
        return table.astype(float)
    whole = table.sum(axis=1 if measure == "% of true" else 0, keepdims=True)
    share = np.full(table.shape, np.nan)
    return np.divide(100.0 * table, whole, out=share, where=whole > 0)


def show_grid(model: TableModel, confusion: Confusion | None, view: str) -> None:
    """Fill the K x K table: rows true class, columns predicted class, errors shaded."""
    if confusion is None:
        model.row_headers = model.row_icons = None
        model.set_rows([], [])
        return
    names, values = list(confusion.names), confusion.values
    form = {"voxels": thousands, "ml": millilitres}.get(
        view.removesuffix(", pooled"), lambda share: f"{share:.2f}"
    )
    model.formats = dict.fromkeys(names, form)
    icons = [swatch(class_colour(value)) for value in values]
    model.row_headers, model.row_icons = names, icons
    model.row_tooltips = _row_tips(confusion, view)
    model.tooltips = _column_tips(confusion, view)
    model.header_colour_of = lambda column: class_colour(values[column])
    strength = strengths(confusion.table)
    model.shade_of = lambda row, column: _shade(row, column, strength)
    few = len(names) <= MOST_SWATCHES
    model.swatch_of = lambda row, column: (
        pair_colour(row, column, len(names)) if few and strength[row, column] else None
    )
    model.tooltip_of = lambda row, column: _cell_tip(confusion, view, row, column)
    model.set_rows(names, cells(confusion, view).tolist())
    if model.rowCount():
        model.headerDataChanged.emit(Qt.Orientation.Vertical, 0, model.rowCount() - 1)


def show_list(model: TableModel, confusion: Confusion | None) -> None:
    """Fill the flat list "True class, Predicted class, Number of voxels", in table order."""
    if confusion is None:
        model.set_rows([], [])
        return
    names, values, k = confusion.names, confusion.values, len(confusion.names)
    voxels = confusion.table.ravel().tolist()
    ml: list[Any] = [None] * (k * k) if confusion.ml is None else confusion.ml.ravel().tolist()
    rows = [
        [names[place // k], names[place % k], voxels[place], ml[place]] for place in range(k * k)
    ]
    model.swatch_of = lambda row, column: (
        class_colour(values[(row // k, row % k)[column]]) if column < 2 else None
    )
    model.set_rows(LIST_COLUMNS, rows)


def list_model() -> TableModel:
    """Return the model of the flat list of cells."""
    return TableModel({"Number of voxels": thousands, "ml": millilitres})


def strengths(table: npt.NDArray[np.int64]) -> Cells:
    """Return how strongly each cell is shaded, 0…1: errors by their share, the diagonal not.

    An error's share is that of the rarer of its two classes, or the background's size would
    make all shares vanish.
    """
    counts = table.astype(float)
    sizes = np.minimum(counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True))
    share = np.divide(counts, sizes, out=np.ones_like(counts), where=sizes > 0)
    strength = np.where(counts > 0, 0.12 + 0.6 * np.sqrt(np.minimum(share, 1.0)), 0.0)
    np.fill_diagonal(strength, 0.0)
    return strength


def _shade(row: int, column: int, strength: Cells) -> RGBA | None:
    if row == column:
        return QUIET
    alpha = float(strength[row, column])
    return (*LOUD, alpha) if alpha else None


def _cell_tip(confusion: Confusion, view: str, row: int, column: int) -> str:
    voxels = int(confusion.table[row, column])
    ml = "" if confusion.ml is None else f", {confusion.ml[row, column]:.3g} ml"
    where = "all cases pooled" if view not in VIEWS else ""
    after = "Click for the cases it comes from, most voxels first" if where else "Click to see them"
    lead = f"{where}, " if where else ""
    return (
        f"{lead}true {confusion.names[row]}, predicted {confusion.names[column]}: "
        f"{thousands(voxels)} voxels{ml}. {after}"
    )


def _row_tips(confusion: Confusion, view: str) -> list[str]:
    counts = confusion.mean_true.n if view == MEAN_TRUE and confusion.mean_true else None
    tips = []
    for row, name in enumerate(confusion.names):
        behind = f" (mean over the {counts[row]} cases that contain it)" if counts else ""
        tips.append(f"True class {name}{behind}. Click for everything it was taken for")
    return tips


def _column_tips(confusion: Confusion, view: str) -> dict[str, str]:
    mean = confusion.mean_predicted if view == MEAN_PREDICTED else None
    tips = {}
    for column, name in enumerate(confusion.names):
        behind = f" (mean over the {mean.n[column]} cases that predict it)" if mean else ""
        tips[name] = f"Predicted class {name}{behind}. Click for everything wrongly called so"
    return tips
