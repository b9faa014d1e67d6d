"""Contrast windows: radiology's usual ones, and those measured from the values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QMenu

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.gui import layers, window_menu, windows
from napari_unet_mic.gui.app import App

CT = np.linspace(-1000, 1000, 64).reshape(4, 4, 4)


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("abdomen", (-160, 240)),
        ("liver", (-20, 140)),
        ("lung", (-1350, 150)),
        ("bone", (-500, 1300)),
        ("brain", (0, 80)),
    ],
)
def test_presets_are_the_usual_ones(name: str, limits: tuple[float, float]) -> None:
    (window,) = (one for one in windows.PRESETS if one.name == name)
    assert window.limits == limits
    assert f"{limits[1]:g} HU" in window.explanation


def test_ct_is_known_by_its_name_or_its_air() -> None:
    assert windows.looks_like_ct(CT)
    assert windows.looks_like_ct(np.zeros((2, 2, 2)), "CT")
    assert not windows.looks_like_ct(np.zeros((2, 2, 2)), "PET")
    assert not windows.looks_like_ct(CT + 1000)
    assert not windows.looks_like_ct(np.full((2, 2, 2), np.nan))


def test_ct_opens_in_the_abdomen_window() -> None:
    assert windows.window_of(CT) == windows.CT_WINDOW == (-160, 240)
    assert windows.window_of(np.zeros((2, 2, 2))) == (0.0, 1.0)
    assert windows.window_of(np.full((2, 2, 2), 3000.0), "CT") == (3000.0, 3001.0)


def test_limits_are_measured_from_finite_values() -> None:
    array = np.arange(1000.0).reshape(10, 10, 10)
    low, high = windows.usual_limits(array)
    assert low == pytest.approx(9.99)
    assert high == pytest.approx(997, abs=1)
    array[0, 0, 0], array[9, 9, 9] = np.nan, np.inf
    assert windows.full_limits(array) == (1.0, 998.0)
    assert windows.full_limits(array[0]) == (1.0, 99.0)
    assert windows.full_limits(np.zeros((2, 2, 2), ">i2")) == (0.0, 1.0)
    assert windows.full_limits(np.full((2, 2, 2), np.nan)) == (0.0, 1.0)


def actions(app: App) -> dict[str, Any]:
    menu = QMenu()
    window_menu.fill(menu, app)
    found = {action.text().split("\t")[0]: action for action in menu.actions() if action.text()}
    found["menu"] = menu  # keeps the actions alive
    return found


def test_the_menu_offers_ct_windows_for_ct_only(app: App, until: Callable[..., None]) -> None:
    viewer = app.viewer
    assert set(actions(app)) == {"menu"}
    volume = Volume.from_array(np.random.default_rng(0).gamma(2, 50, (2, 4, 5, 6)))
    layers.add(viewer, layers.image_tuples(volume, case="mr", channel_names=("T2", "ADC")))
    assert set(actions(app)) == {"menu", "Contrast automatic", "Contrast full range"}

    ct = np.random.default_rng(0).integers(-1000, 1200, (1, 4, 5, 6)).astype(np.int16)
    made = layers.image_tuples(Volume.from_array(ct), case="p", channel_names=("CT",))
    (image,) = layers.add(viewer, made)
    mr_limits = viewer.layers["mr T2"].contrast_limits
    offered = actions(app)
    assert offered["CT abdomen"].isChecked()
    assert offered["CT abdomen"].toolTip() == "Level 40, width 400: −160 to 240 HU"
    offered["CT bone"].trigger()
    assert tuple(image.contrast_limits) == (-500, 1300)
    again = actions(app)
    assert not again["CT abdomen"].isChecked()
    assert again["CT bone"].isChecked()
    assert viewer.layers["mr T2"].contrast_limits == mr_limits  # left alone
    del offered
    shown = actions(app)
    shown["Contrast full range"].trigger()
    until(lambda: tuple(image.contrast_limits) == (ct.min(), ct.max()))
    shown["Contrast automatic"].trigger()
    assert tuple(image.contrast_limits) == windows.usual_limits(ct[0])
