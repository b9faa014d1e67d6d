import numpy as np

from napari_unet_mic.gui.growing_rows import FIRST_ROOM, GrowingRows


def test_columns_handed_out_stay_as_they_are():
    rows = GrowingRows(2)
    for n in range(3):
        rows.append((n, 10 * n))
    before = rows.column(1)

    for n in range(3, 3 * FIRST_ROOM):
        rows.append((n, 10 * n))
    rows.keep(rows.column(0) < 2)
    rows.append((7, 70))

    assert before.tolist() == [0, 10, 20]
    assert len(rows) == 3
    assert rows.column(1).tolist() == [0, 10, 70]


def test_keeping_nothing_leaves_an_empty_table():
    rows = GrowingRows(1)
    rows.append((1,))
    rows.keep(np.array([False]))

    assert rows.column(0).tolist() == []
