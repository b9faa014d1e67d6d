import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.pooling import mean_shares
from napari_unet_mic.evaluation.results import CaseResult, Evaluation, FailedCase, SurfaceScore
from napari_unet_mic.evaluation.summary import compare
from napari_unet_mic.reporting.tables import (
    class_table,
    confusion_grid,
    confusion_list,
    evaluation_text,
    largest_errors,
    mean_grid,
    mean_tables,
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
    (_, overlap), (_, empty) = mean_tables(found.class_means)
    cancer = dict(zip(overlap.headings, overlap.rows[2], strict=True))
    assert cancer["mean IoU"] == "0.5000"
    assert cancer["cases"] == "2"
    assert cancer["IoU if present"] == "1.0000"
    assert cancer["cases with class"] == "1"
    assert cancer["pooled IoU"] == "0.5000"
    assert empty.headings == ("Class", "empty references", "with false positives", "without")
    assert empty.rows == (("liver", "0", "0", "0"), ("cancer", "1", "1", "0"))


def test_surface_means_have_a_table_of_their_own():
    measured = replace(
        case("a", [0, 1, 2, 2], [0, 1, 2, 2]),
        surfaces={1: SurfaceScore(2.0, 0.5), 2: SurfaceScore()},
    )
    found = Evaluation((measured,), CLASSES, tolerance_mm=1.5)
    tables = dict(mean_tables(found.class_means, tolerance_mm=1.5))
    assert list(tables) == ["overlap", "surfaces"]
    assert tables["surfaces"].headings == (
        "Class",
        "HD95 mm",
        "cases HD95",
        "NSD 1.5 mm",
        "cases NSD",
    )
    assert tables["surfaces"].rows[1:] == (
        ("liver", "2.00", "1", "0.5000", "1"),
        ("cancer", "", "0", "", "0"),
    )


def test_mean_shares_stand_beside_their_number_of_cases():
    cases = (case("a", [0, 1, 2, 2], [0, 1, 2, 2]), case("b", [0, 1, 1, 0], [0, 1, 2, 2]))
    grid = mean_grid(mean_shares(cases, (0, 1, 2)), NAMES)
    assert grid.headings == ("true \\ predicted", *NAMES, "cases")
    assert grid.rows[0] == ("outside", "75.00", "0.00", "25.00", "2")
    assert grid.rows[2] == ("cancer", "0.00", "0.00", "100.00", "1")
    by_column = mean_grid(mean_shares(cases, (0, 1, 2), "predicted"), NAMES)
    assert by_column.rows[-1] == ("cases", "2", "2", "2")


def test_many_classes_print_their_largest_errors_only():
    names = [f"class {value}" for value in range(30)]
    table = np.diag(np.full(30, 9))
    table[3, 4], table[20, 1] = 5, 7
    assert largest_errors(table, names).rows == (
        ("class 20", "class 1", "7"),
        ("class 3", "class 4", "5"),
    )
    scores = {score.value: score for score in scores_of(table)}
    one = CaseResult("a", "r", "p", scores, table=table)
    text = evaluation_text(Evaluation((one,), dict(enumerate(names))))
    assert "largest errors" in text
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize("style", ["text", "markdown", "csv"])
def test_everything_that_evaluate_prints(style):
    cases = (case("good", [0, 1, 2, 2], [0, 1, 2, 2]), case("bad", [0, 1, 1, 0], [0, 0, 2, 2]))
    failed = (FailedCase("broken", "broken.nii.gz: no such file"),)
    found = Evaluation(cases, CLASSES, notes=("b.nii.gz: displaced",), failed=failed)
    text = evaluation_text(found, style)
    assert text.index("bad") < text.index("good")
    assert "2 cases pooled" in text
    assert "True class" in text
    assert "% of the true class, mean over cases" in text
    assert "note: b.nii.gz: displaced" in text
    assert "left out: broken: broken.nii.gz: no such file" in text
    single = evaluation_text(Evaluation(cases[:1], CLASSES), style)
    assert "good, per class" in single
    assert "pooled" not in single
