"""Three cases: a number over all of them leads back to those it comes from."""

import numpy as np
import pytest

from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.ranking import by_cell, by_mean, worst_first
from napari_unet_mic.evaluation.results import CaseResult, Evaluation, SurfaceScore

NAMES = {0: "outside", 1: "liver", 2: "cancer"}


def case(name, table, **more):
    counted = np.array(table)
    scores = dict(enumerate(scores_of(counted)))
    return CaseResult(name, "r", "p", scores, table=counted, **more)


FOUND = Evaluation(
    (
        case(
            "good",
            [[50, 1, 0], [0, 20, 2], [0, 1, 9]],
            surfaces={2: SurfaceScore(1.5, 0.9)},
        ),
        case("missed", [[50, 0, 0], [5, 20, 0], [0, 7, 0]], surfaces={2: SurfaceScore(None, 0.0)}),
        case("spurious", [[50, 0, 3], [0, 20, 0], [0, 0, 0]]),
        case("without", [[50, 0, 0], [0, 30, 0], [0, 0, 0]]),
    ),
    NAMES,
)


def test_a_cell_leads_to_its_cases_most_voxels_first():
    found = by_cell(FOUND, 2, 1)
    assert found.cases == ("missed", "good")
    assert [found.figures[name] for name in found.cases] == [7, 1]
    assert found.cell == (2, 1)
    assert found.title == "cancer → liver: 2 of 4 cases, most voxels first"


@pytest.mark.parametrize(
    ("cell", "figures"),
    [
        ((1, None), {"missed": 5, "good": 2}),
        ((None, 2), {"spurious": 3, "good": 2}),
        ((None, None), {"missed": 12, "good": 4, "spurious": 3}),
        ((1, 1), {"without": 30, "good": 20, "missed": 20, "spurious": 20}),
        ((2, 0), {}),
        ((9, 1), {}),
    ],
    ids=["row", "column", "all errors", "diagonal", "nobody", "unknown class"],
)
def test_headers_count_errors_only(cell, figures):
    found = by_cell(FOUND, *cell)
    assert {name: found.figures[name] for name in found.cases} == figures
    assert list(found.cases) == list(figures)


BEHIND = [
    ("iou", ("missed", "spurious", "good"), {"good": 9 / 12, "missed": 0, "spurious": 0}),
    ("dice", ("missed", "spurious", "good"), {"good": 18 / 21}),
    ("iou present", ("missed", "good"), {"good": 9 / 12}),
    ("pooled", ("missed", "good", "spurious"), {"missed": 7, "good": 3, "spurious": 3}),
    ("hd95_mm", ("good",), {"good": 1.5}),
    ("nsd", ("missed", "good"), {"missed": 0.0}),
    ("empty", ("spurious", "without"), {"spurious": 3, "without": 0}),
    ("spurious", ("spurious",), {"spurious": 3}),
    ("clean", ("without",), {"without": 0}),
]


@pytest.mark.parametrize(("which", "cases", "figures"), BEHIND, ids=[w for w, *_ in BEHIND])
def test_a_mean_leads_to_the_cases_behind_it(which, cases, figures):
    found = by_mean(FOUND, 2, which)
    assert found.cases == cases
    assert {name: found.figures[name] for name in figures} == figures
    false_positives = which in ("empty", "spurious", "clean")
    assert found.cell == ((None, 2) if false_positives else (2, None))


def test_there_are_as_many_cases_as_the_mean_says():
    cancer = FOUND.means_of(2)
    assert len(by_mean(FOUND, 2, "iou").cases) == cancer.n == 3
    assert len(by_mean(FOUND, 2, "iou present").cases) == cancer.n_present == 2
    assert len(by_mean(FOUND, 2, "spurious").cases) == cancer.n_empty_spurious == 1
    assert len(by_mean(FOUND, 2, "nsd").cases) == cancer.n_nsd == 2


def test_worst_first_and_cases_without_any_score_last():
    nothing = case("nothing", [[9, 0, 0], [0, 0, 0], [0, 0, 0]])
    found = worst_first(Evaluation((nothing, *FOUND.cases), NAMES))
    assert found.cases[0] == "missed"
    assert found.cases[-1] == "nothing"
