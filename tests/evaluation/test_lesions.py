"""Lesions: planted ones are found with their state, size and IoU; every edge case is defined."""

import math

import numpy as np
import pytest

from napari_unet_mic.errors import BadInput, GridMismatch
from napari_unet_mic.evaluation.lesion import (
    MATCHES,
    LesionQuestion,
    Smallest,
    judged,
    meets,
)
from napari_unet_mic.evaluation.lesion_figures import by_size, figures_of
from napari_unet_mic.evaluation.lesions import lesions_of

SPACING = (5.0, 1.0, 2.0)  # mm: a voxel is 0.01 ml
VOXEL_ML = 0.01


def found(reference, prediction, values=(2,), **options):
    return lesions_of(reference, prediction, values, SPACING, **options).lesions


def states(lesions, match="any", smallest=None):
    return [
        (one.lesion.source[0], one.lesion.number, one.state)
        for one in judged(lesions, match, smallest)
    ]


@pytest.fixture
def maps():
    """Lesion a is split, b and c are merged, d is missed, e is made up."""
    reference = np.zeros((6, 12, 20), np.uint8)
    prediction = reference.copy()
    reference[0, 0:2, 0:10] = 2  # a: 20 voxels
    prediction[0, 0:2, 0:4] = 2  # 8 and 6 of it, two pieces
    prediction[0, 0:2, 7:10] = 2
    reference[2, 4:6, 0:3] = 2  # b: 6 voxels
    reference[2, 4:6, 5:7] = 2  # c: 4 voxels
    prediction[2, 4:6, 0:7] = 2  # one over both: 14 voxels
    reference[5, 9, 12:15] = 2  # d: 3 voxels
    prediction[4, 0, 15:17] = 2  # e: 2 voxels
    return reference, prediction


def test_iou_is_with_the_union_of_all_that_touches(maps):
    a, b, c, d, *predicted = found(*maps)
    assert [one.voxels for one in (a, b, c, d)] == [20, 6, 4, 3]
    assert [one.iou for one in (a, b, c, d)] == [14 / 20, 6 / 14, 4 / 14, 0.0]
    assert [one.partners for one in (a, b, c, d)] == [(2, 3), (1,), (1,), ()]
    assert [one.voxels for one in predicted] == [14, 8, 6, 2]
    assert [one.iou for one in predicted] == [10 / 14, 8 / 20, 6 / 20, 0.0]
    assert a.ml == pytest.approx(0.2)
    assert d.point == (5, 9, 13)
    assert d.box == (slice(5, 6), slice(9, 10), slice(12, 15))


def test_three_criteria_and_what_is_split_or_merged(maps):
    lesions = found(*maps)
    assert states(lesions) == [
        *(("r", n, "found") for n in (1, 2, 3)),
        ("r", 4, "missed"),
        *(("p", n, "found") for n in (1, 2, 3)),
        ("p", 4, "spurious"),
    ]
    strict = judged(lesions, "0.5")
    assert [one.state for one in strict] == [
        "found",
        *(["missed"] * 3),
        "spurious",
        "found",
        "found",
        "spurious",
    ]
    assert [one.split for one in strict] == [True, *[False] * 4, True, True, False]
    assert [one.merged for one in strict] == [False, True, True, False, True, *[False] * 3]
    assert strict[4].touched  # it lies on lesions that do not count as found
    assert not strict[7].touched
    figures = figures_of([lesions, ()], 2, "0.5")
    assert (figures.found, figures.missed, figures.spurious) == (1, 3, 2)
    assert (figures.sensitivity, figures.false_positives_per_case) == (0.25, 1.0)
    assert (figures.split, figures.merged) == (1, 2)
    assert figures.words == "1 found · 3 missed · 2 spurious"


@pytest.mark.parametrize(
    ("match", "iou", "expected"),
    [
        ("any", 0.0, False),
        ("any", 1e-09, True),
        ("0.1", 0.1, False),
        ("0.1", 2 / 19, True),
        ("0.5", 0.5, True),
        ("0.5", 49 / 99, False),
    ],
)
def test_criteria_at_their_edges(match, iou, expected):
    assert meets(match, iou) is expected


def test_lesions_that_are_too_small_count_nowhere_and_change_no_iou(maps):
    lesions = found(*maps)
    for smallest in (Smallest(voxels=5), Smallest(ml=0.05)):
        assert states(lesions, "any", smallest) == [
            ("r", 1, "found"),
            ("r", 2, "found"),
            *(("p", n, "found") for n in (1, 2, 3)),
        ]
        figures = figures_of([lesions], 2, "any", smallest)
        assert (figures.found, figures.missed, figures.spurious, figures.ignored) == (2, 0, 0, 3)
    b = judged(lesions, "any", Smallest(voxels=5))[1]
    assert (b.lesion.iou, b.merged) == (6 / 14, False)  # c is too small to be merged with
    reference, prediction = np.zeros((2, 1, 9, 9), np.uint8)
    reference[0, 4, 4] = 2
    prediction[0, 2:7, 2:7] = 2  # large, and on a lesion that is too small to count
    assert judged(found(reference, prediction), "any", Smallest(voxels=2)) == ()


@pytest.mark.parametrize(
    ("text", "smallest"),
    [("0.05", Smallest(0.05)), ("0.05 ml", Smallest(0.05)), ("5voxels", Smallest(voxels=5))],
)
def test_a_smallest_size_is_read(text, smallest):
    assert Smallest.parse(text) == smallest
    with pytest.raises(BadInput, match="5voxels"):
        Smallest.parse("tiny")


def everything(reference, prediction):
    """Found, missed, spurious, sensitivity, false positives per case."""
    figures = figures_of([found(reference, prediction, (1,))], 1, "any")
    counts = figures.found, figures.missed, figures.spurious
    return *counts, figures.sensitivity, figures.false_positives_per_case


EMPTY = np.zeros((3, 4, 5), np.uint8)
FULL = EMPTY + 1
ONE = EMPTY.copy()
ONE[1, 2, 3] = 1
APART = EMPTY.copy()
APART[0, 0, 0] = APART[2, 3, 4] = 1
CORNER = EMPTY.copy()
CORNER[0, 0, 0] = CORNER[1, 1, 1] = 1


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        pytest.param(EMPTY, EMPTY, (0, 0, 0, None, 0.0), id="both empty"),
        pytest.param(EMPTY, ONE, (0, 0, 1, None, 1.0), id="empty reference"),
        pytest.param(ONE, EMPTY, (0, 1, 0, 0.0, 0.0), id="empty prediction"),
        pytest.param(FULL, FULL, (1, 0, 0, 1.0, 0.0), id="both full"),
        pytest.param(FULL, ONE, (1, 0, 0, 1.0, 0.0), id="one voxel of a full one"),
        pytest.param(ONE, ONE, (1, 0, 0, 1.0, 0.0), id="one voxel"),
        pytest.param(APART, ONE, (0, 2, 1, 0.0, 1.0), id="disconnected, none hit"),
        pytest.param(APART, FULL, (2, 0, 0, 1.0, 0.0), id="disconnected in a full one"),
        pytest.param(CORNER, CORNER, (1, 0, 0, 1.0, 0.0), id="joined over a corner"),
    ],
)
def test_edge_cases(reference, prediction, expected):
    assert everything(reference, prediction) == expected


def test_masks_of_a_real_dataset(shared):
    from napari_unet_mic.data.volume import read_labels

    folder = shared / "data" / "sts_tumour"
    files = sorted(folder.rglob("*mask*.nii.gz"))
    seen = set()
    for file in files:
        labels = (read_labels(file).array > 0).astype(np.uint8)
        lesions = found(labels, labels, (1,))
        n = len(lesions) // 2
        seen.add("empty" if n == 0 else "full" if labels.all() else "one" if n == 1 else "several")
        nothing = np.zeros_like(labels)
        figures = [figures_of([found(*pair, (1,))], 1, "0.5") for pair in ((labels, labels),)]
        figures += [figures_of([found(labels, nothing, (1,))], 1, "any")]
        figures += [figures_of([found(nothing, labels, (1,))], 1, "any")]
        assert [one.words for one in figures] == [
            f"{n} found · 0 missed · 0 spurious",
            f"0 found · {n} missed · 0 spurious",
            f"0 found · 0 missed · {n} spurious",
        ]
        assert figures[0].sensitivity == (1.0 if n else None)
        assert figures[2].sensitivity is None
        assert figures[2].false_positives_per_case == n
        assert all(one.iou == 1.0 and one.partners == (one.number,) for one in lesions)
        assert sum(one.voxels for one in lesions) == 2 * int(labels.sum())
    assert {"one", "several"} <= seen


@pytest.mark.parametrize("turn", ["as files are read", "flipped", "other type"])
def test_orientation_and_type_do_not_matter(maps, turn):
    plain = lesions_of(*maps, (2,), SPACING)
    turns = {
        "as files are read": lambda a: np.ascontiguousarray(a.T).T,
        "flipped": lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1],
        "other type": lambda a: a.astype(np.int64),
    }
    turned = lesions_of(*(turns[turn](one) for one in maps), (2,), SPACING)
    for one, other in zip(plain.lesions, turned.lesions, strict=True):
        assert (one.voxels, one.iou, one.source) == (other.voxels, other.iou, other.source)
    for one in turned.lesions:
        own = maps[("reference", "prediction").index(one.source)]
        assert own[one.point] == 2
        assert turned.lesion_at(2, one.source, one.point) is one
        assert all(e.start <= p < e.stop for e, p in zip(one.box, one.point, strict=True))
    assert turned.lesion_at(2, "reference", (0, 11, 19)) is None


def test_ignored_voxels_belong_to_no_lesion():
    reference, prediction = np.zeros((2, 1, 2, 9), np.uint8)
    reference[0, 0, :] = [2, 2, 9, 9, 2, 0, 0, 9, 0]
    prediction[0, 0, :] = [2, 2, 2, 2, 0, 0, 0, 2, 0]
    first, second, predicted = found(reference, prediction, ignore=9)
    assert (first.iou, second.iou, predicted.iou) == (1.0, 0.0, 1.0)


def test_two_dimensions_and_other_shapes():
    reference = np.zeros((4, 5), np.uint8)
    reference[1:3, 1:4] = 2
    (one, other) = lesions_of(reference, reference, (2,), (1.0, 2.0)).lesions
    assert (len(one.point), len(one.box), other.ml) == (2, 2, pytest.approx(6 * 0.002))
    with pytest.raises(GridMismatch):
        found(np.zeros((1, 2, 3), np.uint8), np.zeros((1, 2, 4), np.uint8))


def test_confidence_is_mean_and_highest_probability_of_the_class(maps):
    made = lesions_of(*maps, (2,), SPACING)
    shares = np.zeros((3, *maps[0].shape))
    shares[2, 5, 9, 12:15] = 0.1, 0.2, 0.6
    shares[2, 4, 0, 15:17] = 0.9
    values = shares[(made.classes(), *made.places())]
    lesions = made.with_confidence(values).lesions
    assert (lesions[3].confidence, lesions[3].highest) == (pytest.approx(0.3), 0.6)
    assert (lesions[7].confidence, lesions[7].highest) == (0.9, 0.9)
    figures = figures_of([lesions], 2, "any")
    assert (figures.almost, figures.blind) == (1, 0)
    unknown = made.with_confidence(np.full(values.size, np.nan)).lesions
    assert all(one.confidence is None and one.highest is None for one in unknown)


def brute_force(reference, prediction, value):
    """Label both maps with cc3d and compare whole volumes."""
    import cc3d

    parts = [
        cc3d.connected_components(one == value, connectivity=26) for one in (reference, prediction)
    ]
    answers = []
    for own, other in (parts, parts[::-1]):
        for number in range(1, int(own.max()) + 1):
            mine = own == number
            touching = np.isin(other, [n for n in np.unique(other[mine]) if n])
            union = mine | touching
            answers.append((int(mine.sum()), float((mine & touching).sum() / union.sum())))
    return sorted(answers)


@pytest.mark.parametrize("seed", range(4))
def test_equals_whole_volumes_compared(seed):
    rng = np.random.default_rng(seed)
    shape = (7, 11, 13)
    reference = rng.choice(3, shape, p=[0.75, 0.15, 0.1]).astype(np.uint8)
    kept = rng.random(shape) < 0.7
    prediction = np.where(kept, reference, rng.choice(3, shape, p=[0.9, 0.05, 0.05])).astype(
        np.uint8
    )
    for value in (1, 2):
        lesions = found(reference, prediction, (value,))
        assert sorted((one.voxels, one.iou) for one in lesions) == brute_force(
            reference, prediction, value
        )


def test_recall_by_size():
    reference, prediction = np.zeros((2, 3, 10, 60), np.uint8)
    reference[0, 0, :5] = 2  # 0.05 ml, missed
    reference[0, 4, :10] = 2  # exactly 0.1 ml: in the bin that begins there; a fifth found
    prediction[0, 4, :2] = 2
    reference[0, 8, :40] = 2  # 0.4 ml, found
    prediction[0, 8, :40] = 2
    bins = by_size([found(reference, prediction), ()], 2)
    assert [one.words for one in bins] == ["below 0.1 ml", "0.1 to 0.5 ml"]
    assert [[one.recall(match) for match in MATCHES] for one in bins] == [[0, 0, 0], [1, 1, 0.5]]
    (only,) = by_size([found(reference, prediction)], 2, edges_ml=())
    assert (only.words, only.lesions) == ("any size", 3)
    assert by_size([()], 2) == ()
    with pytest.raises(BadInput, match="ascending"):
        LesionQuestion(bins_ml=(2.0, 1.0))
    with pytest.raises(BadInput, match="background"):
        LesionQuestion(classes=(0,))


def test_diameter_of_a_sphere():
    lesion = found(*([np.full((1, 5, 10), 2, np.uint8)] * 2))[0]
    assert lesion.ml == pytest.approx(0.5)
    assert lesion.diameter_mm == pytest.approx(2 * (500 * 3 / 4 / math.pi) ** (1 / 3))
