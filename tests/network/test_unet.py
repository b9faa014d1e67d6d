import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_unet_mic.network.build import build_network
from napari_unet_mic.network.unet import UNet
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan

TINY_FACTS = json.loads(Path(__file__).with_name("tiny_forward.json").read_text())
PUBLISHED = [
    f"{planner}/{dataset}/{name}"
    for dataset, names in (
        ("Dataset003_Liver", ("2d", "3d_lowres", "3d_fullres")),
        ("Dataset005_Prostate", ("2d", "3d_fullres")),
    )
    for planner in ("ConvolutionalEncoder", "ResidualEncoderL", "ResidualEncoderM")
    for name in names
]


def published(shared: Path, case: str) -> tuple[Configuration, dict[str, Any]]:
    planner, dataset, name = case.split("/")
    (file,) = (shared / "data" / "plans" / planner / dataset).glob("*lans*.json")
    facts = json.loads((shared / "reference" / "network_forward" / "forward.json").read_text())
    return read_plan(file).configuration(name), facts[case]


def check_structure(configuration: Configuration, facts: dict[str, Any]) -> None:
    network = build_network(
        configuration, facts["input_channels"], facts["output_channels"], initialize=False
    )
    names = list(network.state_dict())
    assert sum(p.numel() for p in network.parameters()) == facts["parameters"]
    assert len(names) == facts["state_dict_entries"]
    assert zlib.crc32("\n".join(names).encode()) == facts["names_crc32"]
    logits = network(torch.empty(facts["input_shape"], device="meta"))
    assert [list(part.shape) for part in logits] == facts["output_shapes"]


def largest_difference(configuration: Configuration, facts: dict[str, Any]) -> float:
    """The largest deviation of the sampled outputs, in standard deviations of the output."""
    network = build_network(
        configuration, facts["input_channels"], facts["output_channels"], initialize=False
    )
    network.to_empty(device="cpu")
    with torch.inference_mode():
        for name, parameter in network.named_parameters():
            values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(
                tuple(parameter.shape)
            )
            parameter.copy_(torch.from_numpy((values * 0.1).astype(np.float32)))
        image = np.random.default_rng(0).standard_normal(facts["input_shape"]).astype(np.float32)
        logits = network(torch.from_numpy(image))[0].numpy()
    found = logits.reshape(-1)[facts["samples_at"]]
    return float(np.abs(found - np.asarray(facts["samples"])).max() / facts["std"])


@pytest.mark.parametrize("name", TINY_FACTS)
def test_tiny_networks_are_nnunets(tiny_plan: Plan, name: str) -> None:
    check_structure(tiny_plan.configuration(name), TINY_FACTS[name])
    assert largest_difference(tiny_plan.configuration(name), TINY_FACTS[name]) < 1e-4


@pytest.mark.parametrize("case", PUBLISHED)
def test_published_networks_have_nnunets_names_and_shapes(shared: Path, case: str) -> None:
    check_structure(*published(shared, case))


def test_published_network_gives_nnunets_logits(shared: Path) -> None:
    configuration, facts = published(shared, "ConvolutionalEncoder/Dataset005_Prostate/2d")
    assert largest_difference(configuration, facts) < 1e-4


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", PUBLISHED)
def test_all_published_networks_give_nnunets_logits(shared: Path, case: str) -> None:
    assert largest_difference(*published(shared, case)) < 1e-4


def test_a_block_is_one_tensor_under_two_names(fullres: Configuration) -> None:
    weights = build_network(fullres, 1, 2).state_dict()
    first = weights["encoder.stages.0.0.convs.0.conv.weight"]
    for name in (
        "encoder.stages.0.0.convs.0.all_modules.0.weight",
        "decoder.encoder.stages.0.0.convs.0.conv.weight",
    ):
        assert weights[name].data_ptr() == first.data_ptr()


def test_deep_supervision_is_switched_off_and_on(fullres: Configuration) -> None:
    network: UNet = build_network(fullres, 1, 2)
    image = torch.zeros(1, 1, *fullres.patch_size)
    assert [tuple(part.shape[2:]) for part in network(image)] == [(6, 16, 12), (6, 8, 6)]
    network.deep_supervision = False
    assert network(image).shape == (1, 2, 6, 16, 12)
