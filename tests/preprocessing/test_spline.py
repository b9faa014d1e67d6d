"""One axis: the weights of scipy's zoom, as a band."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet_mic.preprocessing.spline import axis_operator, linear_corners, nearest_index

LENGTHS = [(1, 4), (2, 7), (3, 2), (5, 1), (13, 12), (16, 32), (41, 105), (90, 60), (7, 7)]


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize(("n_in", "n_out"), LENGTHS)
def test_axis_operator_is_scipys_zoom(n_in: int, n_out: int, order: int) -> None:
    line = np.random.default_rng(0).standard_normal(n_in)
    expected = ndimage.zoom(line, n_out / n_in, order=order, mode="nearest", grid_mode=True)
    operator = axis_operator(n_in, n_out, order)
    made = np.concatenate(
        [block.weights @ line[block.lower : block.upper] for block in operator.blocks]
    )
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_linear_weights_of_a_doubled_line() -> None:
    operator = axis_operator(2, 4, 1)
    assert operator.weights.tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    lower, fraction = linear_corners(2, 4)
    assert lower.tolist() == [0, 0, 0, 1]
    assert fraction.tolist() == [0, 0.25, 0.75, 0]


def test_nearest_rounds_halves_up() -> None:
    assert nearest_index(4, 2).tolist() == [1, 3]
    assert nearest_index(2, 5).tolist() == [0, 0, 1, 1, 1]


def test_cubic_band_is_narrow() -> None:
    assert axis_operator(512, 532, 3).weights.shape[1] < 40


def test_same_length_is_the_identity() -> None:
    assert axis_operator(9, 9, 3).is_identity
    assert not axis_operator(9, 8, 0).is_identity


def test_some_rows_need_some_voxels() -> None:
    rows = axis_operator(10, 20, 1).rows(8, 12)
    lower, upper = rows.needs
    assert (lower, upper) == (3, 7)
    line = np.arange(10.0)
    whole = axis_operator(10, 20, 1).blocks[0].weights @ line
    part = rows.shifted(lower, upper).blocks[0].weights @ line[lower:upper]
    np.testing.assert_allclose(part, whole[8:12])


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order 2"):
        axis_operator(4, 5, 2)
