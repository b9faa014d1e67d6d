"""The check of a dataset as text: what `unet-mic check` prints.

A `Check` enters, lines leave: findings gravest first, at most a few of one kind unless all
are asked for, and how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from napari_unet_mic.data.findings import Finding, counted
from napari_unet_mic.data.integrity import Check

MOST_OF_ONE_KIND = 10


def check_text(check: Check, *, every: bool = False) -> str:
    """Write the findings, one a line, and their number.

    Parameters
    ----------
    every
        Show all findings, not only the first ten of each kind.
    """
    lines = list(_lines(check.findings, None if every else MOST_OF_ONE_KIND))
    lines.append(f"{check.dataset.name}: {len(check.cases)} cases, {counted(check.findings)}")
    return "\n".join(lines)


def _lines(findings: Iterable[Finding], most: int | None) -> Iterator[str]:
    findings = list(findings)
    total = Counter(_group(finding) for finding in findings)
    shown: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        group = _group(finding)
        shown[group] += 1
        if most is None or shown[group] <= most:
            yield f"{finding.severity:7}  {finding.kind:28}  {finding.message}"
        elif shown[group] == total[group]:
            more = f"… and {total[group] - most} more (--all)"
            yield f"{finding.severity:7}  {finding.kind:28}  {more}"


def _group(finding: Finding) -> tuple[str, str]:
    return finding.severity, finding.kind
