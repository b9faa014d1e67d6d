import numpy as np
import pytest

from napari_unet_mic.errors import BadInput, GridMismatch, UnknownClass
from napari_unet_mic.evaluation.confusion import (
    code_array,
    code_dtype,
    confusion_table,
    ignored_code,
    table_of_codes,
)

REFERENCE = np.array([[[0, 0, 1], [1, 2, 2]]])
PREDICTION = np.array([[[0, 1, 1], [1, 1, 2]]])
TABLE = [[1, 1, 0], [0, 2, 0], [0, 1, 1]]


def slow_table(reference, prediction, n_classes):
    table = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(table, (reference.ravel(), prediction.ravel()), 1)
    return table


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint16])
def test_counts_every_pair_of_classes(dtype):
    table = confusion_table(REFERENCE.astype(dtype), PREDICTION.astype(np.int16), 3)
    assert table.tolist() == TABLE
    assert table.dtype == np.int64


@pytest.mark.parametrize("n_classes", [2, 3, 15, 16, 100, 255])
def test_equals_a_slow_count_for_few_and_many_classes(n_classes):
    rng = np.random.default_rng(n_classes)
    reference = rng.integers(0, n_classes, (70, 71, 67)).astype(np.uint16)
    prediction = rng.integers(0, n_classes, (70, 71, 67)).astype(np.uint8)
    table = confusion_table(reference, prediction, n_classes)
    assert np.array_equal(table, slow_table(reference, prediction, n_classes))


def test_runs_of_background_are_counted_exactly():
    reference = np.zeros((3, 333, 331), np.uint8)
    prediction = reference.copy()
    reference[1, 100:103, 5:9] = 1
    prediction[1, 101:104, 5:9] = 2
    expected = [[reference.size - 16, 0, 4], [4, 0, 8], [0, 0, 0]]
    assert confusion_table(reference, prediction, 3).tolist() == expected


def test_a_transposed_and_flipped_view_counts_the_same():
    rng = np.random.default_rng(1)
    reference, prediction = rng.integers(0, 3, (2, 20, 30, 40)).astype(np.uint8)
    expected = confusion_table(reference, prediction, 3)
    turned = (slice(None, None, -1), slice(None), slice(None, None, -1))
    views = [array.transpose(2, 0, 1)[turned] for array in (reference, prediction)]
    assert np.array_equal(confusion_table(*views, 3), expected)
    assert np.array_equal(confusion_table(views[0], views[1].copy(), 3), expected)
    codes = code_array(*views, 3)
    assert np.array_equal(codes, views[0] * 3 + views[1])


def test_ignored_voxels_enter_no_table_whatever_was_predicted_there():
    reference = np.array([0, 1, 2, 2], np.uint8)
    prediction = np.array([0, 1, 1, 2], np.uint8)
    assert confusion_table(reference, prediction, 2, ignore=2).tolist() == [[1, 0], [0, 1]]
    codes = code_array(reference, prediction, 2, ignore=2)
    assert codes.tolist() == [0, 3, 255, 255]
    assert table_of_codes(codes, 2).sum() == 2


def test_empty_masks_and_empty_arrays():
    empty = np.zeros((2, 3, 4), np.uint8)
    assert confusion_table(empty, empty, 2).tolist() == [[24, 0], [0, 0]]
    assert confusion_table(empty[:0], empty[:0], 2).sum() == 0


def test_codes_are_bytes_up_to_fifteen_classes():
    assert code_dtype(15) == np.uint8
    assert code_dtype(16) == np.uint16
    assert ignored_code(15) == 255 > 15 * 15 - 1
    assert ignored_code(255) == 65535 > 255 * 255 - 1


def test_table_of_codes_is_the_confusion_table():
    assert table_of_codes(code_array(REFERENCE, PREDICTION, 3), 3).tolist() == TABLE


@pytest.mark.parametrize(
    ("value", "dtype"), [(3, np.uint8), (-1, np.int16), (100000, np.int32)], ids=str
)
def test_an_unknown_value_is_named(value, dtype):
    bad = REFERENCE.astype(dtype)
    bad[0, 0, 0] = value
    with pytest.raises(UnknownClass, match=f"p.nii.gz.*0 to 2.*value {value}"):
        confusion_table(REFERENCE, bad, 3, names=("r.nii.gz", "p.nii.gz"))


def test_other_shapes_and_floats_and_numbered_objects_are_refused():
    with pytest.raises(GridMismatch, match=r"\(1, 2, 3\).*\(2, 3\)"):
        confusion_table(REFERENCE, PREDICTION[0], 3)
    with pytest.raises(BadInput, match="float64"):
        confusion_table(REFERENCE, PREDICTION.astype(float), 3)
    with pytest.raises(BadInput, match="1 to 255 classes"):
        confusion_table(REFERENCE, PREDICTION, 256)
