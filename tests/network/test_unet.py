import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_unet_mic.network.build import build_network
from napari_unet_mic.planning.plan import Configuration, read_plan

CASES = [
    f"{planner}/{dataset}/{name}"
    for dataset, names in (
        ("Dataset003_Liver", ("2d", "3d_lowres", "3d_fullres")),
        ("Dataset005_Prostate", ("2d", "3d_fullres")),
    )
    for planner in ("ConvolutionalEncoder", "ResidualEncoderL", "ResidualEncoderM")
    for name in names
]
CHEAP = [name for name in CASES if name.endswith("Dataset005_Prostate/2d")]


def configuration_of(shared: Path, case: str) -> Configuration:
    planner, dataset, name = case.split("/")
    (file,) = (shared / "data" / "plans" / planner / dataset).glob("*lans*.json")
    return read_plan(file).configuration(name)


def facts_of(shared: Path, case: str) -> dict[str, Any]:
    file = shared / "reference" / "network_forward" / "forward.json"
    facts: dict[str, Any] = json.loads(file.read_text())[case]
    return facts


@pytest.fixture
def default_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(min(threads, 2))
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("case", CASES)
def test_parameters_names_and_shapes_are_nnunets(shared: Path, case: str) -> None:
    facts = facts_of(shared, case)
    network = build_network(
        configuration_of(shared, case),
        facts["input_channels"],
        facts["output_channels"],
        initialize=False,
    )
    names = list(network.state_dict())
    assert sum(p.numel() for p in network.parameters()) == facts["parameters"]
    assert len(names) == facts["state_dict_entries"]
    assert zlib.crc32("\n".join(names).encode()) == facts["names_crc32"]
    logits = network(torch.empty(facts["input_shape"], device="meta"))
    assert [list(part.shape) for part in logits] == facts["output_shapes"]


@pytest.mark.parametrize("case", CHEAP)
@pytest.mark.usefixtures("default_threads")
def test_outputs_are_nnunets(shared: Path, case: str) -> None:
    facts = facts_of(shared, case)
    assert largest_difference(configuration_of(shared, case), facts) < 1e-4


def largest_difference(configuration: Configuration, facts: dict[str, Any]) -> float:
    """The largest deviation of the sampled outputs, in standard deviations of the output."""
    network = build_network(
        configuration, facts["input_channels"], facts["output_channels"], initialize=False
    ).eval()
    network.to_empty(device="cpu")
    with torch.inference_mode():
        for name, parameter in network.named_parameters():
            seeded = np.random.default_rng(zlib.crc32(name.encode()))
            values = seeded.standard_normal(tuple(parameter.shape)) * 0.1
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))
        image = np.random.default_rng(0).standard_normal(facts["input_shape"]).astype(np.float32)
        logits = network(torch.from_numpy(image))[0].numpy()
    found = logits.reshape(-1)[facts["samples_at"]]
    return float(np.abs(found - np.asarray(facts["samples"])).max() / facts["std"])


