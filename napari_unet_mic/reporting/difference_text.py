"""What a second prediction changed, as text: what `unet-mic evaluate --against` prints.

`Differences` enter; one table per class over all cases leaves, and one row a case, the worst
loss first.
"""

from __future__ import annotations

from napari_unet_mic.evaluation.difference import BROKEN, FIXED, STILL_WRONG
from napari_unet_mic.evaluation.difference_cases import CaseDifference, Differences
from napari_unet_mic.evaluation.lesion import MATCHES
from napari_unet_mic.evaluation.lesion_difference import (
    CHANGES,
    LESION_DIFFERENCE,
    OF_PREDICTIONS,
    Change,
    counts,
)
from napari_unet_mic.reporting.tables import TextTable

SHOWN = (FIXED, BROKEN, STILL_WRONG)
MOST_LESIONS = 30
LISTS: dict[str, tuple[Change, ...]] = {
    "Lesions gained and lost": ("gained", "lost"),
    "Spurious lesions gone and new": ("spurious gone", "spurious new"),
}
"""The lists of lesions: title, and what is in each."""
COUNTS = ("fixed", "broken", "still wrong", "fixed less broken")
EXPLAINED = (
    "voxels by true class; fixed: wrong before, right now; broken: right before, wrong now; "
    "still wrong: both"
)


def difference_text(differences: Differences) -> str:
    """Write everything that is printed of two predictions."""
    n = len(differences.cases)
    pooled = "" if n == 1 else f", {n} cases pooled"
    parts = [f"Second prediction against the first{pooled} ({EXPLAINED})\n"]
    parts[0] += class_differences(differences).text()
    if n > 1:
        parts.append("Cases, worst loss first\n" + case_differences(differences).text())
    changes = differences.lesion_changes
    if changes:
        parts.append(_lesions_title(differences) + lesion_counts(differences).text())
        for title, wanted in LISTS.items():
            changed = lesion_list(differences, wanted)
            if changed.rows:
                parts.append(_list_title(title, changed) + _cut(changed).text())
    notes = [f"note: {note}\n" for note in differences.notes]
    notes += [f"left out: {case.name}: {case.sentence}\n" for case in differences.failed]
    return "\n".join(parts) + "".join(notes)


def class_differences(differences: Differences) -> TextTable:
    """Write one row a true class: voxels of all cases in each state, and both pooled IoUs."""
    headings = ("True class", *COUNTS, "IoU before", "IoU now")
    rows = []
    for value in differences.values:
        counts = [differences.pooled(value, state) for state in SHOWN]
        ious = [_figure(iou) for iou in differences.pooled_iou(value)]
        name = differences.classes.get(value, f"class {value}")
        rows.append((name, *map(str, counts), _signed(counts[0] - counts[1]), *ious))
    return TextTable(headings, tuple(rows))


def case_differences(differences: Differences) -> TextTable:
    """Write one row a case: both mean foreground IoUs, the gain, voxels of all classes."""
    headings = ("Case", "IoU before", "IoU now", "gain", *COUNTS)
    rows = []
    for case in differences.worst_first:
        ious = (_figure(case.first.foreground_iou), _figure(case.second.foreground_iou))
        gain = "" if case.gain is None else f"{case.gain:+.4f}"
        counts = [str(_all(case, state)) for state in SHOWN]
        rows.append((case.name, *ious, gain, *counts, _signed(case.net)))
    return TextTable(headings, tuple(rows))


def _lesions_title(differences: Differences) -> str:
    assert differences.lesions is not None
    question = differences.lesions
    size = f", at least {question.smallest.words}" if question.smallest.words else ""
    return f"Lesions of the references, found by {MATCHES[question.match]}{size}\n"


def lesion_counts(differences: Differences) -> TextTable:
    """Write one row a class: how many lesions were gained, lost, … ; spurious ones last."""
    changes = differences.lesion_changes
    headings = [one for one in CHANGES if one not in OF_PREDICTIONS] + list(OF_PREDICTIONS)
    rows = []
    for value in sorted({one.lesion.value for one in changes}):
        numbers = counts(one for one in changes if one.lesion.value == value)
        name = differences.classes.get(value, f"class {value}")
        rows.append((name, *(str(numbers[change]) for change in headings)))
    return TextTable(("Class", *headings), tuple(rows))


def lesion_list(differences: Differences, wanted: tuple[Change, ...]) -> TextTable:
    """Write one row a lesion with one of these changes, the largest first."""
    rows = tuple(
        (
            one.case,
            differences.classes.get(one.lesion.value, f"class {one.lesion.value}"),
            one.change,
            f"{one.lesion.ml:.3f}",
            _figure(one.iou_before),
            _figure(one.iou_now),
            *map(str, one.lesion.point),
        )
        for one in differences.lesion_changes
        if one.change in wanted
    )
    headings = ("Case", "Class", "Change", "ml", "IoU before", "IoU now", "z", "y", "x")
    return TextTable(headings, rows)


def _list_title(title: str, table: TextTable) -> str:
    n = len(table.rows)
    if n <= MOST_LESIONS:
        return f"{title}, the largest first\n"
    return f"{title}, the {MOST_LESIONS} largest of {n} (all in {LESION_DIFFERENCE})\n"


def _cut(table: TextTable) -> TextTable:
    return TextTable(table.headings, table.rows[:MOST_LESIONS])


def _all(case: CaseDifference, state: int) -> int:
    return int(case.table[:, state].sum())


def _signed(number: int) -> str:
    return f"{number:+d}" if number else "0"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
