import csv

import numpy as np
import pytest
from qtpy.QtGui import QImage

from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.curves_export import PIXELS_PER_POINT, figure_of, save_curves
from napari_unet_mic.gui.curves_figure import HEIGHT, WIDTH, ticks


@pytest.fixture
def runs(shot):
    return [("liver-a", shot()), ("liver <old>", shot())]


def test_the_figure_has_loss_above_and_iou_below(runs):
    figure = figure_of(runs)

    assert [quantity for quantity, _ in figure.plots] == ["loss", "iou"]
    assert figure.title == "liver-a, liver <old>"
    assert {line.run for _, lines in figure.plots for line in lines} == {0, 1}


def test_a_png_is_drawn_on_white(qapp, runs, tmp_path):
    file = save_curves(runs, tmp_path / "curves.png", smooth=3)

    image = QImage(str(file))
    assert (image.width(), image.height()) == (
        round(WIDTH * PIXELS_PER_POINT),
        round(HEIGHT * PIXELS_PER_POINT),
    )
    assert image.pixelColor(2, 2).name() == "#ffffff"
    colours = {
        image.pixelColor(x, y).name()
        for x in range(0, image.width(), 3)
        for y in range(0, image.height(), 3)
    }
    assert {"#56b4e9", "#e69f00"} <= colours  # training and validation
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_an_svg_can_be_read_on_its_own(qapp, runs, tmp_path):
    text = save_curves(runs, tmp_path / "curves.svg").read_text()

    assert text.lstrip().startswith("<?xml")
    for words in ("liver-a", "liver &lt;old&gt;", "epoch", "loss", "IoU", "validation"):
        assert f"{words}" in text, words


def test_numbers_are_one_row_an_epoch_of_every_run(runs, tmp_path):
    file = save_curves(runs, tmp_path / "curves.csv")

    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 6
    first = rows[0]
    assert (first["run"], first["epoch"], first["train loss"]) == ("liver-a", "1", "1")
    assert (first["IoU liver"], first["Dice cancer"]) == ("0.25", "0.142857")
    assert rows[1]["IoU cancer"] == ""  # absent in the second epoch
    assert rows[3]["run"] == "liver <old>"


def test_a_run_without_an_epoch_is_an_empty_figure(qapp, shot, tmp_path):
    nothing = (np.empty(0), np.empty(0))
    empty = shot(
        train_loss=nothing, validation_loss=nothing, iteration_loss=nothing, iou={}, dice={}
    )
    assert save_curves([("a", empty)], tmp_path / "a.png", log=True).stat().st_size > 0


def test_other_kinds_of_file_are_refused(runs, tmp_path):
    with pytest.raises(BadInput, match=r"\.png, \.svg or \.csv"):
        save_curves(runs, tmp_path / "curves.pdf")


def test_a_place_that_cannot_be_written_is_a_sentence(runs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="choose another folder"):
        save_curves(runs, tmp_path / "file" / "curves.csv")


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (-1.1, 0.3, [-1.0, -0.5, 0.0]),
        (0, 3, [0, 1, 2, 3]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low, high, wanted):
    assert ticks(low, high) == pytest.approx(wanted)
