import numpy as np

from napari_unet_mic.gui.history import Snapshot
from napari_unet_mic.gui.plots import (
    TRAIN_COLOUR,
    LiveCurves,
    legend_html,
    line_colour,
    lines_of,
)

X = np.array([1.0, 2.0, 3.0])


def shot(**changes):
    values = {
        "train_loss": (X, np.array([1.0, 0.5, -0.2])),
        "validation_loss": (X, np.array([1.2, 0.8, 0.6])),
        "iteration_loss": (X / 10, X),
        "iou": {1: (X, X / 4), 2: (X[:1], X[:1] / 9)},
        "classes": {1: "liver", 2: "cancer"},
    }
    return Snapshot(**{**values, **changes})


def test_lines_of_a_run_and_of_one_for_comparison():
    names = [line.name for line in lines_of(shot(), line_colour)]
    assert names == ["", "train", "validation", "liver", "cancer"]

    other = [line.name for line in lines_of(shot(), line_colour, other_run=True)]
    assert other == ["train", "validation", "liver", "cancer"]


def test_legend_names_each_curve_once():
    html = legend_html("Loss", lines_of(shot(), line_colour)[:3])

    assert html.count("━") == 2
    assert TRAIN_COLOUR in html


def test_curves_are_drawn_when_seen_and_log_leaves_out_what_is_not_positive(qtbot):
    curves = LiveCurves()
    qtbot.addWidget(curves)
    curves.show_runs([shot(), shot()])
    curves.show()
    qtbot.waitUntil(lambda: curves.ready, timeout=20000)

    train = curves._items["loss"][1]
    assert train.getOriginalDataset()[1].tolist() == [1.0, 0.5, -0.2]
    assert len(curves._items["loss"]) == 5
    assert "cancer" in curves._legends["iou"].text()

    curves._log.setChecked(True)
    assert train.getOriginalDataset()[1].tolist() == [1.0, 0.5]

    curves.show_runs([])
    assert train.getOriginalDataset()[0] is None or len(train.getOriginalDataset()[0]) == 0


def test_theme_reaches_the_plots(qtbot):
    curves = LiveCurves()
    qtbot.addWidget(curves)
    curves.show()
    qtbot.waitUntil(lambda: curves.ready, timeout=20000)

    curves.set_theme("#101010", "#fafafa")

    assert curves._plots["loss"].backgroundBrush().color().name() == "#fafafa"
