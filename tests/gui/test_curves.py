import numpy as np
import pytest

from napari_unet_mic.gui.curves import (
    TRAIN_COLOUR,
    legend_html,
    lines_of,
    runs_legend,
    smoothed,
)

X = np.array([1.0, 2.0, 3.0])


def names_of(lines, quantity):
    return [line.name for line in lines if line.quantity == quantity]


def test_lines_of_a_run_and_of_one_for_comparison(shot):
    lines = lines_of(shot())
    assert names_of(lines, "loss") == ["", "train", "validation"]
    assert names_of(lines, "iou") == names_of(lines, "dice") == ["liver", "cancer"]
    assert names_of(lines, "memory") == ["process"]

    other = lines_of(shot(gpu_memory_gb=(X, X)), run=1)
    assert names_of(other, "loss") == ["train", "validation"]
    assert names_of(other, "memory") == ["process", "graphics card"]
    assert {line.run for line in other} == {1}


def test_smoothed_curves_keep_what_was_measured_faint_behind_them(shot):
    lines = [line for line in lines_of(shot(), smooth=3) if line.quantity == "loss"]

    faint = [line for line in lines if line.faint]
    drawn = {line.name: line.curve[1].tolist() for line in lines if not line.faint}
    assert [line.curve[1].tolist() for line in faint][1:] == [[1.0, 0.5, -0.2], [1.2, 0.8, 0.6]]
    assert drawn["train"] == pytest.approx([0.75, 1.3 / 3, 0.15])
    assert not [line for line in lines_of(shot(), run=1, smooth=3) if line.faint]


@pytest.mark.parametrize(
    ("y", "n", "wanted"),
    [
        ([], 5, []),
        ([2.0], 5, [2.0]),
        ([0.0, 3.0, 6.0, 0.0], 3, [1.5, 3.0, 3.0, 3.0]),
        ([1.0, 2.0, 3.0], 99, [2.0, 2.0, 2.0]),
        ([1.0, 5.0], 1, [1.0, 5.0]),
    ],
)
def test_means_over_neighbours_are_of_fewer_points_at_the_ends(y, n, wanted):
    x = np.arange(len(y), dtype=float)

    assert smoothed((x, np.array(y)), n)[1].tolist() == pytest.approx(wanted)


def test_legend_names_each_curve_of_the_first_run_once(shot):
    lines = [line for line in lines_of(shot(), smooth=3) if line.quantity == "loss"]
    html = legend_html("Loss", [*lines, *lines_of(shot(), run=1)])

    assert html.count("━") == 2
    assert TRAIN_COLOUR in html


def test_a_curve_that_its_title_names_needs_no_legend(shot):
    lines = [line for line in lines_of(shot()) if line.quantity == "rate"]

    assert legend_html("Learning rate", lines) == "<b>Learning rate</b>"


def test_the_strokes_of_several_runs_are_named():
    assert runs_legend(["a"]) == ""
    assert runs_legend(["a", "b<"]) == "━&nbsp;a &nbsp; ╌&nbsp;b&lt;"
