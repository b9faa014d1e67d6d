"""Lesions that a second evaluation gained or lost, from the two lesions.csv: no volume is read.

Two evaluations of the same cases enter, a `LesionsBetween` leaves: what became of every
reference lesion that both list (`napari_unet_mic.evaluation.lesion_difference`), and why some
are not compared. A reference lesion is known again by its case, class and number; where the two
files disagree about its size or place, the references were not the same, and the lesions of that
case are not matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_unet_mic.evaluation.case_order import partners_of
from napari_unet_mic.evaluation.lesion import Judged, LesionQuestion, Match, Smallest, judged
from napari_unet_mic.evaluation.lesion_difference import (
    LesionChange,
    changes_of_reference,
    largest_first,
)
from napari_unet_mic.evaluation.results import CaseResult, Evaluation

MOST_NAMED = 5


@dataclass(frozen=True)
class LesionsBetween:
    """What became of the lesions of many cases.

    Parameters
    ----------
    changes
        Of every reference lesion that counts in both, the largest first.
    question
        The criterion, the smallest size that counts in both, the classes that both looked for.
    cases
        Names of the cases that were compared.
    other_references
        Cases whose two references are not the same.
    other_classes
        Names of classes that only one of the two evaluations looked for.
    spurious
        How many lesions were made up in the compared cases, before and now.
    """

    changes: tuple[LesionChange, ...]
    question: LesionQuestion
    cases: tuple[str, ...]
    other_references: tuple[str, ...] = ()
    other_classes: tuple[str, ...] = ()
    spurious: tuple[int, int] = (0, 0)

    @property
    def sentence(self) -> str:
        """Say which lesions are not matched, and why; empty when all are."""
        parts = []
        if self.other_references:
            n, names = len(self.other_references), ", ".join(self.other_references[:MOST_NAMED])
            more = ", …" if n > MOST_NAMED else ""
            of = "every case" if not self.cases else f"{n} case{'s' * (n != 1)} ({names}{more})"
            parts.append(
                f"The two evaluations used different references for {of}, so their lesions "
                "cannot be matched"
            )
        if self.other_classes:
            listed = ", ".join(self.other_classes)
            parts.append(f"Only one of the two evaluations looked for lesions of {listed}")
        return "; ".join(parts)


def lesions_between(
    first: Evaluation, second: Evaluation, match: Match | None = None
) -> LesionsBetween | None:
    """Return what a second evaluation gained and lost; None where one of them lists no lesions.

    Parameters
    ----------
    match
        The criterion; None: that of the first evaluation.
    """
    if first.lesions is None or second.lesions is None:
        return None
    question = _common(first.lesions, second.lesions, match)
    changes: list[LesionChange] = []
    compared, other, spurious = [], [], [0, 0]
    for case, partner in _pairs(first, second):
        both = [_counting(one, question) for one in (case, partner)]
        if _reference(both[0]) != _reference(both[1]):
            other.append(case.name)
            continue
        compared.append(case.name)
        changes += changes_of_reference(case.name, both[0], both[1])
        for side, lesions in enumerate(both):
            spurious[side] += sum(one.state == "spurious" for one in lesions)
    return LesionsBetween(
        largest_first(changes),
        question,
        tuple(compared),
        tuple(other),
        _only_one(first, second),
        (spurious[0], spurious[1]),
    )


def _counting(case: CaseResult, question: LesionQuestion) -> tuple[Judged, ...]:
    """Return the lesions of a case that count in both evaluations."""
    lesions = [one for one in case.lesions or () if one.value in question.classes]
    return judged(lesions, question.match, question.smallest)


def _reference(lesions: Sequence[Judged]) -> dict[tuple[int, int], tuple[int, tuple[int, ...]]]:
    """Return size and place of the reference lesions."""
    return {
        (one.lesion.value, one.lesion.number): (one.lesion.voxels, one.lesion.point)
        for one in lesions
        if one.lesion.source == "reference"
    }


def _pairs(first: Evaluation, second: Evaluation) -> list[tuple[CaseResult, CaseResult]]:
    """Return the cases that both have, and whose lesions both looked for."""
    partners = partners_of(first, second)
    return [
        (case, partners[case.name])
        for case in first.cases
        if case.name in partners
        and case.lesions is not None
        and partners[case.name].lesions is not None
    ]


def _common(first: LesionQuestion, second: LesionQuestion, match: Match | None) -> LesionQuestion:
    """Return what both evaluations can answer: their classes, the larger of the smallest sizes."""
    one, other = first.smallest, second.smallest
    return replace(
        first,
        classes=tuple(value for value in first.classes if value in second.classes),
        match=match or first.match,
        smallest=Smallest(max(one.ml, other.ml), max(one.voxels, other.voxels)),
    )


def _only_one(first: Evaluation, second: Evaluation) -> tuple[str, ...]:
    assert first.lesions is not None
    assert second.lesions is not None
    values = set(first.lesions.classes) ^ set(second.lesions.classes)
    names = {**second.classes, **first.classes}
    return tuple(names.get(value, f"class {value}") for value in sorted(values))
