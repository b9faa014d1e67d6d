import json
from pathlib import Path

import numpy as np

from napari_unet_mic.data.crop import Box, box_of, crop_to_nonzero, nonzero_mask
from napari_unet_mic.data.dataset import load_case, open_dataset, value_counts
from napari_unet_mic.data.volume import read_image


def test_a_hole_is_filled_and_any_channel_counts() -> None:
    image = np.zeros((2, 5, 5, 6))
    image[0, 1:4, 1:4, 1:4] = 3
    image[0, 2, 2, 2] = 0  # a hole
    image[1, 2, 2, 4] = -1
    mask = nonzero_mask(image)
    assert mask[2, 2, 2]
    assert mask[2, 2, 4]
    assert mask.sum() == 28


def test_labels_outside_are_minus_one_where_background() -> None:
    image = np.zeros((1, 1, 3, 4))
    image[0, 0, 1, 1] = image[0, 0, 2, 2] = 5
    labels = np.zeros((1, 3, 4), np.uint8)
    labels[0, 1, 2] = 2  # a class outside the non-zero region stays
    cropped = crop_to_nonzero(image, labels)
    assert cropped.box == Box((0, 1, 1), (1, 3, 3))
    assert cropped.box.shape == (1, 2, 2)
    assert cropped.image.tolist() == [[[[5, 0], [0, 5]]]]
    assert cropped.labels.tolist() == [[[0, 2], [-1, 0]]]
    assert cropped.labels.dtype == np.int16
    assert labels[0, 1, 1] == 0
    assert crop_to_nonzero(image).labels.tolist() == [[[0, -1], [-1, 0]]]


def test_an_image_of_zeros_keeps_its_box() -> None:
    cropped = crop_to_nonzero(np.zeros((1, 2, 3, 4)), np.zeros((2, 3, 4), np.uint8))
    assert cropped.box == Box((0, 0, 0), (2, 3, 4))
    assert (cropped.labels == -1).all()


def test_boxes() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2, 3] = mask[2, 4, 0] = True
    assert box_of(mask) == Box((1, 2, 0), (3, 5, 4))
    assert mask[box_of(mask).slices].sum() == 2


def test_shapes_and_spacings_are_those_nnunet_wrote_down(shared: Path, hippocampus: Path) -> None:
    fingerprint = json.loads(
        next(
            (shared / "reference/nnunet_v2_hippocampus").glob("*/dataset_fingerprint.json")
        ).read_text()
    )
    dataset = open_dataset(hippocampus)
    for number in range(0, 200, 10):
        image, _ = load_case(dataset, dataset.training[number])
        box = crop_to_nonzero(image.array).box
        assert list(box.shape) == fingerprint["shapes_after_crop"][number]
        assert list(image.spacing_mm) == fingerprint["spacings"][number]


def test_the_box_of_a_real_two_channel_case(shared: Path) -> None:
    image = read_image(shared / "data/prostate_t2_adc/msd4d/prostatex_0001.nii.gz")
    reference = json.loads((shared / "reference/preprocessing/small.json").read_text())
    box = crop_to_nonzero(image.array).box
    expected = reference["prostate/ProstateX_0001"]["bbox"]
    assert [list(edges) for edges in zip(box.lower, box.upper, strict=True)] == expected


def test_minus_one_of_a_real_case_is_where_nnunet_has_it(shared: Path, hippocampus: Path) -> None:
    image, labels = load_case(open_dataset(hippocampus), "hippocampus_003")
    assert labels is not None
    reference = json.loads((shared / "reference/preprocessing/small.json").read_text())
    counts = reference["hippocampus/hippocampus_003"]["seg_counts"]
    found = value_counts(crop_to_nonzero(image.array, labels.array).labels)
    assert {str(value): count for value, count in found.items()} == counts
