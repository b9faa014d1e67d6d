"""All cases in the order of one figure: worst first, or by what a second evaluation changed.

An `Evaluation`, a class (None: the mean of the foreground classes) and a metric enter, a
`Ranking` of every case leaves. A figure that is not defined (the class is in neither map) puts
its case last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from napari_unet_mic.evaluation.ranking import Cell, Ranking, worst_cell
from napari_unet_mic.evaluation.results import CaseResult, Evaluation, mean_of

Metric = Literal["IoU", "Dice", "HD95 mm", "NSD", "wrong voxels"]
METRICS: tuple[Metric, ...] = get_args(Metric)
LARGE_IS_BAD: tuple[Metric, ...] = ("HD95 mm", "wrong voxels")
Figure = float | int | None


def figure_of(case: CaseResult, value: int | None, metric: Metric) -> Figure:
    """Return a figure of a case; None where it is not defined or was not measured.

    Parameters
    ----------
    value
        The class; None for the mean of the foreground classes that have the figure (for
        "wrong voxels": all of them, known where a confusion table was counted).
    """
    if metric == "wrong voxels":
        return _wrong_voxels(case, value)
    values = [value] if value is not None else [one for one in case.scores if one]
    return mean_of(_of_class(case, one, metric) for one in values)[0]


def _of_class(case: CaseResult, value: int, metric: Metric) -> float | None:
    score, surface = case.scores.get(value), case.surfaces.get(value)
    if metric in ("IoU", "Dice"):
        return None if score is None else score.iou if metric == "IoU" else score.dice
    if surface is None:
        return None
    return surface.hd95_mm if metric == "HD95 mm" else surface.nsd


def _wrong_voxels(case: CaseResult, value: int | None) -> int | None:
    if value is not None:
        score = case.scores.get(value)
        return None if score is None else score.fp + score.fn
    return None if case.table is None else int(case.table.sum() - np.trace(case.table))


def metrics_of(evaluation: Evaluation) -> tuple[Metric, ...]:
    """Return the metrics that were measured in some case."""
    measured = any(case.surfaces for case in evaluation.cases)
    return METRICS if measured else ("IoU", "Dice", "wrong voxels")


def worst_by(evaluation: Evaluation, value: int | None, metric: Metric) -> Ranking:
    """Return every case, the worst figure first; each leads to its worst region."""
    figures = {case.name: figure_of(case, value, metric) for case in evaluation.cases}
    name = named(evaluation, value, metric)
    return Ranking(
        f"worst {name} first",
        name,
        _in_order(figures, descending=metric in LARGE_IS_BAD),
        figures,
        (None, None),
        {case.name: worst_cell(case, value) for case in evaluation.cases},
        complete=True,
    )


def by_loss(
    evaluation: Evaluation, second: Evaluation, value: int | None, metric: Metric
) -> Ranking:
    """Return every case that both evaluations have, the worst loss first.

    Its figures are the second evaluation's less the first's. Where only one of the two has
    the figure there is no difference, and the case comes last.
    """
    partners = partners_of(evaluation, second)
    figures: dict[str, Figure] = {}
    cells: dict[str, Cell] = {}
    for case in evaluation.cases:
        other = partners.get(case.name)
        if other is None:
            continue
        before, now = figure_of(case, value, metric), figure_of(other, value, metric)
        figures[case.name] = None if before is None or now is None else now - before
        cells[case.name] = worst_cell(other, value)
    heading = f"change of {named(evaluation, value, metric)}"
    return Ranking(
        f"{heading}: {len(figures)} of {len(evaluation.cases)} cases, worst loss first",
        heading,
        _in_order(figures, descending=metric in LARGE_IS_BAD),
        figures,
        (None, None),
        cells,
    )


def partners_of(evaluation: Evaluation, second: Evaluation) -> dict[str, CaseResult]:
    """Return, by case name of the first, the same case in the second evaluation.

    Cases of joined folds (``fold_0/liver_3``) are also known by their own names where those
    are unique.
    """
    exact = {case.name: case for case in second.cases}
    own: dict[str, list[CaseResult]] = {}
    for case in second.cases:
        own.setdefault(_own(case.name), []).append(case)
    found: dict[str, CaseResult] = {}
    for case in evaluation.cases:
        alike = own.get(_own(case.name), [])
        if case.name in exact:
            found[case.name] = exact[case.name]
        elif len(alike) == 1:
            found[case.name] = alike[0]
    return found


def _own(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def named(evaluation: Evaluation, value: int | None, metric: Metric) -> str:
    """Return what a figure is called: ``IoU of cancer``, ``mean IoU``, ``wrong voxels``."""
    if value is not None:
        return f"{metric} of {evaluation.classes.get(value, f'class {value}')}"
    return metric if metric == "wrong voxels" else f"mean {metric}"


def _in_order(figures: Mapping[str, Figure], *, descending: bool) -> tuple[str, ...]:
    def place(name: str) -> tuple[bool, float]:
        figure = figures[name]
        if figure is None:
            return True, 0.0
        return False, -figure if descending else figure

    return tuple(sorted(figures, key=place))
