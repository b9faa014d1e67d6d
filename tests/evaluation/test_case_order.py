"""All cases by one figure, and by what a second evaluation changed."""

import numpy as np
import pytest

from napari_unet_mic.evaluation.case_order import (
    by_loss,
    figure_of,
    metrics_of,
    partners_of,
    worst_by,
)
from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.results import CaseResult, Evaluation, SurfaceScore

NAMES = {0: "outside", 1: "liver", 2: "cancer"}


def case(name, table, **more):
    counted = np.array(table)
    return CaseResult(name, "r", "p", dict(enumerate(scores_of(counted))), table=counted, **more)


FOUND = Evaluation(
    (
        case("good", [[50, 1, 0], [0, 20, 2], [0, 1, 9]], surfaces={2: SurfaceScore(1.5, 0.9)}),
        case("missed", [[50, 0, 0], [5, 20, 0], [0, 7, 0]], surfaces={2: SurfaceScore(None, 0.0)}),
        case("spurious", [[50, 0, 3], [0, 20, 0], [0, 0, 0]]),
        case("without", [[50, 0, 0], [0, 30, 0], [0, 0, 0]]),
    ),
    NAMES,
)


@pytest.mark.parametrize(
    ("value", "metric", "cases"),
    [
        (2, "IoU", ["missed", "spurious", "good", "without"]),
        (1, "Dice", ["missed", "good", "spurious", "without"]),
        (None, "IoU", ["missed", "spurious", "good", "without"]),
        (2, "HD95 mm", ["good", "missed", "spurious", "without"]),
        (2, "NSD", ["missed", "good", "spurious", "without"]),
        (2, "wrong voxels", ["missed", "good", "spurious", "without"]),
        (None, "wrong voxels", ["missed", "good", "spurious", "without"]),
    ],
)
def test_every_case_is_listed_the_worst_first_the_undefined_last(value, metric, cases):
    found = worst_by(FOUND, value, metric)
    assert list(found.cases) == cases
    assert found.complete


def test_figures_of_a_class_and_of_all():
    good = FOUND.case("good")
    assert figure_of(good, 2, "IoU") == 9 / 12
    assert figure_of(good, None, "IoU") == pytest.approx((9 / 12 + 20 / 24) / 2)
    assert figure_of(good, 2, "wrong voxels") == 3
    assert figure_of(good, None, "wrong voxels") == 4
    assert figure_of(good, None, "HD95 mm") == 1.5
    assert metrics_of(FOUND)[2] == "HD95 mm"


def test_a_case_leads_to_where_it_is_worst():
    found = worst_by(FOUND, 2, "IoU")
    assert found.cell_of("missed") == (2, None)
    assert found.cell_of("spurious") == (None, 2)
    assert found.cell_of("without") == (None, None)
    assert worst_by(FOUND, None, "IoU").cell_of("missed") == (None, None)


def test_a_second_evaluation_orders_by_loss():
    second = Evaluation(
        (
            case("fold_1/good", [[50, 1, 0], [0, 20, 2], [0, 10, 0]]),
            case("missed", [[50, 0, 0], [0, 25, 0], [0, 0, 7]]),
            case("without", [[50, 0, 1], [0, 30, 0], [0, 0, 0]]),
        ),
        NAMES,
    )
    assert partners_of(FOUND, second)["good"].name == "fold_1/good"
    found = by_loss(FOUND, second, 2, "IoU")
    assert found.cases == ("good", "missed", "without")
    assert found.figures == {"good": -0.75, "missed": 1.0, "without": None}
    assert "3 of 4 cases" in found.title
    assert found.cell_of("good") == (2, None)
    # of a figure that is bad when it is large, growing is the loss
    assert by_loss(FOUND, second, 2, "wrong voxels").cases[0] == "good"
