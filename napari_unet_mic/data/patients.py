"""Patients: which case belongs to whom, from a file or from the case names.

A JSON or CSV file, or a name pattern, enters; a `Patients` record leaves. Scans of one
patient belong on one side of every split. `patients.json` of a workspace is such a file.

A name pattern is text with one of these in it; everything else stands for itself:
``{patient}`` any text, which is the patient; ``{pair}`` a number of which 2k−1 and 2k are one
patient (two crops of one scan); ``*`` any text.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadInput, UnreadableFile
from .dataset import dataset_file
from .files import read_json, require_file, unreadable, write_json
from .inventory import take_inventory
from .layout import ENDINGS

PATIENTS_FILE = "patients.json"
_FEWEST = 5

_CASE_WORDS = ("case", "cases", "name", "file", "image", "case_id", "id", "scan")
_PATIENT_WORDS = ("patient", "patient_id", "patientid", "subject", "participant_id", "person")
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Patients:
    """Who is who.

    Attributes
    ----------
    of_case
        Case to patient. A case that is not there counts as a patient of its own.
    source
        The file or pattern that said so, for messages.
    """

    of_case: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def patient(self, case: str) -> str | None:
        """Return a case's patient; None when nobody said."""
        return self.of_case.get(case)

    def groups(self, names: Iterable[str]) -> list[tuple[str, ...]]:
        """Return the cases by patient, sorted; a case without a patient stands alone."""
        together: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in sorted(names):
            patient = self.of_case.get(name)
            together[("alone", name) if patient is None else ("patient", patient)].append(name)
        return sorted(tuple(group) for group in together.values())

    def write(self, file: str | Path) -> None:
        """Write them as JSON, case to patient."""
        write_json(file, dict(sorted(self.of_case.items())))


def read_patients(file: str | Path) -> Patients:
    """Read who is who.

    Parameters
    ----------
    file
        JSON: ``{"case": "patient", …}``, ``{"patient": ["case", …], …}`` or a list of
        ``{"case": …, "patient": …}``. Anything else is read as CSV (comma, semicolon or tab):
        two columns, case and patient, with or without a heading.

    Raises
    ------
    UnreadableFile
        When it cannot be opened, or is neither.
    BadInput
        When a case has two patients.
    """
    path = Path(file).expanduser()
    if path.suffix.lower() == ".json":
        pairs = _from_json(path, read_json(path))
    else:
        pairs = _from_csv(path)
    of_case: dict[str, str] = {}
    for case, patient in pairs:
        name = _case_name(case)
        if of_case.setdefault(name, patient) != patient:
            raise BadInput(
                path,
                expected="one patient for each case",
                got=f"{of_case[name]} and {patient} for {name}",
                advice="correct the file",
            )
    return Patients(of_case, str(path))


def _case_name(text: str) -> str:
    name = text.strip().replace("\\", "/").rsplit("/", 1)[-1]
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name


def _from_json(path: Path, content: Any) -> list[tuple[str, str]]:
    if isinstance(content, dict) and len(content) == 1 and "patients" in content:
        content = content["patients"]
    if isinstance(content, dict):
        if all(isinstance(value, list) for value in content.values()):
            return [
                (str(case), str(patient)) for patient, cases in content.items() for case in cases
            ]
        if not any(isinstance(value, list | dict) for value in content.values()):
            return [(str(case), str(patient)) for case, patient in content.items()]
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        rows = [{str(key).lower(): value for key, value in row.items()} for row in content]
        pairs = [(_value(row, _CASE_WORDS), _value(row, _PATIENT_WORDS)) for row in rows]
        if all(case is not None and patient is not None for case, patient in pairs):
            return [(str(case), str(patient)) for case, patient in pairs]
    raise UnreadableFile(
        path,
        expected='{"case": "patient", …} or {"patient": ["case", …], …}',
        got="something else",
        advice="write case names and patients as text",
    )


def _value(row: Mapping[str, Any], words: Sequence[str]) -> Any:
    return next((row[word] for word in words if word in row), None)


def _from_csv(path: Path) -> list[tuple[str, str]]:
    require_file(path, "a JSON or CSV file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise unreadable(path, "a JSON or CSV file", error) from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            path, expected="text in UTF-8", got="other bytes", advice="save it as CSV in UTF-8"
        ) from error
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = max(_DELIMITERS, key=first.count)
    rows = [
        [cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter)
    ]
    rows = [row for row in rows if any(row)]
    if not rows or any(len(row) < 2 for row in rows):
        raise UnreadableFile(
            path,
            expected="lines `case,patient`",
            got="a line with fewer than two columns" if rows else "no line",
            advice="write a case and its patient in every line",
        )
    case_column, patient_column, body = _columns(rows)
    return [(row[case_column], row[patient_column]) for row in body if len(row) > patient_column]


def _columns(rows: list[list[str]]) -> tuple[int, int, list[list[str]]]:
    """Return which columns hold case and patient, and the lines below a heading."""
    heading = [cell.lower().replace(" ", "_") for cell in rows[0]]
    patients = [n for n, cell in enumerate(heading) if cell in _PATIENT_WORDS]
    cases = [n for n, cell in enumerate(heading) if cell in _CASE_WORDS and n not in patients]
    if patients and cases:
        return cases[0], patients[0], rows[1:]
    if patients:
        return int(patients[0] == 0), patients[0], rows[1:]
    if cases:
        return cases[0], int(cases[0] == 0), rows[1:]
    return 0, 1, rows


def choose_patients(dataset: str | Path, file: Path | None, pattern: str | None) -> Patients | None:
    """Return who is who from a file, else from a name pattern, else from what lies there.

    Without file and pattern a ``patients.json`` beside dataset.json says it; None when
    there is none. With both, the pattern says it for the cases that the file leaves out.

    Raises
    ------
    UnreadableFile, BadInput, BadDataset
        When one of them cannot be used.
    """
    beside = dataset_file(dataset).with_name(PATIENTS_FILE)
    if file is None and pattern is None:
        return read_patients(beside) if beside.is_file() else None
    told = read_patients(file) if file is not None else Patients()
    if pattern is None:
        return told
    names = [case.name for case in take_inventory(dataset).dataset.cases]
    read = patients_by_pattern(names, pattern)
    if file is None:
        return read
    return Patients({**read.of_case, **told.of_case}, f"{told.source} and {read.source}")


# ---- name patterns -----------------------------------------------------------------------
def patients_by_pattern(names: Iterable[str], pattern: str) -> Patients:
    """Read patients out of case names; a name that the pattern does not fit has none.

    Raises
    ------
    BadInput
        When the pattern holds neither ``{patient}`` nor ``{pair}``, or holds both.
    """
    expression = _expression(pattern)
    of_case = {}
    for name in names:
        fit = expression.fullmatch(name)
        if fit is None:
            continue
        if "pair" in fit.groupdict():
            before, after = name[: fit.start("pair")], name[fit.end("pair") :]
            of_case[name] = f"{before}{(int(fit['pair']) + 1) // 2}{after}"
        else:
            of_case[name] = fit["patient"]
    return Patients(of_case, f"the pattern {pattern}")


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{patient\}|\{pair\}|\*)", pattern.strip())
    if sum(part in ("{patient}", "{pair}") for part in parts) != 1:
        raise BadInput(
            f"name pattern {pattern!r}",
            expected="text with {patient} or {pair} in it, once",
            got="none" if "{p" not in pattern else "more",
            advice="such as sub-{patient}_* or hippocampus_{pair}",
        )
    forms = {"{patient}": "(?P<patient>.+?)", "{pair}": r"(?P<pair>\d+)", "*": ".*"}
    return re.compile("".join(forms.get(part, re.escape(part)) for part in parts))


def suggested_patterns(names: Sequence[str]) -> list[str]:
    """Return patterns under which some of these names would share a patient, likely ones first.

    A pattern is suggested when it fits every name, and then names at least five patients and
    one with several cases.
    """
    if not names:
        return []
    stem = re.match(r"^(.*?)\d+$", names[0])
    tries = [
        "sub-{patient}_*",
        *(f"{{patient}}{mark}*" for mark in ("_ses-", "_visit", "_scan", "_t", "-")),
        "{patient}_*",
        *([f"{stem[1]}{{pair}}"] if stem else []),
    ]
    fitting = []
    for pattern in tries:
        patients = patients_by_pattern(names, pattern).of_case
        if len(patients) == len(names) and _FEWEST <= len(set(patients.values())) < len(names):
            fitting.append(pattern)
    return fitting
