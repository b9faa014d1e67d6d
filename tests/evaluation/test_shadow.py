import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet_mic.errors import GridMismatch, UnknownClass
from napari_unet_mic.evaluation.confusion import code_array, confusion_table
from napari_unet_mic.evaluation.shadow import Shadow


def maps(n_classes=4, shape=(9, 10, 11)):
    return np.random.default_rng(3).integers(0, n_classes, (2, *shape)).astype(np.uint8)


@pytest.mark.parametrize("in_box", [True, False], ids=["box", "whole"])
def test_a_look_brings_codes_and_table_up_to_date(in_box):
    reference, prediction = maps()
    shadow = Shadow.of(reference, prediction, 4, ignore=3)
    box = (slice(2, 5), slice(1, 4), slice(0, 6))
    prediction[box] = 1
    reference[3, 2, 2] = 3
    assert shadow.look(reference, prediction, box=box if in_box else None)
    assert not shadow.look(reference, prediction)
    assert np.array_equal(shadow.table, confusion_table(reference, prediction, 4, ignore=3))
    assert np.array_equal(shadow.codes, code_array(reference, prediction, 4, ignore=3))


def test_a_look_beside_the_change_sees_nothing_and_the_next_one_sees_it():
    reference, prediction = maps()
    shadow = Shadow.of(reference, prediction, 4)
    prediction[8] = (prediction[8] + 1) % 4
    assert not shadow.look(reference, prediction, box=(slice(0, 8), slice(None), slice(None)))
    assert shadow.look(reference, prediction)
    assert np.array_equal(shadow.table, confusion_table(reference, prediction, 4))


def test_touched_classes_are_those_that_lost_or_won_voxels():
    reference = np.zeros((2, 3, 4), np.uint8)
    reference[0], reference[1, 0] = 1, 5
    shadow = Shadow.of(reference, reference.copy(), 7)
    prediction = reference.copy()
    prediction[0, 0, 0], prediction[0, 0, 1] = 4, 1
    shadow.look(reference, prediction)
    assert shadow.take_touched() == {1, 4}
    assert shadow.take_touched() == set()
    # as many voxels lost as won: the table is the same, the classes are touched all the same
    prediction[0, 0, 0], prediction[0, 0, 1] = 1, 4
    before = shadow.table
    shadow.look(reference, prediction)
    assert np.array_equal(shadow.table, before)
    assert shadow.take_touched() == {1, 4}


def test_other_shapes_and_values_are_refused_and_a_new_count_helps():
    reference, prediction = maps()
    shadow = Shadow.of(reference, prediction, 4)
    with pytest.raises(GridMismatch, match=r"shape \(9, 10, 11\) as before"):
        shadow.look(reference, prediction[:5])
    prediction[4, 4, 4] = 9
    with pytest.raises(UnknownClass, match="value 9"):
        shadow.look(reference, prediction)
    assert np.array_equal(
        Shadow.of(reference, prediction, 10).table, confusion_table(reference, prediction, 10)
    )


class Lazy:
    """An array that can only be indexed, and counts the voxels handed out at once."""

    def __init__(self, array):
        self.array, self.shape, self.most = array, array.shape, 0

    def __getitem__(self, index):
        part = self.array[index]
        self.most = max(self.most, part.size)
        return np.array(part)


def test_what_is_no_array_is_read_a_few_slices_at_a_time(monkeypatch):
    monkeypatch.setattr("napari_unet_mic.evaluation.shadow.SLAB_VOXELS", 10)
    reference, prediction = maps()
    shadow = Shadow.of(reference, prediction, 4)
    prediction[::2] = 0
    lazy = Lazy(prediction)
    assert shadow.look(reference, lazy)
    assert np.array_equal(shadow.table, confusion_table(reference, prediction, 4))
    assert lazy.most <= 160


LAYOUTS = {
    "as is": lambda a: a.copy(),
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "flipped": lambda a: np.ascontiguousarray(a[::-1, :, ::-1])[::-1, :, ::-1],
    "int32": lambda a: a.astype(np.int32),
    "int64 in another order": lambda a: a.astype(np.int64, order="F"),
}


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    layouts=st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 2),
    n_classes=st.sampled_from([2, 15, 16, 40]),
    ignore=st.sampled_from([None, 1]),
)
def test_after_any_writes_the_table_is_a_full_recount(seed, layouts, n_classes, ignore):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, 3))
    pair = [LAYOUTS[name](rng.integers(0, n_classes, shape).astype(np.uint8)) for name in layouts]
    shadow = Shadow.of(*pair, n_classes, ignore)
    for _ in range(20):
        box = tuple(slice(*sorted(rng.integers(0, size + 1, 2))) for size in shape)
        pair[rng.integers(2)][box] = rng.integers(n_classes)
        shadow.look(*pair, box=box if rng.random() < 0.7 else None)
        assert np.array_equal(shadow.table, confusion_table(*pair, n_classes, ignore))
    assert np.array_equal(shadow.codes, code_array(*pair, n_classes, ignore))


def test_looks_in_several_threads_at_once_count_every_voxel_once():
    reference, prediction = maps(shape=(64, 64, 200))
    shadow = Shadow.of(reference, prediction, 4)
    rng = np.random.default_rng(7)
    stop = threading.Event()

    def keep_looking():
        while not stop.is_set():
            shadow.look(reference, prediction)

    threads = [threading.Thread(target=keep_looking) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        z, y, x = (int(rng.integers(0, size - 9)) for size in reference.shape)
        box = (slice(z, z + 9), slice(y, y + 9), slice(x, x + 9))
        (reference, prediction)[rng.integers(2)][box] = rng.integers(4)
        shadow.look(reference, prediction, box=box)
    stop.set()
    for thread in threads:
        thread.join()
    shadow.look(reference, prediction)
    assert np.array_equal(shadow.table, confusion_table(reference, prediction, 4))
