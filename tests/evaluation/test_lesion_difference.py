"""Lesions that a second prediction gained and lost: three tumours, each with its own fate."""

import csv

import numpy as np
import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.data.volume import Volume, read_labels, write_labels
from napari_unet_mic.evaluation.difference_cases import compare_two
from napari_unet_mic.evaluation.lesion import LesionQuestion, Smallest
from napari_unet_mic.evaluation.lesion_difference import (
    CHANGES,
    LESION_DIFFERENCE_COLUMNS,
    counts,
    lesion_changes,
)
from napari_unet_mic.evaluation.lesions_between import lesions_between
from napari_unet_mic.evaluation.results import Evaluation

SPACING_MM = (5.0, 1.0, 1.0)


def maps():
    """Tumours of 32, 18 and 8 voxels: kept, gained, lost; the first one is only half found.

    The first prediction makes up 3 voxels and 4; the second still has one of the 4, and makes up 2.
    """
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
    first[4, 4, 15:18] = first[4, 15, 4:8] = 2
    second[4, 15, 4] = second[4, 8, 8:10] = 2
    return [
        Volume.from_array(labels, spacing_mm=SPACING_MM) for labels in (reference, first, second)
    ]


def changes(*, with_voxels=False, **asked):
    question = LesionQuestion((2,), **asked)
    case = compare_two(*maps(), {0: "outside", 1: "liver", 2: "cancer"}, lesions=question)
    meetings = {"case": case.meetings} if with_voxels else None
    return lesion_changes([(case.first, case.second)], question, meetings)


def test_what_became_of_every_tumour_the_largest_first():
    found = changes()
    assert [(one.lesion.voxels, one.change) for one in found] == [
        (32, "still found"),
        (18, "gained"),
        (8, "lost"),
    ]
    assert (found[0].iou_before, found[0].iou_now) == (1.0, 0.25)
    assert {one.source for one in found} == {"reference"}
    expected = dict.fromkeys(CHANGES, 0) | {"gained": 1, "lost": 1, "still found": 1}
    assert counts(found) == expected


def test_what_is_no_longer_and_newly_made_up_the_voxels_tell():
    found = [one for one in changes(with_voxels=True) if one.source != "reference"]
    assert [(one.change, one.lesion.voxels, one.lesion.point) for one in found] == [
        ("spurious gone", 3, (4, 4, 16)),
        ("spurious new", 2, (4, 8, 8)),
        ("still spurious", 1, (4, 15, 4)),
    ]
    assert [(one.iou_before, one.iou_now) for one in found] == [(0, None), (None, 0), (None, 0)]
    assert [one.source for one in found][:2] == ["prediction", "second prediction"]


def test_a_spurious_lesion_by_a_stricter_criterion_may_lie_on_a_tumour():
    found = changes(with_voxels=True, match="0.5")
    new = {one.lesion.voxels: one.iou_now for one in found if one.change == "spurious new"}
    assert new == {8: 0.25, 2: 0.0}


def test_the_criterion_and_the_smallest_size_count():
    assert [one.change for one in changes(match="0.5")] == ["lost", "gained", "lost"]
    assert len(changes(smallest=Smallest(voxels=10))) == 2
    found = changes(smallest=Smallest(voxels=3), with_voxels=True)
    assert counts(found)["spurious gone"] == 2  # the one voxel that is left counts nowhere
    assert len(found) == 5


def test_a_reference_without_lesions_and_one_voxel():
    empty, one = np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8)
    one[1, 2, 2] = 1
    volumes = [Volume.from_array(labels, spacing_mm=SPACING_MM) for labels in (empty, empty, one)]
    question = LesionQuestion((1,))
    case = compare_two(*volumes, {0: "outside", 1: "cancer"}, lesions=question)
    (new,) = lesion_changes([(case.first, case.second)], question, {"case": case.meetings})
    assert (new.change, new.lesion.voxels) == ("spurious new", 1)
    case = compare_two(
        empty_like(volumes), *volumes[1:], {0: "outside", 1: "cancer"}, ignore=2, lesions=question
    )
    assert lesion_changes([(case.first, case.second)], question, {"case": case.meetings}) == ()


def empty_like(volumes):
    """A reference whose every voxel is ignored (2)."""
    return Volume.from_array(np.full_like(volumes[0].array, 2), spacing_mm=SPACING_MM)


@pytest.mark.parametrize("kind", ["empty", "one_voxel", "full", "disconnected"])
def test_masks_of_a_real_dataset(shared, kind):
    folder = shared / "data" / "sts_tumour" / "misc_images" / "uninformative" / "mask"
    mask = read_labels(folder / f"{kind}_mask.nii.gz")
    labels = (mask.array > 0).astype(np.uint8)
    there, nothing = (
        Volume.from_array(array, spacing_mm=mask.spacing_mm) for array in (labels, 0 * labels)
    )
    n, question = count_components(labels), LesionQuestion((1,))
    for volumes, change in (
        ((there, nothing, there), "gained"),
        ((there, there, nothing), "lost"),
        ((there, nothing, nothing), "still missed"),
        ((there, there, there), "still found"),
        ((nothing, there, nothing), "spurious gone"),
        ((nothing, nothing, there), "spurious new"),
        ((nothing, there, there), "still spurious"),
    ):
        case = compare_two(*volumes, {0: "outside", 1: "tumour"}, lesions=question)
        found = lesion_changes([(case.first, case.second)], question, {"case": case.meetings})
        assert counts(found) == dict.fromkeys(CHANGES, 0) | {change: n}
        one, other = (
            Evaluation((side,), {0: "outside", 1: "tumour"}, lesions=question)
            for side in (case.first, case.second)
        )
        between = lesions_between(one, other)  # what the two files alone tell
        assert between.changes == tuple(one for one in found if one.source == "reference")
        made_up = [volume is there and volumes[0] is nothing for volume in volumes[1:]]
        assert between.spurious == tuple(n * spurious for spurious in made_up)


def count_components(labels):
    from scipy.ndimage import label

    return label(labels, np.ones((3, 3, 3)))[1]


def test_the_layout_in_memory_does_not_matter():
    volumes = maps()
    question = LesionQuestion((2,))
    plain = compare_two(*volumes, lesions=question)
    turned = [
        Volume.from_array(np.asfortranarray(one.array), spacing_mm=SPACING_MM) for one in volumes
    ]
    for others in (turned, [volumes[0], turned[1], volumes[2]]):
        case = compare_two(*others, lesions=question)
        assert len(case.meetings[2]) == len(plain.meetings[2])
        answers = [
            counts(lesion_changes([(one.first, one.second)], question, {"case": one.meetings}))
            for one in (plain, case)
        ]
        assert answers[0] == answers[1]


def test_cases_whose_lesions_nobody_looked_for_are_passed_over():
    case = compare_two(*maps(), {0: "outside", 1: "liver", 2: "cancer"})
    assert lesion_changes([(case.first, case.second)], LesionQuestion((2,))) == ()


@pytest.mark.parametrize("options", [[], ["--match", "0.5"]], ids=["any", "half"])
def test_the_command_prints_them_and_writes_them(tmp_path, capsys, options):
    for folder, volume in zip("rpq", maps(), strict=True):
        write_labels(tmp_path / folder / "a.nii.gz", volume.array, volume)
    words = ["--reference", "r", "--prediction", "p", "--against", "q", "-o", "out"]
    words = [str(tmp_path / word) if len(word) == 1 or word == "out" else word for word in words]
    assert main(["evaluate", *words, "--lesion-classes", "2", *options]) == 0
    printed = capsys.readouterr()
    lines = [line.split() for line in printed.out.splitlines()]
    # gained, lost, still missed, still found; spurious gone, new, still
    expected = (
        ["1", "2", "0", "0", "1", "2", "1"] if options else ["1", "1", "0", "1", "1", "1", "1"]
    )
    assert ["class", "2", *expected] in lines
    assert "lesion_difference.csv" in printed.err

    with (tmp_path / "out" / "lesion_difference.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == LESION_DIFFERENCE_COLUMNS
    found = changes(with_voxels=True, match=options[1] if options else "any")
    assert [row["change"] for row in rows] == [one.change for one in found]
    assert [row["iou_now"] for row in rows] == [
        "" if one.iou_now is None else str(one.iou_now) for one in found
    ]
    for row, one in zip(rows, found, strict=True):
        assert (row["case"], row["class"], row["source"]) == ("a", "2", one.source)
        assert tuple(int(row[axis]) for axis in "zyx") == one.lesion.point
        assert float(row["volume_ml"]) == pytest.approx(one.lesion.voxels * 0.005)
        if not one.change.startswith("still"):
            ious = [row[name] for name in ("iou_before", "iou_now")]
            shown = [f"{float(iou):.4f}" if iou else "–" for iou in ious]
            line = [
                "a",
                "class",
                "2",
                *one.change.split(),
                f"{float(row['volume_ml']):.3f}",
                *shown,
            ]
            assert [*line, *(row[axis] for axis in "zyx")] in lines


def test_of_many_changed_lesions_the_largest_are_printed(tmp_path, capsys):
    reference = np.zeros((1, 8, 90), np.uint8)
    reference[0, 1:3, 1:89:2] = 1  # 44 lesions of two voxels
    like = Volume.from_array(reference, spacing_mm=SPACING_MM)
    for folder, array in (("r", reference), ("p", reference), ("q", 0 * reference)):
        write_labels(tmp_path / folder / "a.nii.gz", array, like)
    words = [
        w
        for name, d in zip(("reference", "prediction", "against"), "rpq", strict=True)
        for w in (f"--{name}", str(tmp_path / d))
    ]
    assert main(["evaluate", *words, "--lesion-classes", "1", "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "gained and lost, the 30 largest of 44 (all in lesion_difference.csv)" in out
    assert sum(line.split()[3:4] == ["lost"] for line in out.splitlines()) == 30
    assert (tmp_path / "out" / "lesion_difference.csv").read_text().count(",lost,") == 44
