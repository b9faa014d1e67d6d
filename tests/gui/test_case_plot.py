"""One point a case: sorted, both means stated, empty references told apart."""

import numpy as np
import pytest

from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.results import CaseResult, Evaluation
from napari_unet_mic.gui.case_plot import NOTHING, CasePlot, points_of


def case(name, table):
    return CaseResult(name, "r", "p", dict(enumerate(scores_of(np.array(table)))))


FOUND = Evaluation(
    (
        case("good", [[50, 1], [0, 9]]),
        case("spurious", [[50, 3], [0, 0]]),
        case("neither", [[50, 0], [0, 0]]),
        case("half", [[50, 0], [5, 5]]),
    ),
    {0: "outside", 1: "cancer"},
)


def test_points_are_sorted_and_both_means_are_named():
    points = points_of(FOUND, 1, "IoU")
    assert points.cases == ("spurious", "half", "good")
    assert points.figures == (0.0, 0.5, 0.9)
    assert points.empty == (True, False, False)
    assert (points.mean, points.mean_present) == pytest.approx((1.4 / 3, 0.7))
    assert points.words() == (
        "<b>IoU of cancer</b>: mean 0.4667 (3 cases); without empty references <b>0.7000</b> "
        "(2 cases); 1 without it in either map"
    )


def test_the_change_of_a_second_evaluation():
    second = Evaluation((case("good", [[50, 1], [9, 0]]), case("half", [[50, 0], [0, 10]])), {})
    points = points_of(FOUND, 1, "IoU", second)
    assert points.figures == (-0.9, 0.5)
    assert "mean -0.2000 (2 cases)" in points.words()


def test_nothing_to_draw_is_said():
    assert points_of(FOUND, 1, "NSD").words() == NOTHING


def test_the_plot_is_built_when_seen_and_a_point_is_its_case(qtbot):
    plot = CasePlot()
    qtbot.addWidget(plot)
    plot.show_points(points_of(FOUND, 1, "IoU"), 1)
    plot.show()
    qtbot.waitUntil(lambda: plot.ready, timeout=20000)
    x, y = plot._dots.getData()
    assert x.tolist() == [1, 2, 3]
    assert y.tolist() == [0.0, 0.5, 0.9]
    with qtbot.waitSignal(plot.case_asked) as asked:
        plot._dots.sigClicked.emit(plot._dots, [plot._dots.points()[1]], None)
    assert asked.args == ["half"]
    plot.set_theme("#000000", "#ffffff")
    plot.show_points(points_of(FOUND, 1, "NSD"), 1)
    assert plot._dots is None
