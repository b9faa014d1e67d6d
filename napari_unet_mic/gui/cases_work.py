"""What the page of all cases reads and computes, for a thread. No Qt.

An evaluation's folder enters, an `AllCases` leaves: the evaluation, its tables, and whether a
missing confusion table can be counted from the files; or a case's layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet_mic.data.dataset import Dataset, load_case
from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.confusion_tables import Confusion, of_evaluation
from napari_unet_mic.gui.state import OpenCase

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.ranking import Ranking
    from napari_unet_mic.evaluation.results import CaseResult, ClassMeans, Evaluation

NO_TABLE = "nnU-Net's summary.json counts each class alone: what was taken for what is not in it."
CAN_COUNT = " The label files it names are there, so it can be counted."
CANNOT_COUNT = (
    " To have it counted, open the dataset of these cases and keep the predictions where the "
    "summary says, or beside it."
)


@dataclass(frozen=True, eq=False)
class AllCases:
    """An evaluation with what its page shows.

    Attributes
    ----------
    means
        Of every class, the background included where it was scored.
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


def labels_of(dataset: Dataset | None) -> dict[str, Path]:
    """Return the reference files of a dataset by case name."""
    cases = dataset.cases if dataset is not None else ()
    return {case.name: case.label for case in cases if case.label is not None}


def read_judged_case(
    gathered: Gathered, result: CaseResult, dataset: Dataset | None
) -> tuple[OpenCase | None, list[layers.LayerTuple]]:
    """Read a case's image (when the dataset has it), prediction and reference."""
    from napari_unet_mic.evaluation.gathering import files_of

    files = files_of(gathered, result, labels_of(dataset))
    evaluation = gathered.evaluation
    name = result.name.rsplit("/", 1)[-1]
    tuples: list[layers.LayerTuple] = []
    case, reference = None, None
    if dataset is not None and any(known.name == name for known in dataset.cases):
        image, reference = load_case(dataset, name)
        case = OpenCase(dataset.case(name), image, reference)
        tuples += layers.image_tuples(image, case=name, channel_names=dataset.channel_names)
    options: dict[str, Any] = {
        "case": name,
        "classes": evaluation.classes,
        "ignore": evaluation.ignore,
    }
    prediction = read_labels(files.prediction)
    for volume, role in (
        (prediction, "prediction"),
        (reference or read_labels(files.reference), "reference"),
    ):
        tuples.append(layers.labels_tuple(volume, name=f"{name} {role}", role=role, **options))
    return case, tuples
