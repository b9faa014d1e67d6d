"""The probability layer: how sure the network was of one class, as an image below the labels.

Probabilities along the axes of a prediction's layer enter (or how uncertain the network was);
one layer of the viewer leaves, clear where they are 0. A sibling of `layers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap, ensure_colormap

from napari_unet_mic.gui import layers

if TYPE_CHECKING:
    from napari.viewer import Viewer

STEPS = 64
CLEAR_BELOW, MOST_OPAQUE = 0.02, 0.85
Pair = tuple[Labels, Labels]


def probability_layer(viewer: Viewer) -> Image | None:
    """Return the probability layer when there is one."""
    for layer in viewer.layers:
        if isinstance(layer, Image) and layers.role_of(layer) == layers.PROBABILITY:
            return layer
    return None


def show_probability(
    viewer: Viewer, pair: Pair, shares: npt.NDArray[np.floating], value: int, name: str
) -> Image:
    """Show values of 0 to 1 below a pair: in the layer that is there, or a new one.

    Parameters
    ----------
    pair
        Reference and prediction; `shares` lies along the axes of the latter, which places it.
    value, name
        The class and the layer's name. How somebody chose to draw the layer stays when it is
        another one.
    """
    source = layers.source_of(pair[1])
    options: dict[str, Any] = {place: getattr(pair[1], place) for place in layers.PLACE}
    options["name"] = name
    mine = layers.Source(
        layers.PROBABILITY,
        source.case if source else "",
        source.volume if source else None,
        source.display if source else None,
        channel=value,
        channel_name=name,
    )
    layer = probability_layer(viewer)
    if layer is None or layer.ndim != shares.ndim:
        take_away(viewer)
        return _added(viewer, pair, shares, {**options, "metadata": {layers.KEY: mine}})
    layer.metadata[layers.KEY] = mine
    layer.data = shares
    for key, wanted in options.items():
        setattr(layer, key, wanted)
    return layer


def _added(
    viewer: Viewer, pair: Pair, shares: npt.NDArray[np.floating], options: dict[str, Any]
) -> Image:
    layer = Image(
        shares,
        contrast_limits=(0.0, 1.0),
        colormap=colormap(),
        blending="translucent_no_depth",
        **options,
    )
    layer.contrast_limits_range = (0.0, 1.0)
    selected = list(viewer.layers.selection)
    # napari 0.9.2 cannot tell the value under a cursor that never moved in 3-D
    over, viewer.mouse_over_canvas = viewer.mouse_over_canvas, False
    viewer.layers.insert(_lowest(viewer, pair), layer)
    viewer.layers.selection = selected
    viewer.mouse_over_canvas = over
    return layer


def put_below(viewer: Viewer, pair: Pair) -> None:
    """Put the probability layer below a pair again, wherever it went."""
    layer, lowest = probability_layer(viewer), _lowest(viewer, pair)
    if layer is not None and viewer.layers.index(layer) > lowest:
        viewer.layers.move(viewer.layers.index(layer), lowest)


def _lowest(viewer: Viewer, pair: Pair) -> int:
    return min(viewer.layers.index(layer) for layer in pair)


def take_away(viewer: Viewer) -> None:
    """Remove the probability layer when there is one."""
    layer = probability_layer(viewer)
    if layer is not None:
        viewer.layers.remove(layer)


def colormap() -> Colormap:
    """Return the colours of 0 to 1: clear, then dark to bright, ever more opaque."""
    shares = np.linspace(0.0, 1.0, STEPS)
    colours = ensure_colormap("inferno").map(0.25 + 0.75 * shares)
    colours[:, 3] = np.clip(1.6 * (shares - CLEAR_BELOW), 0.0, MOST_OPAQUE)
    return Colormap(colours, name="probability")
