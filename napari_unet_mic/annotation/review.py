"""The review of a case's mistakes: which regions are done, and how each is known again.

Regions of wrong voxels and a person's decisions enter; a status for every region leaves, and a
small JSON file that keeps them. Three decisions make a region *done*:

fixed
    somebody corrected what was to be corrected here
label is wrong
    the prediction is right, the reference is to be corrected later
accepted
    the prediction's classes were written into the reference

After a recount, or when a case is opened again, a region is known by its place and its voxels.
A mark stands for a region of the same prediction, kind and classes

1. with the same bounding box and as many voxels; or else
2. where the two boxes share at least half of their union and neither has more than twice the
   voxels of the other.

A mark stands for one region at most and the other way round; the most alike come together.
A mark "accepted" stands for no region: where the prediction was accepted nothing is wrong any
more, and a region that is there again (undo, a label that was never saved) is open again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import UnreadableFile
from napari_unet_mic.evaluation.region import KINDS, Region

FORMAT_VERSION = 1
REVIEW = "review.json"
LEAST_SHARED, MOST_GROWN = 0.5, 2.0
Status = Literal["fixed", "label is wrong", "accepted"]
STATUSES: tuple[Status, ...] = get_args(Status)
Place = tuple[tuple[int, int], ...]
Sort = tuple[str, int | None, int | None]


@dataclass(frozen=True)
class Mark:
    """One decision about one region.

    Parameters
    ----------
    prediction
        Which prediction was wrong there: its file, or the layer's name.
    kind, true_class, predicted_class, voxels, point
        The region's, as in `napari_unet_mic.evaluation.region.Region`.
    box
        First and last-plus-one index along every axis of the layer.
    """

    status: Status
    prediction: str
    kind: str
    true_class: int | None
    predicted_class: int | None
    voxels: int
    box: Place
    point: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.status not in STATUSES or self.kind not in KINDS:
            raise ValueError(f"{self.status!r} of {self.kind!r}")
        if self.voxels < 1 or len(self.box) != len(self.point):
            raise ValueError(f"{self.voxels} voxels in {len(self.box)} axes")

    @classmethod
    def of(cls, region: Region, prediction: str, status: Status) -> Mark:
        """Mark a region."""
        return cls(
            status,
            prediction,
            region.kind,
            region.true_class,
            region.predicted_class,
            region.voxels,
            _place(region),
            region.point,
        )

    @property
    def sort(self) -> Sort:
        """What a region must have in common with the one that was marked."""
        return self.kind, self.true_class, self.predicted_class

    def likeness(self, region: Region) -> float:
        """Return how alike a region of the same sort is, 0 (another one) … 1."""
        box = _place(region)
        if box == self.box and region.voxels == self.voxels:
            return 1.0
        shared = _shared(self.box, box)
        grown = max(region.voxels, self.voxels) / min(region.voxels, self.voxels)
        return shared / grown if shared >= LEAST_SHARED and grown <= MOST_GROWN else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the mark as JSON has it."""
        return {
            "status": self.status,
            "prediction": self.prediction,
            "kind": self.kind,
            "true_class": self.true_class,
            "predicted_class": self.predicted_class,
            "voxels": self.voxels,
            "box": [list(ends) for ends in self.box],
            "point": list(self.point),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Mark:
        """Return a mark that was written; KeyError, TypeError or ValueError when it is none."""
        return cls(
            content["status"],
            str(content["prediction"]),
            content["kind"],
            _class(content["true_class"]),
            _class(content["predicted_class"]),
            int(content["voxels"]),
            tuple((int(first), int(stop)) for first, stop in content["box"]),
            tuple(int(place) for place in content["point"]),
        )


@dataclass(frozen=True)
class Review:
    """All decisions about one case."""

    case: str
    marks: tuple[Mark, ...] = ()

    def statuses(self, prediction: str, regions: Sequence[Region]) -> list[Status | None]:
        """Return the status of every region; None for one that is open."""
        found: list[Status | None] = [None] * len(regions)
        for index, mark in self._matched(prediction, regions).items():
            found[index] = mark.status
        return found

    def marked(self, prediction: str, region: Region, status: Status | None) -> Review:
        """Return the review with another status for a region; None makes it open again."""
        mark = None if status is None else Mark.of(region, prediction, status)
        replaced = self._matched(prediction, [region]).get(0)
        kept = [
            one
            for one in self.marks
            if one is not replaced and not _was_accepted(one, prediction, region)
        ]
        return replace(self, marks=(*kept, *([] if mark is None else [mark])))

    def n(self, prediction: str, status: Status) -> int:
        """Return how many regions of a prediction have a status."""
        return sum(one.prediction == prediction and one.status == status for one in self.marks)

    def _matched(self, prediction: str, regions: Sequence[Region]) -> dict[int, Mark]:
        """Return which mark stands for which region."""
        by_sort: dict[Sort, list[Mark]] = {}
        for mark in self.marks:
            if mark.prediction == prediction and mark.status != "accepted":
                by_sort.setdefault(mark.sort, []).append(mark)
        pairs = []
        for index, region in enumerate(regions):
            sort = (region.kind, region.true_class, region.predicted_class)
            for mark in by_sort.get(sort, ()):
                likeness = mark.likeness(region) if len(mark.box) == len(region.box) else 0.0
                if likeness:
                    pairs.append((likeness, index, mark))
        return _best(pairs)

    # ---- on disk -----------------------------------------------------------------------
    def write(self, file: str | Path) -> None:
        """Write the review, whole."""
        marks = [mark.to_json() for mark in self.marks]
        content = {"format_version": FORMAT_VERSION, "case": self.case, "marks": marks}
        write_json(file, content, indent=1)

    @classmethod
    def read(cls, file: str | Path, case: str) -> Review:
        """Read a case's review; an empty one when nobody has begun it.

        Raises
        ------
        UnreadableFile
            When the file is damaged or of a later version.
        """
        if not Path(file).exists():
            return cls(case)
        content = read_json(file)
        try:
            if content["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format_version {content['format_version']}")
            return cls(case, tuple(Mark.from_json(mark) for mark in content["marks"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableFile(
                file,
                expected=f"a review of format_version {FORMAT_VERSION}",
                got=f"other content ({error})",
                advice="move the file away to begin the review anew",
            ) from error


def review_file(
    case: str, *, labels_folder: Path | None = None, prediction: Path | None = None
) -> Path | None:
    """Return where a case's review is kept.

    Parameters
    ----------
    labels_folder
        Where a workspace keeps corrected labels, when the case is one of its dataset:
        ``labels/<case>/review.json``.
    prediction
        The prediction's label file: ``review/<case>.json`` beside it otherwise (that is beside
        the summary.json of a run or of nnU-Net's validation).

    Returns
    -------
    Path or None
        None for layers that are in no file: their review lasts as long as napari is open.
    """
    if labels_folder is not None:
        return labels_folder / case / REVIEW
    return None if prediction is None else prediction.parent / "review" / f"{case}.json"


def _best(pairs: Iterable[tuple[float, int, Mark]]) -> dict[int, Mark]:
    """Return pairs that share neither region nor mark, the most alike first."""
    found: dict[int, Mark] = {}
    used: set[int] = set()
    for _, index, mark in sorted(pairs, key=lambda pair: -pair[0]):
        if index not in found and id(mark) not in used:
            found[index] = mark
            used.add(id(mark))
    return found


def _was_accepted(mark: Mark, prediction: str, region: Region) -> bool:
    """Return whether a mark says that this region was accepted once."""
    sort = (region.kind, region.true_class, region.predicted_class)
    about = mark.status == "accepted" and mark.prediction == prediction and mark.sort == sort
    return about and len(mark.box) == len(region.box) and mark.likeness(region) > 0


def _place(region: Region) -> Place:
    return tuple((one.start, one.stop) for one in region.box)


def _shared(one: Place, other: Place) -> float:
    """Return the share of the union of two boxes that both have."""
    both = math.prod(
        max(0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in zip(one, other, strict=True)
    )
    sizes = [math.prod(stop - first for first, stop in box) for box in (one, other)]
    return both / (sum(sizes) - both)


def _class(value: Any) -> int | None:
    return None if value is None else int(value)
