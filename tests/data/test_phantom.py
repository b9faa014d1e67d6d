import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label

from napari_unet_mic.data.dataset import load_case, open_dataset
from napari_unet_mic.data.phantom import (
    imperfect_prediction,
    liver_case,
    prostate_case,
    write_liver,
    write_prostate,
)
from napari_unet_mic.data.volume import Volume, display_of
from napari_unet_mic.errors import BadInput

SMALL = (12, 32, 32)


def is_oblique(volume: Volume) -> bool:
    return bool((np.abs(volume.affine[:3, :3]) > 1e-6).sum() > 3)


@pytest.mark.parametrize("make", [liver_case, prostate_case])
def test_a_seed_is_a_case(make: type) -> None:
    image, reference = make(3, SMALL)
    again, same = make(3, SMALL)
    np.testing.assert_array_equal(image.array, again.array)
    np.testing.assert_array_equal(reference.array, same.array)
    np.testing.assert_array_equal(image.affine, again.affine)
    assert not np.array_equal(image.array, make(4, SMALL)[0].array)


def test_the_liver_is_a_ct_with_tumours_of_very_different_sizes() -> None:
    image, reference = liver_case(4)
    assert image.array.shape == (1, 48, 96, 96)
    assert (image.array.dtype, reference.array.dtype) == (np.int16, np.uint8)
    assert image.spacing_mm[0] > 1.2 * image.spacing_mm[1]
    hu = image.array[0]
    means = [float(hu[reference.array == value].mean()) for value in range(3)]
    assert means[1] - means[2] > 30  # hypodense
    assert 60 < means[1] < 130
    assert hu.min() <= -1000
    assert hu.max() > 200  # bone
    parts, n = label(reference.array == 2)
    volumes_ml = np.sort(np.bincount(parts.ravel())[1:] * image.voxel_ml)
    assert n >= 3
    assert volumes_ml[0] < 0.2
    assert volumes_ml[-1] > 10


def test_some_livers_have_no_tumour_and_some_files_are_oblique() -> None:
    references = [liver_case(seed, SMALL)[1] for seed in range(7)]
    assert [int((r.array == 2).any()) for r in references] == [1, 1, 1, 1, 1, 0, 1]
    assert [is_oblique(r) for r in references] == [False, False, True, False, False, True, False]


def test_the_prostate_has_two_zones_on_two_channels() -> None:
    image, reference = prostate_case(1)
    assert image.array.shape == (2, 48, 96, 96)
    assert image.array.dtype == np.float32
    assert image.spacing_mm[0] > 2.5 * image.spacing_mm[2]
    t2, adc = image.array
    pz, tz = reference.array == 1, reference.array == 2
    assert t2[pz].mean() > 1.3 * t2[tz].mean()
    assert adc[pz].mean() > 1.1 * adc[tz].mean()
    assert 5 < pz.sum() * image.voxel_ml < 100
    assert min(image.array.min(), 0) == 0
    assert is_oblique(image)
    shown = display_of(image).view(reference.array)
    assert np.argwhere(shown == 2)[:, 1].mean() < np.argwhere(shown == 1)[:, 1].mean()  # anterior


@pytest.mark.parametrize(
    ("write", "channels", "names"),
    [
        (write_liver, 1, {0: "background", 1: "liver", 2: "cancer"}),
        (write_prostate, 2, {0: "background", 1: "PZ", 2: "TZ"}),
    ],
    ids=["liver", "prostate"],
)
def test_written_datasets_open(
    tmp_path: Path, write: type, channels: int, names: dict[int, str]
) -> None:
    folder = tmp_path / "phantom"
    write(folder, 4, SMALL, n_test=1)
    write(folder, 4, SMALL, n_test=1)  # once more in the same place
    dataset = open_dataset(folder)
    assert dataset.classes == names
    assert len(dataset.training) == 3
    assert len(dataset.test) == 1
    assert len({case.name for case in dataset.cases}) == 4
    for case in dataset.cases:
        image, reference = load_case(dataset, case)
        assert image.n_channels == channels
        assert reference is not None
        assert (reference.array == 1).any()


def test_a_dataset_without_test_set(tmp_path: Path) -> None:
    write_liver(tmp_path / "phantom", 2, (6, 12, 12), n_test=0)
    assert len(open_dataset(tmp_path / "phantom").training) == 2


def test_another_dataset_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "Liver"}))
    with pytest.raises(BadInput, match="another dataset"):
        write_liver(tmp_path, 1, SMALL)
    assert json.loads((tmp_path / "dataset.json").read_text()) == {"name": "Liver"}
    with pytest.raises(BadInput, match="0 to 2 test cases"):
        write_liver(tmp_path / "new", 2, SMALL, n_test=3)


def iou(reference: Volume, prediction: Volume, value: int) -> float:
    a, b = reference.array == value, prediction.array == value
    return float((a & b).sum() / (a | b).sum())


def test_imperfect_predictions_have_every_kind_of_mistake() -> None:
    _, reference = liver_case(4)
    prediction = imperfect_prediction(reference, seed=1)
    np.testing.assert_array_equal(prediction.array, imperfect_prediction(reference, seed=1).array)
    assert prediction.array.dtype == reference.array.dtype
    assert prediction.affine is reference.affine
    assert 0.8 < iou(reference, prediction, 1) < 0.98
    assert 0.3 < iou(reference, prediction, 2) < 0.9
    table = np.zeros((3, 3), int)
    np.add.at(table, (reference.array, prediction.array), 1)
    assert table[0, 1] > 0
    assert table[1, 0] > 0
    assert table[1, 2] > 0
    assert table[2, 1] > 0
    parts, n = label(reference.array == 2)
    found = [bool((prediction.array[parts == i] == 2).any()) for i in range(1, n + 1)]
    assert not all(found)  # the smallest was missed
    assert any(found)
    lesions, m = label(prediction.array == 2)
    spurious = [not (reference.array[lesions == i] == 2).any() for i in range(1, m + 1)]
    assert any(spurious)


def test_imperfect_predictions_of_little() -> None:
    empty = Volume.from_array(np.zeros((6, 8, 8), np.uint8), spacing_mm=(4.0, 1.0, 1.0))
    assert set(np.unique(imperfect_prediction(empty).array)) == {0, 1}
    full = Volume.from_array(np.ones((6, 8, 8), np.uint8), spacing_mm=(4.0, 1.0, 1.0))
    assert imperfect_prediction(full).array.mean() > 0.5
    one = empty.array.copy()
    one[3, 4, 4] = 2
    assert imperfect_prediction(Volume.from_array(one)).shape == (6, 8, 8)
    _, without = liver_case(5, SMALL)
    assert (imperfect_prediction(without, lesion_class=2).array == 2).any()
