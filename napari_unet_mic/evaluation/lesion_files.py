"""lesions.csv: one row a lesion, written and read back.

An evaluation whose cases know their lesions enters, rows leave, or the other way round. Only
lesions that count are written, with the state that the question's criterion gives them; what
the other criteria say follows from the IoU and the partners, which are in the file.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_unet_mic.errors import UnreadableFile
from napari_unet_mic.evaluation.lesion import SOURCES, Lesion, LesionQuestion, judged
from napari_unet_mic.evaluation.results import Evaluation

LESIONS = "lesions.csv"
LESION_COLUMNS = (
    "case",
    "class",
    "lesion",
    "source",
    "volume_ml",
    "state",
    "iou",
    "confidence",
    "z",
    "y",
    "x",
    "voxels",
    "highest_confidence",
    "partners",
    "split",
    "merged",
)


def lesion_rows(evaluation: Evaluation) -> list[tuple[str | int | float | None, ...]]:
    """Return the rows of lesions.csv; None (an empty field) where a figure is not known."""
    question = evaluation.lesions or LesionQuestion()
    rows: list[tuple[str | int | float | None, ...]] = []
    for case in evaluation.cases:
        for one in judged(case.lesions or (), question.match, question.smallest):
            lesion = one.lesion
            rows.append(
                (
                    case.name,
                    lesion.value,
                    lesion.number,
                    lesion.source,
                    lesion.ml,
                    one.state,
                    lesion.iou,
                    _rounded(lesion.confidence),
                    *lesion.point,
                    lesion.voxels,
                    _rounded(lesion.highest),
                    " ".join(map(str, lesion.partners)),
                    int(one.split),
                    int(one.merged),
                )
            )
    return rows


def with_lesions(evaluation: Evaluation, file: Path, kept: Mapping[str, Any]) -> Evaluation:
    """Return an evaluation with the lesions of its cases, read from lesions.csv.

    Parameters
    ----------
    kept
        What evaluation.json keeps of the question. A case without rows has no lesion.

    Raises
    ------
    UnreadableFile
        When the file is missing or damaged.
    """
    try:
        by_case: dict[str, list[Lesion]] = {}
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                by_case.setdefault(row["case"], []).append(_lesion(row))
        question = LesionQuestion.from_json(kept)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(
            file,
            expected=f"the columns {','.join(LESION_COLUMNS)}",
            got=" ".join(str(error).split()) or type(error).__name__,
            advice="evaluate again",
        ) from error
    cases = tuple(
        replace(case, lesions=tuple(by_case.get(case.name, ()))) for case in evaluation.cases
    )
    return replace(evaluation, cases=cases, lesions=question)


def _lesion(row: Mapping[str, str]) -> Lesion:
    source = {one: one for one in map(str, SOURCES)}[row["source"]]
    return Lesion(
        int(row["class"]),
        int(row["lesion"]),
        "reference" if source == "reference" else "prediction",
        int(row["voxels"]),
        float(row["volume_ml"]),
        float(row["iou"]),
        tuple(int(number) for number in row["partners"].split()),
        (int(row["z"]), int(row["y"]), int(row["x"])),
        None,
        _number(row["confidence"]),
        _number(row["highest_confidence"]),
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
