"""A lesion as a record, and when it counts as found: sizes, partners, criteria, states.

A lesion is a connected component (26-neighbourhood) of one class of one map;
`napari_unet_mic.evaluation.lesions` makes the records. The lesions of one case, a criterion and
a smallest size enter `judged`; the ones that count leave, each with its state:

found
    a reference lesion whose IoU meets the criterion; a predicted lesion that touches one
missed
    a reference lesion whose IoU does not meet it
spurious
    a predicted lesion that touches no reference lesion that is found

Two lesions touch when they share a voxel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_unet_mic.errors import BadInput

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.confusion import Box

Source = Literal["reference", "prediction"]
State = Literal["found", "missed", "spurious"]
Match = Literal["any", "0.1", "0.5"]

SOURCES: tuple[Source, Source] = ("reference", "prediction")
MATCHES: Mapping[Match, str] = {"any": "any overlap", "0.1": "IoU > 0.1", "0.5": "IoU ≥ 0.5"}
"""The criteria, from the most lenient to the strictest, and their names."""
BINS_ML = (0.1, 0.5, 2.0, 10.0, 50.0)
"""Between the size bins: spheres 6, 10, 16, 27 and 46 mm across."""
ALMOST = 0.25
"""A missed lesion whose highest probability is at least this was almost found, else blind."""
_ROUNDING = 1e-9


def meets(match: Match, iou: float) -> bool:
    """Return whether an IoU meets a criterion: > 0, > 0.1, or at least 0.5."""
    return iou >= 0.5 if match == "0.5" else iou > (0.1 if match == "0.1" else 0.0)


@dataclass(frozen=True)
class Lesion:
    """One connected component of one class of one map.

    Parameters
    ----------
    value
        The class.
    number
        1 for the largest lesion of its class and source.
    source
        The map it is a component of.
    voxels, ml
        Size; a 2-D map counts as 1 mm thick.
    iou
        With the union of all lesions of the other map that touch it; 0 when none does. It
        depends neither on a criterion nor on a smallest size.
    partners
        The numbers of the lesions of the other map that touch it.
    point
        A voxel of the lesion: deep inside, on the slice where it is largest.
    box
        Bounding box; None when read from a file.
    confidence, highest
        Mean and highest probability of its class inside it; None where nobody kept them.
    """

    value: int
    number: int
    source: Source
    voxels: int
    ml: float
    iou: float
    partners: tuple[int, ...]
    point: tuple[int, ...]
    box: Box | None = field(default=None, compare=False)
    confidence: float | None = None
    highest: float | None = None

    @property
    def diameter_mm(self) -> float:
        """Diameter of a sphere of its volume."""
        return float((6000.0 * self.ml / math.pi) ** (1 / 3))


@dataclass(frozen=True)
class Smallest:
    """The smallest lesion that counts: at least so many millilitres and so many voxels."""

    ml: float = 0.0
    voxels: int = 1

    @staticmethod
    def parse(text: str) -> Smallest:
        """Read ``0.05``, ``0.05ml`` or ``5voxels``.

        Raises
        ------
        BadInput
            When it is neither.
        """
        word = text.strip().lower().replace(" ", "")
        try:
            if word.endswith(("voxels", "voxel")):
                made = Smallest(voxels=int(word.removesuffix("s").removesuffix("voxel")))
            else:
                made = Smallest(ml=float(word.removesuffix("ml")))
        except ValueError:
            made = Smallest(ml=-1.0)
        if not 0 <= made.ml < math.inf or made.voxels < 0:
            raise BadInput(
                "the smallest lesion",
                expected="millilitres (0.05) or voxels (5voxels)",
                got=repr(text),
                advice="0 counts every lesion",
            )
        return made

    def holds(self, lesion: Lesion) -> bool:
        """Return whether a lesion is large enough."""
        return lesion.voxels >= self.voxels and lesion.ml * (1 + _ROUNDING) >= self.ml

    @property
    def words(self) -> str:
        """The size as words; empty when every lesion counts."""
        words = [f"{self.ml:g} ml"] if self.ml > 0 else []
        return " and ".join([*words, *([f"{self.voxels} voxels"] if self.voxels > 1 else [])])


@dataclass(frozen=True)
class LesionQuestion:
    """Which lesions are looked for, and how they are judged.

    Parameters
    ----------
    classes
        The classes whose lesions are counted; empty: `lesion_classes` chooses.
    match
        When a lesion counts as found, where one criterion has to be named.
    bins_ml
        The sizes between the bins of the recall by size, ascending.
    probabilities
        A folder with ``<case>.npz``, as a predictor keeps them.
    """

    classes: tuple[int, ...] = ()
    match: Match = "any"
    smallest: Smallest = Smallest()
    bins_ml: tuple[float, ...] = BINS_ML
    probabilities: Path | None = None

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.bins_ml, self.bins_ml[1:], strict=False))
        if not ascending or any(edge <= 0 for edge in self.bins_ml):
            raise BadInput(
                "size bins",
                expected="ascending sizes above 0 ml",
                got=" ".join(f"{edge:g}" for edge in self.bins_ml),
                advice=f"for example {' '.join(f'{edge:g}' for edge in BINS_ML)}",
            )
        if any(value <= 0 for value in self.classes):
            raise BadInput(
                "lesion classes",
                expected="values of foreground classes",
                got=" ".join(map(str, self.classes)),
                advice="the background (0) has no lesions",
            )

    def to_json(self) -> dict[str, Any]:
        """Return what evaluation.json keeps of it."""
        return {
            "classes": list(self.classes),
            "match": self.match,
            "smallest_ml": self.smallest.ml,
            "smallest_voxels": self.smallest.voxels,
            "bins_ml": list(self.bins_ml),
        }

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> LesionQuestion:
        """Read it back (KeyError and ValueError for other content)."""
        match = {str(one): one for one in MATCHES}[str(kept["match"])]
        return LesionQuestion(
            tuple(int(value) for value in kept["classes"]),
            match,
            Smallest(float(kept["smallest_ml"]), int(kept["smallest_voxels"])),
            tuple(float(edge) for edge in kept["bins_ml"]),
        )


@dataclass(frozen=True)
class Judged:
    """A lesion that counts.

    Parameters
    ----------
    split
        Of a reference lesion: several predicted lesions touch it. Of a predicted one: it is
        one of several that touch the same reference lesion.
    merged
        Of a predicted lesion: it touches several reference lesions. Of a reference one: a
        predicted lesion that touches it touches another reference lesion as well.
    """

    lesion: Lesion
    state: State
    split: bool = False
    merged: bool = False

    @property
    def touched(self) -> bool:
        """Whether any voxel of it is shared; a spurious lesion may lie on one that is missed."""
        return self.lesion.iou > 0


def judged(
    lesions: Sequence[Lesion], match: Match = "any", smallest: Smallest | None = None
) -> tuple[Judged, ...]:
    """Judge the lesions of one case.

    Parameters
    ----------
    smallest
        Smaller lesions count nowhere: not as missed, not as spurious, not as a piece of a
        split. A predicted lesion that touches only such ones counts nowhere either. The IoU
        of a lesion that counts includes whatever touches it.

    Returns
    -------
    tuple
        Those that count, in the order in which they came; none of none.
    """
    size = smallest or Smallest()
    large = {(one.value, one.source, one.number): one for one in lesions if size.holds(one)}
    partners = {key: _partners(one, large) for key, one in large.items()}
    answers = []
    for key, one in large.items():
        mine = partners[key]
        if one.source == "prediction" and one.partners and not mine:
            continue
        among = [len(partners[other.value, other.source, other.number]) for other in mine]
        several = len(mine) > 1, max(among, default=0) > 1
        if one.source == "reference":
            state: State = "found" if meets(match, one.iou) else "missed"
            answers.append(Judged(one, state, *several))
        else:
            best = max((other.iou for other in mine), default=0.0)
            answers.append(
                Judged(one, "found" if meets(match, best) else "spurious", *several[::-1])
            )
    return tuple(answers)


def _partners(
    lesion: Lesion, large: Mapping[tuple[int, Source, int], Lesion]
) -> tuple[Lesion, ...]:
    other: Source = "prediction" if lesion.source == "reference" else "reference"
    keys = ((lesion.value, other, number) for number in lesion.partners)
    return tuple(large[key] for key in keys if key in large)


def moved(lesion: Lesion, first: tuple[int, ...]) -> Lesion:
    """Return a lesion of the last axes as one of a map with leading axes before them."""
    if not first:
        return lesion
    box = tuple(slice(index, index + 1) for index in first)
    around = None if lesion.box is None else (*box, *lesion.box)
    return replace(lesion, point=(*first, *lesion.point), box=around)
