"""Leakage: the same image, or the same patient, under two case names.

Examined cases enter; pairs with their evidence leave, gravest first: *duplicates* (the same
voxels), *near duplicates* (the same image after flip, crop, resampling, noise or change of
intensity) and *suspicions* (two scans of one patient). `leak_findings` puts them into words.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import Cancelled
from .alignment import Looker, Match
from .candidates import find_candidates
from .examine import Examined
from .findings import Finding, found
from .same_patient import Reason, suspicions
from .sides import Sides

PairKind = Literal["duplicate-image", "near-duplicate", "same-patient-suspected"]

SAME_IMAGE = 0.85
"""A correlation of details from here on is the same image."""
_ALL_PAIRS_UP_TO = 8


@dataclass(frozen=True)
class Leak:
    """Two cases that share an image or a patient.

    Attributes
    ----------
    first, second
        Case names.
    match
        How the images lie on each other; None for what was told by digests alone.
    reason
        Why one patient is suspected.
    channels
        Which channels of the two hold the same voxels.
    """

    kind: PairKind
    first: str
    second: str
    match: Match | None = None
    reason: Reason | None = None
    channels: tuple[int, int] | None = None


def find_leaks(
    cases: Sequence[Examined],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Leak]:
    """Compare all cases with each other.

    Raises
    ------
    Cancelled
        `should_stop` said so.
    """
    duplicates = _duplicates(cases)
    known = {(leak.first, leak.second) for leak in duplicates}
    pictured = [case for case in cases if _has_picture(case)]
    rasters = [case.image.raster for case in pictured if case.image is not None]
    search = find_candidates(
        [raster for raster in rasters if raster is not None],
        progress=progress,
        should_stop=should_stop,
    )
    looker = Looker([raster for raster in rasters if raster is not None])
    matches: dict[tuple[int, int], Match] = {}
    for candidate in search.candidates:
        if should_stop():
            raise Cancelled("the search for leaks")
        pair = candidate.first, candidate.second
        matches[pair] = looker.compare(*pair, candidate.poses)
    names = [case.name for case in pictured]
    near = [
        Leak("near-duplicate", names[a], names[b], match)
        for (a, b), match in matches.items()
        if abs(match.correlation) >= SAME_IMAGE and (names[a], names[b]) not in known
    ]
    same = {tuple(sorted((leak.first, leak.second))) for leak in (*duplicates, *near)}
    suspected = [
        Leak("same-patient-suspected", names[a], names[b], matches.get((a, b)), reason)
        for (a, b), reason in suspicions(pictured, matches, search.likeness).items()
        if tuple(sorted((names[a], names[b]))) not in same
    ]
    near.sort(key=lambda leak: -abs(leak.match.correlation) if leak.match else 0)
    return [*duplicates, *near, *suspected]


def _has_picture(case: Examined) -> bool:
    if case.image is None or case.image.raster is None or not case.image.channels:
        return False
    return not case.image.channels[0].is_constant


def _duplicates(cases: Sequence[Examined]) -> list[Leak]:
    """Find equal voxels by their digests, channel by channel."""
    holding: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for case in cases:
        for number, channel in enumerate(case.image.channels if case.image else ()):
            if not channel.is_constant:
                holding[channel.digest].append((case.name, number))
    pairs: dict[tuple[str, str], Leak] = {}
    for group in holding.values():
        paired = list(itertools.combinations(group, 2))
        if len(group) > _ALL_PAIRS_UP_TO:  # each named once, beside the first
            paired = [(group[0], other) for other in group[1:]]
        for (first, a), (second, b) in paired:
            if first != second:
                pairs.setdefault(
                    (first, second), Leak("duplicate-image", first, second, channels=(a, b))
                )
    return list(pairs.values())


# ---- in words ----------------------------------------------------------------------------
def leak_findings(
    leaks: Iterable[Leak], cases: Sequence[Examined], sides: Sides, cell_mm: float
) -> list[Finding]:
    """Return the findings of pairs, saying on which sides of the splits they are."""
    by_name = {case.name: case for case in cases}
    return [_finding(leak, by_name, sides, cell_mm) for leak in leaks]


def _finding(leak: Leak, cases: Mapping[str, Examined], sides: Sides, cell_mm: float) -> Finding:
    first, second = leak.first, leak.second
    # the case to act on: the one that is not in the training set, else the later
    case, other = (first, second) if sides.role(first) != "train" else (second, first)
    apart = sides.apart((case, other))
    where = f" ({apart.phrase})" if apart else ""
    expected = "an image that no other case has"
    if leak.kind == "duplicate-image":
        got = f"the voxels of {other}"
        if leak.channels and len(cases[case].case.images) + len(cases[other].case.images) > 2:
            channel = leak.channels[0 if other == first else 1]
            got += f", channel {channel}"
    elif leak.kind == "near-duplicate":
        got = f"{other} {describe(leak.match, cell_mm)}" if leak.match else other
    else:
        expected = "scans of different patients"
        got = f"what looks like the patient of {other}: {leak.reason.phrase if leak.reason else ''}"
    evidence: dict[str, Any] = {**apart.to_json()}
    if leak.match is not None:
        evidence |= match_json(leak.match, cell_mm)
    if leak.reason is not None:
        evidence |= leak.reason.to_json()
    return found(
        leak.kind,
        case=case,
        file=cases[case].case.images[0],
        expected=expected,
        got=got + where,
        related=[other],
        evidence=evidence,
    )


_DIRECTIONS = ("head to foot", "front to back", "left to right")


def describe(match: Match, cell_mm: float) -> str:
    """Say how two images lie on each other, such as ``mirrored left to right, r = 0.97``."""
    pose, parts = match.pose, []
    if pose.axes != (0, 1, 2):
        parts.append("turned")
    mirrored = [word for word, step in zip(_DIRECTIONS, pose.flips, strict=True) if step < 0]
    if mirrored:
        parts.append("mirrored " + " and ".join(mirrored))
    shift_mm = np.array(pose.shift) * cell_mm
    if pose.squeezed:
        parts.append("both brought to one size" if pose.axes == (0, 1, 2) else "")
    elif np.abs(shift_mm).max() > cell_mm / 2:
        parts.append("shifted by " + "×".join(f"{abs(mm):.1f}" for mm in shift_mm) + " mm")
    if match.correlation < 0:
        parts.append("inverted")
    parts.append(f"r = {match.correlation:.2f}")
    return "again, " + ", ".join(part for part in parts if part)


def match_json(match: Match, cell_mm: float) -> dict[str, Any]:
    """Return a match as evidence of a finding."""
    return {
        "correlation": round(match.correlation, 3),
        "overlap": round(match.overlap, 3),
        "axes": list(match.pose.axes),
        "flips": list(match.pose.flips),
        "shift_mm": [round(s * cell_mm, 2) for s in match.pose.shift],
    }
