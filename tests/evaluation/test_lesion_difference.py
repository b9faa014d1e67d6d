"""Lesions that a second prediction gained and lost: three tumours, each with its own fate."""

import numpy as np
import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.data.volume import Volume, write_labels
from napari_unet_mic.evaluation.difference_cases import compare_two
from napari_unet_mic.evaluation.lesion import LesionQuestion, Smallest
from napari_unet_mic.evaluation.lesion_difference import counts, lesion_changes

SPACING_MM = (5.0, 1.0, 1.0)


def maps():
    """Tumours of 32, 18 and 8 voxels: kept, gained, lost; the first one is only half found."""
    reference = np.zeros((6, 24, 24), np.uint8)
    reference[:, 1:23, 1:23] = 1
    reference[1:3, 2:6, 2:6] = 2
    reference[1:3, 10:13, 10:13] = 2
    reference[1:3, 18:20, 18:20] = 2
    first, second = np.minimum(reference, 1), np.minimum(reference, 1)
    first[1:3, 2:6, 2:6] = 2
    first[1:3, 18:20, 18:20] = 2
    second[1:3, 2:6, 2:3] = 2
    second[1:3, 10:13, 10:13] = 2
    return [
        Volume.from_array(labels, spacing_mm=SPACING_MM) for labels in (reference, first, second)
    ]


def changes(**asked):
    question = LesionQuestion((2,), **asked)
    case = compare_two(*maps(), {0: "outside", 1: "liver", 2: "cancer"}, lesions=question)
    return lesion_changes([(case.first, case.second)], question)


def test_what_became_of_every_tumour_the_largest_first():
    found = changes()
    assert [(one.lesion.voxels, one.change) for one in found] == [
        (32, "still found"),
        (18, "gained"),
        (8, "lost"),
    ]
    assert (found[0].iou_before, found[0].iou_now) == (1.0, 0.25)
    assert counts(found) == {"gained": 1, "lost": 1, "still missed": 0, "still found": 1}


def test_the_criterion_and_the_smallest_size_count():
    assert [one.change for one in changes(match="0.5")] == ["lost", "gained", "lost"]
    assert len(changes(smallest=Smallest(voxels=10))) == 2


def test_cases_whose_lesions_nobody_looked_for_are_passed_over():
    case = compare_two(*maps(), {0: "outside", 1: "liver", 2: "cancer"})
    assert lesion_changes([(case.first, case.second)], LesionQuestion((2,))) == ()


@pytest.mark.parametrize("options", [[], ["--match", "0.5"]], ids=["any", "half"])
def test_the_command_prints_them(tmp_path, capsys, options):
    for folder, volume in zip("rpq", maps(), strict=True):
        write_labels(tmp_path / folder / "a.nii.gz", volume.array, volume)
    words = ["--reference", "r", "--prediction", "p", "--against", "q", "-o", "out"]
    words = [str(tmp_path / word) if len(word) == 1 or word == "out" else word for word in words]
    assert main(["evaluate", *words, "--lesion-classes", "2", *options]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    # gained, lost, still missed, still found
    expected = ["2", "1", "2", "0", "0"] if options else ["2", "1", "1", "0", "1"]
    assert ["class", "2", *expected[1:]] in lines
    assert any(line[:1] == ["a"] and "gained" in line for line in lines)
