"""Decisions about regions: kept, taken back, and known again after a recount."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_unet_mic.annotation.review import Mark, Review, review_file
from napari_unet_mic.errors import UnreadableFile
from napari_unet_mic.evaluation.mistakes import regions_of
from napari_unet_mic.evaluation.region import Region

SPACING_MM = (5.0, 1.0, 1.0)


def region(first=(2, 4, 4), size=(2, 3, 3), voxels=18, kind="missed lesion", true=2, **more):
    box = tuple(slice(at, at + n) for at, n in zip(first, size, strict=True))
    values = {"predicted_class": 1, "confidence": None, **more}
    return Region(1, voxels, 0.09, box, first[0], first, kind, true, **values)


def test_a_decision_is_kept_on_disk(tmp_path):
    file = tmp_path / "labels" / "liver_3" / "review.json"
    assert Review.read(file, "liver_3") == Review("liver_3")
    begun = Review("liver_3").marked("runs/a", region(), "fixed")
    begun.write(file)
    again = Review.read(file, "liver_3")
    assert again == begun
    assert again.statuses("runs/a", [region(), region((9, 9, 9))]) == ["fixed", None]
    assert again.statuses("runs/b", [region()]) == [None]  # another prediction's mistakes
    assert json.loads(file.read_text())["marks"][0]["box"] == [[2, 4], [4, 7], [4, 7]]


SAME = [
    ({}, True),
    ({"voxels": 30}, True),  # grown, in the same place
    ({"voxels": 40}, False),  # more than twice as large
    ({"first": (2, 4, 3), "size": (2, 3, 4)}, True),  # three quarters of the union
    ({"first": (2, 4, 6), "size": (2, 3, 3)}, False),  # elsewhere
    ({"kind": "inside"}, False),
    ({"true": 1}, False),
    ({"predicted_class": None}, False),
]


@pytest.mark.parametrize(("change", "same"), SAME, ids=[str(change) for change, _ in SAME])
def test_a_region_is_known_again_by_its_place_and_voxels(change, same):
    review = Review("a").marked("p", region(), "label is wrong")
    expected = "label is wrong" if same else None
    assert review.statuses("p", [region(**change)]) == [expected]


def test_a_mark_stands_for_the_most_alike_region_only():
    review = Review("a").marked("p", region(), "fixed")
    halves = [region(voxels=17), region()]
    assert review.statuses("p", halves) == [None, "fixed"]
    assert review.statuses("p", halves[:1]) == ["fixed"]


def test_a_status_is_replaced_and_taken_away():
    review = Review("a").marked("p", region(), "fixed").marked("p", region(), "label is wrong")
    assert review.statuses("p", [region()]) == ["label is wrong"]
    assert len(review.marks) == 1
    assert review.marked("p", region(), None).marks == ()


def test_what_is_there_again_was_not_accepted():
    review = Review("a").marked("p", region(), "accepted")
    assert review.n("p", "accepted") == 1
    assert review.statuses("p", [region()]) == [None]
    assert [mark.status for mark in review.marked("p", region(), "fixed").marks] == ["fixed"]


def test_statuses_survive_a_recount_of_real_regions():
    reference = np.zeros((6, 20, 20), np.uint8)
    reference[1:5, 2:10, 2:10] = 1
    reference[2:4, 14:17, 14:17] = 2
    prediction = np.where(reference == 2, 0, reference).astype(np.uint8)
    prediction[1:4, 15:18, 2:5] = 1
    regions = regions_of(reference, prediction, None, None, SPACING_MM)
    assert {one.kind for one in regions} == {"missed lesion", "spurious lesion"}
    review = Review("a")
    for one in regions:
        review = review.marked("p", one, "fixed")
    again = regions_of(reference, prediction, None, None, SPACING_MM, axis=2)  # other points
    assert review.statuses("p", again) == ["fixed", "fixed"]
    prediction[1, 15:18, 2:5] = 0  # a slice of the spurious one is corrected
    assert review.statuses("p", regions_of(reference, prediction, None, None, SPACING_MM)) == [
        "fixed",
        "fixed",
    ]
    prediction[2, 15:18, 2:5] = 0  # now less than half of it is left
    after = regions_of(reference, prediction, None, None, SPACING_MM)
    assert dict(zip((one.kind for one in after), review.statuses("p", after), strict=True)) == {
        "missed lesion": "fixed",
        "spurious lesion": None,
    }


def test_a_flat_map_has_marks_of_two_axes():
    reference = np.zeros((9, 9), np.uint8)
    reference[2:5, 2:5] = 1
    (lost,) = regions_of(reference, np.zeros_like(reference), 1, None, (1.0, 1.0))
    review = Review("a").marked("p", lost, "fixed")
    assert review.statuses("p", [lost]) == ["fixed"]
    assert review.statuses("p", [region(kind=lost.kind, true=1)]) == [None]


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", '{"format_version": 9, "marks": []}', '{"format_version": 1, "marks": [{}]}'],
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path, content):
    file = tmp_path / "review.json"
    file.write_text(content)
    with pytest.raises(UnreadableFile, match=r"review\.json"):
        Review.read(file, "a")
    assert file.read_text() == content


def test_marks_check_themselves():
    with pytest.raises(ValueError, match="done"):
        Mark("done", "p", "rim", 1, 0, 3, ((0, 1),), (0,))
    with pytest.raises(ValueError, match="axes"):
        Mark("fixed", "p", "rim", 1, 0, 3, ((0, 1),), (0, 0))


def test_where_a_review_is_kept(tmp_path):
    workspace, prediction = tmp_path / "labels", tmp_path / "validation" / "liver_3.nii.gz"
    kept = review_file("liver_3", labels_folder=workspace, prediction=prediction)
    assert kept == workspace / "liver_3" / "review.json"
    beside = review_file("liver_3", prediction=prediction)
    assert beside == tmp_path / "validation" / "review" / "liver_3.json"
    assert review_file("layer") is None
    assert isinstance(kept, Path)
