"""Evaluations found on disk and joined: one folder, the folds of a model, or several summaries.

A folder enters, a `Gathered` leaves: all its cases as one evaluation, and where the files of
each case may lie. The five validation summaries of a cross-validation are one answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_unet_mic.data.layout import read_declared
from napari_unet_mic.errors import BadInput, UNetMicError
from napari_unet_mic.evaluation.lesion import LesionQuestion
from napari_unet_mic.evaluation.pairing import ENDINGS, CasePair
from napari_unet_mic.evaluation.result_files import SUMMARY, read_evaluation
from napari_unet_mic.evaluation.results import CaseResult, Evaluation, FailedCase
from napari_unet_mic.evaluation.summary import evaluate_pairs

PATTERNS = (SUMMARY, "fold_*/validation/summary.json", "validation/summary.json", "summary*.json")


@dataclass(frozen=True, eq=False)
class Gathered:
    """An evaluation as it lies on disk.

    Attributes
    ----------
    place
        What was opened.
    folders
        By case: the folder of its summary, where a prediction named there may lie too.
    references, predictions
        Folders that somebody pointed to: label files there by the names of their cases.
    """

    evaluation: Evaluation
    place: Path
    folders: Mapping[str, Path]
    references: Path | None = None
    predictions: Path | None = None


def gather(place: str | Path, *, classes: Mapping[int, str] | None = None) -> Gathered:
    """Read all summaries of a folder (or one summary file) as one evaluation.

    Parameters
    ----------
    place
        A folder with summary.json; a model folder with ``fold_*/validation``; a fold's
        folder; a folder with several ``summary*.json``; or one such file.
    classes
        Names for summaries that have none and no dataset.json near them.

    Raises
    ------
    UnreadableFile
        When there is no summary, or one is not nnU-Net's.
    """
    given = Path(place)
    files = summaries_in(given)
    parts = []
    for file in files:
        declared, ignore = _declared_near(file)
        part = read_evaluation(file, classes=declared or classes)
        parts.append(part if part.ignore is not None else replace(part, ignore=ignore))
    titles = [_title(file) for file in files]
    joined, renamed = join(parts, titles)
    folders = {
        renamed[index, case.name]: file.parent
        for index, (part, file) in enumerate(zip(parts, files, strict=True))
        for case in part.cases
    }
    return Gathered(joined, given, folders)


def summaries_in(place: Path) -> list[Path]:
    """Return the summary files that belong to a folder (or the file itself)."""
    if place.suffix == ".json":
        return [place]
    for pattern in PATTERNS:
        found = sorted(place.glob(pattern))
        if found:
            return found
    return [place / SUMMARY]


def join(
    parts: Sequence[Evaluation], titles: Sequence[str]
) -> tuple[Evaluation, dict[tuple[int, str], str]]:
    """Join evaluations; the second answer is each case's name by (part, its name there).

    A case that occurs in several parts is named ``title/case`` in each.
    """
    if len(parts) == 1:
        return parts[0], {(0, case.name): case.name for case in parts[0].cases}
    times = Counter(case.name for part in parts for case in part.cases)
    renamed, cases, notes = {}, [], []
    classes: dict[int, str] = {}
    failed: list[FailedCase] = []
    for index, (part, title) in enumerate(zip(parts, titles, strict=True)):
        for case in part.cases:
            name = f"{title}/{case.name}" if times[case.name] > 1 else case.name
            renamed[index, case.name] = name
            cases.append(replace(case, name=name))
        classes = {**part.classes, **classes}
        notes += list(part.notes)
        failed += list(part.failed)
    tolerances = {part.tolerance_mm for part in parts}
    ignores = {part.ignore for part in parts}
    if len(tolerances) > 1:
        notes.append("The evaluations were made with different tolerances: their NSDs differ")
    joined = Evaluation(
        tuple(cases),
        dict(sorted(classes.items())),
        tolerances.pop() if len(tolerances) == 1 else None,
        tuple(notes),
        tuple(failed),
        ignores.pop() if len(ignores) == 1 else None,
        _joined_question([part.lesions for part in parts]),
    )
    return joined, renamed


def files_of(
    gathered: Gathered, case: CaseResult, labels: Mapping[str, Path] | None = None
) -> CasePair:
    """Return where a case's reference and prediction lie now.

    Parameters
    ----------
    labels
        Reference files by case name that are known otherwise (of the open dataset).

    Raises
    ------
    BadInput
        When one of the two is nowhere.
    """
    own_name = case.name.rsplit("/", 1)[-1]
    beside = gathered.folders.get(case.name, gathered.place)
    predicted = _first_file(
        [
            *_in_folder(gathered.predictions, own_name, case.prediction_file),
            Path(case.prediction_file),
            beside / _base(case.prediction_file),
        ],
        case.prediction_file,
        "prediction",
        "point to the folder that holds the predictions",
    )
    known = [labels[own_name]] if labels and own_name in labels else []
    pointed = _in_folder(gathered.references, own_name, case.reference_file)
    reference = _first_file(
        [*pointed, *known, Path(case.reference_file)],
        case.reference_file,
        "reference",
        "open the dataset of this case, or point to the folder with the references",
        but_not=predicted,
    )
    return CasePair(case.name, reference, predicted)


def recount(
    gathered: Gathered, labels: Mapping[str, Path] | None = None, **options: object
) -> Gathered:
    """Evaluate the files that a summary names again: tables, volumes and surfaces come with it.

    `options` are those of `evaluate_pairs` (tolerance, lesions, progress, stop). Cases whose
    files are gone are listed as failed.

    Raises
    ------
    BadInput
        When not one case has both its files.
    """
    evaluation = gathered.evaluation
    pairs, lost = [], []
    for case in evaluation.cases:
        try:
            pairs.append(files_of(gathered, case, labels))
        except UNetMicError as error:
            lost.append(FailedCase(case.name, str(error)))
    if not pairs:
        raise BadInput(
            gathered.place,
            expected="the label files that its summary names",
            got=lost[0].sentence if lost else "no cases",
            advice="open the dataset and the folder with the predictions",
        )
    found = evaluate_pairs(
        pairs,
        evaluation.classes,
        ignore=evaluation.ignore,
        keep_going=True,
        notes=evaluation.notes,
        **options,  # type: ignore[arg-type]
    )
    failed = (*evaluation.failed, *lost, *found.failed)
    return replace(gathered, evaluation=replace(found, failed=failed))


def _joined_question(questions: Sequence[LesionQuestion | None]) -> LesionQuestion | None:
    """Return the first question with the classes of all; None unless every part has lesions."""
    asked = [question for question in questions if question is not None]
    if len(asked) < len(questions) or not asked:
        return None
    classes = {value for question in asked for value in question.classes}
    return replace(asked[0], classes=tuple(sorted(classes)))


def _first_file(
    candidates: Sequence[Path],
    named: str,
    role: str,
    advice: str,
    but_not: Path | None = None,
) -> Path:
    for candidate in candidates:
        if candidate.is_file() and (but_not is None or not candidate.samefile(but_not)):
            return candidate
    raise BadInput(
        named,
        expected=f"the {role} that the summary names",
        got="no such file",
        advice=advice,
    )


def _in_folder(folder: Path | None, case: str, named: str) -> list[Path]:
    """Return where a case's label may lie in a folder: by its own name, or the name given."""
    if folder is None:
        return []
    return [folder / name for name in (_base(named), *(f"{case}{ending}" for ending in ENDINGS))]


def _base(file: str) -> str:
    return file.replace("\\", "/").rsplit("/", 1)[-1]


def _declared_near(file: Path) -> tuple[dict[int, str] | None, int | None]:
    """Return classes and ignore value of the dataset.json at or above a summary, if any."""
    folder = file.absolute().parent
    for place in (folder, *list(folder.parents)[:2]):
        if (place / "dataset.json").is_file():
            try:
                declared = read_declared(place / "dataset.json")
            except UNetMicError:
                return None, None  # names only: the figures do not need it
            return dict(declared.classes), declared.ignore_value
    return None, None


def _title(file: Path) -> str:
    """Return a short name of one of several summaries: its fold, or its own name."""
    if file.parent.name == "validation":
        return file.parent.parent.name
    return file.stem.removeprefix("summary_") or file.parent.name
