"""Lesions that a second prediction gained or lost, and what it no longer, or newly, makes up.

The lesions of one case enter, as `napari_unet_mic.evaluation.lesions` listed them for two
predictions of one reference; a `LesionChange` leaves for every lesion that counts:

gained, lost
    a reference lesion that was missed before and is found now; found before and missed now
still missed, still found
    a reference lesion whose state is the same
spurious gone
    a spurious lesion of the first prediction that touches no spurious lesion of the second
spurious new
    a spurious lesion of the second prediction that touches no spurious lesion of the first
still spurious
    a spurious lesion of the second prediction that touches a spurious one of the first

A reference lesion is the same one in both by its class and number, which depend on the reference
alone. Which predicted lesions touch each other only the voxels tell (`meetings_of`); without
them nothing is said about spurious lesions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from napari_unet_mic.evaluation.lesion import Judged, Lesion, LesionQuestion, judged
from napari_unet_mic.evaluation.results import CaseResult

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.lesions import ClassVoxels, FoundLesions

Change = Literal[
    "gained",
    "lost",
    "spurious gone",
    "spurious new",
    "still missed",
    "still found",
    "still spurious",
]
CHANGES: tuple[Change, ...] = get_args(Change)
OF_REFERENCE: tuple[Change, ...] = ("gained", "lost", "still missed", "still found")
OF_PREDICTIONS: tuple[Change, ...] = ("spurious gone", "spurious new", "still spurious")
CHANGED: tuple[Change, ...] = ("gained", "lost", "spurious gone", "spurious new")
"""What a list of changes shows; all else stayed as it was."""
Meetings = Mapping[int, frozenset[tuple[int, int]]]
"""By class: which lesions of the first and of the second prediction share a voxel (numbers)."""
LESION_DIFFERENCE = "lesion_difference.csv"
LESION_DIFFERENCE_COLUMNS = (
    "case",
    "class",
    "lesion",
    "source",
    "volume_ml",
    "change",
    "iou_before",
    "iou_now",
    "z",
    "y",
    "x",
    "voxels",
)


@dataclass(frozen=True)
class LesionChange:
    """One lesion, before and after.

    Parameters
    ----------
    lesion
        Of the reference; of the first prediction where it is "spurious gone"; of the second
        where it is "spurious new" or "still spurious".
    iou_before, iou_now
        Its IoU with the two predictions; of a spurious lesion with the reference, None in the
        prediction it is not of.
    """

    case: str
    lesion: Lesion
    change: Change
    iou_before: float | None
    iou_now: float | None

    @property
    def source(self) -> str:
        """The map it is a lesion of: reference, prediction or second prediction."""
        if self.change in OF_REFERENCE:
            return "reference"
        return "prediction" if self.change == "spurious gone" else "second prediction"


def changes_of_case(
    case: str,
    first: Sequence[Lesion],
    second: Sequence[Lesion],
    question: LesionQuestion,
    meetings: Meetings | None = None,
) -> list[LesionChange]:
    """Return what became of the lesions of one case, in no order.

    Parameters
    ----------
    first, second
        The lesions of the reference and of either prediction.
    question
        The criterion, the smallest size, and the classes (none named: all that are there).
    meetings
        Which predicted lesions touch each other; None where nobody knows: then spurious
        lesions are left out.
    """
    before, now = (judged(one, question.match, question.smallest) for one in (first, second))
    found = changes_of_reference(case, before, now)
    if meetings is not None:
        found += _spurious(case, before, now, meetings)
    classes = question.classes
    return [one for one in found if not classes or one.lesion.value in classes]


def lesion_changes(
    pairs: Iterable[tuple[CaseResult, CaseResult]],
    question: LesionQuestion,
    meetings: Mapping[str, Meetings] | None = None,
) -> tuple[LesionChange, ...]:
    """Return what became of the lesions of many cases, the largest first.

    Parameters
    ----------
    pairs
        The same case as the first and the second prediction have it. One whose lesions were
        looked for in only one of the two is passed over.
    question
        The criterion, the smallest size and the classes.
    meetings
        By case: which predicted lesions touch each other.
    """
    found = []
    for first, second in pairs:
        if first.lesions is None or second.lesions is None:
            continue
        known = None if meetings is None else meetings.get(first.name)
        found += changes_of_case(first.name, first.lesions, second.lesions, question, known)
    return largest_first(found)


def largest_first(changes: Iterable[LesionChange]) -> tuple[LesionChange, ...]:
    """Return changes ordered by size, then by case, class and number."""

    def place(one: LesionChange) -> tuple[float, str, int, int, int]:
        lesion = one.lesion
        return -lesion.ml, one.case, lesion.value, CHANGES.index(one.change), lesion.number

    return tuple(sorted(changes, key=place))


def counts(changes: Iterable[LesionChange]) -> dict[Change, int]:
    """Return how many lesions each change has."""
    numbers = dict.fromkeys(CHANGES, 0)
    for one in changes:
        numbers[one.change] += 1
    return numbers


def meetings_of(first: FoundLesions, second: FoundLesions) -> dict[int, frozenset[tuple[int, int]]]:
    """Return which lesions of two predictions share a voxel.

    Both were found beside the same reference, so that their voxels are listed in one order.
    A class that is in only one of the two has none.
    """
    assert first.order == second.order
    others = {one.value: one for one in second.voxels}
    return {one.value: _meet(one, others[one.value]) for one in first.voxels if one.value in others}


def difference_rows(changes: Iterable[LesionChange]) -> list[tuple[str | int | float | None, ...]]:
    """Return the rows of lesion_difference.csv; None (an empty field) where there is no IoU."""
    return [
        (
            one.case,
            one.lesion.value,
            one.lesion.number,
            one.source,
            one.lesion.ml,
            one.change,
            one.iou_before,
            one.iou_now,
            *one.lesion.point,
            one.lesion.voxels,
        )
        for one in changes
    ]


def changes_of_reference(
    case: str, first: Sequence[Judged], second: Sequence[Judged]
) -> list[LesionChange]:
    """Return what became of the reference lesions of one case, judged beside either prediction."""
    before, now = (
        {(o.lesion.value, o.lesion.number): o for o in every if o.lesion.source == "reference"}
        for every in (first, second)
    )
    found = []
    for key in before.keys() & now.keys():
        ious = before[key].lesion.iou, now[key].lesion.iou
        change = _change(before[key], now[key])
        found.append(LesionChange(case, now[key].lesion, change, *ious))
    return found


def _change(before: Judged, now: Judged) -> Change:
    if before.state == now.state:
        return "still found" if now.state == "found" else "still missed"
    return "gained" if now.state == "found" else "lost"


def _spurious(
    case: str, first: Sequence[Judged], second: Sequence[Judged], meetings: Meetings
) -> list[LesionChange]:
    before, now = (
        {(one.lesion.value, one.lesion.number): one.lesion for one in every if _made_up(one)}
        for every in (first, second)
    )
    met = [
        ((value, one), (value, other))
        for value, pairs in meetings.items()
        for one, other in pairs
        if (value, one) in before and (value, other) in now
    ]
    stayed, still = {one for one, _ in met}, {other for _, other in met}
    found = [
        LesionChange(case, lesion, "spurious gone", lesion.iou, None)
        for key, lesion in before.items()
        if key not in stayed
    ]
    for key, lesion in now.items():
        change: Change = "still spurious" if key in still else "spurious new"
        found.append(LesionChange(case, lesion, change, None, lesion.iou))
    return found


def _made_up(one: Judged) -> bool:
    return one.lesion.source == "prediction" and one.state == "spurious"


def _meet(first: ClassVoxels, second: ClassVoxels) -> frozenset[tuple[int, int]]:
    """Return the numbers of predicted lesions that share a voxel; both lists are ascending."""
    mine, others = (one.flat[one.numbers[1] > 0] for one in (first, second))
    if not mine.size or not others.size:
        return frozenset()
    place = np.minimum(np.searchsorted(others, mine), others.size - 1)
    same = others[place] == mine
    numbers = [one.numbers[1][one.numbers[1] > 0] for one in (first, second)]
    width = int(numbers[1].max()) + 1
    keys = np.unique(numbers[0][same].astype(np.int64) * width + numbers[1][place[same]])
    return frozenset((key // width, key % width) for key in keys.tolist())
