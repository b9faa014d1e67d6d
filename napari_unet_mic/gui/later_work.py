"""What regions, HD95 and NSD take, for a thread: two maps in, figures out. No Qt.

Heavy imports happen in here, so that a panel opens without them.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.evaluation.results import SurfaceScore

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Mistakes, Region, RegionMap

MOST_LISTED = 2000  # a table of more regions than anybody walks through would only be slow


@dataclass(frozen=True)
class Found:
    """The regions of a cell, largest first and the rim last; at most `MOST_LISTED` of them."""

    regions: tuple[Region, ...] = ()
    n_regions: int = 0
    n_voxels: int = 0


@dataclass(frozen=True, eq=False)
class Maps:
    """What is measured: two maps of two or three axes, made on the GUI thread."""

    reference: Any
    prediction: Any
    leading: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    ignore: int | None

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the maps as arrays; of lazy ones this reads the part that is shown."""
        return np.asarray(self.reference[self.leading]), np.asarray(self.prediction[self.leading])


def prepare() -> None:
    """Do in a thread what the first answer would wait for: imports."""
    import scipy.ndimage
    import scipy.spatial  # noqa: F401

    import napari_unet_mic.evaluation.mistakes
    import napari_unet_mic.evaluation.surface  # noqa: F401


def find(maps: Maps, tolerance_mm: float) -> Mistakes:
    """List the wrong voxels."""
    from napari_unet_mic.evaluation.mistakes import Mistakes

    reference, prediction = maps.arrays()
    return Mistakes.of(
        reference,
        prediction,
        maps.spacing_mm,
        ignore=maps.ignore,
        tolerance_mm=tolerance_mm,
    )


def regions(
    mistakes: Mistakes,
    cell: tuple[int | None, int | None],
    axis: int,
    leading: tuple[int, ...],
) -> Found:
    """Form regions, in the axes of the whole layer."""
    return _found(mistakes.regions(*cell, axis=axis, most=MOST_LISTED), leading)


def _found(made: RegionMap, leading: tuple[int, ...]) -> Found:
    first = tuple(slice(index, index + 1) for index in leading)
    regions = made.regions
    if leading:
        regions = tuple(
            replace(one, point=(*leading, *one.point), box=(*first, *one.box)) for one in regions
        )
    return Found(regions, made.n_regions, made.n_voxels)


def difference_regions(
    codes: Any,
    wanted: tuple[int, ...],
    axis: int,
    leading: tuple[int, ...],
    spacing_mm: tuple[float, ...],
) -> Found:
    """Form the regions of what a second prediction changed, in the axes of the whole layer."""
    from napari_unet_mic.evaluation.difference_regions import difference_regions

    part = np.asarray(codes[leading])
    made = difference_regions(part, wanted, spacing_mm[-part.ndim :], axis=axis, most=MOST_LISTED)
    return _found(made, leading)


def voxels_of(
    maps: Maps,
    mistakes: Mistakes | None,
    tolerance_mm: float,
    cell: tuple[int | None, int | None],
    axis: int,
    region: Region,
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return where a region's voxels are in the layer, and the prediction's classes there.

    Raises
    ------
    BadInput
        When the region is not there any more.
    """
    made = (mistakes or find(maps, tolerance_mm)).regions(*cell, axis=axis, most=MOST_LISTED)
    n = len(maps.leading)
    for one in made.regions:
        if (one.kind, one.voxels, one.box) == (region.kind, region.voxels, region.box[n:]):
            inside = np.nonzero(made.mask(one))
            first = [side.start for side in one.box]
            places = tuple(at + start for at, start in zip(inside, first, strict=True))
            lead = tuple(np.full(places[0].size, index, np.intp) for index in maps.leading)
            values = maps.arrays()[1][places]
            return (*lead, *places), values
    raise BadInput(
        "this region",
        expected="the voxels that were listed",
        got="other ones (the maps have changed meanwhile)",
        advice="look at the regions that are listed now",
    )


def measure(
    maps: Maps,
    values: list[int],
    tolerance_mm: float,
    tell: Callable[[int, SurfaceScore], None],
    *,
    should_stop: Callable[[], bool],
) -> None:
    """Measure HD95 and NSD, and `tell` each class as it is known."""
    from napari_unet_mic.evaluation.surface import each_surface_score

    reference, prediction = maps.arrays()
    for value, score in each_surface_score(
        reference,
        prediction,
        values,
        maps.spacing_mm,
        tolerance_mm=tolerance_mm,
        ignore=maps.ignore,
    ):
        if should_stop():
            raise Cancelled("measuring surfaces")
        tell(value, score)
    give_back_memory()


def give_back_memory() -> None:
    """Let the C library return what a thread's arrays have left behind (glibc keeps it).

    Up to a byte a voxel of a CT would stay resident otherwise; takes a few milliseconds.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
