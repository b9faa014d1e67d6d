"""Distances of colours as published, and colours chosen to lie far apart."""

import numpy as np
import pytest

from napari_unet_mic.gui.colour_vision import EYES, ciede2000, farthest, seen


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # from the test data of Sharma, Wu and Dalal
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_differences_equal_the_published_ones(first: tuple, second: tuple, expected: float) -> None:
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(expected, abs=1e-4)


def test_grey_is_grey_to_all_eyes_and_red_is_not() -> None:
    grey, red = seen([[0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])
    assert np.abs(grey[:, 1:]).max() < 0.1
    assert red[0, 1] > 60
    assert abs(red[1, 1]) < 30  # a protanope sees little red in it


def test_chosen_colours_keep_away_from_what_is_there_and_from_each_other() -> None:
    start = [[1.0, 0.0, 0.0]]
    chosen = farthest(start, 4)
    together = seen(np.vstack([start, chosen]))
    for eye in range(len(EYES)):
        one, other = np.triu_indices(5, 1)
        assert ciede2000(together[one, eye], together[other, eye]).min() > 15
    assert farthest(start, 0).shape == (0, 3)
