import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, label

from napari_unet_mic.data.imperfect import resized_lesions
from napari_unet_mic.data.phantom import liver_case, planted_liver
from napari_unet_mic.data.tumours import nearest_voxels, tumours_of
from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import BadInput

SPACING = (4.0, 2.0, 1.0)  # a voxel is 0.008 ml
SIZES_ML = (0.05, 50.0, 1.5)


def n_parts(mask: np.ndarray) -> int:
    return int(label(mask, np.ones((3, 3, 3)))[1])


def test_tumours_have_their_volumes_in_the_order_asked_for() -> None:
    organ = np.ones((20, 40, 80), bool)
    rng = np.random.default_rng(0)
    small, large, one = tumours_of(rng, organ, SPACING, [0.05, 8.0, 0.001])
    assert [int(mask.sum()) for mask in (small, large, one)] == [6, 1000, 1]
    assert n_parts(small) == n_parts(large) == 1
    away_mm = distance_transform_edt(~large, sampling=SPACING)
    assert away_mm[small].min() > 7
    assert away_mm[one].min() > 7


def test_an_organ_without_room_is_refused() -> None:
    organ = np.zeros((6, 8, 8), bool)
    organ[1:5, 1:7, 1:7] = True
    rng = np.random.default_rng(0)
    with pytest.raises(BadInput, match=r"a tumour of 2 ml: expected room .* of 1 ml"):
        tumours_of(rng, organ, SPACING, [0.1, 2.0])
    with pytest.raises(BadInput, match="none beside 1 larger ones"):
        tumours_of(rng, organ, SPACING, [0.3, 0.3])
    assert tumours_of(rng, np.zeros_like(organ), SPACING, []) == []


@pytest.mark.parametrize("seed", [0, 2], ids=["straight", "oblique"])
def test_a_planted_liver_knows_its_tumours(seed: int) -> None:
    made = planted_liver(seed, SIZES_ML)
    tumours, reference = made.tumours, made.reference
    np.testing.assert_array_equal(tumours.array > 0, reference.array == 2)
    np.testing.assert_array_equal(tumours.affine, reference.affine)
    for number, size_ml in enumerate(SIZES_ML, 1):
        mask = tumours.array == number
        assert int(mask.sum()) == round(size_ml / reference.voxel_ml)
        assert n_parts(mask) == 1
    assert n_parts(reference.array == 2) == 3
    hounsfield = made.image.array[0]
    assert hounsfield[tumours.array == 2].mean() < hounsfield[reference.array == 1].mean() - 30


def test_the_patient_around_planted_tumours_is_the_seeds() -> None:
    _, reference = liver_case(1)
    made = planted_liver(1, SIZES_ML)
    np.testing.assert_array_equal(made.reference.array > 0, reference.array > 0)
    assert not planted_liver(5, SIZES_ML, (12, 32, 32)).tumours.array.any()


@pytest.fixture
def liver() -> tuple[Volume, Volume]:
    """A liver with a tumour of 3 x 3 x 3 voxels and one of a voxel; and their numbers."""
    numbers = np.zeros((7, 9, 9), np.uint8)
    numbers[1:4, 1:4, 1:4], numbers[5, 7, 7] = 1, 2
    labels = np.ones_like(numbers)
    labels[0] = 0
    labels[numbers > 0] = 2
    reference, lesions = (Volume.from_array(one, spacing_mm=SPACING) for one in (labels, numbers))
    return reference, lesions


@pytest.mark.parametrize(("share", "voxels"), [(0.0, 0), (0.25, 7), (1.0, 27), (1.5, 40)], ids=str)
def test_a_lesion_is_predicted_with_its_share(
    liver: tuple[Volume, Volume], share: float, voxels: int
) -> None:
    reference, lesions = liver
    prediction = resized_lesions(reference, lesions, {1: share})
    kept = (prediction.array == 2) & (lesions.array != 2)
    assert int(kept.sum()) == voxels
    assert n_parts(kept) == min(voxels, 1)
    shared = int((kept & (lesions.array == 1)).sum())
    assert shared == min(voxels, 27)
    assert prediction.array[5, 7, 7] == 2  # no rule: as it is
    np.testing.assert_array_equal(prediction.array > 0, reference.array > 0)
    assert prediction.affine is reference.affine


def test_a_lesion_grows_no_further_than_its_organ(liver: tuple[Volume, Volume]) -> None:
    reference, lesions = liver
    everything = resized_lesions(reference, lesions, {1: 1000.0}).array
    np.testing.assert_array_equal(everything == 2, reference.array > 0)


def test_nearest_voxels_are_nearest_in_millimetres() -> None:
    row = nearest_voxels(np.ones((3, 3, 5), bool), (1, 1, 2), SPACING, 5)
    assert np.argwhere(row).tolist() == [[1, 0, 2], [1, 1, 0], [1, 1, 1], [1, 1, 2], [1, 1, 3]]
    assert not nearest_voxels(row, (1, 1, 2), SPACING, 0).any()
