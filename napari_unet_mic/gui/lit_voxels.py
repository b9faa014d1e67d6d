"""What lights up in the viewer, and which regions it has: a cell of the table, or of `vs`.

A choice of the person enters. Codes with their colours leave, and regions a moment later; with
what is said of either. `MistakesView` shows one of these and walks its regions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from napari_unet_mic.evaluation.difference import STATES
from napari_unet_mic.gui import difference_view as vs
from napari_unet_mic.gui import later_work as work
from napari_unet_mic.gui import region_table
from napari_unet_mic.gui.colours import RGBA
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.comparison import name_of
from napari_unet_mic.gui.later_figures import LaterFigures
from napari_unet_mic.gui.later_work import Found
from napari_unet_mic.gui.layer_events import leading_indices

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Region
    from napari_unet_mic.gui.app import App

Cell = tuple[int | None, int | None]
OnRegions = Callable[[Found], None]


class Lit(Protocol):
    """Voxels that light up."""

    @property
    def name(self) -> str:
        """What is shown, for the title."""

    @property
    def too_many(self) -> bool:
        """Whether so many voxels are wrong that no regions are formed."""

    def voxels(self) -> tuple[Any, dict[int, RGBA]] | None:
        """Return a code array and the colours of what lights up in it; None without numbers."""

    def value(self, region: Region | None = None) -> int | None:
        """Return the class that is looked at, here or in a region; None where it is none."""

    def ask(self, axis: int, on_regions: OnRegions) -> bool:
        """Have the regions formed; False while that has to wait for something else."""

    def kind(self, region: Region) -> str:
        """Return what the table calls a region."""

    def colour(self, region: Region) -> RGBA | None:
        """Return the colour in which a region's voxels light up; None when it has several."""

    def words(self, region: Region) -> str:
        """Say what a region is."""


class LitCell:
    """The voxels of a cell of the confusion table, of a row's or a column's errors, all errors."""

    def __init__(self, app: App, comparer: Comparer, figures: LaterFigures, cell: Cell) -> None:
        self._app = app
        self._comparer = comparer
        self._figures = figures
        self.cell = cell

    @property
    def name(self) -> str:
        """Which class was taken for which."""
        comparison = self._app.state.comparison
        true, predicted = self.cell
        if comparison is None or (true is None and predicted is None):
            return "All errors"
        names = dict(zip(comparison.class_values, comparison.class_names, strict=True))
        left = "any" if true is None else name_of(true, names)
        right = "any" if predicted is None else name_of(predicted, names)
        return f"{left} → {right}"

    @property
    def too_many(self) -> bool:
        """Whether so many voxels are wrong that no regions are formed."""
        return self._figures.too_many

    def voxels(self) -> tuple[Any, dict[int, RGBA]] | None:
        """Return the code array and the colours of the cell."""
        comparison = self._app.state.comparison
        if comparison is None:
            return None
        return comparison.codes, region_table.selected_codes(comparison, *self.cell)

    def value(self, region: Region | None = None) -> int | None:
        """Return the true class, or the predicted one where the true class is background."""
        cells = [self.cell]
        if region is not None:
            cells.insert(0, (region.true_class, region.predicted_class))
        return next((true or predicted for true, predicted in cells if true or predicted), None)

    def ask(self, axis: int, on_regions: OnRegions) -> bool:
        """Have the regions of the cell formed, once the wrong voxels are known."""
        known = self._figures.mistakes is not None
        self._figures.ask(*self.cell, axis, on_regions)
        return known

    def kind(self, region: Region) -> str:
        """Return the region's kind."""
        return region.kind

    def colour(self, region: Region) -> RGBA | None:
        """Return the colour of the region's pair of classes."""
        comparison = self._app.state.comparison
        return None if comparison is None else region_table.region_colour(comparison, region)

    def words(self, region: Region) -> str:
        """Say which class was taken for which."""
        comparison = self._app.state.comparison
        return "" if comparison is None else region_table.region_words(comparison, region)


class LitDifference:
    """The voxels that a second prediction fixed, broke or left wrong."""

    too_many = False

    def __init__(
        self, app: App, comparer: Comparer, true_class: int | None, state: int | None
    ) -> None:
        self._app = app
        self._comparer = comparer
        self._true_class = true_class
        self._state = state

    @property
    def name(self) -> str:
        """The state and the true class."""
        what = "vs" if self._state is None else STATES[self._state]
        return what if self._true_class is None else f"{what}, {self._class(self._true_class)}"

    def voxels(self) -> tuple[Any, dict[int, RGBA]] | None:
        """Return the code array and the colours of the states."""
        difference = self._app.state.difference
        if difference is None:
            return None
        return difference.codes, vs.chosen_codes(difference, self._true_class, self._state)

    def value(self, region: Region | None = None) -> int | None:
        """Return the true class."""
        return (region.true_class if region is not None else None) or self._true_class or None

    def ask(self, axis: int, on_regions: OnRegions) -> bool:
        """Have the regions formed in a thread."""
        lit, pair = self.voxels(), self._comparer.layers
        difference = self._app.state.difference
        if lit is None or pair is None or difference is None:
            return False
        codes, colours = lit
        self._app.in_thread(
            work.difference_regions,
            codes,
            tuple(colours),
            axis,
            leading_indices(self._app.viewer, pair[0]),
            difference.spacing_mm,
            topic="regions",
            on_done=on_regions,
        )
        return True

    def kind(self, region: Region) -> str:
        """Return the state and the true class."""
        state, true = region.predicted_class, region.true_class
        if state is None or true is None:
            return "several"
        return f"{STATES[state]}, {self._class(true)}"

    def colour(self, region: Region) -> RGBA | None:
        """Return the colour of the region's state."""
        state = region.predicted_class
        return None if state is None else vs.STATE_COLOURS.get(state)

    def words(self, region: Region) -> str:
        """Say what the state means."""
        meaning = vs.EXPLAINED.get(region.predicted_class or 0, "")
        return f"{self.kind(region)}: {meaning}. Click to go there, double-click to zoom in"

    def _class(self, value: int) -> str:
        difference = self._app.state.difference
        if difference is None:
            return f"class {value}"
        names = dict(zip(difference.class_values, difference.class_names, strict=True))
        return name_of(value, names)
