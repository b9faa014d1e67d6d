"""Lesions that a second prediction gained or lost, against one reference.

Two results of one case, or two evaluations of the same cases, enter, with the lesions that
`napari_unet_mic.evaluation.lesions` listed in both. The reference lesions whose state changed
leave: *gained* were missed before and are found now, *lost* were found and are missed now. A
reference lesion is the same one in both by its class and number, which depend on the reference
alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from napari_unet_mic.evaluation.lesion import Judged, Lesion, LesionQuestion, judged
from napari_unet_mic.evaluation.results import CaseResult

Change = Literal["gained", "lost", "still missed", "still found"]
CHANGES: tuple[Change, ...] = ("gained", "lost", "still missed", "still found")


@dataclass(frozen=True)
class LesionChange:
    """One reference lesion, before and after."""

    case: str
    lesion: Lesion
    change: Change
    iou_before: float
    iou_now: float


def lesion_changes(
    pairs: Iterable[tuple[CaseResult, CaseResult]], question: LesionQuestion
) -> tuple[LesionChange, ...]:
    """Return every reference lesion that counts, with what became of it, the largest first.

    Parameters
    ----------
    pairs
        The same case as the first and the second prediction have it. One whose lesions were
        looked for in only one of the two is passed over.
    question
        The criterion and the smallest size.
    """
    found = []
    for first, second in pairs:
        if first.lesions is None or second.lesions is None:
            continue
        before, now = (
            {
                (one.lesion.value, one.lesion.number): one
                for one in judged(lesions, question.match, question.smallest)
                if one.lesion.source == "reference"
            }
            for lesions in (first.lesions, second.lesions)
        )
        for key in before.keys() & now.keys():
            change = _change(before[key], now[key])
            ious = before[key].lesion.iou, now[key].lesion.iou
            found.append(LesionChange(first.name, now[key].lesion, change, *ious))
    return tuple(sorted(found, key=lambda one: (-one.lesion.ml, one.case, one.lesion.number)))


def counts(changes: Iterable[LesionChange]) -> dict[Change, int]:
    """Return how many lesions each change has."""
    numbers = dict.fromkeys(CHANGES, 0)
    for one in changes:
        numbers[one.change] += 1
    return numbers


def _change(before: Judged, now: Judged) -> Change:
    if before.state == now.state:
        return "still found" if now.state == "found" else "still missed"
    return "gained" if now.state == "found" else "lost"
