"""Many predictions against their references: each pair read, counted, and collected.

Two folders (or a list of pairs) enter, an `Evaluation` leaves. Each case is read, checked to
lie on one grid, counted and let go, two at a time; one that cannot be compared is named, and
the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_unet_mic.data.grid import SAME_GRID_VOXELS, check_same_grid
from napari_unet_mic.data.layout import read_declared
from napari_unet_mic.data.volume import Volume, read_labels
from napari_unet_mic.errors import Cancelled, UNetMicError, UnknownClass
from napari_unet_mic.evaluation.confusion import MOST_CLASSES, Table, confusion_table
from napari_unet_mic.evaluation.lesion import LesionQuestion
from napari_unet_mic.evaluation.lesion_classes import settled
from napari_unet_mic.evaluation.lesions import lesions_of_case, without_probabilities
from napari_unet_mic.evaluation.overlap import ClassScore, scores_of
from napari_unet_mic.evaluation.pairing import CasePair, find_dataset_json, pair_files
from napari_unet_mic.evaluation.pooling import table_over
from napari_unet_mic.evaluation.result_files import read_evaluation, write_evaluation
from napari_unet_mic.evaluation.results import (
    CaseResult,
    ClassMeans,
    Evaluation,
    FailedCase,
    SurfaceScore,
)
from napari_unet_mic.evaluation.surface import surface_scores

Task = TypeVar("Task")
Answer = TypeVar("Answer")

__all__ = [
    "CasePair",
    "CaseResult",
    "ClassMeans",
    "Evaluation",
    "FailedCase",
    "SurfaceScore",
    "compare",
    "evaluate_folders",
    "evaluate_pairs",
    "pair_files",
    "read_evaluation",
    "write_evaluation",
]


def compare(
    reference: Volume,
    prediction: Volume,
    classes: Mapping[int, str] | None = None,
    *,
    ignore: int | None = None,
    name: str = "case",
    tolerance_mm: float | None = None,
    lesions: LesionQuestion | None = None,
) -> CaseResult:
    """Compare one prediction with its reference, both in memory.

    Parameters
    ----------
    classes
        Names by class value; None: whatever values occur are classes.
    ignore
        The reference value that excludes a voxel.
    tolerance_mm
        Tolerance of the NSD; None leaves HD95 and NSD out.
    lesions
        The lesions to look for (its classes named); None leaves them out.

    Raises
    ------
    GridMismatch
        When the two do not lie on one grid.
    UnknownClass
        When a value is not among the classes.
    """
    displacement = check_same_grid(reference, prediction)
    names = (str(reference.file or "reference"), str(prediction.file or "prediction"))
    highest = max(classes) if classes else _highest(reference, prediction, ignore)
    raw = confusion_table(
        reference.array, prediction.array, highest + 1, ignore=ignore, names=names
    )
    if classes is not None:
        _check_declared(raw, classes, names)
    values = _occurring(raw) if classes is None else sorted({0, *classes})
    table = raw[np.ix_(values, values)]
    scores = _scores(table, values)
    surfaces = {}
    if tolerance_mm is not None:
        surfaces = surface_scores(
            reference.array,
            prediction.array,
            scores,
            reference.spacing_mm,
            tolerance_mm=tolerance_mm,
            ignore=ignore,
        )
    found = None
    if lesions is not None:
        found = lesions_of_case(reference, prediction, lesions, name=name, ignore=ignore)
    return CaseResult(
        name,
        names[0],
        names[1],
        scores,
        surfaces,
        table,
        reference.voxel_ml,
        displacement,
        found,
    )


def evaluate_pairs(
    pairs: Iterable[CasePair],
    classes: Mapping[int, str] | None = None,
    *,
    ignore: int | None = None,
    tolerance_mm: float | None = None,
    lesions: LesionQuestion | None = None,
    workers: int = 2,
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Evaluate cases from their files, `workers` at a time.

    Parameters
    ----------
    classes, ignore, tolerance_mm, lesions
        As in `compare`; without `classes` they are named "class 1" …. A question about lesions
        that names no class lets `lesion_classes` choose.
    keep_going
        A case that cannot be compared is listed in `Evaluation.failed`; the others go on.
    progress
        Called with (cases done, cases) from the calling thread.
    should_stop
        Asked between cases.

    Raises
    ------
    UnreadableFile, GridMismatch, UnknownClass
        Naming the file; cases not yet begun are not evaluated. With `keep_going` only when
        no case at all could be compared.
    Cancelled
        When `should_stop` answered yes.
    """

    def one(pair: CasePair) -> CaseResult:
        return compare(
            read_labels(pair.reference),
            read_labels(pair.prediction),
            classes,
            ignore=ignore,
            name=pair.name,
            tolerance_mm=tolerance_mm,
            lesions=lesions,
        )

    todo = list(pairs)
    if lesions is not None:
        lesions = settled(lesions, [pair.reference for pair in todo], classes, ignore)
        notes = [*notes, *without_probabilities(lesions, [pair.name for pair in todo])]
    answers = in_threads(one, todo, workers, keep_going, progress, should_stop)
    found, failed = without_failed([pair.name for pair in todo], answers)
    if classes is None:
        classes = numbered_names(value for case in found for value in case.scores)
        found = [_widened(case, list(classes)) for case in found]
    said = (*notes, *_displaced(found))
    return Evaluation(tuple(found), dict(classes), tolerance_mm, said, failed, ignore, lesions)


def evaluate_folders(
    reference_folder: str | Path,
    prediction_folder: str | Path,
    dataset_json: str | Path | None = None,
    *,
    tolerance_mm: float | None = 1.0,
    lesions: LesionQuestion | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Evaluation:
    """Evaluate every prediction of a folder that has a reference of the same name.

    Parameters
    ----------
    reference_folder, prediction_folder
        Folders of label files, or one file each.
    dataset_json
        Gives the classes and the ignore value; when left out, a dataset.json in or above
        one of the two folders does, and without any they are named "class 1" ….
    tolerance_mm
        Tolerance of the NSD in millimetres; None leaves the surface figures out.
    lesions
        The lesions to look for; None leaves them out.

    Raises
    ------
    BadInput
        When a folder is missing or holds no label, or no prediction has a reference.
    UnreadableFile, GridMismatch, UnknownClass
        When not one case could be compared; otherwise those that could not are listed in
        `Evaluation.failed`.
    """
    references, predictions = Path(reference_folder), Path(prediction_folder)
    pairs, notes = pair_files(references, predictions)
    declared = Path(dataset_json) if dataset_json else find_dataset_json(references, predictions)
    classes, ignore = None, None
    if declared is not None:
        facts = read_declared(declared)
        classes, ignore = facts.classes, facts.ignore_value
    return evaluate_pairs(
        pairs,
        classes,
        ignore=ignore,
        tolerance_mm=tolerance_mm,
        lesions=lesions,
        workers=workers,
        keep_going=True,
        progress=progress,
        should_stop=should_stop,
        notes=notes,
    )


def in_threads(
    work: Callable[[Task], Answer],
    todo: list[Task],
    workers: int,
    keep_going: bool,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> list[Answer | UNetMicError]:
    """Do `work` on a few threads, in order; an error is the answer, or ends it and is raised."""
    done: dict[int, Answer | UNetMicError] = {}
    waiting = iter(enumerate(todo))
    running: dict[Future[Answer], int] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        while len(done) < len(todo):
            if should_stop is not None and should_stop():
                raise Cancelled("the evaluation")
            for index, pair in waiting:
                running[pool.submit(work, pair)] = index
                if len(running) >= workers:
                    break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                error = future.exception()
                if keep_going and isinstance(error, UNetMicError):
                    done[running.pop(future)] = error
                else:
                    done[running.pop(future)] = future.result()
            if progress is not None:
                progress(len(done), len(todo))
    return [done[index] for index in range(len(todo))]


def without_failed(
    names: Sequence[str], answers: Sequence[Answer | UNetMicError]
) -> tuple[list[Answer], tuple[FailedCase, ...]]:
    """Part the answers from the cases that failed; where all did, the first error is raised."""
    found = [answer for answer in answers if not isinstance(answer, UNetMicError)]
    failed = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, UNetMicError):
            if not found:
                raise answer
            failed.append(FailedCase(name, str(answer)))
    return found, tuple(failed)


def numbered_names(values: Iterable[int]) -> dict[int, str]:
    """Return names for classes that nobody declared: background, class 1, …"""
    return {value: f"class {value}" if value else "background" for value in sorted({0, *values})}


def _displaced(cases: Sequence[CaseResult]) -> list[str]:
    """Say which predictions lie a little off their reference's grid."""
    return [
        f"{case.prediction_file}: its grid lies {case.displacement_voxels:.2g} voxels off "
        "its reference's; compared voxel by voxel"
        for case in cases
        if case.displacement_voxels > SAME_GRID_VOXELS
    ]


def _highest(reference: Volume, prediction: Volume, ignore: int | None) -> int:
    """Return the highest class value of two maps that declare no classes."""
    highest = 0
    for volume in (reference, prediction):
        labels = volume.array
        if labels.size == 0:
            continue
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= MOST_CLASSES:
            raise UnknownClass(
                volume.file or "label",
                expected=f"class values 0 to {MOST_CLASSES - 1}",
                got=f"a voxel of value {low if low < 0 else high}",
                advice="compare class maps, not maps of numbered objects",
            )
        highest = max(highest, high)
    return highest if ignore is None or highest != ignore else max(0, highest - 1)


def _check_declared(table: Table, classes: Mapping[int, str], names: tuple[str, str]) -> None:
    for counts, name in zip((table.sum(axis=1), table.sum(axis=0)), names, strict=True):
        for value in np.flatnonzero(counts).tolist():
            if value not in classes:
                raise UnknownClass(
                    name,
                    expected=f"the classes {', '.join(map(str, classes))}",
                    got=f"{int(counts[value])} voxels of value {value}",
                    advice="correct the label, or declare the class in dataset.json",
                )


def _occurring(raw: Table) -> list[int]:
    """Return the values of either map, the background always among them."""
    found = np.flatnonzero(raw.sum(axis=0) + raw.sum(axis=1)).tolist()
    return sorted({0, *found})


def _scores(table: Table, values: Sequence[int]) -> dict[int, ClassScore]:
    """Return the score of every row of a table, by the class value that the row stands for."""
    scores = zip(scores_of(table), values, strict=True)
    return {value: replace(score, value=value) for score, value in scores}


def _widened(case: CaseResult, values: Sequence[int]) -> CaseResult:
    """Return a case whose table also has the classes that only other cases hold."""
    assert case.table is not None
    table = table_over(case, values)
    surfaces = {value: SurfaceScore() for value in values if value} if case.surfaces else {}
    return replace(
        case,
        scores=_scores(table, values),
        surfaces={**surfaces, **case.surfaces},
        table=table,
    )
