"""A region of wrong voxels as a record: its kind, size, place, and the voxel to look at.

`napari_unet_mic.evaluation.mistakes` defines the kinds and makes the records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from napari_unet_mic.evaluation.confusion import Box
from napari_unet_mic.evaluation.error_voxels import Flags

Kind = Literal["missed lesion", "spurious lesion", "swapped class", "inside", "rim", "correct"]
KINDS: tuple[Kind, ...] = (
    "missed lesion",
    "spurious lesion",
    "swapped class",
    "inside",
    "rim",
    "correct",
)


@dataclass(frozen=True)
class Region:
    """One region of voxels of a cell, row or column of the confusion table.

    Parameters
    ----------
    rank
        1 for the largest; the rim comes last.
    voxels, ml
        Size; millilitres from the spacing (a 2-D map counts as 1 mm thick).
    box
        Bounding box, one slice an axis.
    slice
        Index, along the asked axis, of the slice on which the region has its largest area.
    point
        A voxel OF the region on that slice, as deep inside as possible.
    kind
        See the words of `mistakes`; ``"correct"`` for a cell of the diagonal.
    true_class, predicted_class
        None where voxels of several classes make one region (a missed lesion may have been
        taken for two classes, the rim of a row borders on several).
    confidence
        The network's mean probability for the true class there; None when not known.
    """

    rank: int
    voxels: int
    ml: float
    box: Box
    slice: int
    point: tuple[int, ...]
    kind: Kind
    true_class: int | None
    predicted_class: int | None
    confidence: float | None = None


@dataclass(frozen=True, eq=False)
class RegionMap:
    """Regions, and a way to the voxels of each.

    `n_regions` and `n_voxels` count all of them, those too that were not asked for.
    """

    regions: tuple[Region, ...]
    n_regions: int
    n_voxels: int
    _mask: Callable[[Region], Flags]

    def mask(self, region: Region) -> Flags:
        """Return which voxels inside ``region.box`` belong to the region."""
        return self._mask(region)
