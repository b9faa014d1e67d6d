"""Letters at the canvas' edges: towards which side of the patient it goes (R L A P S I).

Layers from files with a known place in space lie along (Superior, Posterior, Left), see
`data.display`, so the letters follow from the axes on display and the camera. Arrays from
elsewhere, layers that somebody turned and files without orientation codes have none.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.components.overlays import TextOverlay
from qtpy.QtCore import QObject, QTimer

from napari_unet_mic.gui.layers import source_of
from napari_unet_mic.gui.sampling import is_unturned

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unet_mic.data.display import Display

ENDS = (("I", "S"), ("A", "P"), ("R", "L"))  # low and high end of the display axes z, y, x
POSITIONS = {
    "left": "middle_left",
    "right": "middle_right",
    "top": "top_center",
    "bottom": "bottom_center",
}
OBLIQUE_DEGREES = 1.0  # less than this is how exactly a patient lies in the scanner
FONT_SIZE = 13


class OrientationMarks(QObject):
    """Keeps the letters of one viewer's canvas true, a turn of the event loop after a change.

    At once would be in the middle of the change, when napari's grid does not know yet how
    many columns it has. The letters stand in every column of a grid of a given shape, and at
    the edges of the whole canvas in a grid that grows with its layers; they are never hidden,
    only empty. napari would lose count of its columns otherwise.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.refresh)
        self._on = True
        self._overlays = {
            side: TextOverlay(position=position, font_size=FONT_SIZE, visible=True, box=False)
            for side, position in POSITIONS.items()
        }
        for side, overlay in self._overlays.items():
            viewer.canvas.overlays[f"unet_mic_{side}"] = overlay
        events, camera = viewer.dims.events, viewer.scene.camera.events
        for emitter in (events.order, events.ndisplay, events.ndim, camera.angles):
            emitter.connect(self._soon)
        camera.orientation.connect(self._soon)
        viewer.canvas.grid.events.shape.connect(self._soon)
        viewer.layers.events.connect(self._on_layers_event)
        self.refresh()

    @property
    def on(self) -> bool:
        """Whether letters are wanted."""
        return self._on

    def switch(self, on: bool) -> None:
        """Show the letters, or hide them."""
        self._on = on
        self.refresh()

    def letters(self) -> dict[str, str]:
        """Return side of the canvas -> letter, as shown now."""
        return {side: one.text for side, one in self._overlays.items() if one.text}

    def refresh(self) -> None:
        """Show the letters of what is on display now."""
        viewer = self._viewer()
        if viewer is None:
            return
        letters: Mapping[str, str] = {}
        if self._on and any(one.visible and knows_its_place(one) for one in viewer.layers):
            letters = canvas_letters(viewer)
        columns = -1 not in viewer.canvas.grid.shape
        for side, overlay in self._overlays.items():
            if overlay.gridded != columns:
                overlay.gridded = columns
            letter = letters.get(side, "")
            if overlay.text != letter:
                overlay.text, overlay.box = letter, bool(letter)

    def _on_layers_event(self, event: Any) -> None:
        if event.type in ("inserted", "removed", "visible", "rotate", "shear", "affine"):
            self._soon()

    def _soon(self, event: Any = None) -> None:
        with suppress(RuntimeError):  # Qt may have taken the timer with the window
            self._timer.start(0)


def knows_its_place(layer: Layer) -> bool:
    """Return whether a layer's axes are known to run along (Superior, Posterior, Left)."""
    source = source_of(layer)
    if source is None or source.display is None or source.volume is None:
        return False
    header = source.volume.header
    known = bool(int(header["qform_code"]) or int(header["sform_code"]))
    return known and is_unturned(layer)


def axis_ends(axis: int, ndim: int) -> tuple[str, str] | None:
    """Return the letters at the low and the high end of a viewer's axis; None for time."""
    return ENDS[axis - ndim] if ndim - axis <= len(ENDS) else None


def canvas_letters(viewer: Viewer) -> dict[str, str]:
    """Return side of the canvas -> letter for the axes on display; sides without one lack."""
    dims = viewer.dims
    right, down = _screen_directions(viewer)
    letters: dict[str, str] = {}
    for direction, low_side, high_side in ((right, "left", "right"), (down, "top", "bottom")):
        nearest = int(np.argmax(np.abs(direction)))
        ends = axis_ends(dims.displayed[nearest], dims.ndim)
        if ends is not None:
            low, high = ends if direction[nearest] > 0 else ends[::-1]
            letters[low_side], letters[high_side] = low, high
    return letters


def _screen_directions(viewer: Viewer) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return right and down on the screen, along the displayed axes."""
    camera = viewer.scene.camera
    _, vertical, horizontal = (str(one) for one in camera.orientation)
    if viewer.dims.ndisplay == 2:
        down = np.array([1.0 if vertical == "down" else -1.0, 0.0])
        return np.array([0.0, 1.0 if horizontal == "right" else -1.0]), down
    up, ahead = np.asarray(camera.up_direction), np.asarray(camera.view_direction)
    right = np.cross(up, ahead)
    usual = ("away", "down", "right")
    flips = sum(str(one) != other for one, other in zip(camera.orientation, usual, strict=True))
    return (right if flips % 2 == 0 else -right), -up


def oblique_degrees(display: Display) -> float:
    """Return the largest angle between an axis of the file and the side it is named after."""
    axes = display.affine[:3, :3] / np.linalg.norm(display.affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(np.clip(np.abs(axes).max(axis=0), 0.0, 1.0))).max())


def oblique_note(viewer: Viewer) -> str:
    """Return a sentence about oblique files among the layers with a place, or ""."""
    degrees = [
        oblique_degrees(source.display)
        for layer in viewer.layers
        if knows_its_place(layer) and (source := source_of(layer)) and source.display
    ]
    most = max(degrees, default=0.0)
    if most < OBLIQUE_DEGREES:
        return ""
    return f"Oblique by up to {most:.0f}°: letters name the nearest side"
