"""Plans files of any kind, described."""

import json
from pathlib import Path
from typing import Any

import pytest

from napari_unet_mic.errors import BadDataset, BadInput, BadPlan
from napari_unet_mic.planning.describe import describe_plan_file, network_ends, read_any_plan
from napari_unet_mic.planning.plan import plan_of

LIVER = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "cancer": 2}}


@pytest.fixture
def plans(tmp_path: Path, raw: dict[str, Any]) -> Path:
    file = tmp_path / "plans.json"
    file.write_text(json.dumps(raw))
    return file


def test_dataset_json_beside_the_plans(plans: Path) -> None:
    plans.with_name("dataset.json").write_text(json.dumps(LIVER))
    facts = describe_plan_file(plans)
    assert (facts.configuration, facts.n_channels, facts.n_classes) == ("3d_fullres", 1, 3)
    assert describe_plan_file(plans, configuration="2d").n_stages == 8


def test_named_dataset_json(plans: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.json"
    other.write_text(json.dumps({**LIVER, "modality": {"0": "a", "1": "b"}, "channel_names": None}))
    with pytest.raises(BadDataset, match="channel_names"):
        describe_plan_file(plans, dataset_json=other)
    other.write_text(json.dumps(LIVER))
    assert describe_plan_file(plans, dataset_json=other).n_classes == 3


def test_without_dataset_json_says_what_to_do(plans: Path) -> None:
    with pytest.raises(BadInput, match="--dataset-json"):
        describe_plan_file(plans)


@pytest.mark.parametrize(
    ("labels", "n_classes"),
    [
        ({"background": 0, "a": 1}, 2),
        ({"0": "background", "1": "a", "2": "b"}, 3),
        ({"background": 0, "a": 1, "ignore": 2}, 2),
        ({"background": 0, "whole": [1, 2], "core": 2}, 2),
    ],
    ids=["nnU-Net", "Decathlon", "ignore", "regions"],
)
def test_outputs(raw: dict[str, Any], labels: dict[str, Any], n_classes: int) -> None:
    one = plan_of(raw).configuration("3d_fullres")
    about = {"channel_names": {"0": "CT"}, "labels": labels}
    assert network_ends(one, about) == (1, n_classes)


def test_a_cascade_sees_the_earlier_labels_too(raw: dict[str, Any]) -> None:
    assert network_ends(plan_of(raw).configuration("3d_cascade_fullres"), LIVER) == (3, 3)


def test_v1_knows_its_own_channels_and_classes(shared: Path) -> None:
    file = shared / "data" / "plans" / "v1_Task005_Prostate" / "nnUNetPlansv2.1_plans_3D.pkl"
    facts = describe_plan_file(file)
    assert (facts.network, facts.n_channels, facts.n_classes) == ("Generic_UNet", 2, 3)
    assert facts.stage_sentence == "7 stages = 6 poolings + 1"
    assert read_any_plan(file).default_configuration == "3d_fullres"
    with pytest.raises(BadPlan, match="got 3d_fullres"):
        describe_plan_file(file, configuration="2d")
