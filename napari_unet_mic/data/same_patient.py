"""Suspicion: which cases look like two scans, or two parts of a scan, of one patient.

Examined cases and how alike their images are enter; pairs with a reason leave. There are two
reasons. *One intensity step*: a rescaled scan's values are multiples of one odd number, and
two images with the same one were rescaled together. *Unusually alike*: details and
intensities agree far better than those of other pairs, and no intensity step speaks against
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .alignment import Match
from .examine import Examined
from .fingerprints import Floats
from .image_check import QUANTILES, ChannelFacts

_SAME_STEP = 1e-6
_LARGEST_GROUP = 4
_LARGEST_SHARE = 0.02
_ALIKE = 0.6
_OUTSTANDING_SPREADS = 2.5
_UNUSUAL_SPREADS = 1.25
_SAME_INTENSITIES = 0.25


@dataclass(frozen=True)
class Reason:
    """Why two cases are suspected to be one patient.

    Attributes
    ----------
    step
        The intensity step they share, or None.
    correlation
        Of their details, where it was computed.
    unusual
        By how many robust standard deviations they are more alike than most pairs.
    """

    step: float | None
    correlation: float | None
    unusual: float

    @property
    def phrase(self) -> str:
        """The reason in words."""
        parts = []
        if self.step is not None:
            parts.append(f"the same intensity step {self.step:.7g}")
        if self.correlation is not None:
            parts.append(f"details correlate with r = {self.correlation:.2f}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return it as evidence of a finding."""
        return {
            "intensity_step": self.step,
            "correlation": None if self.correlation is None else round(self.correlation, 3),
            "unusual": round(self.unusual, 2),
        }


def suspicions(
    cases: Sequence[Examined], matches: Mapping[tuple[int, int], Match], likeness: Floats
) -> dict[tuple[int, int], Reason]:
    """Return the suspected pairs (places in the list, the smaller first) with their reasons.

    Parameters
    ----------
    matches
        The pairs that were looked at closely.
    likeness
        (n, n) how alike all pairs are at low resolution.
    """
    unusual = _unusual(likeness)
    channels = [case.image.channels[0] for case in cases if case.image is not None]
    steps = [odd_step(channel) for channel in channels]

    def correlation(pair: tuple[int, int]) -> float | None:
        match = matches.get(pair)
        return None if match is None else match.correlation

    found: dict[tuple[int, int], Reason] = {}
    for pair in _one_step(steps):
        found[pair] = Reason(steps[pair[0]], correlation(pair), float(unusual[pair]))
    limit = _outstanding(matches)
    for (a, b), match in matches.items():
        if (a, b) in found or match.correlation < limit or unusual[a, b] < _UNUSUAL_SPREADS:
            continue
        contradicted = steps[a] is not None or steps[b] is not None
        if not contradicted and _same_intensities(channels[a], channels[b]):
            found[a, b] = Reason(None, match.correlation, float(unusual[a, b]))
    return dict(sorted(found.items()))


def _outstanding(matches: Mapping[tuple[int, int], Match]) -> float:
    """Return the correlation that stands out among those of every case with its likest one."""
    likest: dict[int, float] = {}
    for pair, match in matches.items():
        for place in pair:
            likest[place] = max(likest.get(place, 0.0), match.correlation)
    if not likest:
        return 1.0
    sizes = np.array(list(likest.values()))
    middle = float(np.median(sizes))
    spread = 1.4826 * float(np.median(np.abs(sizes - middle)))
    return max(_ALIKE, middle + _OUTSTANDING_SPREADS * spread)


def odd_step(channel: ChannelFacts) -> float | None:
    """Return a channel's intensity step if only a rescaling can have given it.

    Whole and round numbers (three digits at most) and powers of two say nothing.
    """
    step = channel.step
    if step is None or step <= 0:
        return None
    digits = step / 10.0 ** (np.floor(np.log10(step)) - 2)
    if abs(digits / np.rint(digits) - 1) < 1e-5:
        return None
    power = np.log2(step)
    return None if abs(power - np.rint(power)) < 1e-5 else step


def _one_step(steps: Sequence[float | None]) -> list[tuple[int, int]]:
    """Pair the cases of equal steps; a step that many share is the site's, not a scan's."""
    order = sorted((step, place) for place, step in enumerate(steps) if step is not None)
    groups: list[list[int]] = []
    last = 0.0
    for step, place in order:
        if groups and step - last <= _SAME_STEP * step:
            groups[-1].append(place)
        else:
            groups.append([place])
        last = step
    largest = max(_LARGEST_GROUP, int(_LARGEST_SHARE * len(steps)))
    pairs = []
    for group in groups:
        if 2 <= len(group) <= largest:
            members = sorted(group)
            pairs += [(a, b) for n, a in enumerate(members) for b in members[n + 1 :]]
    return sorted(pairs)


def _unusual(likeness: Floats) -> Floats:
    """Return for each pair how unusually alike it is, for the less impressed of the two."""
    n = len(likeness)
    if n < 3:
        return np.zeros_like(likeness)
    others = likeness.copy()
    np.fill_diagonal(others, np.nan)
    middle = np.nanmedian(others, axis=1)
    spread = 1.4826 * np.nanmedian(np.abs(others - middle[:, None]), axis=1)
    scores = (likeness - middle[:, None]) / np.maximum(spread, 1e-3)[:, None]
    lower: Floats = np.minimum(scores, scores.T)
    return lower


def _same_intensities(a: ChannelFacts, b: ChannelFacts) -> bool:
    """Return whether the quantiles from 10 to 99 % agree, as shares of the span."""
    first = QUANTILES.index(10)
    one, two = np.array(a.quantiles[first:]), np.array(b.quantiles[first:])
    span = max(one[-1] - one[0], two[-1] - two[0])
    return bool(span > 0 and np.abs(one - two).max() <= _SAME_INTENSITIES * span)
