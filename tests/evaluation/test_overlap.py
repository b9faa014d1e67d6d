import numpy as np
import pytest

from napari_unet_mic.evaluation.overlap import scores_of

LIVER = [[6534266, 5467, 62], [11075, 174966, 4650], [474, 2146, 26894]]
HEPATIC = [[14229682, 16385, 0], [6853, 154104, 4], [0, 467, 217]]


@pytest.mark.parametrize(
    ("table", "rounded", "cut"),
    [
        (LIVER, (0.9974, 0.8823, 0.7858), (0.9973, 0.8823, 0.7857)),
        (HEPATIC, (0.9984, 0.8667, 0.3154), (0.9983, 0.8666, 0.3154)),
    ],
    ids=["first table", "second table"],
)
def test_the_reports_own_tables(table, rounded, cut):
    """The report cut its IoU after four decimals; rounding gives up to 0.0001 more."""
    scores = scores_of(np.array(table))
    assert tuple(round(score.iou, 4) for score in scores) == rounded
    assert tuple(int(score.iou * 10000) / 10000 for score in scores) == cut
    for score, printed in zip(scores, cut, strict=True):  # alike to three decimals
        assert abs(score.iou - printed) < 0.0005


def test_counts_of_one_class():
    score = scores_of(np.array([[5, 1], [2, 4]]))[1]
    assert (score.tp, score.fp, score.fn, score.tn) == (4, 1, 2, 5)
    assert (score.n_ref, score.n_pred) == (6, 5)
    assert score.iou == 4 / 7
    assert score.dice == 8 / 11


def test_states_of_a_class_in_both_none_or_one_map():
    table = np.zeros((5, 5), np.int64)
    table[0, 0], table[1, 1], table[3, 0], table[0, 4] = 10, 2, 3, 4
    scores = scores_of(table)
    assert [score.state for score in scores] == [
        "present",
        "present",
        "absent",
        "missed",
        "spurious",
    ]
    assert scores[2].iou is None
    assert scores[2].dice is None
    assert scores[3].iou == scores[3].dice == 0
    assert scores[4].iou == scores[4].dice == 0


def test_an_empty_table_has_no_scores():
    assert all(score.iou is None for score in scores_of(np.zeros((3, 3), np.int64)))
