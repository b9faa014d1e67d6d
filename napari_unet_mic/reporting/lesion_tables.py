"""The lesions of an evaluation as text tables: found and missed, recall by size, what was lost.

An `Evaluation` whose cases know their lesions enters, `TextTable`s with their titles leave: what
`unet-mic evaluate` prints and the panel's copy button hands out.
"""

from __future__ import annotations

from collections.abc import Sequence

from napari_unet_mic.evaluation.lesion import ALMOST, MATCHES, Judged, LesionQuestion, judged
from napari_unet_mic.evaluation.lesion_figures import (
    CaseLesions,
    LesionFigures,
    SizeBin,
    by_size,
    figures_of,
    lesions_by_case,
)
from napari_unet_mic.evaluation.results import Evaluation
from napari_unet_mic.reporting.tables import TextTable

MOST_LISTED = 20
COUNT_HEADINGS = (
    "Found by",
    "found",
    "missed",
    "spurious",
    "sensitivity",
    "false positives per case",
    "split",
    "merged",
)


def lesion_tables(evaluation: Evaluation) -> list[tuple[str, TextTable]]:
    """Write for every lesion class the counts, the recall by size, and the missed lesions.

    Empty when nobody looked for lesions.
    """
    question, cases = evaluation.lesions, lesions_by_case(evaluation)
    if question is None or not cases:
        return []
    tables = []
    for value in question.classes:
        name = evaluation.classes.get(value, f"class {value}")
        figures = [figures_of(cases.values(), value, match, question.smallest) for match in MATCHES]
        tables.append((counts_title(name, figures[0], question), count_table(figures)))
        bins = by_size(cases.values(), value, question.bins_ml, question.smallest)
        if bins:
            tables.append((f"{name}: recall by size", size_table(bins)))
        missed = _missed(cases, value, question)
        if missed:
            n, way = len(missed), MATCHES[question.match]
            more = f", the {MOST_LISTED} largest (all in lesions.csv)" if n > MOST_LISTED else ""
            title = f"{name}: {n} missed ({way}){more}"
            tables.append((title, missed_table(missed[:MOST_LISTED])))
    return tables


def count_table(figures: Sequence[LesionFigures]) -> TextTable:
    """Write one row a criterion."""
    rows = [
        (
            MATCHES[one.match],
            *map(str, (one.found, one.missed, one.spurious)),
            _figure(one.sensitivity),
            _figure(one.false_positives_per_case),
            *map(str, (one.split, one.merged)),
        )
        for one in figures
    ]
    return TextTable(COUNT_HEADINGS, tuple(rows))


def size_table(bins: Sequence[SizeBin]) -> TextTable:
    """Write one row a size bin: how many lesions, and the recall by each criterion."""
    rows = [
        (one.words, str(one.lesions), *(_figure(one.recall(match)) for match in MATCHES))
        for one in bins
    ]
    return TextTable(("size", "lesions", *MATCHES.values()), tuple(rows))


def missed_table(missed: Sequence[tuple[str, Judged]]) -> TextTable:
    """Write one row a missed lesion; where probabilities were kept, how nearly it was found."""
    headings = ["case", "lesion", "ml", "IoU", "z", "y", "x"]
    known = any(one.lesion.highest is not None for _, one in missed)
    if known:
        headings += ["highest probability", "mean probability", "the network"]
    rows = []
    for case, one in missed:
        lesion = one.lesion
        row = [case, str(lesion.number), f"{lesion.ml:.3f}", f"{lesion.iou:.4f}"]
        row += map(str, lesion.point)
        if known:
            row += [_figure(lesion.highest), _figure(lesion.confidence), almost_or_blind(one)]
        rows.append(tuple(row))
    return TextTable(tuple(headings), tuple(rows))


def almost_or_blind(one: Judged) -> str:
    """Say of a missed lesion whether the network almost found it; "" where nobody knows."""
    if one.state != "missed" or one.lesion.highest is None:
        return ""
    return "almost found" if one.lesion.highest >= ALMOST else "blind"


def _missed(
    cases: dict[str, CaseLesions], value: int, question: LesionQuestion
) -> list[tuple[str, Judged]]:
    """Return the missed lesions of a class with their cases, largest first."""
    found = [
        (name, one)
        for name, lesions in cases.items()
        for one in judged(lesions, question.match, question.smallest)
        if one.state == "missed" and one.lesion.value == value
    ]
    return sorted(found, key=lambda pair: -pair[1].lesion.ml)


def counts_title(name: str, figures: LesionFigures, question: LesionQuestion) -> str:
    """Say how many lesions a class has in how many cases, and which are too small to count."""
    n, cases = figures.lesions, figures.cases
    title = f"{name}: {n} lesion{'s' * (n != 1)} in {cases} case{'s' * (cases != 1)}"
    if question.smallest.words:
        title += f", of {question.smallest.words} and more ({figures.ignored} smaller ones ignored)"
    return title


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
