"""The crosshair: one position that all views of a viewer share, and its lines on the canvas.

Along the axes that have a slider the position is the slider's; along the axes on display it
is kept here. The lines are an overlay of napari's scene (in no layer list, in every column
of the grid); where napari has no place for such an overlay the canvas stays without lines.

The lines sleep while no layer is visible: software OpenGL (Mesa 22) crashes when what was
drawn last is the first to be drawn again after the layers' programs were deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components.overlays import SceneOverlay
from napari.layers.base._base_constants import Blending
from psygnal import Signal

from napari_unet_mic.gui import layers

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

KEY = "unet_mic_crosshair"
COLOUR = (0.35, 0.85, 1.0, 0.75)
FAR = 1e5  # millimetres: longer than any patient


class CrossOverlay(SceneOverlay):
    """Two lines through a point of the scene; `at` is its (row, column) in world units."""

    at: tuple[float, float] = (0.0, 0.0)
    blending: Blending = Blending.TRANSLUCENT_NO_DEPTH


class Crosshair:
    """The position of one viewer's crosshair; `moved` tells of every change."""

    moved = Signal()

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._shown = False
        self._asleep = True
        self._position: list[float] = []
        self._overlay = CrossOverlay() if _can_be_drawn() else None
        if self._overlay is not None:
            viewer.scene.overlays[KEY] = self._overlay
        events = viewer.dims.events
        for emitter in (events.point, events.ndim, events.ndisplay):
            emitter.connect(self._on_dims_changed)
        events.order.connect(self._on_order_changed)
        events.range.connect(self._on_range_changed)
        viewer.layers.events.removing.connect(self._on_layer_removing)
        viewer.layers.events.connect(self._on_layers_event)
        layers.ARRIVALS.went.connect(self._on_view_went)
        self.start()

    @property
    def position(self) -> tuple[float, ...]:
        """World coordinates, one per axis of the viewer."""
        return tuple(self._position)

    def start(self) -> None:
        """Begin at the middle of what the camera shows."""
        dims = self._viewer.dims
        self._position = [float(value) for value in dims.point]
        center = self._viewer.scene.camera.center
        for axis, value in zip(dims.displayed, center[-dims.ndisplay :], strict=False):
            start, stop, _ = dims.range[axis]
            self._position[axis] = float(np.clip(value, start, stop))
        self._tell()

    def show(self, shown: bool) -> None:
        """Draw the lines on the canvas, or do not."""
        self._shown = shown
        self._draw()

    def wake(self) -> None:
        """Draw the lines again if there is anything to draw them over; not while layers change."""
        self._asleep = not any(layer.visible for layer in self._viewer.layers)
        self._draw()

    def move_to(self, world: Sequence[float]) -> None:
        """Go to a position: the sliders follow, and the canvas when it was out of sight."""
        dims = self._viewer.dims
        bounds = [(one.start, one.stop) for one in dims.range]
        self._position = [
            float(np.clip(value, low, high))
            for value, (low, high) in zip(world, bounds, strict=True)
        ]
        hidden = list(dims.not_displayed)
        if any(dims.point[axis] != self._position[axis] for axis in hidden):
            dims.set_point(hidden, [self._position[axis] for axis in hidden])  # tells of itself
        else:
            self._tell()

    def keep_in_sight(self) -> None:
        """Centre the canvas on the crosshair when it lies outside of what is shown."""
        viewer = self._viewer
        if viewer.dims.ndisplay != 2:
            return
        here = np.array([self._position[axis] for axis in viewer.dims.displayed])
        camera = viewer.scene.camera
        reach = np.asarray(viewer.canvas.viewbox_size(viewer.layers)) / 2 / camera.zoom
        if (np.abs(here - np.asarray(camera.center)[-2:]) > reach).any():
            camera.center = (0.0, float(here[0]), float(here[1]))

    def _on_dims_changed(self, event: Any = None) -> None:
        dims = self._viewer.dims
        if len(self._position) != dims.ndim:
            self.start()
        for axis in dims.not_displayed:
            self._position[axis] = float(dims.point[axis])
        self._tell()

    def _on_order_changed(self, event: Any = None) -> None:
        """Show the plane through the crosshair when another one comes onto the canvas."""
        if self._shown and len(self._position) == self._viewer.dims.ndim:
            self.move_to(self._position)
        else:
            self._on_dims_changed()

    def _on_range_changed(self, event: Any = None) -> None:
        """Come to the middle of another case when the position lies outside of it."""
        ranges = self._viewer.dims.range
        if len(self._position) != len(ranges):
            return  # the number of axes changed too, and is told of
        beside = False
        for axis, (start, stop, step) in enumerate(ranges):
            if not start - step <= self._position[axis] <= stop + step:
                self._position[axis], beside = (start + stop) / 2, True
        if beside:
            self._on_dims_changed()

    def _on_layer_removing(self, event: Any) -> None:
        others = [layer for i, layer in enumerate(self._viewer.layers) if i != event.index]
        self._sleep_without(others)

    def _on_layers_event(self, event: Any) -> None:
        if event.type == "visible":
            self._sleep_without(list(self._viewer.layers))

    def _sleep_without(self, others: Sequence[Layer]) -> None:
        if not self._asleep and not any(layer.visible for layer in others):
            self._asleep = True
            self._draw()

    def _on_view_went(self, viewer: Viewer, world: Any) -> None:
        """Follow the view to a voxel that somebody asked for."""
        if viewer is self._viewer and len(world) <= len(self._position):
            kept = self._position[: len(self._position) - len(world)]
            self.move_to([*kept, *(float(value) for value in world)])

    def _tell(self) -> None:
        self._draw()
        self.moved.emit()

    def _draw(self) -> None:
        if self._overlay is None:
            return
        dims = self._viewer.dims
        visible = self._shown and not self._asleep and dims.ndisplay == 2
        if visible:
            row, column = (self._position[axis] for axis in dims.displayed)
            self._overlay.at = (row, column)
        if self._overlay.visible != visible:
            self._overlay.visible = visible


def _can_be_drawn() -> bool:
    """Teach napari how to draw the lines; return whether this napari can be taught."""
    try:
        from napari._vispy.overlays.base import ViewerOverlayMixin, VispySceneOverlay
        from napari._vispy.utils.visual import overlay_to_visual
        from vispy.scene.visuals import Line
    except ImportError:
        return False
    if CrossOverlay in overlay_to_visual:
        return True

    class Lines(ViewerOverlayMixin, VispySceneOverlay):
        """The two lines, as vispy draws them."""

        def __init__(self, **options: Any) -> None:
            node = Line(connect="segments", color=COLOUR, width=1)
            super().__init__(node=node, **options)
            self.overlay.events.at.connect(self._on_at_change)
            self.reset()

        def _on_at_change(self) -> None:
            row, column = self.overlay.at
            self.node.set_data(
                pos=np.array(
                    [[-FAR, row], [FAR, row], [column, -FAR], [column, FAR]], dtype=np.float32
                )
            )

        def reset(self) -> None:
            super().reset()
            self._on_at_change()

    overlay_to_visual[CrossOverlay] = Lines
    return True
