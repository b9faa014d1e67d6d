"""Findings: one record for each thing that is wrong, or odd, about a dataset.

A check makes them, `unet-mic check` prints them, the Dataset panel lists them. Each names
the case and the file, what was expected, what came, how grave it is and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .finding_kinds import KINDS, SEVERITIES, Severity

__all__ = ["KINDS", "SEVERITIES", "Finding", "Severity", "counted", "found", "in_order"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes
    ----------
    kind
        A stable word of `finding_kinds.KINDS`.
    case
        The case's name; empty when it is about the dataset as a whole.
    file
        The file, or None.
    expected, got, advice
        Short phrases, as in every error of this package.
    related
        The other case of a pair, or another file.
    evidence
        Numbers behind it, such as the correlation of two images.
    """

    kind: str
    severity: Severity
    expected: str
    got: str
    advice: str
    case: str = ""
    file: Path | None = None
    related: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind
        assert self.severity in SEVERITIES, self.severity

    @property
    def where(self) -> str:
        """The file with its folder (``labelsTr/liver_7.nii.gz``), else the case."""
        if self.file is not None:
            folder = self.file.parent.name
            return f"{folder}/{self.file.name}" if folder else self.file.name
        return self.case or "dataset"

    @property
    def message(self) -> str:
        """The sentence: where, what was expected, what came, what to do."""
        return f"{self.where}: expected {self.expected}, got {self.got}; {self.advice}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as `unet-mic check --json` prints it."""
        return {
            "severity": self.severity,
            "kind": self.kind,
            "case": self.case,
            "file": str(self.file) if self.file else "",
            "message": self.message,
            "related": list(self.related),
            "expected": self.expected,
            "got": self.got,
            "advice": self.advice,
            "evidence": dict(self.evidence),
        }


def found(
    kind: str,
    *,
    expected: str,
    got: str,
    case: str = "",
    file: Path | None = None,
    advice: str = "",
    severity: Severity | None = None,
    related: Iterable[str] = (),
    evidence: Mapping[str, Any] | None = None,
) -> Finding:
    """Make a finding; severity and advice are the kind's own unless given."""
    usual = KINDS[kind]
    return Finding(
        kind=kind,
        severity=severity or usual.severity,
        expected=expected,
        got=got,
        advice=advice or usual.advice,
        case=case,
        file=file,
        related=tuple(related),
        evidence=evidence or {},
    )


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings gravest first, then by kind, case and file, each once."""
    grave = {severity: place for place, severity in enumerate(SEVERITIES)}
    kinds = {word: place for place, word in enumerate(KINDS)}
    unique = {(f.kind, f.case, f.file, f.related, f.got): f for f in findings}
    return sorted(
        unique.values(),
        key=lambda f: (grave[f.severity], kinds[f.kind], f.case, str(f.file or ""), f.related),
    )


def counted(findings: Iterable[Finding]) -> str:
    """Say how many there are: ``2 errors, 1 warning, no notes``."""
    numbers = Counter(finding.severity for finding in findings)
    words = []
    for severity in SEVERITIES:
        n = numbers[severity]
        words.append(f"{n or 'no'} {severity}{'s' * (n != 1)}")
    return ", ".join(words)
