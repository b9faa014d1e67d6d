"""Keeps the comparison of two layers true while somebody paints.

Two layers of the viewer enter, `state.comparison` leaves. The code array of the first full
count is the layers' shadow (`napari_unet_mic.evaluation.shadow`): after any event that may
mean a change the layers are compared with it. A small box that an event names is looked at
at once; a look at everything follows in a thread, so that nothing is missed. So the numbers
are right after strokes, fills, undo and replaced data alike, whatever events napari fires.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer

from napari_unet_mic.errors import BadInput, UNetMicError
from napari_unet_mic.evaluation.shadow import Shadow
from napari_unet_mic.gui import layer_grids, layers
from napari_unet_mic.gui.comparison import Pair, compare, described
from napari_unet_mic.gui.layer_events import ChangeWatch, When
from napari_unet_mic.gui.state import Comparison

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.confusion import Box
    from napari_unet_mic.gui.app import App

HERE_MS, SOON_MS, LATER_MS = 0, 150, 400
MOST_HERE = 1 << 20  # voxels looked at on the GUI thread: about a millisecond


class Comparer(QObject):
    """Keeps `state.comparison` true for the chosen pair of layers."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._layers: tuple[Labels, Labels] | None = None
        self._pair: Pair | None = None
        self._shadow: Shadow | None = None
        self._disconnect: list[Callable[[], None]] = []
        self._boxes: list[Box] = []
        self._busy = False  # counting or looking in a thread
        self._again = False  # something may have changed meanwhile
        self._generation = 0
        self._fresh = False
        self.complaint = ""  # why there are no numbers, though a pair is chosen
        self.on_complaint: Callable[[str], None] = lambda _: None
        self._here_timer = self._single_shot(self._look_here)
        self._soon_timer = self._single_shot(self._look_everywhere)
        self._later_timer = self._single_shot(self._look_everywhere)
        app.on_close.append(self._stop)

    def _single_shot(self, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(act)
        return timer

    @property
    def layers(self) -> tuple[Labels, Labels] | None:
        """Reference and prediction layer under comparison."""
        return self._layers

    @property
    def quiet(self) -> bool:
        """Whether every change that was heard of has been looked at."""
        timers = (self._here_timer, self._soon_timer, self._later_timer)
        return not self._busy and not any(timer.isActive() for timer in timers)

    def choose(self, reference: Labels | None, prediction: Labels | None) -> None:
        """Compare two layers from now on (or none).

        Raises
        ------
        GridMismatch
            When they do not lie on one grid.
        """
        self._stop()
        if reference is None or prediction is None:
            return
        if reference is prediction:
            raise BadInput(
                reference.name,
                expected="two different layers",
                got="the same one twice",
                advice="choose another prediction",
            )
        displacement = layer_grids.check_comparable(reference, prediction)
        if displacement > 0.01:
            self._app.say(
                f"{prediction.name} lies {displacement:.2g} voxels beside {reference.name}; "
                "compared voxel by voxel"
            )
        self._layers = (reference, prediction)
        for layer in self._layers:
            watch = ChangeWatch(self._app.viewer, layer, self._on_hint)
            self._disconnect.append(watch.stop)
            self._listen(layer.events.name, self._on_renamed)
            for emitter in (layer.events.scale, layer.events.translate, layer.events.units):
                self._listen(emitter, self._on_moved)
        self._count_all()

    def recount(self) -> None:
        """Count everything again, for example after class names changed."""
        if self._layers is not None:
            self._count_all()

    def look(self) -> None:
        """Look at everything now: somebody is about to rely on the numbers."""
        self._on_hint(None, "now")

    def take_touched(self) -> set[int] | None:
        """Return the classes whose voxels changed since this was asked last; None: any."""
        fresh, self._fresh = self._fresh, False
        touched = self._shadow.take_touched() if self._shadow is not None else set()
        return None if fresh else touched

    def _listen(self, emitter: Any, callback: Callable[[Any], None]) -> None:
        emitter.connect(callback)
        self._disconnect.append(lambda: emitter.disconnect(callback))

    def _stop(self) -> None:
        for disconnect in self._disconnect:
            disconnect()
        self._disconnect, self._layers, self._pair, self._shadow = [], None, None, None
        self._generation += 1
        self._boxes, self._busy, self._again, self.complaint = [], False, False, ""
        with contextlib.suppress(RuntimeError):  # the timers may have gone with the window
            for timer in (self._here_timer, self._soon_timer, self._later_timer):
                timer.stop()
        if not self._app.closed:
            self._app.state.comparison = None

    # ---- counting everything ---------------------------------------------------------
    def _count_all(self) -> None:
        assert self._layers is not None
        self._pair, self._shadow = self._pair_now(), None
        self._boxes, self._again, self._busy = [], False, True
        self._generation += 1
        generation = self._generation
        try:
            layer_grids.check_comparable(*self._layers)
        except UNetMicError as error:
            self._on_count_failed(generation, error)
            return
        self._app.in_thread(
            compare,
            self._pair,
            busy="Comparing…",
            on_done=lambda answer: self._on_compared(generation, *answer),
            on_error=lambda error: self._on_count_failed(generation, error),
        )

    def _pair_now(self) -> Pair:
        assert self._layers is not None
        reference, prediction = self._layers
        dataset = self._app.state.dataset
        ours = [layers.source_of(layer) for layer in self._layers]
        of_dataset = dataset is not None and any(
            source and source.role in ("reference", "prediction") for source in ours
        )
        classes = {**layers.classes_of(prediction), **layers.classes_of(reference)}
        ignore = layers.ignore_of(reference)
        if ignore is None and of_dataset and dataset is not None:
            ignore = dataset.ignore_value
        return Pair(
            names=(reference.name, prediction.name),
            reference=layers.array_of(reference),
            prediction=layers.array_of(prediction),
            classes=dict(sorted(classes.items())),
            spacing_mm=layers.spacing_mm_of(reference),
            ignore=ignore,
        )

    def _on_compared(self, generation: int, comparison: Comparison, shadow: Shadow) -> None:
        if generation != self._generation:
            return
        self._busy, self.complaint = False, ""
        self._shadow, self._fresh = shadow, True
        self._app.state.comparison = comparison
        self._look_again()

    def _on_count_failed(self, generation: int, error: BaseException) -> None:
        """Show no numbers rather than old ones; the next change of the maps tries again."""
        if generation != self._generation:
            return
        self._busy = False
        said, self.complaint = self.complaint, str(error)
        self._app.state.comparison = None
        if said != self.complaint:
            self._app.show_error(error)
        self.on_complaint(self.complaint)
        self._look_again()

    # ---- live ------------------------------------------------------------------------
    def _on_hint(self, box: Box | None, when: When) -> None:
        if self._layers is None:
            return
        if box is not None:
            self._boxes.append(box)
            if not self._here_timer.isActive():
                self._here_timer.start(HERE_MS)
        if when == "now":
            self._soon_timer.start(0)
        elif when == "soon":
            if not self._soon_timer.isActive():
                self._soon_timer.start(SOON_MS)
        else:
            self._later_timer.start(LATER_MS)

    def _look_here(self) -> None:
        """Look at the boxes that events named: at once, as long as they are small."""
        boxes, self._boxes = self._boxes, []
        shadow, pair = self._shadow, self._pair
        if shadow is None or pair is None or self._layers is None:
            return
        maps = [layers.array_of(layer) for layer in self._layers]
        if not all(isinstance(array, np.ndarray) for array in maps):
            return
        box = _around(boxes, shadow.codes.shape)
        if shadow.codes[box].size > MOST_HERE:
            self._soon_timer.start(0)
            return
        try:
            changed = shadow.look(*maps, box=box, names=pair.names)
        except UNetMicError:  # other shapes, new classes: the look at everything deals with it
            self._soon_timer.start(0)
            return
        if changed:
            self._publish()

    def _look_everywhere(self) -> None:
        """Compare the layers with the shadow, in a thread; one look at a time."""
        self._later_timer.stop()
        if self._layers is None:
            return
        if self._busy:
            self._again = True
            return
        if self._shadow is None:
            self._count_all()
            return
        pair, shadow, generation = self._pair, self._shadow, self._generation
        assert pair is not None
        self._busy = True
        self._app.in_thread(
            shadow.look,
            *(layers.array_of(layer) for layer in self._layers),
            names=pair.names,
            on_done=lambda changed: self._on_looked(generation, changed),
            on_error=lambda error: self._on_look_failed(generation, error),
        )

    def _on_looked(self, generation: int, changed: bool) -> None:
        if generation != self._generation:
            return
        self._busy = False
        if changed:
            self._publish()
        self._look_again()

    def _on_look_failed(self, generation: int, error: BaseException) -> None:
        """Count anew what the shadow has no room for: new classes, another shape."""
        if generation != self._generation:
            return
        self._busy = False
        if isinstance(error, UNetMicError):
            self._count_all()
        else:
            self._app.show_error(error)

    def _look_again(self) -> None:
        if self._again:
            self._again = False
            self._soon_timer.start(0)

    def _publish(self) -> None:
        if self._pair is not None and self._shadow is not None:
            self._app.state.comparison = described(self._pair, self._shadow)

    def _on_renamed(self, event: Any = None) -> None:
        if self._layers is None or self._pair is None:
            return
        state = self._app.state
        names = (self._layers[0].name, self._layers[1].name)
        self._pair = replace(self._pair, names=names)
        state.reference_layer, state.prediction_layer = names
        if state.comparison is not None:
            state.comparison = replace(
                state.comparison, reference_layer=names[0], prediction_layer=names[1]
            )

    def _on_moved(self, event: Any = None) -> None:
        """A layer was given another place or voxel size: is the pair still one?"""
        if self._layers is not None:
            self._count_all()


def _around(boxes: Sequence[Box], shape: tuple[int, ...]) -> Box:
    """Return the smallest box around several (an empty one around none)."""
    box = []
    for axis, size in enumerate(shape):
        ends = [one[axis].indices(size)[:2] for one in boxes if len(one) == len(shape)]
        start = min((first for first, _ in ends), default=0)
        box.append(slice(start, max((last for _, last in ends), default=start)))
    return tuple(box)
