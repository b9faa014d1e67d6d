"""What a comparison shows: input, reference and prediction, and how they are drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_unet_mic.gui import layers
from napari_unet_mic.gui.probability_layer import probability_layer
from napari_unet_mic.gui.view_state import arrange, change

if TYPE_CHECKING:
    from napari.viewer import Viewer


@dataclass(frozen=True, eq=False)
class Subject:
    """What is viewed: the input (or none), the reference, the prediction."""

    image: Image | None
    reference: Labels
    prediction: Labels

    @property
    def layers(self) -> list[Layer]:
        """Its layers, lowest first."""
        images = [] if self.image is None else [self.image]
        return [*images, self.prediction, self.reference]

    def is_same(self, other: Subject) -> bool:
        """Return whether it is the same pair of maps over the same image."""
        return [id(one) for one in self.layers] == [id(one) for one in other.layers]

    def is_same_case(self, viewer: Viewer, now: Subject | None) -> bool:
        """Return whether the case is the same: image and reference are there, and viewed still."""
        mine = [one for one in (self.image, self.reference) if one is not None]
        there = all(one in viewer.layers for one in mine)
        return there and (now is None or now.reference is self.reference)

    def fit(self, viewer: Viewer) -> float:
        """Return the zoom at which the reference just fits its part of the canvas."""
        extent = self.reference.extent.world
        shown = [axis - viewer.dims.ndim for axis in viewer.dims.displayed[-2:]]
        size = (extent[1] - extent[0])[shown]
        box = np.asarray(viewer.canvas.viewbox_size(viewer.layers), dtype=float)
        return float(np.min(box / np.maximum(size, 1e-6)))

    def is_in(self, viewer: Viewer) -> bool:
        """Return whether all its layers are still in the viewer."""
        there = {id(layer) for layer in viewer.layers}
        return all(id(layer) in there for layer in self.layers)


def draw_overlay(viewer: Viewer, subject: Subject) -> None:
    """Draw the reference as a contour over the filled prediction over the input."""
    show_only(viewer, subject.layers)
    layers.show_pair(subject.reference, subject.prediction)
    _raise(viewer, subject)


def draw_in_3d(viewer: Viewer, subject: Subject) -> None:
    """Draw solid errors, or else the prediction, inside the translucent reference."""
    errors = layers.errors_layer(viewer)
    solid = [] if errors is not None and errors.visible else [subject.prediction]
    show_only(viewer, [subject.reference, *solid])
    shares = probability_layer(viewer)
    if shares is not None:
        change(shares, "visible", False)
    for labels in (subject.reference, subject.prediction):
        change(labels, "contour", 0)  # which napari draws in 2-D only
    change(subject.reference, "rendering", "translucent")
    change(subject.reference, "opacity", 0.3)
    change(subject.prediction, "rendering", "iso_categorical")
    change(subject.prediction, "opacity", 1.0)
    _raise(viewer, subject)
    change(viewer.dims, "ndisplay", 3)


def show_only(viewer: Viewer, shown: Sequence[Layer]) -> None:
    """Hide all images and labels but these; errors and probabilities stay as they are."""
    for layer in viewer.layers:
        stays = layers.role_of(layer) in (layers.ERRORS, layers.PROBABILITY)
        if isinstance(layer, Image | Labels) and not stays:
            change(layer, "visible", layer in shown)


def _raise(viewer: Viewer, subject: Subject) -> None:
    """Put input, probability, prediction, reference and errors above all other such layers."""
    over = [probability_layer(viewer), subject.prediction, subject.reference]
    stack = [subject.image, *over, layers.errors_layer(viewer)]
    top = [layer for layer in stack if layer is not None]
    pictures = [one for one in viewer.layers if isinstance(one, Image | Labels)]
    arrange(viewer, [*(one for one in pictures if one not in top), *top])
