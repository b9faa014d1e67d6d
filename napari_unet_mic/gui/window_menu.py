"""The menu's entries for contrast windows: CT presets where there is CT, automatic, full range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import QMenu

from napari_unet_mic.gui import layers, windows

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_unet_mic.gui.app import App

AUTOMATIC = "automatic"
FULL = "full range"
_IS_CT: WeakKeyDictionary[Image, tuple[int, bool]] = WeakKeyDictionary()


def grey_images(viewer: Viewer) -> list[Image]:
    """Return the images whose contrast can be set; repeated ones follow theirs."""
    inputs = [layer for layer in viewer.layers if layers.is_input(layer)]
    return [one for one in inputs if not one.rgb and isinstance(one.data, np.ndarray)]


def ct_images(viewer: Viewer) -> list[Image]:
    """Return the images in Hounsfield units."""
    return [image for image in grey_images(viewer) if is_ct(image)]


def is_ct(image: Image) -> bool:
    """Return whether an image is in Hounsfield units; found out once for every array."""
    known = _IS_CT.get(image)
    if known is None or known[0] != id(image.data):
        source = layers.source_of(image)
        name = source.channel_name if source else ""
        known = _IS_CT[image] = (id(image.data), windows.looks_like_ct(image.data, name))
    return known[1]


def fill(menu: QMenu, app: App) -> None:
    """Put the entries into a menu; those of CT only when a CT is open."""
    cts, images = ct_images(app.viewer), grey_images(app.viewer)
    if cts:
        menu.addSeparator()
        for window in windows.PRESETS:
            action = menu.addAction(
                f"CT {window.name}\t{window.level:g} / {window.width:g}".replace("-", "−"),
                lambda window=window: show(cts, window.limits),
            )
            action.setToolTip(window.explanation)
            action.setCheckable(True)
            action.setChecked(all(_shows(image, window.limits) for image in cts))
    if images:
        menu.addSeparator()
        for name, words, act in (
            (AUTOMATIC, "From the 1st to the 99.8th percentile of the image", automatic),
            (FULL, "From the lowest to the highest value of the image", full_range),
        ):
            action = menu.addAction(f"Contrast {name}", lambda act=act: act(app, images))
            action.setToolTip(words)


def show(images: Sequence[Image], limits: windows.Limits) -> None:
    """Draw images between these values."""
    for image in images:
        image.contrast_limits = limits


def automatic(app: App, images: Sequence[Image]) -> None:
    """Draw every image between the usual limits of its own values."""
    for image in images:
        image.contrast_limits = windows.usual_limits(image.data)


def full_range(app: App, images: Sequence[Image]) -> None:
    """Draw every image between its lowest and highest value, found in a thread."""
    app.in_thread(
        lambda arrays: [windows.full_limits(array) for array in arrays],
        [image.data for image in images],
        topic="full range",
        busy="Measuring the range of values",
        on_done=lambda found: _show_each(images, found),
    )


def _show_each(images: Sequence[Image], found: Sequence[windows.Limits]) -> None:
    for image, limits in zip(images, found, strict=True):
        image.contrast_limits = limits


def _shows(image: Image, limits: Any) -> bool:
    return tuple(image.contrast_limits) == tuple(limits)
