"""Volumes and components by class and split; a test set without small lesions is named."""

from pathlib import Path

import numpy as np
import pytest

from napari_unet_mic.data.integrity import check_dataset
from napari_unet_mic.data.label_check import components_ml
from napari_unet_mic.data.lesion_statistics import (
    CaseClass,
    class_statistics,
    small_lesion_findings,
    spread,
)

CLASSES = {0: "background", 1: "liver", 2: "cancer"}


def test_components_touch_over_corners_and_keep_their_class() -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = 2  # over a corner: one lesion
    labels[2, 3, 4] = 2
    labels[1, 1, 2] = 1  # beside class 2: another component
    assert components_ml(labels, [1, 2], 0.5) == {1: (0.5,), 2: (1.0, 0.5)}
    assert components_ml(labels * 0, [1], 0.5) == {1: ()}


def rows(train: list[tuple[float, ...]], test: list[tuple[float, ...]]) -> list[CaseClass]:
    return [
        CaseClass(f"{split}{n}", split, 2, sum(lesions), lesions)
        for split, cases in (("train", train), ("test", test))
        for n, lesions in enumerate(cases)
    ]


MANY = [(20.0, 0.5, 0.2), (8.0, 0.1), (30.0, 3.0), (5.0,), ()]


def test_statistics_by_split() -> None:
    train, test = class_statistics(rows(MANY, [(4.0,)]), CLASSES)
    assert (train.split, train.cases, train.present) == ("train", 5, 4)
    assert train.lesions_ml == (20.0, 0.5, 0.2, 8.0, 0.1, 30.0, 3.0, 5.0)
    assert train.to_json()["lesion_ml"]["largest"] == 30.0
    assert test.to_json()["lesions"] == 1
    assert spread([]) is None


@pytest.mark.parametrize(
    ("train", "test", "lacks"),
    [
        pytest.param(MANY, [(40.0,), (9.0, 1.0)], True, id="only-large"),
        pytest.param(MANY, [(40.0,), (0.1,)], False, id="a-small-one"),
        pytest.param(MANY, [()], False, id="none-at-all"),
        pytest.param([(1500.0,), (1400.0, 0.01)] * 8, [(1600.0,)], False, id="organ-with-specks"),
        pytest.param([(20.0, 0.1)], [(20.0,)], False, id="too-few-to-tell"),
    ],
)
def test_small_lesions_missing_in_the_test_set(
    train: list[tuple[float, ...]], test: list[tuple[float, ...]], lacks: bool
) -> None:
    found = small_lesion_findings(class_statistics(rows(train, test), CLASSES))
    assert [f.kind for f in found] == ["small-lesions-missing-in-test"] * lacks
    if lacks:
        assert (
            "cancer of 0.425 ml or less in the test set, as 2 of 8 in training" in found[0].message
        )
        assert "the smallest has 1 ml" in found[0].message


def test_a_check_carries_them(raw: Path) -> None:
    report = check_dataset(raw).to_json()
    cancer = [s for s in report["statistics"] if s["name"] == "cancer"]
    assert [(s["split"], s["cases"], s["present"]) for s in cancer] == [
        ("train", 10, 10),
        ("test", 2, 2),
    ]
    c0 = [row for row in report["case_statistics"] if row["case"] == "c0" and row["class"] == 2]
    assert c0[0]["lesions_ml"] == [pytest.approx(0.0135), pytest.approx(0.00675)]
