"""What the page of all cases reads and computes, for a thread. No Qt.

An evaluation's folder enters, an `AllCases` leaves: the evaluation, its tables, and whether a
missing confusion table can be counted from the files; or a case's layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet_mic.data.dataset import Dataset, load_case, open_dataset
from napari_unet_mic.data.volume import read_image, read_labels
from napari_unet_mic.errors import BadInput, UNetMicError
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.confusion_tables import Confusion, of_evaluation
from napari_unet_mic.gui.state import OpenCase

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.ranking import Ranking
    from napari_unet_mic.evaluation.results import CaseResult, ClassMeans, Evaluation

NO_TABLE = "nnU-Net's summary.json counts each class alone: what was taken for what is not in it."
CAN_COUNT = " The label files it names are there, so it can be counted."
CANNOT_COUNT = " To have it counted, open the dataset of these cases or point to the two folders."


@dataclass(frozen=True, eq=False)
class AllCases:
    """An evaluation with what its page shows.

    Attributes
    ----------
    means
        Of every class, the background included where it was scored.
    metrics
        By which the cases can be put in order.
    foreground
        nnU-Net's foreground means, as words; "" without any.
    confusion
        None when nobody counted it; `lacking` says why and what can be done.
    countable
        Whether the files of some case are there to count it from.
    """

    gathered: Gathered
    means: tuple[ClassMeans, ...]
    ranking: Ranking
    metrics: tuple[str, ...]
    foreground: str
    confusion: Confusion | None
    lacking: str = ""
    countable: bool = False

    @property
    def evaluation(self) -> Evaluation:
        """The cases and their figures."""
        return self.gathered.evaluation


def open_evaluation(
    place: str | Path, classes: Mapping[int, str] | None, labels: Mapping[str, Path]
) -> AllCases:
    """Read an evaluation: of one folder, or of all folds of a model."""
    from napari_unet_mic.evaluation.gathering import gather

    return prepared(gather(place, classes=classes), labels)


def prepared(gathered: Gathered, labels: Mapping[str, Path]) -> AllCases:
    """Compute the tables of an evaluation.

    Parameters
    ----------
    labels
        Reference files of the open dataset by case name.
    """
    from napari_unet_mic.evaluation.case_order import metrics_of
    from napari_unet_mic.evaluation.gathering import files_of
    from napari_unet_mic.evaluation.ranking import worst_first

    evaluation = gathered.evaluation
    confusion = of_evaluation(evaluation)
    lacking, countable = "", False
    if confusion is None and evaluation.cases:
        for case in evaluation.cases:
            try:
                files_of(gathered, case, labels)
            except UNetMicError:
                continue
            countable = True
            break
        lacking = NO_TABLE + (CAN_COUNT if countable else CANNOT_COUNT)
    return AllCases(
        gathered,
        evaluation.class_means,
        worst_first(evaluation),
        metrics_of(evaluation),
        _foreground(evaluation),
        confusion,
        lacking,
        countable,
    )


def _foreground(evaluation: Evaluation) -> str:
    iou, dice = evaluation.foreground_iou, evaluation.foreground_dice
    return "" if iou is None or dice is None else f"; foreground: IoU {iou:.4f}, Dice {dice:.4f}"


def counted(
    gathered: Gathered,
    labels: Mapping[str, Path],
    *,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> AllCases:
    """Count an evaluation again from its label files: tables, volumes, HD95 and NSD."""
    from napari_unet_mic.evaluation.gathering import recount

    again = recount(gathered, labels, tolerance_mm=1.0, progress=progress, should_stop=should_stop)
    return prepared(again, labels)


def evaluated_folders(
    references: Path,
    predictions: Path,
    *,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> AllCases:
    """Compare the label files of two folders."""
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.summary import evaluate_folders

    found = evaluate_folders(references, predictions, progress=progress, should_stop=should_stop)
    folders = dict.fromkeys((case.name for case in found.cases), predictions)
    return prepared(Gathered(found, predictions, folders), {})


def evaluated_again(
    gathered: Gathered,
    labels: Mapping[str, Path],
    predictions: Path,
    *,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Gathered:
    """Compare other predictions of the same cases with their references, lesions included."""
    from napari_unet_mic.evaluation.gathering import Gathered, files_of
    from napari_unet_mic.evaluation.pairing import CasePair, labels_in
    from napari_unet_mic.evaluation.summary import evaluate_pairs

    files, evaluation = labels_in(predictions), gathered.evaluation
    pairs = [
        CasePair(case.name, files_of(gathered, case, labels).reference, files[_own(case.name)])
        for case in evaluation.cases
        if _own(case.name) in files
    ]
    if not pairs:
        raise BadInput(
            predictions,
            expected="predictions of the cases that are shown",
            got="other cases",
            advice="choose the folder with other predictions of the same cases",
        )
    asked = evaluation.lesions
    found = evaluate_pairs(
        pairs,
        evaluation.classes,
        ignore=evaluation.ignore,
        tolerance_mm=evaluation.tolerance_mm,
        lesions=replace(asked, probabilities=None) if asked is not None else None,
        keep_going=True,
        progress=progress,
        should_stop=should_stop,
    )
    folders = dict.fromkeys((case.name for case in found.cases), predictions)
    return Gathered(found, predictions, folders)


def _own(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def labels_of(dataset: Dataset | None) -> dict[str, Path]:
    """Return the reference files of a dataset by case name."""
    cases = dataset.cases if dataset is not None else ()
    return {case.name: case.label for case in cases if case.label is not None}


@dataclass(frozen=True, eq=False)
class JudgedCase:
    """A case to open: what lies where, and the second prediction where there is one."""

    gathered: Gathered
    result: CaseResult
    second: tuple[Gathered, CaseResult] | None = None


def read_judged_case(
    wanted: JudgedCase, dataset: Dataset | None
) -> tuple[OpenCase | None, list[layers.LayerTuple]]:
    """Read a case's image (when a dataset has it), predictions and reference.

    Raises
    ------
    MissingLabels
        When a label file is not where the evaluation says, nor where somebody pointed to.
    """
    from napari_unet_mic.evaluation.gathering import files_of

    labels = labels_of(dataset)
    try:
        files = files_of(wanted.gathered, wanted.result, labels)
        other = files_of(*wanted.second, labels).prediction if wanted.second else None
    except BadInput as error:
        raise MissingLabels(str(error)) from error
    evaluation, name = wanted.gathered.evaluation, _own(wanted.result.name)
    tuples: list[layers.LayerTuple] = []
    case, reference = None, None
    if dataset is not None and any(known.name == name for known in dataset.cases):
        image, reference = load_case(dataset, name)
        case = OpenCase(dataset.case(name), image, reference)
        tuples += layers.image_tuples(image, case=name, channel_names=dataset.channel_names)
    else:
        tuples += images_near(files.reference, name)
    options: dict[str, Any] = {
        "case": name,
        "classes": evaluation.classes,
        "ignore": evaluation.ignore,
    }
    todo = [(read_labels(files.prediction), "prediction")]
    if other is not None:
        todo.insert(0, (read_labels(other), "second prediction"))
    todo.append((reference or read_labels(files.reference), "reference"))
    for volume, role in todo:
        tuples.append(layers.labels_tuple(volume, name=f"{name} {role}", role=role, **options))
        if role == "second prediction":
            tuples[-1][1]["visible"] = False  # the pair is looked at; vs shows where it differs
    return case, tuples


class MissingLabels(UNetMicError):
    """Label files of a case are not here."""


def images_near(reference: Path, name: str) -> list[layers.LayerTuple]:
    """Return the image layers of a case whose dataset.json lies one folder above its label."""
    folder = reference.parent.parent
    if not (folder / "dataset.json").is_file():
        return []
    try:
        dataset = open_dataset(folder, check_files=False)
        images = dataset.case(name).images
        volume = read_image(images)
    except (UNetMicError, KeyError):
        return []  # the labels can be looked at without
    return layers.image_tuples(volume, case=name, channel_names=dataset.channel_names)


def pointed(gathered: Gathered, *, references: Path | None, predictions: Path | None) -> Gathered:
    """Return an evaluation whose label files are looked for in these folders, too."""
    return replace(
        gathered,
        references=references or gathered.references,
        predictions=predictions or gathered.predictions,
    )
