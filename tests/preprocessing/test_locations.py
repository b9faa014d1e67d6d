"""Class locations, drawn as nnU-Net draws them."""

import numpy as np

from napari_unet_mic.preprocessing.locations import ANNOTATED, sample_locations


def test_every_voxel_of_a_small_class_is_drawn_once() -> None:
    labels = np.zeros((2, 3, 4), dtype=np.int16)
    labels[1, 2, 1:] = 2
    found = sample_locations(labels, [1, 2])
    assert found[1].shape == (0, 3)
    assert sorted(found[2].tolist()) == [[1, 2, 1], [1, 2, 2], [1, 2, 3]]


def test_a_large_class_gives_ten_thousand_or_one_percent() -> None:
    assert len(sample_locations(np.ones((30, 30, 30), np.int16), [1])[1]) == 10_000
    assert len(sample_locations(np.ones((12, 300, 300), np.int16), [1])[1]) == 10_800


def test_the_draw_is_nnunets() -> None:
    labels = np.zeros((30, 30, 30), dtype=np.int16)
    labels[:20] = 1
    labels[20:] = 3
    found = sample_locations(labels, [1, 3])
    random = np.random.RandomState(1234)
    first = np.argwhere(labels == 1)[random.choice(18_000, 10_000, replace=False)]
    then = np.argwhere(labels == 3)[random.choice(9_000, 9_000, replace=False)]
    np.testing.assert_array_equal(found[1], first)
    np.testing.assert_array_equal(found[3], then)


def test_annotated_voxels_leave_out_the_ignored() -> None:
    labels = np.array([[[-1, 0, 1, 2]]], dtype=np.int16)  # 2 is the ignore value
    found = sample_locations(labels, [1], annotated=True)
    assert sorted(found[ANNOTATED].tolist()) == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]
