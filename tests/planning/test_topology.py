"""Parameters, receptive fields and memory, by arithmetic."""

import json
from pathlib import Path
from typing import Any

import pytest

from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.legacy import read_v1_plan
from napari_unet_mic.planning.plan import plan_of, read_plan
from napari_unet_mic.planning.topology import describe


def test_liver_fullres(raw: dict[str, Any]) -> None:
    facts = describe(plan_of(raw).configuration("3d_fullres"), 1, 3)
    assert facts.parameters == 31_196_399  # nnU-Net's own count
    assert facts.feature_map_values == 453_694_976
    assert facts.stage_sentence == "6 stages = 5 poolings + 1"
    assert [stage.size for stage in facts.stages][::5] == [(128, 128, 128), (4, 4, 4)]
    assert sum(stage.parameters for stage in facts.stages) == facts.parameters
    # two 3x3x3 convolutions a stage: 1 + 2*2, then jumps 1, 2, 4, …: +2*1 +2*2, …
    assert facts.receptive_field == (191, 191, 191)
    assert facts.stages[0].receptive_field == (5, 5, 5)
    assert 6e9 < facts.memory_bytes_estimate < 8e9


def test_first_stage_parameters_by_hand(raw: dict[str, Any]) -> None:
    first = describe(plan_of(raw).configuration("3d_fullres"), 1, 3).stages[0]
    encoder = (27 * 1 * 32 + 32 + 64) + (27 * 32 * 32 + 32 + 64)
    decoder = (8 * 64 * 32 + 32) + (27 * 64 * 32 + 96) + (27 * 32 * 32 + 96) + (32 * 3 + 3)
    assert (first.encoder_parameters, first.decoder_parameters) == (encoder, decoder)


def test_an_axis_that_waits_says_why(raw: dict[str, Any]) -> None:
    one = raw["configurations"]["3d_fullres"]
    one["spacing"] = [5.0, 1.0, 1.0]
    one["architecture"]["arch_kwargs"]["strides"][1] = [1, 2, 2]
    stage = describe(plan_of(raw).configuration("3d_fullres"), 1, 3).stages[1]
    assert stage.reason == "y, x halved; z kept (5 mm against 1 mm)"


def test_json_and_text(raw: dict[str, Any]) -> None:
    facts = describe(plan_of(raw).configuration("2d"), 1, 3)
    plain = json.loads(json.dumps(facts.to_json()))
    assert plain["parameters"] == facts.parameters
    assert plain["stages"][1]["size"] == [256, 256]
    assert plain["stages"][1]["kernel"] == [3, 3]
    assert plain["stages"][1]["stride"] == [2, 2]
    assert plain["stages"][1]["features"] == 64
    assert plain["receptive_field"] == list(facts.receptive_field)
    assert "8 stages = 7 poolings + 1" in facts.to_text()
    assert "512×512" in facts.to_text()


def test_no_classes_is_a_sentence(raw: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="at least 1 channel"):
        describe(plan_of(raw).configuration("2d"), 1, 0)


def test_counts_equal_nnunets_for_every_published_configuration(shared: Path) -> None:
    facts = json.loads((shared / "reference" / "network_forward" / "forward.json").read_text())
    assert len(facts) == 15
    for key, expected in facts.items():
        dataset, name = key.rsplit("/", 1)
        plan = read_plan(shared / "data" / "plans" / dataset / "plans.json")
        found = describe(
            plan.configuration(name), expected["input_channels"], expected["output_channels"]
        )
        assert found.n_stages == expected["n_stages"], key
        assert found.parameters == expected["parameters"], key
        assert found.feature_map_values == expected["feature_map_size"], key


def test_counts_equal_v1s(shared: Path) -> None:
    facts = json.loads((shared / "reference" / "network_forward" / "forward_v1.json").read_text())
    for dimension, name in (("2D", "2d"), ("3D", "3d_fullres")):
        expected = facts[f"v1_Task005_Prostate/{dimension}/stage0"]
        file = f"nnUNetPlansv2.1_plans_{dimension}.pkl"
        legacy = read_v1_plan(shared / "data" / "plans" / "v1_Task005_Prostate" / file)
        found = describe(legacy.plan.configuration(name), legacy.n_channels, legacy.n_classes)
        assert (found.n_stages, found.parameters) == (7, expected["parameters"])
