"""Orthogonal views: the planes that the canvas does not show, linked to it by a crosshair.

The planes are drawn from the layers' own arrays in the layers' own colours and contrast, so
whatever is visible in the canvas is visible here, painting included.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QSplitter, QVBoxLayout, QWidget

from napari_unet_mic.gui import layers
from napari_unet_mic.gui.crosshair import Crosshair
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.orientation import axis_ends, knows_its_place
from napari_unet_mic.gui.plane_pictures import Picture, picture_of
from napari_unet_mic.gui.plane_view import PlaneView
from napari_unet_mic.gui.sampling import plane_of

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

NAMES = ("axial", "coronal", "sagittal")
NEEDS_3D = "Orthogonal views need images or labels with three axes"
HINT = "drag: crosshair · wheel: slices · Shift+move in the canvas"
LONG_HINT = (
    "Click or drag in a view to move the crosshair in all of them; in the canvas, hold Shift and "
    "move the mouse. The wheel and the arrow keys scroll slices, Ctrl and the wheel zoom, a "
    "double-click shows the whole plane again."
)
REDRAW_MS = 15
REDRAWN = frozenset(
    {"inserted", "removed", "reordered", "visible", "opacity", "contour", "contrast_limits"}
    | {"colormap", "gamma", "set_data", "data", "paint", "labels_update", "scale", "translate"}
    | {"rotate", "shear", "affine", "selected_label", "show_selected_label"}
)


class OrthogonalViews(QWidget):
    """The planes across the last three axes of a viewer, without the one on its canvas."""

    shown_or_hidden = Signal()

    def __init__(self, app: App, also_shown: Callable[[], Layer | None] = lambda: None) -> None:
        super().__init__()
        self._app = app
        self._also_shown = also_shown
        self.crosshair = Crosshair(app.viewer)
        self.views = tuple(PlaneView() for _ in NAMES)
        self.sentence = QLabel(NEEDS_3D)
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.setChildrenCollapsible(False)
        for number, view in enumerate(self.views):
            view.picked.connect(partial(self._on_picked, number))
            view.stepped.connect(partial(self._on_stepped, number))
            self._splitter.addWidget(view)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(2)
        layout.addWidget(self._splitter, 1)
        layout.addWidget(self.sentence, 1)
        layout.addWidget(explained(ElidedLabel(HINT), LONG_HINT))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self.redraw)
        viewer = app.viewer
        viewer.layers.events.connect(self._on_layers_event)
        viewer.mouse_move_callbacks.append(self._on_mouse_moved)
        self.crosshair.moved.connect(self._soon)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the room of the tabs beside which it stands."""
        return QSize(410, 480)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Show the crosshair with the views."""
        super().showEvent(event)
        self.crosshair.show(True)
        self._soon()
        self.shown_or_hidden.emit()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's name)
        """Take the crosshair away with the views."""
        super().hideEvent(event)
        if not self._app.closed:
            self.crosshair.show(False)
            self.shown_or_hidden.emit()

    # ---- drawing -----------------------------------------------------------------------
    def _soon(self) -> None:
        if not self._app.closed and self.isVisible() and not self._timer.isActive():
            self._timer.start()

    def _on_layers_event(self, event: Any) -> None:
        if event.type in REDRAWN:
            self._soon()

    def redraw(self) -> None:
        """Draw the planes through the crosshair."""
        if self._app.closed:
            return
        self.crosshair.wake()
        axes = self._axes()
        self._splitter.setVisible(bool(axes))
        self.sentence.setVisible(not axes)
        known = any(layer.visible and knows_its_place(layer) for layer in self._app.viewer.layers)
        for number, view in enumerate(self.views):
            view.setVisible(bool(axes) and number != self._on_canvas(axes))
            if bool(axes) and number != self._on_canvas(axes):
                self._draw(view, number, axes, known)

    def _axes(self) -> tuple[int, ...]:
        """Return the axes the planes lie across: the last three, or none in 2-D."""
        ndim = self._app.viewer.dims.ndim
        deep = any(layer.ndim >= 3 for layer in self._app.viewer.layers)
        return tuple(range(ndim - 3, ndim)) if ndim >= 3 and deep else ()

    def _on_canvas(self, axes: tuple[int, ...]) -> int | None:
        """Return the number of the plane that the canvas shows, if it is one of them."""
        dims = self._app.viewer.dims
        hidden = [number for number, axis in enumerate(axes) if axis not in dims.displayed]
        return hidden[0] if dims.ndisplay == 2 and len(hidden) == 1 else None

    def _draw(self, view: PlaneView, number: int, axes: tuple[int, ...], known: bool) -> None:
        rows, columns = (axis for axis in axes if axis != axes[number])
        upwards = known and rows == axes[0]  # the head is on top
        position = self.crosshair.position
        view.show_plane(
            self._pictures(rows, columns, upwards),
            cross=(position[rows], position[columns]),
            title=self._title(number, axes, known),
            letters=self._letters(rows, columns, upwards) if known else {},
            upwards=upwards,
        )

    def _pictures(self, rows: int, columns: int, upwards: bool) -> list[Picture]:
        pictures = []
        also = self._also_shown()
        for layer in self._app.viewer.layers:
            if not (layer.visible or layer is also) or layers.role_of(layer) == layers.HELPER:
                continue
            plane = plane_of(layer, self.crosshair.position, rows, columns)
            if plane is not None:
                pictures.append(picture_of(layer, plane, upwards=upwards))
        return pictures

    def _title(self, number: int, axes: tuple[int, ...], known: bool) -> str:
        axis = axes[number]
        value = self.crosshair.position[axis]
        if not known:
            return f"{self._app.viewer.dims.axis_labels[axis]} = {value:.1f}"
        low, high = axis_ends(axis, self._app.viewer.dims.ndim) or ("", "")
        return f"{NAMES[number]}   {low if value < 0 else high} {abs(value):.1f} mm"

    def _letters(self, rows: int, columns: int, upwards: bool) -> dict[str, str]:
        ndim = self._app.viewer.dims.ndim
        across, down = axis_ends(columns, ndim), axis_ends(rows, ndim)
        if across is None or down is None:  # an axis of time
            return {}
        top, bottom = down[::-1] if upwards else down
        return {"left": across[0], "right": across[1], "top": top, "bottom": bottom}

    # ---- what the person does -------------------------------------------------------------
    def _on_picked(self, number: int, row: float, column: float) -> None:
        axes = self._axes()
        if axes:
            rows, columns = (axis for axis in axes if axis != axes[number])
            position = list(self.crosshair.position)
            position[rows], position[columns] = row, column
            self.crosshair.move_to(position)
            self.crosshair.keep_in_sight()

    def _on_stepped(self, number: int, steps: int) -> None:
        axes = self._axes()
        if axes:
            position = list(self.crosshair.position)
            step = self._app.viewer.dims.range[axes[number]].step
            position[axes[number]] += steps * step
            self.crosshair.move_to(position)
            self.crosshair.keep_in_sight()

    def _on_mouse_moved(self, viewer: Any, event: Any) -> None:
        if "Shift" in event.modifiers and self.isVisible() and viewer.dims.ndisplay == 2:
            self.crosshair.move_to(event.position)
