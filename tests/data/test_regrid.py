"""Labels on another grid: by hand, and as nibabel does it where nothing is equally near."""

import nibabel
import numpy as np
import pytest
from nibabel.processing import resample_from_to

from napari_unet_mic.data.regrid import index_matrix, nearest_onto
from napari_unet_mic.errors import Cancelled


def scaled(*spacing, origin=None):
    matrix = np.diag([*map(float, spacing), 1.0])
    if origin is not None:
        matrix[:-1, -1] = origin
    return matrix


def moved(labels, of, to, shape, **more):
    return nearest_onto(labels, index_matrix(to, of), shape, **more)


def test_twice_as_fine_repeats_every_voxel():
    labels = np.array([[1, 2], [3, 4]], np.uint8)
    fine = moved(labels, scaled(2, 2), scaled(1, 1, origin=(-0.5, -0.5)), (4, 4))
    assert fine.tolist() == np.repeat(np.repeat(labels, 2, 0), 2, 1).tolist()
    assert fine.dtype == np.uint8


def test_outside_is_background_and_half_a_voxel_at_the_rim_is_inside():
    labels = np.array([[[5, 6, 7]]], np.int16)
    wider = moved(labels, scaled(5, 1, 1), scaled(5, 1, 1, origin=(0, 0, -2)), (1, 1, 7))
    assert wider.tolist() == [[[0, 0, 5, 6, 7, 0, 0]]]
    shifted = moved(labels, scaled(5, 1, 1), scaled(5, 1, 1, origin=(0, 0, -0.4)), (1, 1, 4))
    assert shifted.tolist() == [[[5, 6, 7, 0]]]
    nowhere = moved(labels, scaled(5, 1, 1), scaled(5, 1, 1, origin=(50, 0, 0)), (1, 1, 3))
    assert not nowhere.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_flips_and_permutations_are_exact(dtype):
    labels = np.random.default_rng(0).integers(0, 2, (3, 4, 5)).astype(dtype)
    of = scaled(5.0, 0.7, 0.9, origin=(3, -8, 11))
    turned = labels.transpose(2, 0, 1)[:, ::-1]
    to = of[:, [2, 0, 1, 3]].copy()
    to[:, 3] = of @ [2, 0, 0, 1]  # the flipped axis starts at its other end
    to[:, 1] *= -1
    found = moved(labels, of, to, turned.shape)
    assert np.array_equal(found, turned)
    assert found.dtype == dtype
    assert np.array_equal(moved(turned, to, of, labels.shape), labels)


def test_an_oblique_grid_as_nibabel_does_it():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, (12, 14, 10)).astype(np.uint8)
    angle = 0.3
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    of, to = scaled(1.1, 0.9, 2.0), turn @ scaled(0.8, 0.83, 1.7, origin=(0.21, -0.13, 0.4))
    found = moved(labels, of, to, (13, 15, 11))
    theirs = resample_from_to(nibabel.Nifti1Image(labels, of), ((13, 15, 11), to), order=0)
    places = index_matrix(to, of)[:3] @ np.vstack(
        [np.indices(found.shape).reshape(3, -1), np.ones(found.size)]
    )
    inner = ((places > 0) & (places < np.array(labels.shape)[:, None] - 1)).all(axis=0)
    assert inner.sum() > 300
    theirs = np.asarray(theirs.dataobj).ravel()
    assert np.array_equal(found.ravel()[inner], theirs[inner])


def test_a_time_axis_stays_what_it_is():
    labels = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    matrix = np.eye(4)
    matrix[1, 1] = 0.5
    found = nearest_onto(labels, matrix, (2, 6, 4))
    assert np.array_equal(found[:, ::2], labels)


def test_where_two_are_equally_near_the_later_one_is_taken_everywhere():
    labels = np.arange(10)
    coarse = moved(labels, scaled(0.1), scaled(0.2, origin=(0.05,)), (5,))
    assert coarse.tolist() == [1, 3, 5, 7, 9]


def test_it_writes_into_a_view_and_can_be_stopped():
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    base = np.zeros((4, 3), np.uint8)
    nearest_onto(labels, np.eye(3), (3, 4), out=base.T)
    assert np.array_equal(base.T, labels)
    turn = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    with pytest.raises(Cancelled):
        nearest_onto(labels, turn, (3, 4), should_stop=lambda: True)
