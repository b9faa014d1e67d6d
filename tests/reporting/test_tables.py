import csv

import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.results import Evaluation, SurfaceScore
from napari_unet_mic.evaluation.summary import compare
from napari_unet_mic.reporting.tables import (
    class_table,
    confusion_grid,
    confusion_list,
    evaluation_text,
    mean_table,
    shares_of,
    table_scores,
)

NAMES = ("outside", "liver", "cancer")
TABLE = np.array([[6534266, 5467, 62], [11075, 174966, 4650], [474, 2146, 26894]])
CLASSES = dict(enumerate(NAMES))


def case(name, reference, prediction):
    maps = [
        Volume.from_array(np.array(one, np.uint8).reshape(1, 1, -1), spacing_mm=(5, 0.5, 2))
        for one in (reference, prediction)
    ]
    return compare(*maps, CLASSES, name=name)


def test_the_flat_list_in_the_reports_order():
    flat = confusion_list(TABLE, NAMES)
    assert flat.headings == ("True class", "Predicted class", "Number of voxels")
    assert flat.rows[:2] == (("outside", "outside", "6534266"), ("outside", "liver", "5467"))
    assert flat.rows[-1] == ("cancer", "cancer", "26894")
    assert [int(row[2]) for row in flat.rows] == TABLE.ravel().tolist()


def test_the_reports_table_as_text():
    assert confusion_grid(TABLE, NAMES).text().splitlines() == [
        "true \\ predicted  outside   liver  cancer",
        "────────────────  ───────  ──────  ──────",
        "outside           6534266    5467      62",
        "liver               11075  174966    4650",
        "cancer                474    2146   26894",
    ]


def test_markdown_and_csv():
    assert confusion_grid(TABLE, NAMES).markdown().splitlines()[1:3] == [
        "| ---------------- | ------: | -----: | -----: |",
        "| outside          | 6534266 |   5467 |     62 |",
    ]
    rows = list(csv.reader(confusion_list(TABLE, ("a|b", "c, d", "e")).csv().splitlines()))
    assert rows[1:3] == [["a|b", "a|b", "6534266"], ["a|b", "c, d", "5467"]]
    assert "a\\|b" in confusion_list(TABLE, ("a|b", "c", "d")).markdown()


@pytest.mark.parametrize(
    ("measure", "row"),
    [("% of true", (20.0, 80.0)), ("% of predicted", (100.0, 80.0)), ("ml", (0.01, 0.04))],
)
def test_cells_in_other_measures(measure, row):
    table = np.array([[0, 1], [1, 4]])
    assert shares_of(table, measure, voxel_ml=0.01)[1] == pytest.approx(row)


def test_a_share_of_nothing_is_undefined():
    grid = confusion_grid(np.array([[4, 0], [0, 0]]), ("a", "b"), measure="% of true")
    assert grid.rows == (("a", "100.00", "0.00"), ("b", "", ""))
    assert "–" in grid.text()


def test_scores_of_the_report():
    rows = table_scores(TABLE, NAMES).rows
    assert [row[:2] for row in rows] == [
        ("outside", "0.9974"),
        ("liver", "0.8823"),
        ("cancer", "0.7858"),
    ]


def test_an_absent_class_says_so():
    scores = scores_of(np.array([[3, 0, 0], [0, 2, 0], [0, 0, 0]]))
    table = class_table(
        scores, CLASSES, surfaces={1: SurfaceScore(2.5, 1.0)}, voxel_ml=0.005, tolerance_mm=1.0
    )
    assert table.headings[3:5] == ("HD95 mm", "NSD 1 mm")
    assert table.rows[1] == ("liver", "1.0000", "1.0000", "2.50", "1.0000", "0.010", "0.010", "")
    assert table.rows[2] == ("cancer", "", "", "", "", "0.000", "0.000", "absent")


def test_means_say_how_many_cases_are_behind_them():
    cases = (case("a", [0, 1, 2, 2], [0, 1, 2, 2]), case("b", [0, 1, 1, 0], [0, 1, 2, 2]))
    found = Evaluation(cases, CLASSES)
    table = mean_table(found.class_means)
    cancer = dict(zip(table.headings, table.rows[2], strict=True))
    assert cancer["mean IoU"] == "0.5000"
    assert cancer["cases"] == "2"
    assert cancer["IoU if present"] == "1.0000"
    assert cancer["cases with class"] == "1"
    assert cancer["empty references"] == cancer["of these with false positives"] == "1"


@pytest.mark.parametrize("style", ["text", "markdown", "csv"])
def test_everything_that_evaluate_prints(style):
    cases = (case("good", [0, 1, 2, 2], [0, 1, 2, 2]), case("bad", [0, 1, 1, 0], [0, 0, 2, 2]))
    text = evaluation_text(Evaluation(cases, CLASSES, notes=("b.nii.gz: displaced",)), style)
    assert text.index("bad") < text.index("good")
    assert "2 cases pooled" in text
    assert "True class" in text
    assert "note: b.nii.gz: displaced" in text
    single = evaluation_text(Evaluation(cases[:1], CLASSES), style)
    assert "good, per class" in single
    assert "pooled" not in single
