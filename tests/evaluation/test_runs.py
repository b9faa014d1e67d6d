import cc3d
import numpy as np
import pytest

from napari_unet_mic.evaluation.runs import components


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.9])
@pytest.mark.parametrize("shape", [(9, 11, 13), (1, 20, 20), (15, 1, 7), (6, 5, 1)], ids=str)
def test_components_are_those_of_a_label_volume(shape, share):
    rng = np.random.default_rng(7)
    labels = rng.integers(1, 4, shape) * (rng.random(shape) < share)
    flat = np.flatnonzero(labels)
    found = components(flat, labels.ravel()[flat], shape)
    expected = cc3d.connected_components(labels.astype(np.uint8), connectivity=26).ravel()[flat]
    pairs = set(zip(found.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == len(set(found.tolist())) == len(set(expected.tolist()))


def test_the_end_of_a_row_does_not_touch_the_next_row():
    flat = np.array([3, 4, 9])  # rows of 5: 3 and 4 end the first, 9 ends the second
    assert components(flat, np.ones(3, int), (1, 2, 5)).tolist() == [0, 0, 0]
    flat = np.array([3, 4, 5])
    assert components(flat, np.ones(3, int), (1, 2, 5)).tolist() == [0, 0, 1]


def test_no_voxels():
    assert components(np.zeros(0, np.intp), np.zeros(0, int), (2, 3, 4)).size == 0
