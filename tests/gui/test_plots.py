import numpy as np
import pytest

from napari_unet_mic.gui.curves import QUANTITIES
from napari_unet_mic.gui.plots import LiveCurves


@pytest.fixture
def curves(qtbot):
    curves = LiveCurves()
    qtbot.addWidget(curves)
    curves.show()
    qtbot.waitUntil(lambda: curves.ready and len(curves._plots) == 2, timeout=20000)
    return curves


def points_of(item):
    x, y = item.getOriginalDataset()
    return [] if x is None else y.tolist()


def test_curves_are_drawn_and_log_leaves_out_what_is_not_positive(curves, shot):
    curves.show_runs([("a", shot()), ("b", shot())])

    train = curves._items["loss"][1]
    assert points_of(train) == [1.0, 0.5, -0.2]
    assert len(curves._items["loss"]) == 5
    assert "cancer" in curves._legends["iou"].text()
    assert "b" in curves._runs.text()

    curves._log.setChecked(True)
    assert points_of(train) == [1.0, 0.5]

    curves.show_runs([])
    assert points_of(train) == []
    assert not curves.save.isEnabled()


def test_all_curves_are_built_when_they_are_wanted(curves, shot, qtbot):
    curves.show_runs([("a", shot())])
    curves.choice.setCurrentIndex(1)
    qtbot.waitUntil(lambda: set(curves._plots) == set(QUANTITIES), timeout=20000)
    qtbot.waitUntil(lambda: bool(curves._items["rate"]), timeout=20000)

    assert points_of(curves._items["rate"][0]) == [0.01, 0.02, 0.03]
    assert all(plot.isVisible() for plot in curves._plots.values())

    curves.choice.setCurrentIndex(0)
    assert [name for name, plot in curves._plots.items() if plot.isVisible()] == ["loss", "iou"]


def test_smoothing_draws_means_over_what_was_measured(curves, shot):
    curves.show_runs([("a", shot(iteration_loss=(np.empty(0), np.empty(0))))])
    curves.smoothing.setCurrentIndex(1)

    drawn = [points_of(item) for item in curves._items["loss"]]
    assert drawn[0] == [1.0, 0.5, -0.2]
    assert drawn[2] == pytest.approx([1.3 / 3] * 3)


def test_what_did_not_change_is_not_drawn_again(curves, shot, monkeypatch):
    one = shot()
    curves.show_runs([("a", one)])
    drawn = []
    monkeypatch.setattr(curves, "_draw", lambda: drawn.append(1))

    curves.show_runs([("a", one)])
    assert drawn == []
    curves.show_runs([("a", shot())])
    assert drawn == [1]


def test_hidden_curves_are_drawn_when_they_are_seen(curves, shot, qtbot):
    curves.hide()
    curves.show_runs([("a", shot())])
    assert curves._items["loss"] == []

    curves.show()
    qtbot.waitUntil(lambda: len(curves._items["loss"]) == 3, timeout=20000)


def test_theme_reaches_the_plots(curves):
    curves.set_theme("#101010", "#fafafa")

    assert curves._plots["loss"].backgroundBrush().color().name() == "#fafafa"
