"""The table of lesions: how large, found or not, how well, how sure the network was.

Judged lesions enter; rows with their formats, words and order leave. The box in which the
criterion is chosen is made here, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QComboBox

from napari_unet_mic.evaluation.lesion import MATCHES, Judged
from napari_unet_mic.gui.forms import explained, guard_wheel, short_combo
from napari_unet_mic.gui.inspector_tables import millilitres
from napari_unet_mic.gui.tables import TableModel

SHOWN_AS = {"missed": "○ missed", "spurious": "△ spurious", "found": "● found"}


def lesion_model() -> TableModel:
    """Return the model of the table of lesions."""
    model = TableModel(
        {
            "ml": millilitres,
            "IoU": lambda value: f"{value:.2f}",
            "confidence": lambda value: f"{value:.2f}",
            "highest": lambda value: f"{value:.2f}",
        }
    )
    model.tooltips = {
        "ml": "Volume of the connected component, over faces, edges and corners",
        "state": "found or missed: a lesion of the reference; spurious: a predicted one that "
        "touches no lesion that is found",
        "IoU": "Overlap with the union of all lesions of the other map that touch it",
        "confidence": "The network's probability for this class, averaged over the lesion",
        "highest": "Its highest probability in the lesion: a missed lesion was almost found (0.25 "
        "and more), or the network was blind",
        "note": "split: several predicted lesions touch it; merged: it shares a predicted lesion "
        "with another one",
    }
    return model


def show_lesions(model: TableModel, lesions: Sequence[Judged]) -> None:
    """Fill the table with one row a lesion; columns that nothing is known of are left out."""
    notes = any(one.split or one.merged for one in lesions)
    known = any(one.lesion.confidence is not None for one in lesions)
    columns = ["ml", "state", "IoU", *(["confidence", "highest"] if known else [])]
    columns += ["note"] if notes else []
    rows: list[list[Any]] = []
    for one in lesions:
        lesion = one.lesion
        row = [lesion.ml, SHOWN_AS[one.state], lesion.iou]
        row += [lesion.confidence, lesion.highest] if known else []
        rows.append([*row, note_of(one)] if notes else row)
    model.set_rows(columns, rows)


def show_cases(model: TableModel, lesions: Sequence[tuple[str, Judged]]) -> None:
    """Fill the table with one row a lesion of many cases."""
    rows = [
        [
            name,
            one.lesion.ml,
            SHOWN_AS[one.state],
            one.lesion.iou,
            one.lesion.confidence,
            one.lesion.highest,
        ]
        for name, one in lesions
    ]
    model.set_rows(["case", "ml", "state", "IoU", "confidence", "highest"], rows)


def match_box() -> QComboBox:
    """Return the box in which the criterion is chosen."""
    box = explained(
        short_combo(QComboBox(), 8),
        "When a lesion counts as found: by its overlap (IoU) with what was predicted there",
        "unet-mic evaluate --match",
    )
    for match, words in MATCHES.items():
        box.addItem(words, match)
    box.setFixedWidth(120)
    guard_wheel(box)
    return box


def note_of(one: Judged) -> str:
    """Return ``split``, ``merged``, both or nothing."""
    return ", ".join([*(["split"] if one.split else []), *(["merged"] if one.merged else [])])


def words_of(one: Judged) -> str:
    """Say what a lesion is, how large, how nearly it was found, and what a click does."""
    from napari_unet_mic.reporting.lesion_tables import almost_or_blind

    lesion = one.lesion
    words = f"{one.state}, {lesion.voxels} voxels, as a sphere {lesion.diameter_mm:.0f} mm across"
    if one.state == "spurious" and one.touched:
        words += "; it lies on a lesion that does not count as found"
    if almost_or_blind(one):
        words += f"; {almost_or_blind(one)}"
    return f"{words}. Click to go there, double-click to zoom in"
