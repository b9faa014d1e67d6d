"""Two cases of three classes, counted by hand."""

import numpy as np
import pytest

from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.pooling import mean_shares, pooled_table, table_over
from napari_unet_mic.evaluation.results import CaseResult, Evaluation

SMALL = [[5, 1, 0], [2, 2, 0], [0, 0, 0]]
LARGE = [[50, 0, 0], [0, 90, 10], [3, 0, 1]]


def case(name, table, values=(0, 1, 2), voxel_ml=None):
    counted = np.array(table)
    scores = dict(zip(values, scores_of(counted), strict=True))
    return CaseResult(name, "r", "p", scores, table=counted, voxel_ml=voxel_ml)


CASES = (case("small", SMALL), case("large", LARGE))


def test_pooled_voxels_are_a_sum():
    assert pooled_table(CASES, (0, 1, 2)).tolist() == [[55, 1, 0], [2, 92, 10], [3, 0, 1]]


def test_the_mean_over_cases_gives_every_case_one_voice():
    shares = mean_shares(CASES, (0, 1, 2))
    assert shares.percent[1] == pytest.approx([25.0, (50 + 90) / 2, 5.0])
    assert shares.percent[2] == pytest.approx([75.0, 0.0, 25.0])  # only one case has class 2
    assert shares.n == (2, 2, 1)
    predicted = mean_shares(CASES, (0, 1, 2), "predicted")
    assert predicted.percent[:, 1] == pytest.approx([100 / 6, (200 / 3 + 100) / 2, 0.0])
    assert predicted.n == (2, 2, 1)


def test_a_class_that_no_case_has_is_undefined():
    shares = mean_shares(CASES[:1], (0, 1, 2))
    assert np.isnan(shares.percent[2]).all()
    assert shares.n == (1, 1, 0)


def test_cases_that_list_other_values_are_put_in_their_places():
    sparse = case("sparse", [[4, 1], [0, 2]], values=(0, 7))
    assert table_over(sparse, (0, 1, 7)).tolist() == [[4, 0, 1], [0, 0, 0], [0, 0, 2]]
    assert pooled_table((*CASES, sparse), (0, 1, 2, 7))[0].tolist() == [59, 1, 0, 1]
    with pytest.raises(ValueError):
        table_over(sparse, (0, 1))


def test_one_case_without_table_or_no_case_at_all_gives_none():
    summary_only = CaseResult("c", "r", "p", CASES[0].scores)
    assert pooled_table((*CASES, summary_only), (0, 1, 2)) is None
    assert mean_shares((*CASES, summary_only), (0, 1, 2)) is None
    assert pooled_table((), ()) is None
    assert mean_shares((), ()) is None


def test_millilitres_are_pooled_with_each_cases_own_voxel():
    cases = (case("small", SMALL, voxel_ml=0.1), case("large", LARGE, voxel_ml=0.01))
    found = Evaluation(cases, {0: "a", 1: "b", 2: "c"})
    assert found.pooled_ml[1] == pytest.approx([0.2, 0.2 + 0.9, 0.1])
    assert Evaluation(CASES, found.classes).pooled_ml is None
