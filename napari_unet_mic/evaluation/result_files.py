"""An evaluation on disk: summary.json (nnU-Net's schema), confusion.csv and cases.csv.

evaluation.json beside them keeps what those three have no place for: class names, the
tolerance of the NSD, the ignore value, millilitres a voxel, notes, cases that failed, which
lesions were looked for (they are in lesions.csv: `lesion_files`).
An `Evaluation` enters and files leave, or the other way round. nnU-Net's own
``validation/summary.json`` alone can be read too: then there is no confusion table, no
volume in millilitres and no background.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet_mic.data.files import read_json, write_csv, write_json
from napari_unet_mic.errors import UnreadableFile
from napari_unet_mic.evaluation.confusion import Table
from napari_unet_mic.evaluation.lesion_files import (
    LESION_COLUMNS,
    LESIONS,
    lesion_rows,
    with_lesions,
)
from napari_unet_mic.evaluation.overlap import ClassScore
from napari_unet_mic.evaluation.results import CaseResult, Evaluation, FailedCase, SurfaceScore

SUMMARY, CONFUSION, CASES = "summary.json", "confusion.csv", "cases.csv"
ABOUT = "evaluation.json"
CONFUSION_COLUMNS = ("case", "true_class", "predicted_class", "voxels")
CASES_COLUMNS = (
    "case",
    "class",
    "class_name",
    "iou",
    "dice",
    "hd95_mm",
    "nsd",
    "reference_ml",
    "prediction_ml",
    "tp",
    "fp",
    "fn",
)


def write_evaluation(evaluation: Evaluation, folder: str | Path) -> None:
    """Write the files of an evaluation into `folder`, each whole; summary.json comes last."""
    target = Path(folder)
    write_csv(target / CONFUSION, CONFUSION_COLUMNS, confusion_rows(evaluation))
    write_csv(target / CASES, CASES_COLUMNS, case_rows(evaluation))
    about: dict[str, Any] = {
        "format_version": 1,
        "classes": {str(value): name for value, name in evaluation.classes.items()},
        "tolerance_mm": evaluation.tolerance_mm,
        "voxel_ml": {case.name: case.voxel_ml for case in evaluation.cases},
        "notes": list(evaluation.notes),
        "failed": {case.name: case.sentence for case in evaluation.failed},
        "ignore": evaluation.ignore,
    }
    if evaluation.lesions is not None:
        write_csv(target / LESIONS, LESION_COLUMNS, lesion_rows(evaluation))
        about["lesions"] = evaluation.lesions.to_json()
    write_json(target / ABOUT, about)
    write_json(target / SUMMARY, evaluation.summary())


def confusion_rows(evaluation: Evaluation) -> list[tuple[str | int, ...]]:
    """Return the rows of confusion.csv: every cell of every case, zeros included."""
    rows: list[tuple[str | int, ...]] = []
    for case in evaluation.cases:
        if case.table is None:
            continue
        for (true, predicted), voxels in np.ndenumerate(case.table):
            rows.append((case.name, case.values[true], case.values[predicted], int(voxels)))
    return rows


def case_rows(evaluation: Evaluation) -> list[tuple[str | int | float | None, ...]]:
    """Return the rows of cases.csv; None (an empty field) where a figure is not defined."""
    rows: list[tuple[str | int | float | None, ...]] = []
    for case in evaluation.cases:
        for value, score in sorted(case.scores.items()):
            surface = case.surfaces.get(value, SurfaceScore())
            rows.append(
                (
                    case.name,
                    value,
                    evaluation.classes.get(value, f"class {value}"),
                    score.iou,
                    score.dice,
                    surface.hd95_mm,
                    surface.nsd,
                    case.ml(score.n_ref),
                    case.ml(score.n_pred),
                    score.tp,
                    score.fp,
                    score.fn,
                )
            )
    return rows


def read_evaluation(folder: str | Path, *, classes: Mapping[int, str] | None = None) -> Evaluation:
    """Read an evaluation back: its folder, or a folder or file with nnU-Net's summary.json.

    Parameters
    ----------
    classes
        Names of the classes, for a summary.json alone; "class 1" … otherwise.

    Raises
    ------
    UnreadableFile
        When summary.json is missing or not nnU-Net's, or a CSV beside it is damaged.
    """
    given = Path(folder)
    file = given if given.name.endswith(".json") else given / SUMMARY
    evaluation = _of_summary(file, read_json(file), classes)
    about_file = file.with_name(ABOUT)
    if not about_file.is_file():
        return evaluation
    rows = _read_csv(file.with_name(CASES), CASES_COLUMNS)
    cells = _read_csv(file.with_name(CONFUSION), CONFUSION_COLUMNS)
    about = read_json(about_file)
    try:
        whole = _with_csv(evaluation, about, rows, cells)
        kept = about.get("lesions")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UnreadableFile(
            file.parent,
            expected=f"{CASES}, {CONFUSION} and {ABOUT} of the cases in {SUMMARY}",
            got=f"other content ({error})",
            advice="evaluate again",
        ) from error
    return with_lesions(whole, file.with_name(LESIONS), kept) if kept else whole


def case_name(file: str) -> str:
    """Return a file's name without folder and image ending (also of another system's path)."""
    name = file.replace("\\", "/").rsplit("/", 1)[-1]
    for ending in (".nii.gz", ".nii"):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name.rsplit(".", 1)[0]


def _of_summary(file: Path, summary: Any, classes: Mapping[int, str] | None) -> Evaluation:
    try:
        cases = tuple(_case_of(entry) for entry in summary["metric_per_case"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFile(
            file,
            expected="nnU-Net v2's summary.json of single classes",
            got=f"one without {error}" if isinstance(error, KeyError) else "other content",
            advice="evaluate the predictions again with unet-mic evaluate",
        ) from error
    values = sorted({0} | {value for case in cases for value in case.scores})
    names = {value: f"class {value}" for value in values} | {0: "background"} | dict(classes or {})
    return Evaluation(cases, names)


def _case_of(entry: dict[str, Any]) -> CaseResult:
    scores = {
        int(key): ClassScore(int(key), *(int(metrics[count]) for count in ("TP", "FP", "FN", "TN")))
        for key, metrics in entry["metrics"].items()
    }
    reference, prediction = str(entry["reference_file"]), str(entry["prediction_file"])
    return CaseResult(case_name(prediction), reference, prediction, scores)


def _read_csv(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV, none when it does not exist."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    if tuple(reader.fieldnames or ()) != tuple(columns):
        raise UnreadableFile(
            file,
            expected=f"columns {','.join(columns)}",
            got=",".join(reader.fieldnames or ["nothing"]),
            advice="evaluate again",
        )
    return rows


def _with_csv(
    evaluation: Evaluation,
    about: dict[str, Any],
    rows: list[dict[str, str]],
    cells: list[dict[str, str]],
) -> Evaluation:
    """Add to what summary.json says: names, background, surfaces, volumes, tables."""
    by_case: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_case.setdefault(row["case"], []).append(row)
    tables = _tables_of(cells)
    cases = tuple(
        _case_with_csv(
            case, by_case[case.name], tables.get(case.name), about["voxel_ml"][case.name]
        )
        for case in evaluation.cases
    )
    names = {int(value): str(name) for value, name in about["classes"].items()}
    failed = tuple(FailedCase(name, why) for name, why in about.get("failed", {}).items())
    return Evaluation(
        cases, names, about["tolerance_mm"], tuple(about["notes"]), failed, about.get("ignore")
    )


def _tables_of(cells: list[dict[str, str]]) -> dict[str, Table]:
    by_case: dict[str, list[tuple[int, int, int]]] = {}
    for cell in cells:
        entry = (int(cell["true_class"]), int(cell["predicted_class"]), int(cell["voxels"]))
        by_case.setdefault(cell["case"], []).append(entry)
    tables = {}
    for name, entries in by_case.items():
        place = {value: n for n, value in enumerate(sorted({true for true, _, _ in entries}))}
        table = np.zeros((len(place), len(place)), np.int64)
        for true, predicted, voxels in entries:
            table[place[true], place[predicted]] = voxels
        tables[name] = table
    return tables


def _case_with_csv(
    case: CaseResult, rows: list[dict[str, str]], table: Table | None, voxel_ml: float | None
) -> CaseResult:
    total = int(table.sum()) if table is not None else 0
    scores, surfaces = dict(case.scores), {}
    for row in rows:
        value = int(row["class"])
        tp, fp, fn = int(row["tp"]), int(row["fp"]), int(row["fn"])
        tn = scores[value].tn if value in scores else total - tp - fp - fn
        scores[value] = ClassScore(value, tp, fp, fn, tn)
        if value:
            surfaces[value] = SurfaceScore(_number(row["hd95_mm"]), _number(row["nsd"]))
    return replace(
        case,
        scores=dict(sorted(scores.items())),
        surfaces=surfaces,
        table=table,
        voxel_ml=voxel_ml,
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
