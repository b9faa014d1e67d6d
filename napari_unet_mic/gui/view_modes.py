"""Ways to view a comparison: overlay, side by side, errors only, 3-D; and back exactly.

The first of them that is entered records the viewer; leaving puts the record back. Going
from one to another keeps slice and centre. Layers that come, go or are renamed meanwhile
are taken as they come; when another case is opened, the way of viewing goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet_mic.gui import layers
from napari_unet_mic.gui.side_by_side import SideBySide
from napari_unet_mic.gui.view_state import Place, ViewState, change
from napari_unet_mic.gui.view_subject import Subject, draw_in_3d, draw_overlay, show_only

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_unet_mic.gui.app import App

OVERLAY, SIDE_BY_SIDE, ERRORS_ONLY, IN_3D = "overlay", "side by side", "errors only", "3-D"
MODES = (OVERLAY, SIDE_BY_SIDE, ERRORS_ONLY, IN_3D)
NO_PAIR = "Choose a reference and a prediction first"
TOO_FLAT = "3-D needs labels with three axes"
MOST_WAITS = 20  # turns of the event loop in which the inspector may choose the next pair

Pair = tuple[Labels | None, Labels | None]


class ViewModes(QObject):
    """Enters and leaves the ways of viewing of one viewer; both signals carry the new one."""

    about_to_change = Signal(str)
    changed = Signal(str)

    def __init__(
        self,
        app: App,
        pair: Callable[[], Pair],
        show_all_errors: Callable[[], None],
        clear_errors: Callable[[], None],
    ) -> None:
        super().__init__()
        self._app = app
        self._pair = pair
        self._show_all_errors = show_all_errors
        self._clear_errors = clear_errors
        self.mode = ""
        self._before: ViewState | None = None
        self._subject: Subject | None = None
        self._columns: SideBySide | None = None
        self._images: list[Image] = []
        self._next_image: Image | None = None
        self._errors_asked = self._errors_due = self._acting = False
        self._waits = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        self._listen()

    def _listen(self) -> None:
        viewer, events = self._app.viewer, self._app.viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.connect(self._on_something_changed)
        viewer.canvas.grid.events.enabled.connect(self._on_something_changed)
        viewer.dims.events.ndisplay.connect(self._on_something_changed)
        for chosen in ("reference_layer", "prediction_layer"):
            getattr(self._app.state.events, chosen).connect(self._on_something_changed)
        self._app.state.events.comparison.connect(self._on_compared)
        self._app.on_close.append(self._stop)

    # ---- what the person asks for ------------------------------------------------------
    def toggle(self, mode: str) -> None:
        """Enter a way of viewing, or leave it when it is the present one."""
        if mode == self.mode:
            self.leave()
        else:
            self.enter(mode)

    def enter(self, mode: str) -> None:
        """View the chosen pair this way; a sentence says why when that cannot be."""
        subject = self._subject_now()
        flat = subject is not None and mode == IN_3D and subject.reference.ndim < 3
        if subject is None or flat:
            self._app.say(TOO_FLAT if flat else NO_PAIR)
            self.changed.emit(self.mode)
        else:
            self._change_to(mode, subject)

    def leave(self) -> None:
        """Make the viewer look exactly as it did before the first way of viewing."""
        if self.mode:
            self._change_to("", None)

    @property
    def hidden_input(self) -> Image | None:
        """The image that the present way of viewing hides although it is looked at."""
        return self._subject.image if self._subject is not None and self.mode == IN_3D else None

    # ---- from one to another -------------------------------------------------------------
    def _change_to(self, mode: str, subject: Subject | None) -> None:
        viewer = self._app.viewer
        self.about_to_change.emit(mode)
        with self._action():
            here = Place.looked_at(viewer)
            known = self._subject or subject
            fit = known.fit(viewer) if known is not None else 1.0
            if self._before is None:
                self._before = ViewState.of(viewer)
            else:
                self._undo()
            self._subject, self.mode = subject, mode
            if subject is None:
                self._before = None
            else:
                self._apply(mode, subject)
                here.look_there(viewer, subject.fit(viewer) / fit)
        self.changed.emit(mode)

    def _undo(self, *, place: bool = True, stay_hidden: Sequence[Layer] = ()) -> None:
        """Take back what the present mode did; the record stays."""
        viewer = self._app.viewer
        for image in self._images:
            image.events.visible.disconnect(self._on_image_switched)
        self._images = []
        if self._columns is not None:
            self._columns.remove()
            self._columns = None
        errors = layers.errors_layer(viewer)
        if self._errors_asked:
            self._errors_asked = self._errors_due = False
            self._clear_errors()
            if place and errors is not None and self._before and not self._before.knows(errors):
                viewer.layers.remove(errors)
        if self._before is not None:
            self._before.put_back(viewer, place=place, stay_hidden=stay_hidden)

    def _apply(self, mode: str, subject: Subject) -> None:
        viewer = self._app.viewer
        if mode != IN_3D:
            change(viewer.dims, "ndisplay", 2)
        if mode == SIDE_BY_SIDE:
            self._columns = SideBySide(viewer, subject.image, subject.reference, subject.prediction)
            self._columns.show()
        else:
            change(viewer.canvas.grid, "enabled", False)
            draw = {OVERLAY: draw_overlay, ERRORS_ONLY: self._draw_errors, IN_3D: draw_in_3d}
            draw[mode](viewer, subject)
        self._images = [one for one in viewer.layers if layers.is_input(one)]
        for image in self._images:
            image.events.visible.connect(self._on_image_switched)

    def _draw_errors(self, viewer: Viewer, subject: Subject) -> None:
        errors = layers.errors_layer(viewer)
        if errors is None or not errors.visible:
            self._errors_asked = True
            self._errors_due = self._app.state.comparison is None
            self._show_all_errors()
        show_only(viewer, [subject.image] if subject.image is not None else [])

    @contextmanager
    def _action(self) -> Iterator[None]:
        self._acting = True
        try:
            yield
        finally:
            self._acting = False

    def _stop(self) -> None:
        with suppress(RuntimeError):  # Qt may have taken the timer with the window
            self._timer.stop()

    # ---- what happens meanwhile ------------------------------------------------------------
    def _on_something_changed(self, event: Any = None) -> None:
        if self.mode and not self._acting:
            self._waits = 0
            self._timer.start(0)

    def _on_compared(self, comparison: Any) -> None:
        """Light up the errors of a pair that was still being counted."""
        if self.mode == ERRORS_ONLY and self._errors_due and comparison is not None:
            self._errors_due = False
            self._show_all_errors()

    def _on_image_switched(self, event: Any) -> None:
        image = event.source
        if self._acting or self.mode == IN_3D or self._subject is None:
            return
        if image.visible and image is not self._subject.image:
            self._next_image = image
            self._on_something_changed()

    def _subject_now(self) -> Subject | None:
        """Return what would be viewed now, or None while there is no pair to view."""
        there = list(self._app.viewer.layers)
        reference, prediction = self._pair()
        if reference is None or prediction is None:
            return None
        if reference not in there or prediction not in there:
            return None
        before = self._subject.image if self._subject is not None else None
        candidates = [self._next_image, before, layers.shown_image(self._app.viewer, reference)]
        image = next((one for one in candidates if one in there), None)
        return Subject(image, reference, prediction)

    def _look(self) -> None:
        """Bring the present way of viewing in line with what happened."""
        subject, viewer = self._subject, self._app.viewer
        if self._app.closed or not self.mode or subject is None:
            return
        now, self._next_image = self._subject_now(), None
        if not subject.is_in(viewer):
            self._go_on(subject, now)
        elif now is not None and not now.is_same(subject):
            self._change_to(self.mode, now)
        elif self._is_broken():
            self.leave()
        elif self._columns is not None:
            with self._action():
                self._columns.arrange()

    def _is_broken(self) -> bool:
        """Return whether somebody ended the present way of viewing by other means."""
        if self._columns is not None:
            return not (self._columns.is_whole() and self._app.viewer.canvas.grid.enabled)
        return self.mode == IN_3D and self._app.viewer.dims.ndisplay == 2

    def _go_on(self, subject: Subject, now: Subject | None) -> None:
        """Go on after a layer that was viewed is gone: with the next pair, or leave."""
        viewer, mode = self._app.viewer, self.mode
        if now is None and self._waits < MOST_WAITS:
            self._waits += 1
            self._timer.start(10)
        elif subject.is_same_case(viewer, now):
            self._change_to(mode if now is not None else "", now)
        else:
            with self._action():
                errors = layers.errors_layer(viewer)
                gone = [*subject.layers, *([] if errors is None else [errors])]
                self._undo(place=False, stay_hidden=gone)
                self._before = self._subject = None
                self.mode = ""
                if now is not None:
                    viewer.fit_to_view(layers=now.layers)
            if now is not None:
                self._change_to(mode, now)
            else:
                self.changed.emit("")
