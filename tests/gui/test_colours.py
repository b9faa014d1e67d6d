"""Colours are fixed, distinct, and the background stays out of the way."""

import itertools

import pytest

from napari_unet_mic.gui import colours


def test_first_class_colours_are_okabe_and_ito() -> None:
    assert [colours.hexadecimal(colours.class_colour(v)) for v in (1, 2, 7)] == [
        "#e69f00",
        "#56b4e9",
        "#cc79a7",
    ]


@pytest.mark.parametrize("n_classes", [2, 3, 11, 25], ids=str)
def test_every_pair_has_its_own_colour(n_classes: int) -> None:
    pairs = [p for p in itertools.product(range(n_classes), repeat=2) if p[0] != p[1]]
    assert len({colours.pair_colour(*pair, n_classes) for pair in pairs}) == len(pairs)


def test_a_hundred_classes_are_distinct() -> None:
    shown = {colours.hexadecimal(colours.class_colour(value)) for value in range(101)}
    assert len(shown) == 101


def test_pairs_do_not_repeat_class_colours() -> None:
    classes = {colours.class_colour(v) for v in range(1, 4)}
    assert classes.isdisjoint({colours.pair_colour(1, 2, 4), colours.pair_colour(0, 3, 4)})


def test_layers_show_no_background() -> None:
    assert colours.layer_colours([0, 1])[0] == (0, 0, 0, 0)
