"""A small plan to edit, made by the planner itself."""

from typing import Any

import pytest

from napari_unet_mic.planning.fingerprint import Fingerprint
from napari_unet_mic.planning.rules import plan_experiment


@pytest.fixture
def raw() -> dict[str, Any]:
    """The plan of a liver-like dataset as plans.json has it: four configurations."""
    statistics = dict.fromkeys(
        ("mean", "median", "std", "min", "max", "percentile_00_5", "percentile_99_5"), 1.0
    )
    fingerprint = Fingerprint(
        ((1.0, 0.767578125, 0.767578125),), ((482, 512, 512),), {"0": statistics}, 1.0
    )
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "cancer": 2},
        "numTraining": 131,
        "file_ending": ".nii.gz",
    }
    return plan_experiment(fingerprint, about, dataset_name="Dataset003_Liver").to_json()
