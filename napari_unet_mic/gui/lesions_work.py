"""What the lesions of two layers, or of an evaluation, take, for a thread. No Qt.

Maps enter and records leave; heavy imports happen in here, so that a panel opens without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.evaluation.lesion import Judged, Lesion, LesionQuestion, Match, judged

if TYPE_CHECKING:
    from napari_unet_mic.data.display import Display
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.lesion_difference import Meetings
    from napari_unet_mic.evaluation.lesion_figures import LesionFigures, SizeBin
    from napari_unet_mic.evaluation.lesions import FoundLesions
    from napari_unet_mic.evaluation.results import Evaluation
    from napari_unet_mic.gui.later_work import Maps

ORDER = {"missed": 0, "spurious": 1, "found": 2}
"""In which lesions are listed, the largest of each first."""


@dataclass(frozen=True)
class ClassLesions:
    """The lesions of one class over all cases by one criterion: counts, recall by size, list."""

    figures: LesionFigures
    bins: tuple[SizeBin, ...]
    listed: tuple[tuple[str, Judged], ...]


@dataclass(frozen=True)
class FoundHere:
    """The lesions of two layers.

    Attributes
    ----------
    classes
        Those that were looked at.
    leading
        Where a layer with more than three axes was looked at; the lesions are of the last three.
    complaint
        Why probabilities could not be read; "" where nothing is wrong.
    second, meetings
        The lesions of the reference and a second prediction, and which of the predicted ones
        touch each other; None without a second prediction.
    """

    lesions: tuple[Lesion, ...]
    classes: tuple[int, ...]
    leading: tuple[int, ...] = ()
    complaint: str = ""
    second: tuple[Lesion, ...] | None = None
    meetings: Meetings | None = None


def find_here(
    maps: Maps,
    names: Mapping[int, str],
    classes: tuple[int, ...] | None,
    label_file: Path | None,
    display: Display | None,
    *,
    second: Any = None,
    should_stop: Callable[[], bool],
) -> FoundHere:
    """Find the lesions of two maps, with the network's confidence where the prediction kept it.

    Parameters
    ----------
    classes
        None: chosen by the rule of `lesion_classes`.
    label_file, display
        Of the prediction: its file and how it is shown.
    second
        The map of a second prediction; None without one.
    """
    from napari_unet_mic.evaluation.lesion_classes import of_maps
    from napari_unet_mic.evaluation.lesions import lesions_of

    reference, prediction = maps.arrays()
    if classes is None:
        voxel_ml = float(np.prod(maps.spacing_mm)) / 1000
        classes = of_maps([(reference, voxel_ml)], names, maps.ignore)
    found = lesions_of(reference, prediction, classes, maps.spacing_mm, ignore=maps.ignore)
    others, meetings = None, None
    if second is not None:
        others, meetings = _beside(
            reference, np.asarray(second[maps.leading]), found, classes, maps
        )
    complaint = ""
    if not maps.leading and found.lesions:
        found, complaint = _with_confidence(found, label_file, display, should_stop)
    return FoundHere(found.lesions, classes, maps.leading, complaint, others, meetings)


def _beside(
    reference: Any, second: Any, first: FoundLesions, classes: tuple[int, ...], maps: Maps
) -> tuple[tuple[Lesion, ...], Meetings]:
    """Find the lesions of a second prediction, and which of the first one's they touch."""
    from napari_unet_mic.evaluation.lesion_difference import meetings_of
    from napari_unet_mic.evaluation.lesions import lesions_of

    found = lesions_of(reference, second, classes, maps.spacing_mm, ignore=maps.ignore)
    return found.lesions, meetings_of(first, found)


def _with_confidence(
    found: FoundLesions,
    label_file: Path | None,
    display: Display | None,
    should_stop: Callable[[], bool],
) -> tuple[FoundLesions, str]:
    """Add the network's probabilities where a prediction kept them; or why they cannot be read."""
    from napari_unet_mic.evaluation.probabilities import probabilities_at, probabilities_beside

    file = probabilities_beside(label_file)
    if file is None or display is None:
        return found, ""
    places = display.array_index(found.places().T).T.astype(np.intp)
    try:
        values = probabilities_at(
            file, places, found.classes(), display.array_shape, should_stop=should_stop
        )
    except UNetMicError as error:
        if should_stop():
            raise
        return found, str(error)
    return found.with_confidence(values), ""


def count_lesions(
    gathered: Gathered,
    labels: Mapping[str, Path],
    question: LesionQuestion,
    *,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Gathered:
    """Find the lesions of an evaluation in the label files that it names."""
    from napari_unet_mic.evaluation.gathering import recount

    return recount(gathered, labels, lesions=question, progress=progress, should_stop=should_stop)


def of_class(
    evaluation: Evaluation, question: LesionQuestion, value: int, match: Match
) -> ClassLesions:
    """Count and list the lesions of one class: those of the reference, and spurious ones."""
    from napari_unet_mic.evaluation.lesion_figures import by_size, figures_of, lesions_by_case

    cases = lesions_by_case(evaluation)
    every = [
        (name, one)
        for name, lesions in cases.items()
        for one in judged(lesions, match, question.smallest)
        if one.lesion.value == value
        and (one.lesion.source == "reference" or one.state == "spurious")
    ]
    return ClassLesions(
        figures_of(cases.values(), value, match, question.smallest),
        by_size(cases.values(), value, question.bins_ml, question.smallest),
        tuple(sorted(every, key=lambda pair: (ORDER[pair[1].state], -pair[1].lesion.ml))),
    )
