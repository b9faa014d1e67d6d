"""The check of a dataset as text: what `unet-mic check` prints.

A `Check` enters, lines leave: findings gravest first, at most a few of one kind unless all
are asked for, and how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from napari_unet_mic.data.findings import Finding, counted
from napari_unet_mic.data.integrity import Check
from napari_unet_mic.data.lesion_statistics import class_statistics, spread
from napari_unet_mic.reporting.tables import TextTable

MOST_OF_ONE_KIND = 10


def check_text(check: Check, *, every: bool = False) -> str:
    """Write the findings, one a line, and their number.

    Parameters
    ----------
    every
        Show all findings, not only the first ten of each kind.
    """
    lines = list(_lines(check.findings, None if every else MOST_OF_ONE_KIND))
    table = _statistics(check)
    if table:
        lines += ["", table.rstrip()]
    if any(change.shared for change in check.changes):
        who = check.patients.source if check.patients else "suspected pairs"
        lines += ["", f"Folds of {check.splits_source}, patients from {who}:"]
        lines += [change.sentence for change in check.changes]
    lines.append("")
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


def _statistics(check: Check) -> str:
    rows = [
        (
            one.name,
            one.split,
            f"{one.present} of {one.cases}",
            _range(one.volumes_ml),
            str(len(one.lesions_ml)),
            _range(one.lesions_ml),
        )
        for one in class_statistics(check.statistics, check.dataset.classes)
    ]
    headings = ("Class", "Split", "Cases with it", "Volume ml", "Components", "Component ml")
    return TextTable(headings, tuple(rows)).text() if rows else ""


def _range(values: Sequence[float]) -> str:
    """Write smallest, median and largest."""
    figures = spread(values)
    if figures is None:
        return ""
    return " / ".join(f"{figures[word]:.3g}" for word in ("smallest", "median", "largest"))
