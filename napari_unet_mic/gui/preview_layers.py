"""The preview of training as layers: made once, then updated in place.

With `layers` and its siblings this is where napari's layers are touched. The layers are
helpers: never offered for a comparison, never saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_unet_mic.gui.layers import HELPER, KEY, Source, class_colormap
from napari_unet_mic.gui.previews import Preview

if TYPE_CHECKING:
    from napari.viewer import Viewer

PREFIX = "preview "
IMAGE, REFERENCE, PREDICTION = f"{PREFIX}image", f"{PREFIX}reference", f"{PREFIX}prediction"


def show_preview(viewer: Viewer, preview: Preview, classes: Mapping[int, str]) -> list[Layer]:
    """Show a preview as one image layer per channel and two labels layers; returns them.

    Layers of an earlier preview of the same shape get the new voxels; otherwise they are made
    anew. What the person set on them (opacity, visibility, contrast) stays.
    """
    wanted: list[tuple[str, Any, str]] = []
    for channel in reversed(range(len(preview.image))):
        name = IMAGE if channel == 0 else f"{IMAGE} {channel + 1}"
        wanted.append((name, preview.image[channel], "image"))
    wanted.append((REFERENCE, _labels(preview.reference), "labels"))
    wanted.append((PREDICTION, _labels(preview.prediction), "labels"))
    shown = _preview_layers(viewer)
    fits = {name: array.shape for name, array, _ in wanted} == {
        name: layer.data.shape for name, layer in shown.items()
    }
    same_place = all(tuple(layer.scale) == preview.spacing_mm for layer in shown.values())
    if fits and same_place:
        for name, array, _ in wanted:
            shown[name].data = array
        return [shown[name] for name, _, _ in wanted]
    hide_preview(viewer)
    selected = list(viewer.layers.selection)
    added = [_added(viewer, preview, one, classes) for one in wanted]
    viewer.layers.selection = selected or [added[-1]]
    return added


def hide_preview(viewer: Viewer) -> None:
    """Remove the preview's layers."""
    for layer in _preview_layers(viewer).values():
        viewer.layers.remove(layer)


def has_preview(viewer: Viewer) -> bool:
    """Whether layers of a preview are there: the person may have removed them."""
    return bool(_preview_layers(viewer))


def _preview_layers(viewer: Viewer) -> dict[str, Layer]:
    found = {}
    for layer in viewer.layers:
        source = layer.metadata.get(KEY)
        if not isinstance(source, Source) or source.role != HELPER:
            continue
        if source.channel_name.startswith(PREFIX):
            found[source.channel_name] = layer
    return found


def _added(
    viewer: Viewer, preview: Preview, one: tuple[str, Any, str], classes: Mapping[int, str]
) -> Layer:
    name, array, kind = one
    options: dict[str, Any] = {
        "name": name,
        "scale": preview.spacing_mm,
        "axis_labels": ("z", "y", "x"),
        "units": ("mm",) * 3,
        "metadata": {KEY: Source(HELPER, channel_name=name)},
    }
    if kind == "image":
        low, high = np.percentile(array, (1, 99))
        limits = (float(low), float(high if high > low else low + 1))
        layer: Layer = Image(array, contrast_limits=limits, visible=name == IMAGE, **options)
    else:
        colours = class_colormap(classes or range(256))
        layer = Labels(array, opacity=0.5, colormap=colours, **options)
        if name == REFERENCE:
            layer.contour = 1
        if classes:
            layer.features = {"index": list(classes), "class": list(classes.values())}
    viewer.add_layer(layer)
    if kind == "labels":
        layer.editable = False
    return layer


def _labels(array: Any) -> Any:
    """Return class values as napari shows them: ignored voxels, below zero, as background."""
    return np.maximum(array, 0).astype(np.uint16 if array.max(initial=0) > 255 else np.uint8)
