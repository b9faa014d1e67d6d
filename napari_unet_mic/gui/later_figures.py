"""Regions, HD95 and NSD of the comparison: what follows a change a moment later, in threads.

`state.comparison` enters; `state.surfaces` and the regions of any cell leave. A change makes
all answers under way stale: they are dropped, and asked for again once it has been quiet for
a moment. Classes that the change did not touch keep their HD95 and NSD. Of a layer with more
than three axes the part is measured that the viewer shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet_mic.errors import Cancelled
from napari_unet_mic.evaluation.results import SurfaceScore
from napari_unet_mic.gui import later_work as work
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.later_work import Found, Maps
from napari_unet_mic.gui.layer_events import leading_indices
from napari_unet_mic.gui.state import Comparison, Surfaces

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.mistakes import Mistakes
    from napari_unet_mic.gui.app import App, Ticket
    from napari_unet_mic.gui.confidence import Confidence

QUIET_MS = 250
MOST_WRONG = 10_000_000  # voxels whose regions would take a gigabyte and many seconds
TOLERANCE_MM = 1.0
OnRegions = Callable[[Found], None]


class LaterFigures(QObject):
    """Keeps regions, HD95 and NSD a moment behind `state.comparison`.

    Signals
    -------
    mistakes_found
        The wrong voxels of the present comparison are known: `ask` has an answer now.
    """

    mistakes_found = Signal()

    def __init__(self, app: App, comparer: Comparer) -> None:
        super().__init__()
        self._app = app
        self._comparer = comparer
        self.mistakes: Mistakes | None = None
        self.too_many = False  # so many wrong voxels that no regions are formed
        self.leading: tuple[int, ...] = ()
        self.tolerance_mm = TOLERANCE_MM
        self._scores: dict[int, SurfaceScore] = {}
        self._due: set[int] = set()
        self._generation = 0
        self._tickets: list[Ticket] = []
        self._finding = False
        self._confidence: Confidence | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._begin)
        app.state.events.comparison.connect(self._on_comparison_changed)
        app.viewer.dims.events.current_step.connect(self._on_step)
        app.on_close.append(self._forget)
        app.in_thread(work.prepare)

    def ask(
        self,
        true_class: int | None,
        predicted_class: int | None,
        axis: int,
        on_regions: OnRegions,
    ) -> None:
        """Hand the regions of a cell to `on_regions`; a newer question replaces an older one.

        There is no answer while the wrong voxels are being found: ask again when
        `mistakes_found` says so.
        """
        mistakes, leading, generation = self.mistakes, self.leading, self._generation
        if self.too_many:
            on_regions(Found())
            return
        if mistakes is None:
            self._begin()
            return

        def on_done(found: Found) -> None:
            if generation == self._generation:
                on_regions(found)

        self._app.in_thread(
            work.regions,
            mistakes,
            (true_class, predicted_class),
            axis,
            leading,
            topic="regions",
            on_done=on_done,
        )

    def set_tolerance(self, tolerance_mm: float) -> None:
        """Measure the NSD, and how far a rim reaches, with another tolerance."""
        if tolerance_mm == self.tolerance_mm:
            return
        self.tolerance_mm = tolerance_mm
        self._measure_all()

    # ---- what makes answers stale ----------------------------------------------------
    def _on_comparison_changed(self, comparison: Comparison | None) -> None:
        if comparison is None:
            self._forget()
            self._timer.stop()
            self._scores, self._due = {}, set()
            self._publish()
            return
        touched = self._comparer.take_touched()
        if touched is None:
            self._measure_all()
        elif touched:
            self._forget()
            self._due |= touched - {0}
            self._publish()
            self._timer.start(QUIET_MS)

    def _on_step(self, event: Any = None) -> None:
        """Another time point is shown."""
        pair = self._comparer.layers
        if pair is None or self._app.state.comparison is None or pair[0].ndim <= 3:
            return
        if leading_indices(self._app.viewer, pair[0]) != self.leading:
            self._measure_all()
            self._timer.start(QUIET_MS)

    def _measure_all(self) -> None:
        self._forget()
        comparison = self._app.state.comparison
        self._scores = {}
        self._due = set(comparison.class_values) - {0} if comparison is not None else set()
        self._publish()
        if comparison is not None:
            self._timer.start(0)

    def _forget(self) -> None:
        self._generation += 1
        self.mistakes, self._finding, self.too_many = None, False, False
        for ticket in self._tickets:
            ticket.stale = True
        self._tickets = []

    # ---- regions ---------------------------------------------------------------------
    def maps(self) -> Maps | None:
        """Return the two maps as they are now, for a thread; None without a comparison."""
        pair, comparison = self._comparer.layers, self._app.state.comparison
        if pair is None or comparison is None:
            return None
        self.leading = leading_indices(self._app.viewer, pair[0])
        return Maps(
            layers.array_of(pair[0]),
            layers.array_of(pair[1]),
            self.leading,
            comparison.spacing_mm,
            comparison.ignore,
        )

    def _begin(self) -> None:
        self._timer.stop()
        maps = self.maps()
        comparison = self._app.state.comparison
        if maps is None or comparison is None or self._finding:
            return
        wrong = int(comparison.table.sum() - comparison.table.trace())
        if wrong > MOST_WRONG and not maps.leading:
            self.too_many = True
            self.mistakes_found.emit()
            self._measure(maps)
            return
        self._finding = True
        generation = self._generation
        self._run(
            work.find,
            maps,
            self.tolerance_mm,
            on_done=lambda mistakes: self._on_found(generation, maps, mistakes),
        )

    def _run(self, function: Callable[..., Any], *args: Any, **options: Any) -> None:
        self._tickets = [one for one in self._tickets if not one.stale]
        self._tickets.append(self._app.in_thread(function, *args, **options))

    def _on_found(self, generation: int, maps: Maps, mistakes: Mistakes) -> None:
        if generation != self._generation:
            return
        self._finding = False
        self._keep(mistakes)
        if self._due:
            self._measure(maps)
        else:
            self._look_up_confidence(maps)

    def _keep(self, mistakes: Mistakes) -> None:
        """Tell who waits; keep the list of wrong voxels while it is small beside the codes."""
        self.mistakes = mistakes
        self.mistakes_found.emit()
        comparison = self._app.state.comparison
        if comparison is None or mistakes.nbytes > comparison.codes.size:
            self.mistakes = None

    # ---- HD95 and NSD ----------------------------------------------------------------
    def _measure(self, maps: Maps) -> None:
        comparison = self._app.state.comparison
        assert comparison is not None
        generation = self._generation
        values = sorted(self._due & set(comparison.class_values))
        self._run(
            work.measure,
            maps,
            values,
            self.tolerance_mm,
            lambda value, score: self._app.tell(self._on_score, generation, value, score),
            stoppable=True,
            on_done=lambda _: self._on_measured(generation, maps),
            on_error=lambda error: self._on_not_measured(generation, error),
        )

    def _on_score(self, generation: int, value: int, score: SurfaceScore) -> None:
        if generation == self._generation:
            self._scores[value] = score
            self._due.discard(value)
            self._publish()

    def _on_measured(self, generation: int, maps: Maps) -> None:
        if generation == self._generation:
            self._due = set()
            self._publish()
            self._look_up_confidence(maps)

    def _on_not_measured(self, generation: int, error: BaseException) -> None:
        """Leave blank what could not be measured."""
        if generation == self._generation and not isinstance(error, Cancelled):
            for value in self._due:
                self._scores[value] = SurfaceScore()
            self._due = set()
            self._publish()
            self._app.show_error(error)

    def _publish(self) -> None:
        state = self._app.state
        if state.comparison is None:
            state.surfaces = None
            return
        foreground = {value for value in state.comparison.class_values if value}
        pending = frozenset(v for v in foreground if v in self._due or v not in self._scores)
        now = state.surfaces
        if (
            now is None
            or now.pending != pending
            or now.tolerance_mm != self.tolerance_mm
            or now.scores != self._scores
        ):
            state.surfaces = Surfaces(self.tolerance_mm, dict(self._scores), pending)

    # ---- the network's probabilities -------------------------------------------------
    def _look_up_confidence(self, maps: Maps) -> None:
        """Give every wrong voxel its probability, where the prediction kept them."""
        pair, mistakes, generation = self._comparer.layers, self.mistakes, self._generation
        source = layers.source_of(pair[1]) if pair is not None else None
        if mistakes is None or source is None or source.display is None or maps.leading:
            return
        from napari_unet_mic.gui.confidence import look_up

        self._run(
            look_up,
            mistakes,
            layers.file_of(pair[1]) if pair is not None else None,
            source.display,
            self._confidence,
            stoppable=True,
            on_done=lambda answer: self._on_confidence(generation, mistakes, answer),
            on_error=lambda error: self._on_no_confidence(generation, error),
        )

    def _on_confidence(
        self, generation: int, mistakes: Mistakes, answer: Confidence | None
    ) -> None:
        self._confidence = answer
        if generation == self._generation and answer is not None:
            self.mistakes = mistakes.with_confidence(answer.values)
            self.mistakes_found.emit()

    def _on_no_confidence(self, generation: int, error: BaseException) -> None:
        if generation == self._generation and not isinstance(error, Cancelled):
            self._app.say(str(error))
