"""The probability switch: shows how sure the network was of the class that is looked at, or at all.

The chosen pair and the class that is looked at in the tables enter. Where the prediction kept
its probabilities, those of that class are read in a thread (or, by choice in the View menu, the
uncertainty: the entropy of all classes) and shown as one layer, which goes when the button, the
prediction or the case does; whoever deletes the layer switches it off. The errors above it are
outlines meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari.layers import Labels
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QPushButton

from napari_unet_mic.errors import Cancelled
from napari_unet_mic.evaluation.probabilities import (
    probabilities_beside,
    probability_map,
    uncertainty_map,
)
from napari_unet_mic.gui import layers
from napari_unet_mic.gui import probability_layer as one_layer
from napari_unet_mic.gui.comparison import name_of
from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.view_modes import IN_3D, NO_PAIR, Pair, ViewModes

if TYPE_CHECKING:
    from napari_unet_mic.data.display import Display
    from napari_unet_mic.gui.app import App, Ticket

PROBABILITY = "probability"
WORDS = (
    "Probability: how sure the network was of a class, bright where it was sure; under the labels "
    "(clearest with F6 and F7), errors as outlines. The true class of what is chosen in the "
    "tables; where that is background, the predicted one. Uncertainty instead: in the View menu"
)
UNCERTAINTY = -1  # in place of a class
UNCERTAINTY_WORDS = (
    "How uncertain the network was between its classes: 0 where one has all the probability, 1 "
    "where all have the same (their entropy)"
)
NOT_KEPT = "Not here: no probabilities were kept beside this prediction"
NOT_IN_3D = "Not in 3-D: go back first (F8)"
OPTION = "unet-mic predict --probabilities"


class Wanted(NamedTuple):
    """What the layer shows: which prediction's probabilities, from where, of which class.

    `value` may be `UNCERTAINTY`.
    """

    prediction: Labels
    file: Path
    value: int


class ProbabilitySwitch(QPushButton):
    """A button that is down while the layer is wanted; `changed`: another one is shown, or none."""

    changed = Signal()

    def __init__(self, app: App, pair: Callable[[], Pair], modes: ViewModes) -> None:
        super().__init__()
        self._app, self._pair, self._modes = app, pair, modes
        self._label_file: Path | None = None
        self._file: Path | None = None  # the probabilities beside the label file
        self._class: int | None = None  # what is looked at
        self.uncertain = False  # whether the uncertainty is shown instead of a class
        self._shown: Wanted | None = None
        self._coming: Wanted | None = None
        self._ticket: Ticket | None = None
        self._outlined: Labels | None = None  # the errors layer that is drawn as outlines
        self._due_below = False  # a way of viewing will leave the layer on top
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        self.setCheckable(True)
        self.toggled.connect(self._on_toggled)
        modes.changed.connect(self._on_mode_changed)
        app.state.events.comparison.connect(self._soon)
        app.state.events.prediction_layer.connect(self._soon)
        for emitter in (app.viewer.layers.events.inserted, app.viewer.layers.events.removed):
            emitter.connect(self._soon)
        app.on_close.append(self._stop)
        self._explain(NO_PAIR)

    def follow(self, value: int | None) -> None:
        """Show this class from now on; None: the first one that is not background."""
        if value != self._class:
            self._class = value
            self._soon()

    def choose(self, uncertain: bool) -> None:
        """Show the uncertainty, or the class that is looked at; what is shown already goes."""
        if self.isChecked() and self.uncertain == uncertain:
            self.setChecked(False)
            return
        self.uncertain = uncertain
        self.setChecked(True)
        self._soon()

    @property
    def reason(self) -> str:
        """Why nothing can be shown now, "" when something can."""
        if None in self._pair():
            return NO_PAIR
        if self._file is None:
            return NOT_KEPT
        return NOT_IN_3D if self._modes.mode == IN_3D else ""

    # ---- what is wanted ----------------------------------------------------------------
    def _soon(self, _: Any = None) -> None:
        if not self._app.closed:
            self._timer.start(0)

    def _on_toggled(self, on: bool) -> None:
        self.uncertain = self.uncertain and on  # the button itself asks for a class
        self._soon()

    def _stop(self) -> None:
        with suppress(RuntimeError):  # Qt may have taken the timer with the window
            self._timer.stop()

    def _on_mode_changed(self, mode: str) -> None:
        if not mode and self._due_below:
            self._due_below = False
            reference, prediction = self._pair()
            if reference is not None and prediction is not None:
                one_layer.put_below(self._app.viewer, (reference, prediction))
        self._soon()

    def _look(self) -> None:
        """Bring the layer in line with what is wanted now."""
        if self._app.closed:
            return
        prediction = self._pair()[1]
        self._notice_deletion(prediction)
        self._look_beside(prediction)
        self._explain(self.reason)
        self._outline_errors()
        if self._modes.mode == IN_3D:  # which hides the layer
            return
        if self._app.state.comparison is None and self._is_of(prediction) and self.isChecked():
            return  # counted anew: what is shown stays
        wanted = self._wanted()
        if wanted != self._coming:
            self._give_up_reading()
        if self._shown is not None and (wanted is None or not self._is_of(wanted.prediction)):
            self._take_away()
        if wanted is not None and wanted not in (self._shown, self._coming):
            self._read(wanted)

    def _wanted(self) -> Wanted | None:
        prediction, value = self._pair()[1], self._value()
        if not self.isChecked() or prediction is None or self._file is None or value is None:
            return None
        return Wanted(prediction, self._file, value)

    def _value(self) -> int | None:
        if self.uncertain:
            return UNCERTAINTY
        comparison = self._app.state.comparison
        values = [one for one in comparison.class_values if one] if comparison else []
        return self._class if self._class in values else next(iter(values), None)

    def _name(self, value: int) -> str:
        if value == UNCERTAINTY:
            return "uncertainty"
        comparison = self._app.state.comparison
        pairs = (
            zip(comparison.class_values, comparison.class_names, strict=True) if comparison else ()
        )
        return f"probability of {name_of(value, dict(pairs))}"

    def _is_of(self, prediction: Labels | None) -> bool:
        return self._shown is not None and self._shown.prediction is prediction

    def _notice_deletion(self, prediction: Labels | None) -> None:
        """Switch off when somebody deleted the layer; when its case went, it was not that."""
        if self._shown is None or one_layer.probability_layer(self._app.viewer) is not None:
            return
        deleted, self._shown = self._is_of(prediction), None
        if deleted:
            self.setChecked(False)

    def _look_beside(self, prediction: Labels | None) -> None:
        """Find out, in a thread, whether another prediction kept its probabilities."""
        source = layers.source_of(prediction) if prediction is not None else None
        placed = source is not None and source.display is not None
        file = layers.file_of(prediction) if prediction is not None and placed else None
        if file == self._label_file:
            return
        self._label_file, self._file = file, None
        if file is not None:
            self._app.in_thread(
                probabilities_beside,
                file,
                topic="probabilities beside",
                on_done=lambda found: self._on_found(file, found),
            )

    def _on_found(self, label_file: Path, found: Path | None) -> None:
        if label_file == self._label_file:
            self._file = found
            self._look()

    def _explain(self, reason: str) -> None:
        self.setEnabled(not reason)
        explained(self, f"{WORDS}.\n{reason}" if reason else f"{WORDS}.", OPTION)

    # ---- the layer ---------------------------------------------------------------------
    def _read(self, wanted: Wanted) -> None:
        source = layers.source_of(wanted.prediction)
        assert source is not None
        assert source.display is not None  # or there were no file
        self._coming = wanted
        self._ticket = self._app.in_thread(
            read_shown,
            wanted.file,
            wanted.value,
            source.display,
            topic="probability layer",
            busy=f"Reading the {self._name(wanted.value)}",
            stoppable=True,
            on_done=lambda shares: self._on_read(wanted, shares),
            on_error=self._on_not_read,
        )

    def _on_read(self, wanted: Wanted, shares: Any) -> None:
        self._coming = None
        viewer, (reference, prediction) = self._app.viewer, self._pair()
        if reference is None or prediction is not wanted.prediction or self._modes.mode == IN_3D:
            self._soon()
            return
        self._due_below = self._due_below or (self._shown is None and bool(self._modes.mode))
        one_layer.show_probability(
            viewer, (reference, prediction), shares, wanted.value, self._name(wanted.value)
        )
        self._shown = wanted
        self._outline_errors()
        self.changed.emit()

    def _on_not_read(self, error: BaseException) -> None:
        self._coming = None
        if not isinstance(error, Cancelled):
            self._app.show_error(error)
            self.setChecked(False)

    def _give_up_reading(self) -> None:
        self._coming = None
        if self._ticket is not None:
            self._ticket.stale = True

    def _take_away(self) -> None:
        self._shown = None
        one_layer.take_away(self._app.viewer)
        self._outline_errors()
        self.changed.emit()

    def _outline_errors(self) -> None:
        """Draw errors as outlines while the layer is shown: it lies below them."""
        errors = layers.errors_layer(self._app.viewer)
        if self._shown is None and self._outlined is not None:
            self._outlined.contour, self._outlined = 0, None
        elif self._shown is not None and errors is not None and errors is not self._outlined:
            errors.contour, self._outlined = 1, errors


def read_shown(file: Path, value: int, display: Display, *, should_stop: Callable[[], bool]) -> Any:
    """Return the probabilities of a class, or the uncertainty, as `display` shows them."""
    if value == UNCERTAINTY:
        return display.view(uncertainty_map(file, display.array_shape, should_stop=should_stop))
    return display.view(probability_map(file, value, display.array_shape, should_stop=should_stop))
