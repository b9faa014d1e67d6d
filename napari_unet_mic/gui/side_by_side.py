"""Input | reference | prediction beside each other, in napari's grid: one camera, one slice.

The image is repeated under both maps by helper layers that share its array (no copy of the
volume) and follow its contrast, colours and data. A hidden one stands beside the input, since
every column of the grid holds the same number of layers. Layers above these six fall into
the first column, so errors light up over the input, and so does a probability.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.experimental import link_layers
from napari.layers import Image, Labels, Layer

from napari_unet_mic.gui.layers import ERRORS, HELPER, KEY, PROBABILITY, Source, role_of
from napari_unet_mic.gui.view_state import arrange, change, set_grid

if TYPE_CHECKING:
    from napari.viewer import Viewer

LINKED = (
    "contrast_limits",
    "contrast_limits_range",
    "colormap",
    "gamma",
    "interpolation2d",
    "opacity",
    "blending",
    "scale",
    "translate",
)
GAP = 4  # pixels between the columns
NAME_SIZE = 7  # points: some thirty letters fit above a column of a small screen


class SideBySide:
    """The columns of one image (or none) and two labels layers."""

    def __init__(
        self, viewer: Viewer, image: Image | None, reference: Labels, prediction: Labels
    ) -> None:
        self._viewer = viewer
        self.image = image
        self._maps = (reference, prediction)
        self.helpers: list[Image] = []
        self._unfollow: Callable[[], None] = lambda: None

    def show(self) -> None:
        """Add the repeated images, arrange the list, switch the grid on."""
        viewer = self._viewer
        chosen = list(viewer.layers.selection)
        if self.image is not None:
            self.helpers = [_again(self.image, shown) for shown in (False, True, True)]
            for helper in self.helpers:
                viewer.layers.append(helper)
                link_layers([self.image, helper], LINKED)
            self._unfollow = _follow_data(self.image, self.helpers)
        viewer.layers.selection = chosen
        self._draw_all()
        self.arrange()
        stride, columns = (1, 2) if self.image is None else (2, 3)
        set_grid(viewer, {"stride": stride, "shape": (1, columns), "spacing": GAP, "enabled": True})

    def _draw_all(self) -> None:
        """Show the columns' layers filled and named; hide all others but what lies over them."""
        mine = self.columns()
        for layer in self._viewer.layers:
            if layer in self.helpers:
                continue
            if role_of(layer) not in (ERRORS, PROBABILITY):
                change(layer, "visible", layer in mine)
            change(layer.name_overlay, "position", "top_center")  # below the letter there
            change(layer.name_overlay, "font_size", NAME_SIZE)
            change(layer.name_overlay, "visible", layer in mine)
        for labels in self._maps:
            change(labels, "contour", 0)
            change(labels, "opacity", 0.5)

    def columns(self) -> list[Layer]:
        """Return the layers of the columns, in the order the grid takes them."""
        reference, prediction = self._maps
        if self.image is None:
            return [reference, prediction]
        filler, first, second = self.helpers
        return [filler, self.image, first, reference, second, prediction]

    def arrange(self) -> None:
        """Put the columns' layers first in the list."""
        arrange(self._viewer, self.columns())

    def is_whole(self) -> bool:
        """Return whether nobody deleted a layer of the columns."""
        there = {id(layer) for layer in self._viewer.layers}
        return all(id(layer) in there for layer in self.columns())

    def remove(self) -> None:
        """Take the repeated images away; whoever had selected one gets the image."""
        self._unfollow()
        self._unfollow = lambda: None
        layers = self._viewer.layers
        there = [helper for helper in self.helpers if helper in layers]
        selected = [layer for layer in layers.selection if layer not in there]
        if len(selected) < len(layers.selection) and self.image in layers:
            selected.append(self.image)
        with layers.batched_update():
            for helper in there:
                layers.remove(helper)
        layers.selection = selected
        self.helpers = []


def _again(image: Image, shown: bool) -> Image:
    """Return a layer that shows the same array as `image`."""
    return Image(
        image.data,
        name=f"{image.name} (repeated)",
        scale=image.scale,
        translate=image.translate,
        axis_labels=image.axis_labels,
        units=image.units,
        contrast_limits=image.contrast_limits,
        colormap=image.colormap,
        gamma=image.gamma,
        interpolation2d=image.interpolation2d,
        opacity=image.opacity,
        blending=image.blending,
        rgb=image.rgb,
        multiscale=image.multiscale,
        visible=shown,
        metadata={KEY: Source(HELPER)},
    )


def _follow_data(image: Image, helpers: list[Image]) -> Callable[[], None]:
    """Let the helpers show whatever array the image gets; returns what ends that."""

    def show_new_data() -> None:
        for helper in helpers:
            if helper.data is not image.data:
                helper.data = image.data

    image.events.data.connect(show_new_data)
    return lambda: image.events.data.disconnect(show_new_data)
