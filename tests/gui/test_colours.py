"""Colours are fixed, distinct for all eyes, and the background stays out of the way."""

import itertools

import numpy as np
import pytest

from napari_unet_mic.gui import colours
from napari_unet_mic.gui.colour_vision import EYES, ciede2000, seen


def least_apart(shown: list[colours.RGBA]) -> dict[str, float]:
    """Smallest CIEDE2000 difference of any two colours, for every kind of eyes."""
    looks = seen([colour[:3] for colour in shown])
    one, other = np.triu_indices(len(shown), 1)
    return {
        name: float(ciede2000(looks[one, eye], looks[other, eye]).min())
        for eye, name in enumerate(EYES)
    }


def pairs_of(n_classes: int) -> list[tuple[int, int]]:
    return [p for p in itertools.product(range(n_classes), repeat=2) if p[0] != p[1]]


def test_first_class_colours_are_okabe_and_ito() -> None:
    assert [colours.hexadecimal(colours.class_colour(v)) for v in (1, 2, 7)] == [
        "#e69f00",
        "#56b4e9",
        "#cc79a7",
    ]


@pytest.mark.parametrize("n_classes", [2, 3, 5, 6, 11, 25, 100], ids=str)
def test_every_pair_has_its_own_colour(n_classes: int) -> None:
    pairs = pairs_of(n_classes)
    assert len({colours.pair_colour(*pair, n_classes) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("n_classes", "normal", "colour_blind"),
    [(2, 30, 30), (3, 15, 12), (4, 12, 8), (5, 9, 6)],
    ids=str,
)
def test_pairs_and_classes_look_different_to_all_eyes(
    n_classes: int, normal: float, colour_blind: float
) -> None:
    shown = [colours.pair_colour(*pair, n_classes) for pair in pairs_of(n_classes)]
    shown += [colours.class_colour(value) for value in range(1, n_classes)]
    apart = least_apart(shown)
    assert apart.pop("normal") > normal
    assert min(apart.values()) > colour_blind


@pytest.mark.parametrize("n_classes", [6, 11, 26])
def test_with_many_classes_those_of_a_row_or_column_look_different(n_classes: int) -> None:
    def colour(true: int, predicted: int) -> colours.RGBA:
        return colours.pair_colour(true, predicted, n_classes)

    for one in range(n_classes):
        others = [other for other in range(n_classes) if other != one]
        for line in ([colour(one, o) for o in others], [colour(o, one) for o in others]):
            apart = least_apart(line)
            assert apart["normal"] > 4
            assert min(apart.values()) > 2  # more than what can just be noticed
        for other in others:
            assert least_apart([colour(one, other), colour(other, one)])["normal"] > 3


@pytest.mark.parametrize(
    ("n_classes", "normal", "colour_blind"), [(25, 9, 5.5), (100, 4, 2.2)], ids=str
)
def test_many_classes_look_different_neighbours_above_all(
    n_classes: int, normal: float, colour_blind: float
) -> None:
    shown = [colours.class_colour(value) for value in range(1, n_classes + 1)]
    apart = least_apart(shown)
    assert apart.pop("normal") > normal
    assert min(apart.values()) > colour_blind
    neighbours = [least_apart(list(two)) for two in itertools.pairwise(shown)]
    assert min(two["normal"] for two in neighbours) > 12
    assert min(min(two.values()) for two in neighbours) > 7.5


def test_no_colour_is_lost_in_a_grey_image() -> None:
    shown = [colours.class_colour(v) for v in range(1, 101)]
    shown += [colours.pair_colour(*pair, 3) for pair in pairs_of(3)]
    assert min(max(colour[:3]) - min(colour[:3]) for colour in shown) > 0.2


def test_a_thousand_classes_have_colours() -> None:
    shown = {colours.class_colour(value) for value in range(1, 1001)}
    assert len(shown) == 1000


def test_pairs_take_no_class_colour_up_to_48_classes() -> None:
    for n_classes in (3, 6, 26, 48):
        classes = {colours.class_colour(value) for value in range(1, n_classes)}
        assert classes.isdisjoint(colours.pair_colour(*p, n_classes) for p in pairs_of(n_classes))


def test_layers_show_no_background() -> None:
    assert colours.layer_colours([0, 1])[0] == (0, 0, 0, 0)


def test_states_of_a_second_prediction_look_different_to_all_eyes() -> None:
    from napari_unet_mic.gui.difference_view import STATE_COLOURS

    apart = least_apart(list(STATE_COLOURS.values()))
    assert apart.pop("normal") > 30
    assert min(apart.values()) > 20
    with_classes = [*STATE_COLOURS.values(), *(colours.class_colour(value) for value in (1, 2, 3))]
    assert min(least_apart(with_classes).values()) > 8
