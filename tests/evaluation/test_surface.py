"""MONAI is the oracle of HD95; values of DeepMind's surface-distance 0.1 are written down."""

import itertools
import warnings

import numpy as np
import pytest

from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.evaluation.results import SurfaceScore
from napari_unet_mic.evaluation.surface import (
    hd95_mm,
    nearest_mm,
    surface_dice,
    surface_score,
    surface_scores,
)

TOLERANCES_MM = (0.0, 0.7, 1.0, 2.5)
GOLDEN = [
    (
        0,
        (12, 20, 24),
        (1, 1, 1),
        (0.820475636845831, 0.820475636845831, 0.98166913160151, 0.9999243510146915),
    ),
    (
        1,
        (12, 20, 24),
        (5, 0.7, 0.7),
        (0.8294856858383218, 0.9676401872394287, 0.9782733661568688, 0.9980223936762026),
    ),
    (
        2,
        (9, 30, 31),
        (2.5, 0.8, 1.3),
        (0.8240501312200785, 0.8240501312200785, 0.9319847178264072, 0.9980354855633636),
    ),
    (
        3,
        (40, 44),
        (1, 1),
        (0.6134686661280278, 0.6134686661280278, 0.8945278181880588, 0.971899364628324),
    ),
    (
        4,
        (40, 44),
        (0.5, 2.0),
        (0.6740425555295103, 0.8645511617727907, 0.9109727054663855, 0.993859319398222),
    ),
]
IDS = ["isotropic", "thick slices", "three spacings", "2-D", "2-D anisotropic"]


def blobs(seed, shape):
    """Two masks that mostly agree, from whole numbers only."""
    rng = np.random.default_rng(seed)
    common = rng.integers(-100, 100, shape)
    masks = []
    for _ in range(2):
        smooth = common + rng.integers(-60, 60, shape)
        for axis in range(len(shape)):
            smooth = sum(np.roll(smooth, shift, axis) for shift in (-1, 0, 1))
        masks.append(smooth > 60 * len(shape))
    return masks


def monai_hd95(reference, prediction, spacing):
    from monai.metrics import compute_hausdorff_distance

    one_hot = [mask[None, None].astype(np.float32) for mask in (prediction, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compute_hausdorff_distance(
            *one_hot, include_background=True, percentile=95, spacing=[float(s) for s in spacing]
        )
    return float(found)


@pytest.mark.parametrize(("seed", "shape", "spacing", "expected"), GOLDEN, ids=IDS)
def test_nsd_is_that_of_surface_distance(seed, shape, spacing, expected):
    masks = blobs(seed, shape)
    found = [surface_dice(*masks, spacing, tolerance) for tolerance in TOLERANCES_MM]
    assert found == pytest.approx(expected, abs=1e-9)
    assert surface_dice(*masks[::-1], spacing, 1.0) == pytest.approx(expected[2], abs=1e-9)


@pytest.mark.parametrize(("seed", "shape", "spacing", "expected"), GOLDEN, ids=IDS)
def test_hd95_is_that_of_monai(seed, shape, spacing, expected):
    masks = blobs(seed, shape)
    assert hd95_mm(*masks, spacing) == pytest.approx(monai_hd95(*masks, spacing), rel=1e-6)


def test_hd95_by_hand():
    """Two plates three slices of 5 mm apart: every distance is 15 mm."""
    reference = np.zeros((8, 6, 6), bool)
    prediction = reference.copy()
    reference[2], prediction[5] = True, True
    score = surface_score(reference, prediction, (5.0, 0.5, 2.0), tolerance_mm=14.9)
    assert score.hd95_mm == 15.0
    assert score.nsd is not None
    assert 0 < score.nsd < 1  # the plates' edges reach to the other's corners
    assert surface_score(reference, reference, (5.0, 0.5, 2.0)) == SurfaceScore(0.0, 1.0)


def test_the_larger_of_the_two_directions_counts():
    reference = np.zeros((1, 1, 60), bool)
    reference[..., :40] = True
    prediction = reference.copy()
    prediction[..., 50:55] = True
    spacing = (1.0, 1.0, 0.5)
    found = hd95_mm(reference, prediction, spacing)
    assert found == pytest.approx(monai_hd95(reference, prediction, spacing), rel=1e-6)
    assert found > 5.0


def test_a_tolerance_of_whole_voxels_is_met_exactly():
    places, others = np.array([[3, 7, 9]]), np.array([[3, 7, 12], [50, 50, 50]])
    assert nearest_mm(places, others, (1.0, 1.0, 0.7))[0] <= 0.7 * 3
    assert nearest_mm(places, others, (1.0, 1.0, 0.7), up_to_mm=0.7 * 3)[0] == 0.7 * 3
    assert nearest_mm(places, others, (1.0, 1.0, 0.7), up_to_mm=1.0)[0] == np.inf


EMPTY, FULL = np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), bool)


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        (EMPTY, EMPTY, SurfaceScore(None, None)),
        (FULL, EMPTY, SurfaceScore(None, 0.0)),
        (EMPTY, FULL, SurfaceScore(None, 0.0)),
        (FULL, FULL, SurfaceScore(0.0, 1.0)),
    ],
    ids=["both empty", "missed", "spurious", "same"],
)
def test_what_empty_masks_give(reference, prediction, expected):
    assert surface_score(reference, prediction, (5.0, 0.5, 2.0)) == expected
    labels = [mask.astype(np.uint8) for mask in (reference, prediction)]
    assert surface_scores(*labels, (0, 1), (5.0, 0.5, 2.0)) == {1: expected}


def test_classes_of_a_label_map_without_the_background_and_in_any_orientation():
    masks = np.array(blobs(5, (14, 18, 16)))
    others = np.array(blobs(6, (14, 18, 16))) & ~masks
    reference, prediction = (masks + 7 * others).astype(np.int32)
    spacing = (3.0, 0.5, 1.25)
    found = surface_scores(reference, prediction, (0, 1, 4, 7), spacing)
    assert list(found) == [1, 4, 7]
    assert found[4] == SurfaceScore()
    for value in (1, 7):
        expected = surface_score(reference == value, prediction == value, spacing)
        assert found[value].hd95_mm == pytest.approx(expected.hd95_mm)
        assert found[value].nsd == pytest.approx(expected.nsd)
    turned = [labels.transpose(1, 2, 0)[::-1, :, ::-1] for labels in (reference, prediction)]
    again = surface_scores(*turned, (1,), (0.5, 1.25, 3.0))
    assert again[1].hd95_mm == pytest.approx(found[1].hd95_mm)
    assert again[1].nsd == pytest.approx(found[1].nsd)


def test_ignored_voxels_belong_to_no_class():
    reference = np.zeros((3, 6, 6), np.uint8)
    reference[:, 2:4, 2:4] = 1
    prediction = reference.copy()
    reference[:, 5], prediction[:, 5] = 9, 1
    found = surface_scores(reference, prediction, (1,), (1, 1, 1), ignore=9)
    assert found == {1: SurfaceScore(0.0, 1.0)}


HIPPOCAMPUS = [
    ("hippocampus_020", 1, 0.903739729050322),
    ("hippocampus_020", 2, 0.9234435786356843),
    ("hippocampus_109", 1, 0.9604505726800722),
    ("hippocampus_109", 2, 0.9594758167072657),
]


@pytest.mark.parametrize(("name", "value", "nsd"), HIPPOCAMPUS)
def test_real_predictions(shared, hippocampus, name, value, nsd):
    folder = shared / "reference" / "nnunet_v2_hippocampus" / "predictions" / "mirrored"
    reference = read_labels(hippocampus / "labelsTr" / f"{name}.nii.gz")
    prediction = read_labels(folder / f"{name}.nii.gz")
    spacing = reference.spacing_mm
    score = surface_scores(reference.array, prediction.array, (value,), spacing)[value]
    assert score.nsd == pytest.approx(nsd, abs=1e-9)
    masks = reference.array == value, prediction.array == value
    assert score.hd95_mm == pytest.approx(monai_hd95(*masks, spacing), rel=1e-6)


TUMOURS = ("empty", "full", "one_voxel", "disconnected")
NSD_OF_TUMOURS = {
    frozenset(("full",)): 1.0,
    frozenset(("one_voxel",)): 1.0,
    frozenset(("disconnected",)): 1.0,
    frozenset(("full", "one_voxel")): 0.0,
    frozenset(("full", "disconnected")): 0.08431938143805746,
    frozenset(("one_voxel", "disconnected")): 0.5,
}


@pytest.mark.parametrize(("one", "other"), list(itertools.product(TUMOURS, repeat=2)))
def test_real_degenerate_masks(shared, one, other):
    folder = shared / "data" / "sts_tumour" / "misc_images" / "uninformative" / "mask"
    masks = [read_labels(folder / f"{name}_mask.nii.gz").array > 0 for name in (one, other)]
    score = surface_score(*masks, (1.0, 1.0, 1.0))
    if "empty" in (one, other):
        assert score.hd95_mm is None
        assert score.nsd == (None if one == other else 0.0)
        return
    assert score.hd95_mm == pytest.approx(monai_hd95(*masks, (1.0, 1.0, 1.0)), rel=1e-6)
    assert score.nsd == pytest.approx(NSD_OF_TUMOURS[frozenset((one, other))], abs=1e-9)


def test_real_spine_pair_of_fourteen_classes(shared):
    folder = shared / "data" / "panoptica_spine" / "semantic"
    reference, prediction = (read_labels(folder / name) for name in ("ref.nii.gz", "pred.nii.gz"))
    found = surface_scores(
        reference.array, prediction.array, (26, 41, 45, 60), reference.spacing_mm
    )
    expected = {26: 0.9727477705994088, 41: 0.9694709503161293}
    expected |= {45: 0.9779922599826637, 60: 0.4281721532746307}
    assert {value: score.nsd for value, score in found.items()} == pytest.approx(expected, abs=1e-6)
