"""The lesions of the two layers under comparison: found, missed, spurious; each one click away.

`state.comparison` enters; the table follows it a moment later, found in a thread, and answers to
an older state of the layers are dropped. Which classes are lesions and when one counts as found
is chosen here; `docs/lesions.md` defines every figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QMenu, QPushButton, QWidget

from napari_unet_mic.errors import Cancelled
from napari_unet_mic.evaluation.lesion import (
    MATCHES,
    Judged,
    Lesion,
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
from napari_unet_mic.gui.forms import ElidedLabel, explained, guard_wheel, short_combo
from napari_unet_mic.gui.inspector_tables import MEASURING, millilitres
from napari_unet_mic.gui.later_figures import QUIET_MS, LaterFigures
from napari_unet_mic.gui.lesions_work import FoundHere
from napari_unet_mic.gui.tables import TableModel, TableView

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App
    from napari_unet_mic.gui.state import Comparison

NOTHING = "Lesions"
ORDER = {"missed": 0, "spurious": 1, "found": 2}
SMALLEST_ML = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
SHOWN_AS = {"missed": "○ missed", "spurious": "△ spurious", "found": "● found"}


def lesion_model() -> TableModel:
    """Return the model of the table of lesions."""
    model = TableModel(
        {
            "ml": millilitres,
            "IoU": lambda value: f"{value:.2f}",
            "confidence": lambda value: f"{value:.2f}",
            "highest": lambda value: f"{value:.2f}",
        }
    )
    model.tooltips = {
        "ml": "Volume of the connected component, over faces, edges and corners",
        "state": "found or missed: a lesion of the reference; spurious: a predicted one that "
        "touches no lesion that is found",
        "IoU": "Overlap with the union of all lesions of the other map that touch it",
        "confidence": "The network's probability for this class, averaged over the lesion",
        "highest": "Its highest probability in the lesion: a missed lesion was almost found (0.25 "
        "and more), or the network was blind",
        "note": "split: several predicted lesions touch it; merged: it shares a predicted lesion "
        "with another one",
    }
    return model


def match_box() -> QComboBox:
    """Return the box in which the criterion is chosen."""
    box = explained(
        short_combo(QComboBox(), 8),
        "When a lesion counts as found: by its overlap (IoU) with what was predicted there",
        "unet-mic evaluate --match",
    )
    for match, words in MATCHES.items():
        box.addItem(words, match)
    box.setFixedWidth(126)
    guard_wheel(box)
    return box


class LesionsView(QWidget):
    """Counts, table and choices; `class_looked_at` carries the class of the chosen lesion."""

    class_looked_at = Signal(object)

    def __init__(self, app: App, comparer: Comparer, figures: LaterFigures) -> None:
        super().__init__()
        self._app, self._comparer, self._figures = app, comparer, figures
        self.found: FoundHere | None = None
        self.shown: list[Judged] = []
        self._chosen: tuple[int, ...] | None = None  # None: the rule chooses
        self.smallest = Smallest()
        self._layers: tuple[Any, Any] | None = None
        self._generation = 0
        self._ticket: Any = None
        self._wanted: Lesion | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._begin)
        self._build()
        app.state.events.comparison.connect(self._on_comparison_changed)
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
        self.model = lesion_model()
        self.model.swatch_of = self._swatch
        self.model.tooltip_of = lambda row, _: _words(self.shown[row])
        self.table = TableView(self.model)
        self.table.cell_clicked.connect(lambda row, _: self.go_to(row))
        self.table.cell_double_clicked.connect(lambda row, _: self.go_to(row, fit=True))
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        line.addWidget(self.match)
        line.addWidget(self.classes)
        stacked(self, line, self.table)

    # ---- following the layers --------------------------------------------------------
    def _on_comparison_changed(self, comparison: Comparison | None) -> None:
        self._forget()
        if comparison is None:
            self.found, self.shown = None, []
            self.model.set_rows([], [])
            self.title.set_whole(NOTHING)
            return
        if self._layers != self._comparer.layers:
            self._layers, self._chosen = self._comparer.layers, None
            self._timer.start(0)
        else:
            self._timer.start(QUIET_MS)
        self.title.set_whole(f"Lesions {MEASURING}")

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
        self._ticket = self._app.in_thread(
            lesions_work.find_here,
            maps,
            names,
            self._chosen,
            layers.file_of(pair[1]),
            source.display if source is not None else None,
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
        """Show what the lesions are by the chosen criterion, lost ones first."""
        if self.found is None or self._app.state.comparison is None:
            return
        from napari_unet_mic.evaluation.lesion_figures import LesionFigures

        lesions = self.found.lesions
        every = judged(lesions, self.criterion, self.smallest)
        states = [one.state for one in every if one.lesion.source == "reference"]
        n_spurious = sum(one.state == "spurious" for one in every)
        counts = states.count("found"), states.count("missed"), n_spurious
        self.title.set_whole(LesionFigures(0, self.criterion, 1, *counts).words)
        least = f", from {self.smallest.ml:g} ml on" if self.smallest.ml else ""
        self.title.setToolTip(f"{self.title.whole} ({', '.join(self._names())}{least})")
        shown = [one for one in every if one.lesion.source == "reference" or one.state != "found"]
        self.shown = sorted(shown, key=lambda one: (ORDER[one.state], -one.lesion.ml))
        notes = any(one.split or one.merged for one in self.shown)
        known = any(one.lesion.confidence is not None for one in self.shown)
        columns = ["ml", "state", "IoU", *(["confidence", "highest"] if known else [])]
        columns += ["note"] if notes else []
        rows: list[list[Any]] = []
        for one in self.shown:
            lesion = one.lesion
            row = [lesion.ml, SHOWN_AS[one.state], lesion.iou]
            row += [lesion.confidence, lesion.highest] if known else []
            rows.append([*row, _note(one)] if notes else row)
        self.model.set_rows(columns, rows)

    def _names(self) -> list[str]:
        comparison, found = self._app.state.comparison, self.found
        if comparison is None or found is None:
            return []
        names = dict(zip(comparison.class_values, comparison.class_names, strict=True))
        return [name_of(value, names) for value in found.classes]

    def _swatch(self, row: int, column: int) -> Any:
        return class_colour(self.shown[row].lesion.value) if column == 0 else None

    def go_to(self, row: int, *, fit: bool = False) -> None:
        """Show a lesion's slice and centre it; with `fit`, zoom to its box."""
        pair = self._comparer.layers
        if pair is None or self.found is None or not 0 <= row < len(self.shown):
            return
        self.table.select_row(row)
        self.class_looked_at.emit(self.shown[row].lesion.value)
        lesion = moved(self.shown[row].lesion, self.found.leading)
        layers.go_to(self._app.viewer, pair[0], lesion.point, lesion.box if fit else None)

    def go_when_shown(self, lesion: Lesion) -> None:
        """Go to a lesion of a file (its point as z, y, x of the array) once its case is shown."""
        self._wanted = lesion

    def _go_to_wanted(self) -> None:
        lesion, self._wanted = self._wanted, None
        pair = self._comparer.layers
        source = layers.source_of(pair[0]) if pair is not None else None
        if lesion is None or pair is None or source is None or source.display is None:
            return
        point = source.display.display_index(lesion.point).astype(int).tolist()
        for row, one in enumerate(self.shown):
            mine, box = one.lesion, one.lesion.box
            alike = (mine.value, mine.source, mine.voxels) == (
                lesion.value,
                lesion.source,
                lesion.voxels,
            )
            inside = box is not None and all(
                along.start <= place < along.stop for along, place in zip(box, point, strict=True)
            )
            if alike and inside:
                self.go_to(row)
                return
        layers.go_to(self._app.viewer, pair[0], point)


def _note(one: Judged) -> str:
    return ", ".join([*(["split"] if one.split else []), *(["merged"] if one.merged else [])])


def _words(one: Judged) -> str:
    from napari_unet_mic.reporting.lesion_tables import almost_or_blind

    lesion = one.lesion
    words = f"{one.state}, {lesion.voxels} voxels, as a sphere {lesion.diameter_mm:.0f} mm across"
    if one.state == "spurious" and one.touched:
        words += "; it lies on a lesion that does not count as found"
    if almost_or_blind(one):
        words += f"; {almost_or_blind(one)}"
    return f"{words}. Click to go there, double-click to zoom in"
