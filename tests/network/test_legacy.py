import dataclasses
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_unet_mic.errors import BadCheckpoint
from napari_unet_mic.network.build import build_network
from napari_unet_mic.network.legacy import name_of, weights_of
from napari_unet_mic.network.unet import LegacyUNet
from napari_unet_mic.planning.legacy import read_v1_plan
from napari_unet_mic.planning.plan import Configuration

GENERIC = "nnunet.network_architecture.generic_UNet.Generic_UNet"


def as_v1(configuration: Configuration, **changes: Any) -> Configuration:
    architecture = dataclasses.replace(
        configuration.architecture, network_class_name=GENERIC, **changes
    )
    return dataclasses.replace(configuration, architecture=architecture)


def published(shared: Path, key: str) -> tuple[Configuration, Any]:
    file = shared / "reference" / "network_forward" / "forward_v1.json"
    facts = json.loads(file.read_text())[f"v1_Task005_Prostate/{key}/stage0"]
    folder = shared / "data" / "plans" / "v1_Task005_Prostate"
    plan = read_v1_plan(folder / f"nnUNetPlansv2.1_plans_{key}.pkl").plan
    return plan.configuration("2d" if key == "2D" else "3d_fullres"), facts


@pytest.mark.parametrize(
    ("v1", "ours"),
    [
        ("conv_blocks_context.2.blocks.1.conv.bias", "encoder.stages.2.0.convs.1.conv.bias"),
        (
            "conv_blocks_context.6.1.blocks.0.instnorm.weight",
            "encoder.stages.6.0.convs.1.norm.weight",
        ),
        (
            "conv_blocks_localization.3.0.blocks.0.conv.weight",
            "decoder.stages.3.convs.0.conv.weight",
        ),
        ("tu.5.weight", "decoder.transpconvs.5.weight"),
        ("seg_outputs.0.weight", "decoder.seg_layers.0.weight"),
    ],
)
def test_v1_names_are_translated(v1: str, ours: str) -> None:
    assert name_of(v1) == ours


def test_second_stack_counts_on_from_the_first() -> None:
    name = name_of("conv_blocks_localization.0.1.blocks.0.conv.weight", n_convolutions=3)
    assert name == "decoder.stages.0.convs.2.conv.weight"


def test_v1_decoder_takes_the_kernels_of_the_stage_below(fullres: Configuration) -> None:
    v1 = build_network(as_v1(fullres), 1, 2, initialize=False)
    v2 = build_network(fullres, 1, 2, initialize=False)
    assert isinstance(v1, LegacyUNet)
    name = "decoder.stages.1.convs.0.conv.weight"
    assert v1.state_dict()[name].shape[2:] == (3, 3, 3)
    assert v2.state_dict()[name].shape[2:] == (1, 3, 3)
    assert not [n for n in v1.state_dict() if "transpconvs" in n and n.endswith("bias")]
    assert not [n for n in v1.state_dict() if "seg_layers" in n and n.endswith("bias")]


@pytest.mark.parametrize("key", ["2D", "3D"])
def test_published_v1_networks_are_nnunets(shared: Path, key: str) -> None:
    configuration, facts = published(shared, key)
    network = build_network(configuration, 2, 3, initialize=False)
    assert sum(p.numel() for p in network.parameters()) == facts["parameters"]
    logits = network(torch.empty(facts["input_shape"], device="meta"))
    assert [list(part.shape) for part in logits] == facts["output_shapes"]
    ours = {name for name, _ in network.named_parameters()}
    assert {name_of(name) for name in facts["parameter_names"]} == ours


@pytest.mark.parametrize("key", ["2D", pytest.param("3D", marks=pytest.mark.soak)])
def test_published_v1_network_gives_nnunets_logits(shared: Path, key: str) -> None:
    configuration, facts = published(shared, key)
    network = build_network(configuration, 2, 3, initialize=False)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.named_parameters()}
    weights = {}
    for name in facts["parameter_names"]:
        seeded = np.random.default_rng(zlib.crc32(name.encode()))
        values = seeded.standard_normal(shapes[name_of(name)]) * 0.1
        weights[name] = torch.from_numpy(values.astype(np.float32))
    network.load_state_dict(weights_of(weights, network), assign=True)
    image = np.random.default_rng(0).standard_normal(facts["input_shape"]).astype(np.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(image))[0].numpy()
    difference = np.abs(logits.reshape(-1)[facts["samples_at"]] - facts["samples"]).max()
    assert difference / facts["std"] < 1e-4


def test_missing_and_foreign_parameters_are_named(fullres: Configuration) -> None:
    network = build_network(as_v1(fullres), 1, 2, initialize=False)
    with pytest.raises(BadCheckpoint, match=r"expected encoder\.stages\.0\.0.convs.0.conv.weight"):
        weights_of({}, network)
    with pytest.raises(BadCheckpoint, match=r"got fc\.weight"):
        weights_of({"fc.weight": torch.zeros(1)}, network)
