"""Two predictions of one reference, small enough to be counted by eye."""

import numpy as np
import pytest

from napari_unet_mic.errors import GridMismatch, UnknownClass
from napari_unet_mic.evaluation.difference import (
    BROKEN,
    FIXED,
    STILL_WRONG,
    DifferenceShadow,
    difference_code,
    difference_table,
)
from napari_unet_mic.evaluation.difference_regions import difference_regions

#                     right  fixed  broken  still, the same and another way
REFERENCE = np.array([[[1, 2, 0, 1, 1, 2, 2, 1, 2]]], np.uint8)
FIRST = np.array([[[1, 2, 2, 0, 1, 2, 2, 2, 0]]], np.uint8)
SECOND = np.array([[[1, 2, 0, 1, 0, 1, 0, 2, 1]]], np.uint8)
COUNTED = [[0, 1, 0, 0], [1, 1, 1, 1], [1, 0, 2, 1]]


def test_states_are_counted_by_true_class():
    assert difference_table(REFERENCE, FIRST, SECOND, 3).tolist() == COUNTED


def test_an_ignored_voxel_is_in_no_state_and_empty_maps_give_zeros():
    found = difference_table(REFERENCE, FIRST, SECOND, 2, ignore=2)
    assert found.tolist() == COUNTED[:2]
    nothing = np.zeros((0, 3, 3), np.uint8)
    assert difference_table(nothing, nothing, nothing, 3).sum() == 0


def test_a_prediction_may_hold_classes_that_nobody_has():
    strange = np.full_like(FIRST, 200)
    table = difference_table(REFERENCE, strange, REFERENCE, 3)
    assert table[:, FIXED].tolist() == [1, 4, 4]
    assert table.sum() == table[:, FIXED].sum()


def test_other_shapes_and_unknown_true_classes_are_refused():
    with pytest.raises(GridMismatch, match="second prediction"):
        difference_table(REFERENCE, FIRST, SECOND[..., 1:], 3)
    with pytest.raises(UnknownClass, match="value 2"):
        difference_table(REFERENCE, FIRST, SECOND, 2)


@pytest.mark.parametrize("n_classes", [4, 15, 70], ids=str)
def test_a_look_follows_any_of_the_three_maps(n_classes):
    rng = np.random.default_rng(4)
    maps = list(rng.integers(0, 4, (3, 9, 10, 11)).astype(np.uint8))
    maps[1] = np.asfortranarray(maps[1])
    shadow = DifferenceShadow.of(*maps, n_classes, ignore=3)
    assert not shadow.look(*maps)
    for number, labels in enumerate(maps):
        labels[number : number + 3, 2:5, 1:4] = 1
        assert shadow.look(*maps)
        fresh = DifferenceShadow.of(*maps, n_classes, ignore=3)
        assert np.array_equal(shadow.codes, fresh.codes)
        assert np.array_equal(shadow.table, difference_table(*maps, n_classes, ignore=3))
        assert np.array_equal(shadow.table, fresh.table)


def test_regions_are_of_one_class_and_one_state_largest_first():
    reference = np.zeros((6, 8, 8), np.uint8)
    reference[:, 2:6, 2:6] = 1
    first, second = reference.copy(), reference.copy()
    first[1:3, 2:4, 2:4] = 0  # 8 voxels fixed
    second[4, 4:6, 4:6] = 0  # 4 broken
    first[0, 0, 0] = second[0, 0, 0] = 1  # 1 still wrong
    turned = [labels[:, ::-1, ::-1] for labels in (reference, first, second)]
    codes = DifferenceShadow.of(*turned, 2).codes
    wanted = {difference_code(true, state) for true in (0, 1) for state in (FIXED, BROKEN, 3)}
    made = difference_regions(codes, wanted, (5.0, 1.0, 1.0))
    found = [(one.voxels, one.true_class, one.predicted_class) for one in made.regions]
    assert found == [(8, 1, FIXED), (4, 1, BROKEN), (1, 0, STILL_WRONG)]
    fixed = made.regions[0]
    assert fixed.ml == pytest.approx(0.04)
    assert fixed.box == (slice(1, 3), slice(4, 6), slice(4, 6))
    assert made.mask(fixed).all()
    (only,) = difference_regions(codes, {difference_code(1, BROKEN)}, (5.0, 1.0, 1.0)).regions
    assert only.slice == 4
    flat = difference_regions(codes[4], {difference_code(1, BROKEN)}, (1.0, 1.0))
    assert [(one.voxels, one.slice, len(one.point)) for one in flat.regions] == [(4, 0, 2)]
    assert difference_regions(codes, set(), (5.0, 1.0, 1.0)).regions == ()
