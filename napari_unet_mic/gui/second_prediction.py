"""Keeps true what a second prediction fixed and broke, while somebody paints on any of them.

The pair under comparison and a second prediction layer enter, `state.difference` leaves. As in
`napari_unet_mic.gui.comparer` no event is proof of a change: after any event the layers are
compared in a thread with what was last seen (`napari_unet_mic.evaluation.difference`), one look
at a time, a moment after the stroke.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer

from napari_unet_mic.errors import BadInput, UNetMicError, UnknownClass
from napari_unet_mic.gui import layer_grids, layers
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.layer_events import ChangeWatch
from napari_unet_mic.gui.state import Comparison, Difference

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.difference import DifferenceShadow
    from napari_unet_mic.gui.app import App

LOOK_MS = 30


class SecondPrediction(QObject):
    """Keeps `state.difference` true for the chosen second prediction."""

    def __init__(self, app: App, comparer: Comparer) -> None:
        super().__init__()
        self._app = app
        self._comparer = comparer
        self.layer: Labels | None = None
        self._pair: tuple[Labels, Labels] | None = None
        self._shadow: DifferenceShadow | None = None
        self._disconnect: list[Callable[[], None]] = []
        self._generation = 0
        self._busy = self._again = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        app.state.events.comparison.connect(self._on_comparison_changed)
        app.on_close.append(self._stop)

    @property
    def quiet(self) -> bool:
        """Whether every change that was heard of has been looked at."""
        return not self._busy and not self._timer.isActive()

    def choose(self, layer: Labels | None) -> None:
        """Compare with a second prediction from now on (or with none).

        Raises
        ------
        BadInput
            When the layer is one of the pair already.
        GridMismatch
            When it does not lie on the reference's grid.
        """
        self._stop()
        if layer is None:
            return
        pair = self._comparer.layers
        if pair is not None:
            _check(layer, *pair)
        self.layer = layer
        watch = ChangeWatch(self._app.viewer, layer, lambda box, when: self._look_soon())
        self._disconnect.append(watch.stop)
        for emitter in (layer.events.scale, layer.events.translate, layer.events.units):
            emitter.connect(self._on_moved)
            self._disconnect.append(partial(emitter.disconnect, self._on_moved))
        self._look_soon()

    def _stop(self) -> None:
        for disconnect in self._disconnect:
            disconnect()
        self._disconnect, self.layer = [], None
        self._forget()

    def _forget(self) -> None:
        self._generation += 1
        self._pair, self._shadow = None, None
        self._busy = self._again = False
        with contextlib.suppress(RuntimeError):  # the timer may have gone with the window
            self._timer.stop()
        if not self._app.closed:
            self._app.state.difference = None

    def _on_comparison_changed(self, comparison: Comparison | None) -> None:
        if self.layer is None:
            return
        if comparison is None or self._comparer.layers != self._pair:
            self._forget()
        if comparison is not None:
            self._look_soon()

    def _on_moved(self, event: Any = None) -> None:
        """The layer was given another place or voxel size."""
        self._forget()
        self._look_soon()

    def _look_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start(LOOK_MS)

    def _look(self) -> None:
        """Look at the three layers in a thread: for the first time, or for what changed."""
        comparison, pair = self._app.state.comparison, self._comparer.layers
        if self.layer is None or comparison is None or pair is None:
            return
        if self._busy:
            self._again = True
            return
        try:
            _check(self.layer, *pair)
        except UNetMicError as error:
            self._on_failed(self._generation, error)
            return
        self._pair, self._busy = pair, True
        generation, three = self._generation, (*pair, self.layer)
        self._app.in_thread(
            looked,
            self._shadow,
            tuple(layers.array_of(one) for one in three),
            comparison.n_codes,
            comparison.ignore,
            (three[0].name, three[1].name, three[2].name),
            busy="" if self._shadow is not None else "Comparing with a second prediction…",
            on_done=lambda answer: self._on_looked(generation, *answer),
            on_error=lambda error: self._on_failed(generation, error),
        )

    def _on_looked(self, generation: int, shadow: DifferenceShadow, changed: bool) -> None:
        if generation != self._generation:
            return
        self._busy = False
        fresh, self._shadow = shadow is not self._shadow, shadow
        if changed or fresh or self._app.state.difference is None:
            self._publish()
        if self._again:
            self._again = False
            self._look_soon()

    def _on_failed(self, generation: int, error: BaseException) -> None:
        """Show no numbers rather than old ones."""
        if generation != self._generation:
            return
        self._busy = self._again = False
        self._app.state.difference = None
        if not isinstance(error, UnknownClass):  # a new class: the comparison is counted anew too
            self._app.show_error(error)

    def _publish(self) -> None:
        comparison = self._app.state.comparison
        if self.layer is None or self._shadow is None or comparison is None:
            return
        values = tuple(one for one in comparison.class_values if one < self._shadow.n_classes)
        names = dict(zip(comparison.class_values, comparison.class_names, strict=True))
        self._app.state.difference = Difference(
            self.layer.name,
            values,
            tuple(names[value] for value in values),
            self._shadow.table[list(values)],
            comparison.spacing_mm,
            self._shadow.codes,
        )


def looked(
    shadow: DifferenceShadow | None,
    maps: tuple[Any, Any, Any],
    n_classes: int,
    ignore: int | None,
    names: tuple[str, str, str],
) -> tuple[DifferenceShadow, bool]:
    """Look at three maps, for a thread; the second answer says whether anything changed."""
    from napari_unet_mic.evaluation.difference import DifferenceShadow

    same = shadow is not None and (shadow.n_classes, shadow.ignore) == (n_classes, ignore)
    if shadow is not None and same and shadow.codes.shape == tuple(maps[0].shape):
        return shadow, shadow.look(*maps, names=names)
    arrays = [np.asarray(labels) for labels in maps]
    return (
        DifferenceShadow.of(arrays[0], arrays[1], arrays[2], n_classes, ignore, names=names),
        True,
    )


def _check(second: Labels, reference: Labels, prediction: Labels) -> None:
    """Refuse a second prediction that is one of the pair, or lies elsewhere."""
    if second is reference or second is prediction:
        raise BadInput(
            second.name,
            expected="a second prediction",
            got="a layer that is compared already",
            advice="choose another layer under vs",
        )
    layer_grids.check_comparable(reference, second)
