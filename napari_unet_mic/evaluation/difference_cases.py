"""Two predictions of many cases: read beside their references, counted, written as difference.csv.

Folders (or single files) of references and two predictions enter, `Differences` leave: for
every case what the second prediction fixed, broke and left wrong, by true class
(`napari_unet_mic.evaluation.difference` defines the states), and where lesions are looked for
what became of each (`napari_unet_mic.evaluation.lesion_difference`), for lesion_difference.csv.
Grids, undeclared classes, the ignore value and cases that cannot be compared are dealt with as
in `napari_unet_mic.evaluation.summary`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from napari_unet_mic.data.files import write_csv
from napari_unet_mic.data.layout import read_declared
from napari_unet_mic.data.volume import Volume, read_labels
from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.confusion import Table
from napari_unet_mic.evaluation.difference import (
    BROKEN,
    FIXED,
    STILL_WRONG,
    difference_table,
)
from napari_unet_mic.evaluation.lesion import LesionQuestion
from napari_unet_mic.evaluation.lesion_classes import settled
from napari_unet_mic.evaluation.lesion_difference import (
    LESION_DIFFERENCE,
    LESION_DIFFERENCE_COLUMNS,
    LesionChange,
    Meetings,
    difference_rows,
    lesion_changes,
    meetings_of,
)
from napari_unet_mic.evaluation.lesions import lesions_of
from napari_unet_mic.evaluation.pairing import CasePair, find_dataset_json, pair_files
from napari_unet_mic.evaluation.results import CaseResult, FailedCase, pool
from napari_unet_mic.evaluation.summary import (
    compare,
    in_threads,
    numbered_names,
    without_failed,
)

DIFFERENCE = "difference.csv"
DIFFERENCE_COLUMNS = ("case", "class", "fixed", "broken", "still_wrong")


@dataclass(frozen=True)
class Trio:
    """One case: its reference and two predictions."""

    name: str
    reference: Path
    first: Path
    second: Path


@dataclass(frozen=True, eq=False)
class CaseDifference:
    """One case, counted.

    Attributes
    ----------
    first, second
        What each prediction alone is worth.
    table
        (K, 4) voxels; row r for class ``values[r]``, columns as `difference.STATES`.
    meetings
        Which lesions of the two predictions touch; None where nobody looked for lesions.
    """

    name: str
    first: CaseResult
    second: CaseResult
    values: tuple[int, ...]
    table: Table
    meetings: Meetings | None = None

    def count(self, value: int, state: int) -> int:
        """Return the voxels of a true class in a state; 0 for a class that is not there."""
        return int(self.table[self.values.index(value), state]) if value in self.values else 0

    @property
    def net(self) -> int:
        """Voxels fixed less voxels broken, of all classes."""
        return int(self.table[:, FIXED].sum() - self.table[:, BROKEN].sum())

    @property
    def gain(self) -> float | None:
        """How much the mean foreground IoU rose; None where one of the two has none."""
        before, after = self.first.foreground_iou, self.second.foreground_iou
        return None if before is None or after is None else after - before


@dataclass(frozen=True, eq=False)
class Differences:
    """Many cases; those that could not be compared are named in `failed`."""

    cases: tuple[CaseDifference, ...]
    classes: Mapping[int, str]
    notes: tuple[str, ...] = ()
    failed: tuple[FailedCase, ...] = ()
    lesions: LesionQuestion | None = None

    @cached_property
    def lesion_changes(self) -> tuple[LesionChange, ...]:
        """What became of every lesion, the largest first; none where nobody looked for them."""
        if self.lesions is None:
            return ()
        meetings = {case.name: case.meetings for case in self.cases if case.meetings is not None}
        pairs = ((case.first, case.second) for case in self.cases)
        return lesion_changes(pairs, self.lesions, meetings)

    @property
    def values(self) -> tuple[int, ...]:
        """Every class that some case has."""
        return tuple(sorted({value for case in self.cases for value in case.values}))

    def pooled(self, value: int, state: int) -> int:
        """Return the voxels of a true class in a state, of all cases."""
        return sum(case.count(value, state) for case in self.cases)

    def pooled_iou(self, value: int) -> tuple[float | None, float | None]:
        """Return the IoU of a class over all voxels of all cases, of either prediction."""
        both = ([case.first for case in self.cases], [case.second for case in self.cases])
        first, second = (
            pool(value, [case.scores[value] for case in cases if value in case.scores]).iou
            for cases in both
        )
        return first, second

    @property
    def worst_first(self) -> tuple[CaseDifference, ...]:
        """The cases, the largest loss of mean foreground IoU first, then of voxels."""
        return tuple(sorted(self.cases, key=lambda case: (case.gain or 0.0, case.net)))

    def write(self, folder: str | Path) -> None:
        """Write difference.csv and, where lesions were looked for, lesion_difference.csv."""
        rows = [
            (
                case.name,
                value,
                *(case.count(value, state) for state in (FIXED, BROKEN, STILL_WRONG)),
            )
            for case in self.cases
            for value in case.values
        ]
        write_csv(Path(folder) / DIFFERENCE, DIFFERENCE_COLUMNS, rows)
        if self.lesions is not None:
            lesions = difference_rows(self.lesion_changes)
            write_csv(Path(folder) / LESION_DIFFERENCE, LESION_DIFFERENCE_COLUMNS, lesions)


def compare_two(
    reference: Volume,
    first: Volume,
    second: Volume,
    classes: Mapping[int, str] | None = None,
    *,
    ignore: int | None = None,
    name: str = "case",
    lesions: LesionQuestion | None = None,
) -> CaseDifference:
    """Compare two predictions of one case in memory; parameters and errors as `compare`.

    No probabilities are looked up: they are of one of the two predictions only.
    """
    before = compare(reference, first, classes, ignore=ignore, name=name)
    after = compare(reference, second, classes, ignore=ignore, name=name)
    values = sorted({*before.values, *after.values})
    files = [str(volume.file or "label") for volume in (reference, first, second)]
    table = difference_table(
        reference.array,
        first.array,
        second.array,
        max(values) + 1,
        ignore,
        names=(files[0], files[1], files[2]),
    )
    counted = CaseDifference(name, before, after, tuple(values), table[values])
    if lesions is None:
        return counted
    mine, others = (
        lesions_of(reference.array, one.array, lesions.classes, reference.spacing_mm, ignore=ignore)
        for one in (first, second)
    )
    return replace(
        counted,
        first=replace(before, lesions=mine.lesions),
        second=replace(after, lesions=others.lesions),
        meetings=meetings_of(mine, others),
    )


def compare_folders(
    references: str | Path,
    first: str | Path,
    second: str | Path,
    dataset_json: str | Path | None = None,
    *,
    lesions: LesionQuestion | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Differences:
    """Compare every case that has a reference and both predictions.

    With `lesions` those that the second prediction gained and lost are looked for, too.

    Raises
    ------
    BadInput
        When a folder is missing or holds no label, or no case has all three.
    UNetMicError
        When not one case could be compared.
    Cancelled
        When `should_stop` answered yes.
    """
    trios, notes = find_trios(Path(references), Path(first), Path(second))
    declared = dataset_json or find_dataset_json(Path(references), Path(first))
    classes, ignore = None, None
    if declared is not None:
        facts = read_declared(Path(declared))
        classes, ignore = facts.classes, facts.ignore_value

    if lesions is not None:
        question = replace(lesions, probabilities=None)  # of one of the two predictions only
        lesions = settled(question, [trio.reference for trio in trios], classes, ignore)

    def one(trio: Trio) -> CaseDifference:
        return compare_two(
            read_labels(trio.reference),
            read_labels(trio.first),
            read_labels(trio.second),
            classes,
            ignore=ignore,
            name=trio.name,
            lesions=lesions,
        )

    answers = in_threads(one, trios, workers, True, progress, should_stop)
    found, failed = without_failed([trio.name for trio in trios], answers)
    if classes is None:
        classes = numbered_names(value for case in found for value in case.values)
    return Differences(tuple(found), dict(classes), notes, failed, lesions)


def find_trios(references: Path, first: Path, second: Path) -> tuple[list[Trio], tuple[str, ...]]:
    """Return the cases that have all three files, and sentences about those that lack one.

    Three single files are one case whatever their names.

    Raises
    ------
    BadInput
        When no case has all three.
    """
    pairs, notes = pair_files(references, first)
    others, more = pair_files(references, second)
    if first.is_file() and second.is_file() and references.is_file():
        (pair,), (other,) = pairs, others
        return [Trio(pair.name, pair.reference, pair.prediction, other.prediction)], ()
    by_name = {pair.name: pair for pair in others}
    trios = [
        Trio(pair.name, pair.reference, pair.prediction, by_name[pair.name].prediction)
        for pair in pairs
        if pair.name in by_name
    ]
    if not trios:
        raise BadInput(
            second,
            expected=f"predictions of the cases in {first}",
            got="other cases only",
            advice="name the folder with the second prediction of the same cases",
        )
    return trios, tuple(dict.fromkeys((*notes, *more, *_half(pairs, others))))


def _half(pairs: Sequence[CasePair], others: Sequence[CasePair]) -> list[str]:
    """Say which cases only one of the two predictions has."""
    names = [{pair.name for pair in side} for side in (pairs, others)]
    sentences = []
    for only, which in ((names[0] - names[1], "first"), (names[1] - names[0], "second")):
        if only:
            listed = ", ".join(sorted(only)[:5]) + (" …" if len(only) > 5 else "")
            sentences.append(f"only the {which} prediction has {len(only)} cases ({listed})")
    return sentences
