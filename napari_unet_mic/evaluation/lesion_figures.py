"""What the lesions of many cases amount to: found, missed, spurious, sensitivity, recall by size.

The lesions of every case enter (a case without any counts as a case); one `LesionFigures` for
each class and criterion leaves, and the recall of every size bin. `docs/lesions.md` defines
each figure, also for empty and full masks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from napari_unet_mic.evaluation.lesion import (
    ALMOST,
    BINS_ML,
    MATCHES,
    Judged,
    Lesion,
    Match,
    Smallest,
    judged,
)
from napari_unet_mic.evaluation.results import Evaluation

CaseLesions = Sequence[Lesion]


@dataclass(frozen=True)
class LesionFigures:
    """The lesions of one class over some cases by one criterion.

    Parameters
    ----------
    cases
        Cases that were looked at, those without any lesion too.
    found, missed
        Reference lesions.
    spurious
        Predicted lesions that touch no reference lesion that is found.
    split, merged
        Reference lesions that several predicted ones touch; reference lesions that share a
        predicted one with another.
    almost, blind
        Of the missed ones: the highest probability of the class inside is at least `ALMOST`,
        or below; both 0 where no probabilities were kept.
    ignored
        Lesions of either map that are too small to count, or lie on such a one.
    """

    value: int
    match: Match
    cases: int
    found: int = 0
    missed: int = 0
    spurious: int = 0
    split: int = 0
    merged: int = 0
    almost: int = 0
    blind: int = 0
    ignored: int = 0

    @property
    def lesions(self) -> int:
        """Reference lesions."""
        return self.found + self.missed

    @property
    def sensitivity(self) -> float | None:
        """Found reference lesions of all (pooled over the cases); None without any."""
        return self.found / self.lesions if self.lesions else None

    @property
    def false_positives_per_case(self) -> float | None:
        """Spurious lesions divided by all cases, with and without lesions; None without cases."""
        return self.spurious / self.cases if self.cases else None

    @property
    def words(self) -> str:
        """Say it as the panel does: ``7 found · 3 missed · 2 spurious``."""
        return f"{self.found} found · {self.missed} missed · {self.spurious} spurious"


@dataclass(frozen=True)
class SizeBin:
    """Reference lesions of one class with ``low_ml <= size < high_ml``.

    Parameters
    ----------
    low_ml, high_ml
        0 and None at the ends.
    found
        By criterion, how many of the `lesions` are found.
    """

    low_ml: float
    high_ml: float | None
    lesions: int
    found: Mapping[Match, int]

    def recall(self, match: Match) -> float | None:
        """Found lesions of all of this size; None where there are none."""
        return self.found[match] / self.lesions if self.lesions else None

    @property
    def words(self) -> str:
        """The sizes as words."""
        if self.high_ml is None:
            return f"{self.low_ml:g} ml and more" if self.low_ml else "any size"
        if not self.low_ml:
            return f"below {self.high_ml:g} ml"
        return f"{self.low_ml:g} to {self.high_ml:g} ml"


def figures_of(
    cases: Iterable[CaseLesions], value: int, match: Match, smallest: Smallest | None = None
) -> LesionFigures:
    """Count the lesions of one class over cases, by one criterion."""
    n_cases, n_ignored, everything = 0, 0, list[Judged]()
    for lesions in cases:
        own = [one for one in lesions if one.value == value]
        counted = judged(own, match, smallest)
        n_cases += 1
        n_ignored += len(own) - len(counted)
        everything += counted
    states = [one.state for one in everything]
    true = [one for one in everything if one.lesion.source == "reference"]
    highest = [one.lesion.highest for one in true if one.state == "missed"]
    return LesionFigures(
        value,
        match,
        n_cases,
        sum(one.state == "found" for one in true),
        states.count("missed"),
        states.count("spurious"),
        sum(one.split for one in true),
        sum(one.merged for one in true),
        sum(top is not None and top >= ALMOST for top in highest),
        sum(top is not None and top < ALMOST for top in highest),
        n_ignored,
    )


def by_size(
    cases: Iterable[CaseLesions],
    value: int,
    edges_ml: Sequence[float] = BINS_ML,
    smallest: Smallest | None = None,
) -> tuple[SizeBin, ...]:
    """Return the recall of every size bin; a lesion as large as an edge is in the bin above it.

    Bins at either end in which no lesion lies are left out; none without lesions.
    """
    found = [dict.fromkeys(MATCHES, 0) for _ in range(len(edges_ml) + 1)]
    counts = [0] * len(found)
    for lesions in cases:
        own = [one for one in lesions if one.value == value]
        for match in MATCHES:
            for one in judged(own, match, smallest):
                if one.lesion.source == "reference":
                    place = bisect_right(edges_ml, one.lesion.ml * (1 + 1e-9))
                    counts[place] += match == "any"
                    found[place][match] += one.state == "found"
    bounds = [0.0, *edges_ml]
    bins = [
        SizeBin(low, high, count, by_match)
        for low, high, count, by_match in zip(bounds, [*edges_ml, None], counts, found, strict=True)
    ]
    there = [place for place, count in enumerate(counts) if count]
    return tuple(bins[there[0] : there[-1] + 1]) if there else ()


def lesions_by_case(evaluation: Evaluation) -> dict[str, CaseLesions]:
    """Return the lesions of every case that was looked at for them."""
    return {case.name: case.lesions for case in evaluation.cases if case.lesions is not None}
