import dataclasses

import pytest

from napari_unet_mic.errors import BadPlan
from napari_unet_mic.gui.plan_view import NO_REASONS, view_of
from napari_unet_mic.planning.fingerprint import Fingerprint
from napari_unet_mic.planning.rules import plan_experiment

FACTS = {"max": 9.0, "mean": 4.0, "median": 4.0, "min": 0.0, "std": 1.0}
FACTS |= {"percentile_00_5": 0.0, "percentile_99_5": 9.0}
ABOUT = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1, "b": 2}}
ABOUT |= {"numTraining": 12}


@pytest.fixture
def plan():
    fingerprint = Fingerprint(
        spacings=((1.0, 1.0, 1.0),) * 12,
        shapes_after_crop=((36, 50, 35),) * 12,
        foreground_intensity_properties_per_channel={"0": FACTS},
        median_relative_size_after_cropping=1.0,
    )
    return plan_experiment(fingerprint, ABOUT, dataset_name="Hippocampus")


def test_a_view_has_one_row_a_stage_and_the_sum_that_must_hold(plan):
    view = view_of(plan, "3d_fullres", 1, 3)

    assert view.summary.startswith("patch 40×56×40 · batch ")
    assert view.summary.endswith(" · spacing 1 1 1 mm")
    assert view.stage_check == "4 stages = 3 poolings + 1 ✓"
    assert [row.cells for row in view.rows][:2] == [
        ("0", "40×56×40", "3 3 3", "1 1 1", "32"),
        ("1", "20×28×20", "3 3 3", "2 2 2", "64"),
    ]
    assert view.rows[-1].cells[1] == "5×7×5"
    assert "y pooled 3 times: 56 → 7" in view.rows[-1].reason
    assert "Its voxels are 8 × 8 × 8 mm" in view.rows[-1].reason
    assert "M parameters · about" in view.size


def test_reasons_are_told_where_they_are_known(plan):
    assert "Batch: " in view_of(plan, "3d_fullres", 1, 3).summary_reason

    silent = dataclasses.replace(plan, reasons={})
    assert view_of(silent, "3d_fullres", 1, 3).summary_reason == NO_REASONS


def test_a_2d_configuration(plan):
    view = view_of(plan, "2d", 1, 3)

    assert view.rows[0].cells[2] == "3 3"
    assert "z pooled" not in view.rows[-1].reason


def test_a_configuration_that_is_not_there(plan):
    with pytest.raises(BadPlan, match="3d_lowres"):
        view_of(plan, "3d_lowres", 1, 3)
