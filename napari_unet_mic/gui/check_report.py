"""The check of a dataset as the panel keeps it: asked from a child process, read from its JSON.

No Qt here. ``unet-mic check --json`` runs in a process of its own, so that unpacking hundreds
of files neither holds napari up nor takes it down; `run_check` waits for it in a thread.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from napari_unet_mic.data.findings import SEVERITIES, counted, found
from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.jobs.process import ending, kill_tree

PAIR_KINDS = ("duplicate-image", "near-duplicate", "same-patient-suspected")
_POLL_SECONDS = 0.1

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Reported:
    """One finding as the child reported it."""

    severity: str
    kind: str
    case: str
    file: str
    message: str
    got: str = ""
    advice: str = ""
    related: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reported:
        """Read a finding; fields of a later release are passed over."""
        return cls(
            severity=values["severity"],
            kind=values["kind"],
            case=values["case"],
            file=values["file"],
            message=values["message"],
            got=values.get("got", ""),
            advice=values.get("advice", ""),
            related=tuple(values["related"]),
            evidence=values.get("evidence", {}),
        )


@dataclass(frozen=True)
class Sizes:
    """Volume and components of one class in one case, in millilitres."""

    case: str
    split: str
    value: int
    volume_ml: float
    lesions_ml: tuple[float, ...]


@dataclass(frozen=True)
class CheckReport:
    """Everything that a check found.

    Attributes
    ----------
    groups
        Cases of one patient, as told or suspected, and cases that share an image.
    """

    findings: tuple[Reported, ...]
    n_cases: int
    groups: tuple[tuple[str, ...], ...] = ()
    sizes: tuple[Sizes, ...] = ()

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> CheckReport:
        """Read what ``unet-mic check --json`` printed."""
        rows = report.get("case_statistics", ())
        return cls(
            findings=tuple(Reported.from_json(values) for values in report["findings"]),
            n_cases=report["cases"],
            groups=tuple(tuple(group) for group in report.get("splits", {}).get("groups", ())),
            sizes=tuple(
                Sizes(r["case"], r["split"], r["class"], r["volume_ml"], tuple(r["lesions_ml"]))
                for r in rows
            ),
        )

    @property
    def pairs(self) -> tuple[Reported, ...]:
        """The findings about two cases that share an image or a patient."""
        return tuple(one for one in self.findings if one.kind in PAIR_KINDS and one.related)

    @property
    def headline(self) -> str:
        """How many findings there are, by severity."""
        return counted_reported(self.findings)


def counted_reported(findings: Sequence[Reported]) -> str:
    """Say how many there are: ``2 errors, 1 warning, no notes``."""
    return counted(
        found("check-failed", expected="", got="", severity=severity)
        for severity in SEVERITIES
        for one in findings
        if one.severity == severity
    )


def run_check(
    words: Sequence[str],
    tell: Tell,
    *,
    command: Sequence[str] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> CheckReport:
    """Run ``unet-mic check`` in a child and wait for its report; call it in a thread.

    Parameters
    ----------
    words
        The dataset and the options, without ``--json`` and ``--progress``.
    tell
        Called with stage, done and total, from this thread.

    Raises
    ------
    BadInput
        The child could not check; its sentence is passed on.
    Cancelled
        `should_stop` said so; the child has been ended.
    """
    line = list(command or [sys.executable, "-m", "napari_unet_mic", "check"])
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    with subprocess.Popen(
        [*line, *words, "--json", "--progress", "lines"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    ) as child:
        output, said = _listen(child, tell, should_stop)
    if child.returncode not in (0, 3):
        sentence = said[-1] if said else f"the check ended {ending(child.returncode)}"
        raise BadInput(
            words[0],
            expected="a dataset that can be checked",
            got=sentence.removeprefix("unet-mic: "),
            advice="correct that, then check again",
        )
    return CheckReport.from_json(json.loads(output))


def _listen(
    child: subprocess.Popen[str], tell: Tell, should_stop: Callable[[], bool]
) -> tuple[str, list[str]]:
    """Follow a child to its end; return its output and what it said beside its progress."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    output: list[str] = []
    assert child.stdout is not None
    assert child.stderr is not None
    readers = [
        threading.Thread(target=_read_lines, args=(child.stderr, lines), daemon=True),
        threading.Thread(target=_read_whole, args=(child.stdout, output), daemon=True),
    ]
    for reader in readers:
        reader.start()
    said: list[str] = []
    while True:
        if should_stop():
            kill_tree(child.pid)
            raise Cancelled("the check of the dataset")
        try:
            text = lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue
        if text is None:
            break
        if text.startswith("{"):
            at = json.loads(text)
            tell(at["stage"], at["done"], at["total"])
        elif text.strip():
            said.append(text.strip())
    for reader in readers:
        reader.join()
    child.wait()
    return "".join(output), said


def _read_lines(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for text in stream:
        lines.put(text)
    lines.put(None)


def _read_whole(stream: IO[str], output: list[str]) -> None:
    output.append(stream.read())


def check_words(
    dataset: str | Path,
    *,
    pattern: str = "",
    patients_file: Path | None = None,
    splits_file: Path | None = None,
    held_out: Sequence[str] = (),
) -> list[str]:
    """Return the words after ``unet-mic check`` for what the panel shows."""
    words = [str(dataset)]
    if patients_file is not None:
        words += ["--patients", str(patients_file)]
    if pattern.strip():
        words += ["--patient-pattern", pattern.strip()]
    if splits_file is not None:
        words += ["--splits", str(splits_file)]
    if held_out:
        words += ["--test", *held_out]
    return words
