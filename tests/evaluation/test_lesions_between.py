"""Lesions gained and lost between two evaluations, from their lesions.csv alone."""

from dataclasses import replace

import numpy as np
import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.data.volume import Volume, write_labels
from napari_unet_mic.evaluation.difference_cases import compare_folders
from napari_unet_mic.evaluation.lesion import MATCHES, LesionQuestion, Smallest
from napari_unet_mic.evaluation.lesion_difference import OF_REFERENCE
from napari_unet_mic.evaluation.lesions_between import lesions_between
from napari_unet_mic.evaluation.result_files import read_evaluation

SPACING_MM = (5.0, 1.0, 1.0)


def label_map(*boxes):
    """Boxes (class, start, size along x) of 2 × 2 voxels in the other two directions."""
    array = np.zeros((4, 6, 40), np.uint8)
    for value, start, size in boxes:
        array[1:3, 2:4, start : start + size] = value
    return array


CASES = {  # reference, first prediction, second prediction
    "a": (
        label_map((2, 1, 6), (2, 10, 3), (2, 20, 1), (1, 30, 4)),
        label_map((2, 1, 3), (2, 20, 1), (2, 25, 2), (1, 30, 4)),
        label_map((2, 1, 6), (2, 10, 3), (1, 30, 1)),
    ),
    "b": (label_map((2, 4, 5)), label_map((2, 4, 5)), label_map((2, 30, 1))),
    "c": (label_map(), label_map(), label_map((2, 7, 2))),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three cases, evaluated with either prediction, without and with a criterion."""
    place = tmp_path_factory.mktemp("runs")
    for name, arrays in CASES.items():
        for side, array in zip("rpq", arrays, strict=True):
            like = Volume.from_array(array, spacing_mm=SPACING_MM)
            write_labels(place / side / f"{name}.nii.gz", array, like)
    evaluate(place, "p", "e1")
    evaluate(place, "q", "e2")
    return place


def evaluate(place, side, out, *options, classes=("1", "2"), reference="r"):
    words = ["--reference", str(place / reference), "--prediction", str(place / side)]
    words += ["--lesion-classes", *classes, *options]
    assert main(["evaluate", *words, "-o", str(place / out)]) == 0


@pytest.mark.parametrize("match", MATCHES)
def test_the_files_say_what_the_volumes_say(folder, match):
    first, second = read_evaluation(folder / "e1"), read_evaluation(folder / "e2")
    between = lesions_between(first, second, match)
    volumes = compare_folders(
        folder / "r", folder / "p", folder / "q", lesions=LesionQuestion((1, 2), match)
    )
    expected = [one for one in volumes.lesion_changes if one.change in OF_REFERENCE]
    assert list(between.changes) == expected
    assert between.sentence == ""
    assert between.cases == ("a", "b", "c")
    changed = [(one.case, one.change, one.lesion.voxels) for one in expected]
    assert ("a", "gained", 12) in changed
    assert ("b", "lost", 20) in changed
    assert ("a", "lost", 16) in changed or match != "0.5"
    assert between.spurious == {"any": (1, 2), "0.1": (1, 2), "0.5": (1, 3)}[match]


def test_the_criterion_of_the_first_evaluation_counts_unless_one_is_chosen(folder):
    first, second = read_evaluation(folder / "e1"), read_evaluation(folder / "e2")
    strict = replace(first, lesions=replace(first.lesions, match="0.5"))
    assert lesions_between(strict, second) == lesions_between(first, second, "0.5")


def test_other_references_are_not_matched_and_it_is_said(folder):
    (folder / "s").mkdir(exist_ok=True)
    for name, arrays in CASES.items():
        like = Volume.from_array(arrays[0], spacing_mm=SPACING_MM)
        array = np.roll(arrays[0], 1, axis=2) if name == "b" else arrays[0]
        write_labels(folder / "s" / f"{name}.nii.gz", array, like)
    evaluate(folder, "q", "moved", reference="s")
    first, moved = read_evaluation(folder / "e1"), read_evaluation(folder / "moved")
    between = lesions_between(first, moved)
    assert between.other_references == ("b",)
    assert {one.case for one in between.changes} == {"a"}
    assert between.sentence == (
        "The two evaluations used different references for 1 case (b), so their lesions "
        "cannot be matched"
    )
    only_b = replace(first, cases=(first.case("b"),))
    assert "for every case, so" in lesions_between(only_b, moved).sentence


def test_the_larger_of_the_smallest_sizes_counts(folder):
    evaluate(folder, "q", "large", "--smallest-lesion", "0.05")
    first, large = read_evaluation(folder / "e1"), read_evaluation(folder / "large")
    between = lesions_between(first, large)
    assert between.question.smallest == Smallest(0.05)
    assert between.other_references == ()
    assert min(one.lesion.ml for one in between.changes) >= 0.05
    every = lesions_between(first, read_evaluation(folder / "e2")).changes
    assert ("lost", 4) in [(one.change, one.lesion.voxels) for one in every]


def test_classes_that_only_one_looked_for_are_named(folder):
    evaluate(folder, "q", "cancer", classes=("2",))
    first, other = read_evaluation(folder / "e1"), read_evaluation(folder / "cancer")
    between = lesions_between(first, other)
    assert {one.lesion.value for one in between.changes} == {2}
    assert between.sentence == "Only one of the two evaluations looked for lesions of class 1"
    evaluate(folder, "p", "liver", classes=("1",))
    nothing = lesions_between(read_evaluation(folder / "liver"), other)
    assert nothing.changes == ()
    assert "class 1, class 2" in nothing.sentence


def test_without_lesions_in_one_of_them_there_is_no_answer(folder):
    first = read_evaluation(folder / "e1")
    assert lesions_between(first, replace(first, lesions=None)) is None
