"""The lesions of the two layers under comparison: found, missed, spurious; each one click away.

`state.comparison` enters; the table follows it a moment later, found in a thread, and answers to
an older state of the layers are dropped. Which classes are lesions and when one counts as found
is chosen here; `docs/lesions.md` defines every figure. With a second prediction
(`state.difference`) there is a second list: what it gained, lost, and makes up no longer or newly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QStackedWidget, QWidget

from napari_unet_mic.errors import Cancelled
from napari_unet_mic.evaluation.lesion import (
    Judged,
    Lesion,
    LesionQuestion,
    Match,
    Smallest,
    judged,
    moved,
)
from napari_unet_mic.gui import layers, lesions_work
from napari_unet_mic.gui.colours import class_colour
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.comparison import name_of
from napari_unet_mic.gui.controls import stacked
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.inspector_tables import MEASURING
from napari_unet_mic.gui.later_figures import QUIET_MS, LaterFigures
from napari_unet_mic.gui.lesion_changes import LesionChangesTable
from napari_unet_mic.gui.lesion_table import lesion_model, match_box, show_lesions, words_of
from napari_unet_mic.gui.lesions_work import ORDER, FoundHere
from napari_unet_mic.gui.second_prediction import SecondPrediction
from napari_unet_mic.gui.tables import TableModel, TableView

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App
    from napari_unet_mic.gui.state import Comparison, Difference

NOTHING = "Lesions"
SMALLEST_ML = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)


class LesionsView(QWidget):
    """Counts, tables and choices of the lesions of the comparison.

    `class_looked_at` carries the class of the chosen lesion.
    """

    class_looked_at = Signal(object)

    def __init__(
        self, app: App, comparer: Comparer, figures: LaterFigures, second: SecondPrediction
    ) -> None:
        super().__init__()
        self._app, self._comparer, self._figures = app, comparer, figures
        self._second = second
        self.found: FoundHere | None = None
        self.shown: list[Judged] = []
        self._chosen: tuple[int, ...] | None = None  # None: the rule chooses
        self.smallest = Smallest()
        self._layers: tuple[Any, Any] | None = None
        self._words = ""
        self._generation = 0
        self._ticket: Any = None
        self._wanted: Lesion | None = None
        self._arrived: tuple[Lesion, list[int]] | None = None  # to be selected among the changes
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._begin)
        self._build()
        app.state.events.comparison.connect(self._on_comparison_changed)
        app.state.events.difference.connect(self._on_difference_changed)
        app.viewer.dims.events.current_step.connect(self._on_step)

    def _build(self) -> None:
        self.title = ElidedLabel(NOTHING)
        self.match = match_box()
        self.match.currentIndexChanged.connect(lambda _: self._list())
        self.classes = explained(
            QPushButton("classes"),
            "Which classes are lesions. At first: classes named like lesions, else those that come "
            "in many sizes, else the smallest. And the smallest lesion that counts",
            "unet-mic evaluate --lesion-classes, --smallest-lesion",
        )
        self._menu = QMenu(self.classes)
        self._menu.triggered.connect(self._on_chosen)
        self._sizes = self._menu.addMenu("Smallest lesion")
        self.classes.setMenu(self._menu)
        self._build_tables()
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        line.setSpacing(4)
        for widget in (self.versus, self.match, self.classes):
            line.addWidget(widget)
        stacked(self, line, self.pages)

    def _build_tables(self) -> None:
        """Make the list of lesions, that of changes, and the button that chooses one of them."""
        self.model = lesion_model()
        self.model.swatch_of = self._swatch
        self.model.tooltip_of = lambda row, _: words_of(self.shown[row])
        self.table = TableView(self.model)
        self.table.cell_clicked.connect(lambda row, _: self.go_to(row))
        self.table.cell_double_clicked.connect(lambda row, _: self.go_to(row, fit=True))
        self.changes = LesionChangesTable()
        self.changes.cell_clicked.connect(lambda row, _: self.go_to_change(row))
        self.changes.cell_double_clicked.connect(lambda row, _: self.go_to_change(row, fit=True))
        self.pages = QStackedWidget()
        self.pages.addWidget(self.table)
        self.pages.addWidget(self.changes)
        self.versus = explained(
            QPushButton("vs"),
            "List the lesions that the second prediction gained and lost, and the spurious ones "
            "that are gone or new; off: all lesions of the first prediction",
            "unet-mic evaluate --against",
        )
        self.versus.setCheckable(True)
        self.versus.setChecked(True)
        self.versus.toggled.connect(lambda _: self._list())
        self.versus.hide()

    # ---- following the layers --------------------------------------------------------
    def _on_comparison_changed(self, comparison: Comparison | None) -> None:
        self._forget()
        if comparison is None:
            self.found, self.shown = None, []
            self.model.set_rows([], [])
            self.changes.show_changes((), {})
            self.title.set_whole(NOTHING)
            return
        if self._layers != self._comparer.layers:
            self._layers, self._chosen = self._comparer.layers, None
            self._timer.start(0)
        else:
            self._timer.start(QUIET_MS)
        self.title.set_whole(f"Lesions {MEASURING}")

    def _on_difference_changed(self, difference: Difference | None) -> None:
        """A second prediction was chosen, left, or changed (or one of the pair beside it)."""
        if difference is not None and self._app.state.comparison is not None:
            self._forget()
            self._timer.start(QUIET_MS)
            self.title.set_whole(f"Lesions {MEASURING}")
        elif self.found is not None and self.found.second is not None:
            self.found = replace(self.found, second=None, meetings=None)
            self._list()

    def _on_step(self, event: Any = None) -> None:
        pair = self._comparer.layers
        if pair is not None and pair[0].ndim > 3 and self._app.state.comparison is not None:
            self._forget()
            self._timer.start(QUIET_MS)

    def _forget(self) -> None:
        self._generation += 1
        self._timer.stop()
        if self._ticket is not None:
            self._ticket.stale = True

    def _begin(self) -> None:
        maps, comparison = self._figures.maps(), self._app.state.comparison
        pair = self._comparer.layers
        if maps is None or comparison is None or pair is None:
            return
        generation = self._generation
        names = dict(zip(comparison.class_values, comparison.class_names, strict=True))
        source = layers.source_of(pair[1])
        second = self._second.layer if self._app.state.difference is not None else None
        self._ticket = self._app.in_thread(
            lesions_work.find_here,
            maps,
            names,
            self._chosen,
            layers.file_of(pair[1]),
            source.display if source is not None else None,
            second=layers.array_of(second) if second is not None else None,
            stoppable=True,
            on_done=lambda found: self._on_found(generation, found),
            on_error=lambda error: self._on_failed(generation, error),
        )

    def _on_found(self, generation: int, found: FoundHere) -> None:
        if generation != self._generation:
            return
        self.found = found
        if found.complaint:
            self._app.say(found.complaint)
        self._fill_menu()
        self._list()
        self._go_to_wanted()
        self._select_arrived()

    def _on_failed(self, generation: int, error: BaseException) -> None:
        if generation == self._generation and not isinstance(error, Cancelled):
            self.title.set_whole(NOTHING)
            self._app.show_error(error)

    # ---- what is shown ---------------------------------------------------------------
    def _fill_menu(self) -> None:
        comparison = self._app.state.comparison
        if self.found is None or comparison is None:
            return
        self._menu.clear()
        for value, name in zip(comparison.class_values, comparison.class_names, strict=True):
            if value:
                action = self._menu.addAction(name)
                action.setCheckable(True)
                action.setChecked(value in self.found.classes)
                action.setData(value)
        self._menu.addSeparator()
        self._sizes = self._menu.addMenu("Smallest lesion")
        for ml in SMALLEST_ML:
            action = self._sizes.addAction(f"{ml:g} ml" if ml else "all, however small")
            action.setCheckable(True)
            action.setChecked(ml == self.smallest.ml)
            action.setData(ml)

    def _on_chosen(self, action: QAction) -> None:
        if action in self._sizes.actions():
            self.choose_smallest(float(action.data()))
            return
        checked = [one for one in self._menu.actions() if one.isChecked()]
        self.choose_classes(tuple(int(one.data()) for one in checked))

    def choose_smallest(self, ml: float) -> None:
        """Count lesions from this volume on; smaller ones still belong to the unions of IoU."""
        self.smallest = Smallest(ml)
        for one in self._sizes.actions():
            one.setChecked(one.data() == ml)
        self._list()

    def choose_classes(self, values: tuple[int, ...]) -> None:
        """Count the lesions of these classes."""
        self._chosen = values
        self._forget()
        self._begin()

    @property
    def criterion(self) -> Match:
        """The chosen criterion."""
        match: Match = self.match.currentData()
        return match

    def _list(self) -> None:
        """Show what the lesions are by the chosen criterion, and what a second one changed."""
        self._list_lesions()
        self._list_changes()

    def _list_lesions(self) -> None:
        if self.found is None or self._app.state.comparison is None:
            return
        from napari_unet_mic.evaluation.lesion_figures import LesionFigures

        lesions = self.found.lesions
        every = judged(lesions, self.criterion, self.smallest)
        states = [one.state for one in every if one.lesion.source == "reference"]
        n_spurious = sum(one.state == "spurious" for one in every)
        counts = states.count("found"), states.count("missed"), n_spurious
        self._words = LesionFigures(0, self.criterion, 1, *counts).words
        self.title.set_whole(self._words)
        self.title.setToolTip(f"{self._words} ({self._looked_for()})")
        shown = [one for one in every if one.lesion.source == "reference" or one.state != "found"]
        self.shown = sorted(shown, key=lambda one: (ORDER[one.state], -one.lesion.ml))
        show_lesions(self.model, self.shown)

    def _list_changes(self) -> None:
        """List what a second prediction gained and lost, in place of the lesions if wanted."""
        found, second = self.found, self.found.second if self.found is not None else None
        self.versus.setVisible(second is not None)
        seen = second is not None and self.versus.isChecked()
        self.pages.setCurrentWidget(self.changes if seen else self.table)
        if found is None or second is None:
            self.changes.show_changes((), {})
            return
        from napari_unet_mic.evaluation.lesion_difference import changes_of_case, largest_first

        question = LesionQuestion((), self.criterion, self.smallest)
        every = changes_of_case("", found.lesions, second, question, found.meetings)
        self.changes.show_changes(largest_first(every), self._class_names())
        if seen:
            self.title.set_whole(self.changes.words)
            self.title.setToolTip(f"{self.changes.details} ({self._looked_for()})")

    def _class_names(self) -> dict[int, str]:
        comparison = self._app.state.comparison
        if comparison is None:
            return {}
        return dict(zip(comparison.class_values, comparison.class_names, strict=True))

    def _looked_for(self) -> str:
        """Say which classes, and from which size on."""
        names, values = self._class_names(), self.found.classes if self.found is not None else ()
        least = f", from {self.smallest.ml:g} ml on" if self.smallest.ml else ""
        return ", ".join(name_of(value, names) for value in values) + least

    def tables(self) -> list[tuple[str, TableModel]]:
        """Return the lists that are not empty, each with its title, for copying."""
        lists = [(f"Lesions: {self._words}", self.model)]
        second = self._second.layer
        if second is not None:
            lists.append((f"Lesions, vs {second.name}: {self.changes.details}", self.changes.table))
        return [(title, model) for title, model in lists if model.rows]

    def _swatch(self, row: int, column: int) -> Any:
        return class_colour(self.shown[row].lesion.value) if column == 0 else None

    def go_to(self, row: int, *, fit: bool = False) -> None:
        """Show a lesion's slice and centre it; with `fit`, zoom to its box."""
        if not 0 <= row < len(self.shown):
            return
        self.table.select_row(row)
        self._look_at(self.shown[row].lesion, fit)

    def go_to_change(self, row: int, *, fit: bool = False) -> None:
        """Show the slice of a lesion that was gained or lost; as `go_to`."""
        if 0 <= row < len(self.changes.shown):
            self._look_at(self.changes.shown[row].lesion, fit)

    def _look_at(self, lesion: Lesion, fit: bool) -> None:
        pair = self._comparer.layers
        if pair is not None and self.found is not None:
            self.class_looked_at.emit(lesion.value)
            whole = moved(lesion, self.found.leading)
            layers.go_to(self._app.viewer, pair[0], whole.point, whole.box if fit else None)

    def go_when_shown(self, lesion: Lesion) -> None:
        """Go to a lesion of a file (its point as z, y, x of the array) once its case is shown."""
        self._wanted, self._arrived = lesion, None

    def _go_to_wanted(self) -> None:
        lesion, self._wanted = self._wanted, None
        pair = self._comparer.layers
        source = layers.source_of(pair[0]) if pair is not None else None
        if lesion is None or pair is None or source is None or source.display is None:
            return
        point = source.display.display_index(lesion.point).astype(int).tolist()
        self._arrived = (lesion, point)
        for row, one in enumerate(self.shown):
            if _is_it(one.lesion, lesion, point):
                self.go_to(row)
                return
        layers.go_to(self._app.viewer, pair[0], point)

    def _select_arrived(self) -> None:
        """Select the lesion that was asked for among the changes, which are known later."""
        if self._arrived is None or self.found is None or self.found.second is None:
            return
        (lesion, point), self._arrived = self._arrived, None
        for row, one in enumerate(self.changes.shown):
            if _is_it(one.lesion, lesion, point):
                self.changes.select_row(row)


def _is_it(mine: Lesion, wanted: Lesion, point: Sequence[int]) -> bool:
    """Whether a lesion of two layers is one of a file, whose point lies here."""
    alike = (mine.value, mine.source, mine.voxels) == (wanted.value, wanted.source, wanted.voxels)
    return (
        alike
        and mine.box is not None
        and all(
            along.start <= place < along.stop for along, place in zip(mine.box, point, strict=True)
        )
    )
