"""What a viewer looks like, recorded and put back exactly: order, visibility, grid, camera.

A `ViewState` holds layers weakly: layers that are gone when it is put back are passed over,
layers that came since stay on top, and a renamed layer is the same layer. A hidden errors layer
counts as not there: errors that light up meanwhile stay lit.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari.layers import Layer

from napari_unet_mic.gui.layers import ERRORS, role_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

ASPECTS = ("visible", "opacity", "blending", "contour", "rendering")
NAME_ASPECTS = ("visible", "position", "font_size")


@dataclass(frozen=True)
class LayerLook:
    """How one layer is drawn: those of `ASPECTS` that it has; and those its name has."""

    layer: weakref.ref[Layer]
    aspects: tuple[tuple[str, Any], ...]
    of_name: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, layer: Layer) -> LayerLook:
        """Record a layer."""
        names = [name for name in ASPECTS if hasattr(layer, name)]
        if role_of(layer) == ERRORS:
            names.remove("contour")  # the probability below them decides
        aspects = tuple((name, getattr(layer, name)) for name in names)
        overlay = layer.name_overlay
        of_name = tuple((name, getattr(overlay, name)) for name in NAME_ASPECTS)
        return cls(weakref.ref(layer), aspects, of_name)

    def put_back(self, layer: Layer, *, stay_hidden: bool = False) -> None:
        """Draw the layer as it was."""
        for name, value in self.aspects:
            if not (stay_hidden and name == "visible" and not layer.visible):
                change(layer, name, value)
        for name, value in self.of_name:
            change(layer.name_overlay, name, value)


@dataclass(frozen=True)
class Place:
    """Where somebody looks: slices and camera."""

    point: tuple[float, ...]
    center: tuple[float, ...]
    zoom: float
    angles: tuple[float, ...]
    perspective: float

    @classmethod
    def of(cls, viewer: Viewer) -> Place:
        """Record slices and camera."""
        camera = viewer.scene.camera
        return cls(
            tuple(float(value) for value in viewer.dims.point),
            tuple(float(value) for value in camera.center),
            float(camera.zoom),
            tuple(float(value) for value in camera.angles),
            float(camera.perspective),
        )

    @classmethod
    def looked_at(cls, viewer: Viewer) -> Place:
        """Record slices and camera; in 3-D the slices are those through the camera's centre."""
        place = cls.of(viewer)
        if viewer.dims.ndisplay == 2:
            return place
        point = list(place.point)
        for axis, value in zip(viewer.dims.displayed[-3:], place.center[-3:], strict=False):
            point[axis] = value
        return replace(place, point=tuple(point))

    def look_there(self, viewer: Viewer, ratio: float) -> None:
        """Show these slices and this centre in 2-D or 3-D, the zoom changed by a ratio."""
        camera, dims = viewer.scene.camera, viewer.dims
        if len(self.point) == dims.ndim:
            change(dims, "point", self.point)
            depth = self.point[dims.displayed[0]] if dims.ndisplay == 3 else 0.0
            camera.center = (depth, *self.center[-2:])
        camera.zoom = self.zoom * ratio

    def put_back(self, viewer: Viewer) -> None:
        """Look there again; slices only while the viewer has as many axes as then."""
        camera = viewer.scene.camera
        if len(self.point) == viewer.dims.ndim:
            change(viewer.dims, "point", self.point)
        for name in ("angles", "perspective", "zoom", "center"):
            change(camera, name, getattr(self, name))


@dataclass(frozen=True)
class ViewState:
    """Everything a way of viewing may change, as it was before."""

    looks: tuple[LayerLook, ...]
    grid: tuple[tuple[str, Any], ...]
    ndisplay: int
    order: tuple[int, ...]
    place: Place

    @classmethod
    def of(cls, viewer: Viewer) -> ViewState:
        """Record a viewer."""
        grid = viewer.canvas.grid
        return cls(
            tuple(LayerLook.of(layer) for layer in viewer.layers if not _waits(layer)),
            tuple(
                (name, getattr(grid, name)) for name in ("enabled", "stride", "shape", "spacing")
            ),
            viewer.dims.ndisplay,
            tuple(viewer.dims.order),
            Place.of(viewer),
        )

    def knows(self, layer: Layer) -> bool:
        """Return whether the layer was there."""
        return any(look.layer() is layer for look in self.looks)

    def put_back(
        self, viewer: Viewer, *, place: bool = True, stay_hidden: Sequence[Layer] = ()
    ) -> None:
        """Make the viewer look as it did: slices and camera too with `place`.

        Layers of `stay_hidden` that are hidden now stay so.
        """
        change(viewer.canvas.grid, "enabled", False)
        if self.ndisplay == 2:  # first: showing an image in 3-D costs its whole volume
            change(viewer.dims, "ndisplay", 2)
        there = {id(layer) for layer in viewer.layers}
        known = [(look, look.layer()) for look in self.looks]
        kept = [(look, layer) for look, layer in known if layer is not None and id(layer) in there]
        arrange(viewer, [layer for _, layer in kept])
        for look, layer in kept:
            look.put_back(layer, stay_hidden=layer in stay_hidden)
        set_grid(viewer, dict(self.grid))
        change(viewer.dims, "ndisplay", self.ndisplay)
        if len(self.order) == viewer.dims.ndim:
            change(viewer.dims, "order", self.order)
        if place:
            self.place.put_back(viewer)


def _waits(layer: Layer) -> bool:
    return role_of(layer) == ERRORS and not layer.visible


def change(thing: Any, name: str, value: Any) -> None:
    """Set an attribute that announces its changes, unless it has that value."""
    if getattr(thing, name) != value:
        setattr(thing, name, value)


def set_grid(viewer: Viewer, settings: Mapping[str, Any]) -> None:
    """Change napari's grid; it is off meanwhile, or napari loses count of its overlays."""
    grid = viewer.canvas.grid
    wanted = {**settings}
    enabled = wanted.pop("enabled", grid.enabled)
    if any(getattr(grid, name) != value for name, value in wanted.items()):
        change(grid, "enabled", False)
    for name, value in wanted.items():
        change(grid, name, value)
    change(grid, "enabled", enabled)


def arrange(viewer: Viewer, first: Sequence[Layer]) -> None:
    """Put these layers first in the list, lowest first; all others keep their order above."""
    for place, layer in enumerate(first):
        at = viewer.layers.index(layer)
        if at != place:
            viewer.layers.move(at, place)
