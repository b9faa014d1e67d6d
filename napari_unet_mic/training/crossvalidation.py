"""Cross-validation: the validation cases of all folds in one folder, scored together.

In: a run whose folds are trained and validated. Out: a folder as nnU-Net's
``nnUNetv2_accumulate_crossval_results`` makes it (``crossval_results_folds_0_1_2_3_4`` with all
predictions, dataset.json, plans.json and summary.json), which the error inspector opens.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.errors import BadInput
from napari_unet_mic.training.events import CrossValidationFinished, Event
from napari_unet_mic.training.prepare import Materials
from napari_unet_mic.training.run import Run
from napari_unet_mic.training.validate import class_scores, evaluate_cases


def gather_folds(run: Run, materials: Materials, emit: Callable[[Event], None]) -> None:
    """Copy every fold's predictions into one folder and score them together, unless that is done.

    Raises
    ------
    BadInput
        A case was validated by two folds: the splits overlap.
    """
    target = run.validation_folder
    parts = {fold: run.of_fold(fold).validation_folder for fold in run.folds}
    if _is_gathered(target, [folder / "summary.json" for folder in parts.values()]):
        return
    names = _collect(parts, target)
    for name in ("dataset.json", "plans.json"):
        _copy(run.folder / name, target / name)
    found = evaluate_cases(materials.dataset, names, target)
    emit(
        CrossValidationFinished(
            folder=str(target),
            folds=tuple(int(fold) for fold in parts),
            cases=len(names),
            dice=class_scores(found, "dice"),
            iou=class_scores(found, "iou"),
            mean_dice=_number(found.foreground_dice),
            mean_iou=_number(found.foreground_iou),
        )
    )


def _collect(parts: Mapping[int | str, Path], target: Path) -> list[str]:
    """Copy the predictions of every fold; returns the cases' names."""
    ending = ".nii.gz"
    seen: dict[str, int | str] = {}
    for fold, folder in parts.items():
        for file in sorted(folder.glob(f"*{ending}")):
            name = file.name.removesuffix(ending)
            if file.name.startswith("."):
                continue
            if name in seen:
                raise BadInput(
                    file,
                    expected="every case in the validation of one fold",
                    got=f"{name} in folds {seen[name]} and {fold}",
                    advice="use splits whose validation cases do not overlap",
                )
            seen[name] = fold
            _copy(file, target / file.name)
    return sorted(seen)


def _is_gathered(target: Path, summaries: list[Path]) -> bool:
    done = target / "summary.json"
    if not done.exists():
        return False
    return all(done.stat().st_mtime >= summary.stat().st_mtime for summary in summaries)


def _copy(source: Path, target: Path) -> None:
    write_whole(target, lambda path: _bytes(source, path))


def _bytes(source: Path, path: Path) -> None:
    shutil.copyfile(source, path)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
