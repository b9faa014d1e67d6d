"""What the lesions of an evaluation amount to, as tables for copying: counts, recall by size.

An `Evaluation` whose cases know their lesions enters; titles and models leave, with the figures
that `unet-mic evaluate` prints (`napari_unet_mic.reporting.lesion_tables`), unrounded for CSV.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_unet_mic.evaluation.lesion import MATCHES
from napari_unet_mic.gui.table_model import TableModel

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.lesion_figures import LesionFigures, SizeBin
    from napari_unet_mic.evaluation.results import Evaluation


def figure_tables(evaluation: Evaluation | None) -> list[tuple[str, TableModel]]:
    """Return for every lesion class its counts by each criterion, and the recall by size.

    None where nobody looked for lesions.
    """
    from napari_unet_mic.evaluation.lesion_figures import by_size, figures_of, lesions_by_case
    from napari_unet_mic.reporting.lesion_tables import counts_title

    question = evaluation.lesions if evaluation is not None else None
    if evaluation is None or question is None:
        return []
    cases = lesions_by_case(evaluation).values()
    tables = []
    for value in question.classes:
        name = evaluation.classes.get(value, f"class {value}")
        figures = [figures_of(cases, value, match, question.smallest) for match in MATCHES]
        title = f"Lesions, {counts_title(name, figures[0], question)}"
        tables.append((title, count_model(figures)))
        bins = by_size(cases, value, question.bins_ml, question.smallest)
        tables.append((f"Lesions, {name}: recall by size", size_model(bins)))
    return tables


def count_model(figures: Sequence[LesionFigures]) -> TableModel:
    """Return one row a criterion."""
    from napari_unet_mic.reporting.lesion_tables import COUNT_HEADINGS

    model = TableModel(dict.fromkeys(("sensitivity", "false positives per case"), _share))
    rows = [
        [
            MATCHES[one.match],
            one.found,
            one.missed,
            one.spurious,
            one.sensitivity,
            one.false_positives_per_case,
            one.split,
            one.merged,
        ]
        for one in figures
    ]
    model.set_rows(COUNT_HEADINGS, rows)
    return model


def size_model(bins: Sequence[SizeBin]) -> TableModel:
    """Return one row a size bin: how many lesions, and the recall by each criterion."""
    model = TableModel(dict.fromkeys(MATCHES.values(), _share))
    rows: list[list[Any]] = [
        [one.words, one.lesions, *(one.recall(match) for match in MATCHES)] for one in bins
    ]
    model.set_rows(("size", "lesions", *MATCHES.values()), rows)
    return model


def _share(value: float) -> str:
    return f"{value:.4f}"
