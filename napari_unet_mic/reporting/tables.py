"""The evaluation's tables as text, Markdown and CSV.

Scores and confusion tables enter, a `TextTable` leaves: headings and cells as strings, which
can be written in three ways. The command line prints them, the copy buttons hand them out.
A figure that is not defined is "–" in text and an empty field in CSV.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_unet_mic.evaluation.confusion import Table
from napari_unet_mic.evaluation.overlap import ClassScore, scores_of
from napari_unet_mic.evaluation.pooling import MeanShares, mean_shares
from napari_unet_mic.evaluation.results import ClassMeans, Evaluation, SurfaceScore, mean_of
from napari_unet_mic.reporting.mean_columns import (
    EMPTY,
    OVERLAP,
    MeanColumn,
    nsd_heading,
    surface_columns,
)

Measure = Literal["voxels", "ml", "% of true", "% of predicted"]
Style = Literal["text", "markdown", "csv"]

ABSENT = "–"
WIDEST = 25
"""Classes of the widest confusion table that is printed."""
LONGEST = 10
"""Classes up to which the flat list is printed whole."""
MOST_ERRORS = 20
FLAT_HEADINGS = ("True class", "Predicted class", "Number of voxels")


@dataclass(frozen=True)
class TextTable:
    """Headings and rows of cells; numbers are written out, an undefined one is ``""``."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.headings) for row in self.rows)

    def render(self, style: Style) -> str:
        """Write the table in one of the three styles, ending with a line break."""
        return {"text": self.text, "markdown": self.markdown, "csv": self.csv}[style]()

    def text(self) -> str:
        """Write aligned columns: names to the left, numbers to the right."""
        return self._aligned("  ", lambda widths: "  ".join("─" * width for width in widths))

    def markdown(self) -> str:
        """Write a Markdown table."""
        left = self._left()

        def rule(widths: list[int]) -> str:
            marks = [
                "-" * width if to_left else "-" * (width - 1) + ":"
                for width, to_left in zip(widths, left, strict=True)
            ]
            return f"| {' | '.join(marks)} |"

        return self._aligned(" | ", rule, "| ", " |", escape=True)

    def csv(self) -> str:
        """Write comma-separated values."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.headings)
        writer.writerows(self.rows)
        return text.getvalue()

    def _left(self) -> list[bool]:
        """Whether each column holds names rather than numbers."""
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.headings)
        return [any(not _is_number(cell) for cell in column) for column in columns]

    def _aligned(
        self,
        between: str,
        rule: Callable[[list[int]], str],
        before: str = "",
        after: str = "",
        *,
        escape: bool = False,
    ) -> str:
        left = self._left()
        lines = [
            [(cell or ABSENT).replace("|", "\\|") if escape else cell or ABSENT for cell in row]
            for row in self.rows
        ]
        lines.insert(0, list(self.headings))
        widths = [max(3, *(len(row[n]) for row in lines)) for n in range(len(self.headings))]

        def line(row: Sequence[str]) -> str:
            cells = [
                cell.ljust(width) if to_left else cell.rjust(width)
                for cell, width, to_left in zip(row, widths, left, strict=True)
            ]
            return f"{before}{between.join(cells)}{after}".rstrip()

        return "\n".join([line(lines[0]), rule(widths), *map(line, lines[1:])]) + "\n"


def _is_number(cell: str) -> bool:
    digits = cell.lstrip("+-").replace(" ", "").replace("%", "").replace(".", "", 1)
    return not cell or digits.isdecimal()


def confusion_grid(
    table: Table,
    names: Sequence[str],
    *,
    measure: Measure = "voxels",
    voxel_ml: float | None = None,
) -> TextTable:
    """Write the K x K table: rows true class, columns predicted class.

    Parameters
    ----------
    measure
        Voxels, millilitres (needs `voxel_ml`), or per cent of the row or of the column
        (undefined where that is empty).
    """
    headings = ("true \\ predicted", *names)
    shares = shares_of(table, measure, voxel_ml=voxel_ml)
    digits = {"voxels": 0, "ml": 3}.get(measure, 2)
    rows = tuple(
        (name, *(_figure(None if np.isnan(cell) else float(cell), digits) for cell in row))
        for name, row in zip(names, shares, strict=True)
    )
    return TextTable(headings, rows)


def shares_of(
    table: Table, measure: Measure, *, voxel_ml: float | None = None
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the cells of a confusion table in another measure; NaN where undefined."""
    cells = table.astype(np.float64)
    if measure == "voxels":
        return cells
    if measure == "ml":
        return cells * (np.nan if voxel_ml is None else voxel_ml)
    whole = cells.sum(axis=1 if measure == "% of true" else 0, keepdims=True)
    return np.asarray(
        np.divide(100 * cells, whole, out=np.full_like(cells, np.nan), where=whole > 0)
    )


def confusion_list(table: Table, names: Sequence[str]) -> TextTable:
    """Write the table as the flat list True class · Predicted class · Number of voxels."""
    rows = tuple(
        (names[true], names[predicted], str(int(table[true, predicted])))
        for true, predicted in np.ndindex(table.shape)
    )
    return TextTable(FLAT_HEADINGS, rows)


def mean_grid(shares: MeanShares, names: Sequence[str]) -> TextTable:
    """Write mean shares as a K x K table; beside it the number of cases behind each mean."""
    cells = [[_figure(None if np.isnan(c) else float(c), 2) for c in row] for row in shares.percent]
    counts = [str(n) for n in shares.n]
    if shares.of == "true":
        rows = [(name, *row, n) for name, row, n in zip(names, cells, counts, strict=True)]
        return TextTable(("true \\ predicted", *names, "cases"), tuple(rows))
    rows = [(name, *row) for name, row in zip(names, cells, strict=True)]
    return TextTable(("true \\ predicted", *names), (*rows, ("cases", *counts)))


def largest_errors(table: Table, names: Sequence[str], most: int = MOST_ERRORS) -> TextTable:
    """Write the largest cells off the diagonal as the flat list, largest first."""
    errors = table.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(names)) for place in order if errors.flat[place]]
    rows = ((names[true], names[pred], str(int(errors[true, pred]))) for true, pred in places)
    return TextTable(FLAT_HEADINGS, tuple(rows))


def class_table(
    scores: Sequence[ClassScore],
    names: Mapping[int, str],
    *,
    surfaces: Mapping[int, SurfaceScore] | None = None,
    voxel_ml: float | None = None,
    tolerance_mm: float | None = None,
) -> TextTable:
    """Write IoU, Dice, surface figures and volumes of every class of one case.

    A class in neither map is "absent": its figures are undefined and its state says so.
    """
    headings = ["Class", "IoU", "Dice"]
    if surfaces:
        headings += ["HD95 mm", nsd_heading(tolerance_mm)]
    headings += ["true ml", "pred ml"] if voxel_ml else ["true voxels", "pred voxels"]
    rows = []
    for score in scores:
        row = [names[score.value], _figure(score.iou, 4), _figure(score.dice, 4)]
        if surfaces:
            surface = surfaces.get(score.value, SurfaceScore())
            row += [_figure(surface.hd95_mm, 2), _figure(surface.nsd, 4)]
        row += [_size(score.n_ref, voxel_ml), _size(score.n_pred, voxel_ml)]
        rows.append((*row, "" if score.state == "present" else score.state))
    return _without_empty_state(headings, rows)


def mean_table(means: Sequence[ClassMeans], columns: Sequence[MeanColumn] = OVERLAP) -> TextTable:
    """Write the means over cases of every class, each with the number of cases behind it."""
    headings = ("Class", *(column.heading for column in columns))
    rows = tuple((one.name, *(column.text(column.of(one)) for column in columns)) for one in means)
    return TextTable(headings, rows)


def mean_tables(
    means: Sequence[ClassMeans], *, tolerance_mm: float | None = None
) -> list[tuple[str, TextTable]]:
    """Write overlap, surfaces (when measured) and empty references, each under its heading."""
    tables = [("overlap", mean_table(means, OVERLAP))]
    if any(one.n_nsd for one in means):
        tables.append(("surfaces", mean_table(means, surface_columns(tolerance_mm))))
    foreground = [one for one in means if one.value]
    if any(one.n_empty for one in foreground):
        tables.append(("references without the class", mean_table(foreground, EMPTY)))
    return tables


def case_table(evaluation: Evaluation) -> TextTable:
    """Write one row a case: the IoU of every class, worst foreground mean first."""
    values = sorted({value for case in evaluation.cases for value in case.scores})
    headings = ("Case", *(f"IoU {evaluation.classes[value]}" for value in values))

    def mean(case: int) -> float:
        found = mean_of(
            score.iou for value, score in evaluation.cases[case].scores.items() if value
        )[0]
        return float("inf") if found is None else found

    rows = []
    for index in sorted(range(len(evaluation.cases)), key=mean):
        case = evaluation.cases[index]
        scores = [case.scores.get(value) for value in values]
        rows.append((case.name, *(_figure(score.iou if score else None, 4) for score in scores)))
    return TextTable(headings, tuple(rows))


def evaluation_text(evaluation: Evaluation, style: Style = "text") -> str:
    """Write everything that `unet-mic evaluate` prints.

    The scores of a single case, or the means over several and the cases worst first; the
    confusion table in voxels (and as mean shares) and as a flat list; lesions; the foreground
    mean; the notes.
    """
    title = "### {}\n\n" if style == "markdown" else "{}\n"
    from napari_unet_mic.reporting.lesion_tables import lesion_tables  # it imports TextTable

    tables = _tables_of(evaluation) + lesion_tables(evaluation)
    parts = [title.format(heading) + table.render(style) for heading, table in tables]
    iou, dice = evaluation.foreground_iou, evaluation.foreground_dice
    parts.append(
        f"Foreground mean (as in summary.json): IoU {_figure(iou, 4) or ABSENT}, "
        f"Dice {_figure(dice, 4) or ABSENT}\n"
    )
    notes = [f"note: {note}\n" for note in evaluation.notes]
    notes += [f"left out: {case.name}: {case.sentence}\n" for case in evaluation.failed]
    return "\n".join(parts) + "".join(notes)


def _tables_of(evaluation: Evaluation) -> list[tuple[str, TextTable]]:
    n, tolerance_mm = len(evaluation.cases), evaluation.tolerance_mm
    tables: list[tuple[str, TextTable]] = []
    if n == 1:
        case = evaluation.cases[0]
        per_class = class_table(
            [case.scores[value] for value in case.values],
            evaluation.classes,
            surfaces=case.surfaces,
            voxel_ml=case.voxel_ml,
            tolerance_mm=tolerance_mm,
        )
        tables.append((f"{case.name}, per class", per_class))
    else:
        means = mean_tables(evaluation.class_means, tolerance_mm=tolerance_mm)
        tables += [(f"Per class, {n} cases, {what}", table) for what, table in means]
        tables.append(("Cases, worst first", case_table(evaluation)))
    return tables + _confusion_tables(evaluation)


def _confusion_tables(evaluation: Evaluation) -> list[tuple[str, TextTable]]:
    table, n = evaluation.pooled_table, len(evaluation.cases)
    if table is None:
        return []
    names = [evaluation.classes[value] for value in evaluation.values]
    pooled = "" if n == 1 else f", {n} cases pooled"
    tables = []
    if len(names) <= WIDEST:
        heading = f"Voxels, rows true class, columns predicted class{pooled}"
        tables.append((heading, confusion_grid(table, names)))
        shares = mean_shares(evaluation.cases, evaluation.values) if n > 1 else None
        if shares is not None:
            tables.append(
                ("The same in % of the true class, mean over cases", mean_grid(shares, names))
            )
    if len(names) <= LONGEST:
        tables.append((f"The same as a list{pooled}", confusion_list(table, names)))
    else:
        heading = f"The {MOST_ERRORS} largest errors{pooled} (all in confusion.csv)"
        tables.append((heading, largest_errors(table, names)))
    return tables


def table_scores(table: Table, names: Sequence[str]) -> TextTable:
    """Write IoU, Dice and volumes of a bare confusion table (two layers, no files)."""
    return class_table(scores_of(table), dict(enumerate(names)))


def _without_empty_state(headings: list[str], rows: list[tuple[str, ...]]) -> TextTable:
    if any(row[-1] for row in rows):
        return TextTable((*headings, "state"), tuple(rows))
    return TextTable(tuple(headings), tuple(row[:-1] for row in rows))


def _size(voxels: int, voxel_ml: float | None) -> str:
    return str(voxels) if not voxel_ml else _figure(voxels * voxel_ml, 3)


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
