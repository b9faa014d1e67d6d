"""Many predictions against their references: pair the files, count, collect.

Two folders (or a list of pairs) enter, an `Evaluation` leaves. Files are paired by case
name; what is not an image is passed over. Each case is read, checked to lie on one grid,
counted and let go, two at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_unet_mic.data.grid import SAME_GRID_VOXELS, check_same_grid
from napari_unet_mic.data.layout import read_declared
from napari_unet_mic.data.volume import Volume, read_labels
from napari_unet_mic.errors import BadInput, Cancelled, UnknownClass
from napari_unet_mic.evaluation.confusion import MOST_CLASSES, Table, confusion_table
from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.result_files import (
    case_name,
    read_evaluation,
    write_evaluation,
)
from napari_unet_mic.evaluation.results import CaseResult, ClassMeans, Evaluation, SurfaceScore
from napari_unet_mic.evaluation.surface import surface_scores

__all__ = [
    "CasePair",
    "CaseResult",
    "ClassMeans",
    "Evaluation",
    "SurfaceScore",
    "compare",
    "evaluate_folders",
    "evaluate_pairs",
    "pair_files",
    "read_evaluation",
    "write_evaluation",
]

ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class CasePair:
    """One case: its reference and its prediction."""

    name: str
    reference: Path
    prediction: Path


def compare(
    reference: Volume,
    prediction: Volume,
    classes: Mapping[int, str] | None = None,
    *,
    ignore: int | None = None,
    name: str = "case",
    tolerance_mm: float | None = None,
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

    Raises
    ------
    GridMismatch
        When the two do not lie on one grid.
    UnknownClass
        When a value is not among the classes.
    """
    displacement = check_same_grid(reference, prediction)
    names = (str(reference.file or "reference"), str(prediction.file or "prediction"))
    if classes is None:
        n_classes = _highest(reference, prediction, ignore) + 1
    else:
        n_classes = max(classes) + 1
    table = confusion_table(
        reference.array, prediction.array, n_classes, ignore=ignore, names=names
    )
    if classes is not None:
        _check_declared(table, classes, names)
    scores = {score.value: score for score in scores_of(table)}
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
    return CaseResult(
        name,
        names[0],
        names[1],
        scores,
        surfaces,
        table,
        reference.voxel_ml,
        displacement,
    )


def evaluate_pairs(
    pairs: Iterable[CasePair],
    classes: Mapping[int, str] | None = None,
    *,
    ignore: int | None = None,
    tolerance_mm: float | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Evaluate cases from their files, `workers` at a time.

    Parameters
    ----------
    classes, ignore, tolerance_mm
        As in `compare`; without `classes` they are named "class 1" ….
    progress
        Called with (cases done, cases) from the calling thread.
    should_stop
        Asked between cases.

    Raises
    ------
    UnreadableFile, GridMismatch, UnknownClass
        Naming the file; cases not yet begun are not evaluated.
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
        )

    todo = list(pairs)
    found = _in_threads(one, todo, workers, progress, should_stop)
    n_classes = max((max(case.scores) for case in found), default=0) + 1
    if classes is None:
        classes = {value: f"class {value}" if value else "background" for value in range(n_classes)}
        found = [_widened(case, n_classes) for case in found]
    displaced = [
        f"{case.prediction_file}: its grid lies {case.displacement_voxels:.2g} voxels off "
        "its reference's; compared voxel by voxel"
        for case in found
        if case.displacement_voxels > SAME_GRID_VOXELS
    ]
    return Evaluation(tuple(found), dict(classes), tolerance_mm, (*notes, *displaced))


def evaluate_folders(
    reference_folder: str | Path,
    prediction_folder: str | Path,
    dataset_json: str | Path | None = None,
    *,
    tolerance_mm: float | None = 1.0,
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

    Raises
    ------
    BadInput
        When a folder is missing or holds no label, or a prediction has no reference; the
        other way round, references without a prediction, are a note.
    """
    references, predictions = Path(reference_folder), Path(prediction_folder)
    pairs, notes = pair_files(references, predictions)
    declared = Path(dataset_json) if dataset_json else _find_dataset_json(references, predictions)
    classes, ignore = None, None
    if declared is not None:
        facts = read_declared(declared)
        classes, ignore = facts.classes, facts.ignore_value
    return evaluate_pairs(
        pairs,
        classes,
        ignore=ignore,
        tolerance_mm=tolerance_mm,
        workers=workers,
        progress=progress,
        should_stop=should_stop,
        notes=notes,
    )


def pair_files(references: Path, predictions: Path) -> tuple[tuple[CasePair, ...], tuple[str, ...]]:
    """Pair the label files of two folders by case name; the second answer are notes.

    Two single files are one pair whatever their names.

    Raises
    ------
    BadInput
        When a folder is missing or holds no label, or a prediction has no reference.
    """
    if references.is_file() and predictions.is_file():
        return (CasePair(case_name(predictions.name), references, predictions),), ()
    by_name, predicted = _labels_in(references), _labels_in(predictions)
    orphans = sorted(set(predicted) - set(by_name))
    if orphans:
        raise BadInput(
            predicted[orphans[0]],
            expected=f"a reference named {orphans[0]} in {references}",
            got=f"none ({len(orphans)} of {len(predicted)} predictions have no reference)",
            advice="name the folder with the references, or remove these predictions",
        )
    without = sorted(set(by_name) - set(predicted))
    notes = []
    if without:
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        notes.append(
            f"{predictions}: no prediction for {len(without)} of {len(by_name)} references "
            f"({', '.join(without[:5])}{more}); they are left out"
        )
    pairs = tuple(CasePair(name, by_name[name], file) for name, file in sorted(predicted.items()))
    return pairs, tuple(notes)


def _labels_in(folder: Path) -> dict[str, Path]:
    if folder.is_file():
        return {case_name(folder.name): folder}
    if not folder.is_dir():
        raise BadInput(
            folder, expected="a folder of labels", got="no such folder", advice="check the path"
        )
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if not file.name.endswith(ENDINGS) or file.name[0] in "._" or not file.is_file():
            continue
        name = case_name(file.name)
        if name in found:
            raise BadInput(
                file,
                expected="one label a case",
                got=f"{found[name].name} beside it",
                advice="keep one of the two",
            )
        found[name] = file
    if not found:
        raise BadInput(
            folder,
            expected=f"labels ({' or '.join(ENDINGS)})",
            got="none",
            advice="name the folder that holds the label files themselves",
        )
    return found


def _find_dataset_json(references: Path, predictions: Path) -> Path | None:
    """Look in the folders and up to two above them (``fold_0/validation`` of a model)."""
    for start in (references.absolute(), predictions.absolute()):
        for folder in (start, *list(start.parents)[:2]):
            if (folder / "dataset.json").is_file():
                return folder / "dataset.json"
    return None


def _in_threads(
    work: Callable[[CasePair], CaseResult],
    todo: list[CasePair],
    workers: int,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> list[CaseResult]:
    """Do `work` on a few threads, in order; the first error ends it and is raised."""
    done: dict[int, CaseResult] = {}
    waiting = iter(enumerate(todo))
    running: dict[Future[CaseResult], int] = {}
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
                done[running.pop(future)] = future.result()
            if progress is not None:
                progress(len(done), len(todo))
    return [done[index] for index in range(len(todo))]


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


def _widened(case: CaseResult, n_classes: int) -> CaseResult:
    """Return a case whose table also has the classes that only other cases hold."""
    assert case.table is not None
    table = np.zeros((n_classes, n_classes), np.int64)
    table[: case.table.shape[0], : case.table.shape[1]] = case.table
    return replace(case, scores={score.value: score for score in scores_of(table)}, table=table)
