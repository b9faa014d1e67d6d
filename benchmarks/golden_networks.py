"""Write tests/network/tiny_forward.json with nnU-Net's own network classes.

Run with a Python that has nnunetv2 (2.8.1):  python benchmarks/golden_networks.py
Weights and input follow the recipe of the test: seeded by the CRC of each parameter's name.
"""

import json
import pydoc
import zlib
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "network"
N_CHANNELS, N_CLASSES = 2, 3


def normal(seed: int, shape: tuple[int, ...], scale: float) -> torch.Tensor:
    values = np.random.default_rng(seed).standard_normal(shape) * scale
    return torch.from_numpy(values.astype(np.float32))


def facts(configuration: dict) -> dict:
    architecture = configuration["architecture"]
    arguments = dict(architecture["arch_kwargs"])
    for key in architecture["_kw_requires_import"]:
        if arguments[key] is not None:
            arguments[key] = pydoc.locate(arguments[key])
    network = pydoc.locate(architecture["network_class_name"])(
        input_channels=N_CHANNELS, num_classes=N_CLASSES, deep_supervision=True, **arguments
    ).eval()
    for name, parameter in network.named_parameters():
        parameter.data.copy_(normal(zlib.crc32(name.encode()), tuple(parameter.shape), 0.1))
    image = normal(0, (1, N_CHANNELS, *configuration["patch_size"]), 1.0)
    with torch.no_grad():
        logits = network(image)
    at = np.linspace(0, logits[0].numel() - 1, 16).astype(int).tolist()
    names = list(network.state_dict())
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "state_dict_entries": len(names),
        "names_crc32": zlib.crc32("\n".join(names).encode()),
        "input_channels": N_CHANNELS,
        "output_channels": N_CLASSES,
        "input_shape": list(image.shape),
        "output_shapes": [list(part.shape) for part in logits],
        "std": float(logits[0].std()),
        "samples_at": at,
        "samples": [float(logits[0].flatten()[i]) for i in at],
    }


if __name__ == "__main__":
    plans = json.loads((FOLDER / "tiny_plans.json").read_text())
    lines = [
        f"{json.dumps(name)}: {json.dumps(facts(configuration))}"
        for name, configuration in plans["configurations"].items()
    ]
    (FOLDER / "tiny_forward.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
