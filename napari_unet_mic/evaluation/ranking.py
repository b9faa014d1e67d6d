"""Which cases a number over many cases comes from, in the order of their share in it.

An `Evaluation` and the number meant enter, a `Ranking` leaves: case after case, the figure
that each adds, and the cell of its confusion table in which the voxels are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from napari_unet_mic.evaluation.overlap import ClassScore
from napari_unet_mic.evaluation.results import CaseResult, Evaluation

Cell = tuple[int | None, int | None]
Which = Literal[
    "iou",
    "dice",
    "iou present",
    "dice present",
    "pooled",
    "hd95_mm",
    "nsd",
    "empty",
    "spurious",
    "clean",
]


@dataclass(frozen=True)
class Ranking:
    """Cases in an order.

    Attributes
    ----------
    title
        What the order is, as a sentence.
    heading
        What `figures` are called; "" when the order has none of its own.
    cases
        Names, those that the number comes from first; others are left out.
    figures
        By case.
    cell
        (true, predicted) class values to look at in such a case; None stands for any class.
        None instead of a pair: nothing in particular.
    cells
        The same for single cases, where they differ.
    complete
        Whether every case is listed, whatever its figure.
    """

    title: str
    heading: str
    cases: tuple[str, ...]
    figures: Mapping[str, float | int | None] = field(default_factory=dict)
    cell: Cell | None = None
    cells: Mapping[str, Cell] = field(default_factory=dict)
    complete: bool = False

    def cell_of(self, case: str) -> Cell | None:
        """Return which cell of a case's table to look at."""
        return self.cells.get(case, self.cell)


def worst_cell(case: CaseResult, value: int | None) -> Cell:
    """Return where a case is worst: all errors, or those of a class that are more.

    Of a class that is what was missed of it, or else what was made up.
    """
    score = case.scores.get(value) if value is not None else None
    if score is None or not (score.fn or score.fp):
        return None, None
    return (value, None) if score.fn >= score.fp else (None, value)


def worst_first(evaluation: Evaluation) -> Ranking:
    """Return all cases, the lowest mean foreground IoU first, those without any last."""

    def badness(case: CaseResult) -> float:
        return 2.0 if case.foreground_iou is None else case.foreground_iou

    ordered = sorted(evaluation.cases, key=badness)
    names = tuple(case.name for case in ordered)
    return Ranking("worst first", "", names, cell=(None, None), complete=True)


def by_cell(evaluation: Evaluation, true_class: int | None, predicted_class: int | None) -> Ranking:
    """Return the cases with voxels in a cell of the confusion table, most voxels first.

    None stands for any class: then only errors count, not the diagonal.
    """
    voxels = {
        case.name: _voxels(case, true_class, predicted_class)
        for case in evaluation.cases
        if case.table is not None
    }
    left, right = _name(evaluation, true_class), _name(evaluation, predicted_class)
    which = f"{left} → {right}"
    if true_class is None and predicted_class is None:
        which = "all errors"
    ordered = sorted((name for name in voxels if voxels[name]), key=lambda name: -voxels[name])
    title = f"{which}: {_counted(evaluation, ordered)}, most voxels first"
    return Ranking(title, f"{which}, voxels", tuple(ordered), voxels, (true_class, predicted_class))


def by_mean(evaluation: Evaluation, value: int, which: Which) -> Ranking:
    """Return the cases behind one of the figures of a class, those to look at first.

    Parameters
    ----------
    which
        ``iou``, ``dice``: the cases behind nnU-Net's mean, worst first; with `` present``
        only those that contain the class. ``pooled``: most wrong voxels first. ``hd95_mm``,
        ``nsd``: worst first. ``empty``, ``spurious``, ``clean``: references without the
        class, all or with or without false positives, most of them first.
    """
    name, scores = _name(evaluation, value), _scores(evaluation, value)
    if which in ("hd95_mm", "nsd"):
        return _by_surface(evaluation, value, which)
    if which in ("empty", "spurious", "clean"):
        return _empty_references(evaluation, value, which)
    figures: dict[str, float | int | None]
    if which == "pooled":
        figures = {case: score.fp + score.fn for case, score in scores.items()}
        ordered = sorted((c for c in figures if figures[c]), key=lambda c: -(figures[c] or 0))
        heading = f"{name}, wrong voxels"
    else:
        figure, _, present = which.partition(" ")
        figures = {
            case: getattr(score, figure)
            for case, score in scores.items()
            if score.n_ref or not present
        }
        known = [case for case in figures if figures[case] is not None]
        ordered = sorted(known, key=lambda c: figures[c] or 0)
        heading = f"{'IoU' if figure == 'iou' else 'Dice'} of {name}"
    order = "most first" if which == "pooled" else "worst first"
    title = f"{heading}: {_counted(evaluation, ordered)}, {order}"
    cells = _worst_cells(evaluation, value)
    return Ranking(title, heading, tuple(ordered), figures, (value, None), cells)


def _by_surface(evaluation: Evaluation, value: int, figure: Literal["hd95_mm", "nsd"]) -> Ranking:
    figures = {}
    for case in evaluation.cases:
        found = getattr(case.surfaces.get(value), figure, None)
        if found is not None:
            figures[case.name] = found
    largest_first = figure == "hd95_mm"
    ordered = sorted(figures, key=lambda n: -figures[n] if largest_first else figures[n])
    what = {"hd95_mm": "HD95 mm", "nsd": "NSD"}[figure]
    heading = f"{what} of {_name(evaluation, value)}"
    title = f"{heading}: {_counted(evaluation, ordered)}, worst first"
    cells = _worst_cells(evaluation, value)
    return Ranking(title, heading, tuple(ordered), figures, (value, None), cells)


def _empty_references(
    evaluation: Evaluation, value: int, which: Literal["empty", "spurious", "clean"]
) -> Ranking:
    voxels = {
        name: score.n_pred
        for name, score in _scores(evaluation, value).items()
        if not score.n_ref and (which == "empty" or (score.n_pred > 0) == (which == "spurious"))
    }
    ordered = sorted(voxels, key=lambda name: -voxels[name])
    name = _name(evaluation, value)
    tail = {"empty": "", "spurious": ", predicted nevertheless", "clean": ", not predicted"}[which]
    title = f"References without {name}{tail}: {_counted(evaluation, ordered)}"
    return Ranking(title, f"{name}, predicted voxels", tuple(ordered), voxels, (None, value))


def _worst_cells(evaluation: Evaluation, value: int) -> dict[str, Cell]:
    return {case.name: worst_cell(case, value) for case in evaluation.cases}


def _counted(evaluation: Evaluation, cases: Sequence[str]) -> str:
    return f"{len(cases)} of {len(evaluation.cases)} cases"


def _scores(evaluation: Evaluation, value: int) -> dict[str, ClassScore]:
    return {c.name: c.scores[value] for c in evaluation.cases if value in c.scores}


def _voxels(case: CaseResult, true_class: int | None, predicted_class: int | None) -> int:
    assert case.table is not None
    table, values = case.table, case.values
    if (true_class, predicted_class) != (None, None):
        for wanted in (true_class, predicted_class):
            if wanted is not None and wanted not in values:
                return 0
    rows = range(len(values)) if true_class is None else [values.index(true_class)]
    columns = range(len(values)) if predicted_class is None else [values.index(predicted_class)]
    chosen = table[np.ix_(rows, columns)].sum()
    if true_class is None or predicted_class is None:
        chosen -= sum(int(table[place, place]) for place in set(rows) & set(columns))
    return int(chosen)


def _name(evaluation: Evaluation, value: int | None) -> str:
    return "any class" if value is None else evaluation.classes.get(value, f"class {value}")
