"""The table of lesions that a second prediction gained and lost, made up no longer or newly.

`LesionChange`s enter, of one case or of many; rows leave, the largest first, in the colours of
what a second prediction fixed (gained, spurious gone) and broke (lost, spurious new).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from napari_unet_mic.evaluation.difference import BROKEN, FIXED
from napari_unet_mic.gui.colours import RGBA, class_colour
from napari_unet_mic.gui.comparison import name_of
from napari_unet_mic.gui.difference_view import STATE_COLOURS
from napari_unet_mic.gui.inspector_tables import millilitres
from napari_unet_mic.gui.tables import TableModel, TableView, thousands

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.lesion_difference import Change, LesionChange

COLOURS: dict[Change, RGBA] = {
    "gained": STATE_COLOURS[FIXED],
    "spurious gone": STATE_COLOURS[FIXED],
    "lost": STATE_COLOURS[BROKEN],
    "spurious new": STATE_COLOURS[BROKEN],
}
EXPLAINED: dict[Change, str] = {
    "gained": "missed by the first prediction, found by the second",
    "lost": "found by the first prediction, missed by the second",
    "spurious gone": "made up by the first prediction, no longer by the second",
    "spurious new": "made up by the second prediction, not by the first",
}
SPURIOUS: dict[Change, str] = {
    "spurious gone": "gone",
    "spurious new": "new",
    "still spurious": "still there",
}
CASE, CLASS, CHANGE = "case", "class", "change"


class LesionChangesTable(TableView):
    """One row a lesion that changed.

    Attributes
    ----------
    shown
        The changes behind the rows.
    words, details
        How many lesions were gained and lost; the same with the spurious ones, where known.
    """

    def __init__(self, *, of_cases: bool = False) -> None:
        super().__init__(change_model(), frozen=of_cases)
        self._of_cases = of_cases
        self.shown: tuple[LesionChange, ...] = ()
        self.words = self.details = ""
        self.table.swatch_of = self._swatch
        self.table.tooltip_of = lambda row, _: self._words(self.shown[row])

    def show_changes(self, changes: Iterable[LesionChange], names: Mapping[int, str]) -> None:
        """Count changes and show the lesions that changed, in the order in which they come.

        Parameters
        ----------
        names
            Of the classes.
        """
        every = tuple(changes)
        self._count(every)
        self.shown = tuple(one for one in every if one.change in COLOURS)
        first, last = ([CASE], []) if self._of_cases else ([], ["slice"])
        rows = []
        for one in self.shown:
            row: list[Any] = [one.case] if self._of_cases else []
            row += [name_of(one.lesion.value, names), one.change, one.lesion.ml]
            row += [one.iou_before, one.iou_now]
            in_slices = len(one.lesion.point) > 2
            rows.append([*row, *([one.lesion.point[0] if in_slices else None] if last else [])])
        self.table.set_rows([*first, CLASS, CHANGE, "ml", "IoU before", "IoU now", *last], rows)

    def _count(self, changes: tuple[LesionChange, ...]) -> None:
        numbers = Counter(one.change for one in changes)
        self.words = f"{numbers['gained']} gained · {numbers['lost']} lost"
        spurious = (f"{numbers[change]} {word}" for change, word in SPURIOUS.items())
        known = any(numbers[change] for change in SPURIOUS)
        self.details = f"{self.words} · spurious: {', '.join(spurious)}" if known else self.words

    def _swatch(self, row: int, column: int) -> RGBA | None:
        heading = self.table.columns[column]
        if heading == CLASS:
            return class_colour(self.shown[row].lesion.value)
        return COLOURS[self.shown[row].change] if heading == CHANGE else None

    def _words(self, one: LesionChange) -> str:
        size = f"{thousands(one.lesion.voxels)} voxels"
        size += f", as a sphere {one.lesion.diameter_mm:.0f} mm across"
        does = "open the case there" if self._of_cases else "go there, double-click to zoom in"
        return f"{one.change}: {EXPLAINED[one.change]}; {size}. Click to {does}"


def change_model() -> TableModel:
    """Return the model of the table."""
    model = TableModel(
        {
            "ml": millilitres,
            "IoU before": lambda value: f"{value:.2f}",
            "IoU now": lambda value: f"{value:.2f}",
        }
    )
    model.tooltips = {
        CHANGE: "; ".join(f"{change}: {words}" for change, words in EXPLAINED.items()),
        "ml": "Volume of the connected component, over faces, edges and corners",
        "IoU before": "Overlap of the first prediction with the lesion; of a spurious lesion, with "
        "the reference",
        "IoU now": "Overlap of the second prediction with the lesion; of a spurious lesion, with "
        "the reference",
        "slice": "The slice on which the lesion is largest",
    }
    return model
