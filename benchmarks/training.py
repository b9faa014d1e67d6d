"""What a training iteration costs, and on what: ours, and the same network as nnU-Net runs it.

    python benchmarks/training.py DATASET --workspace W [--nnunet-environment FOLDER]

Prepares the workspace as `unet-mic train` would, then times each part of an iteration of
fold 0. With ``--nnunet-environment`` the same plan's network is
built by dynamic_network_architectures there and timed forward and backward with the
default allocator, in float32, as nnU-Net runs it on a CPU. Prints seconds per iteration,
ratios and peak memory.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from nnunet_environment import nnunet_python

NNUNET_SIDE = """
import json, resource, sys, time
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn
a = json.loads(sys.argv[1])
net = PlainConvUNet(a["channels"], a["n_stages"], a["features"], nn.Conv3d, a["kernels"],
    a["strides"], a["convs"], a["classes"], a["convs_decoder"], True, nn.InstanceNorm3d,
    {"eps": 1e-5, "affine": True}, None, None, nn.LeakyReLU, {"inplace": True},
    deep_supervision=True)
optimizer = torch.optim.SGD(net.parameters(), 1e-2, momentum=0.99, nesterov=True)
x = torch.randn(a["batch"], a["channels"], *a["patch"])
target = torch.randint(0, a["classes"], (a["batch"], *a["patch"]))
rows = []
for _ in range(a["iterations"] + 1):
    began = time.perf_counter()
    optimizer.zero_grad()
    out = net(x)
    forward = time.perf_counter()
    nn.functional.cross_entropy(out[0], target).backward()
    backward = time.perf_counter()
    optimizer.step()
    rows.append([forward - began, backward - forward, time.perf_counter() - backward])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"rows": rows[1:], "peak": peak}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--configuration", default="3d_fullres")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--nnunet-environment", type=Path, help="made where it is missing")
    options = parser.parse_args()
    ours, facts = time_ours(options)
    show("napari-unet-mic", ours)
    if options.nnunet_environment:
        python = nnunet_python(options.nnunet_environment.absolute())
        words = [python, "-c", NNUNET_SIDE, json.dumps(facts)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        theirs = json.loads(done.stdout)
        columns = ("forward", "backward", "optimizer")
        rows = [dict(zip(columns, row, strict=True)) for row in theirs["rows"]]
        show("nnU-Net's network, as nnU-Net runs it", rows, theirs["peak"])
        network = sum(middle(ours, part) for part in columns)
        print(
            f"ratio (network parts only): {sum(middle(rows, p) for p in columns) / network:.2f} ×"
        )


def time_ours(options: argparse.Namespace) -> tuple[list[dict[str, float]], dict[str, object]]:
    import torch

    from napari_unet_mic.inference import allocator
    from napari_unet_mic.preprocessing.store import PreparedStore
    from napari_unet_mic.training.augment import Recipe
    from napari_unet_mic.training.learner import CLIP, Learner
    from napari_unet_mic.training.losses import deep_supervision_loss
    from napari_unet_mic.training.patches import PatchSampler
    from napari_unet_mic.training.prepare import prepare
    from napari_unet_mic.training.run import RunSettings

    allocator.tune()
    settings = RunSettings(
        dataset=str(options.dataset),
        workspace=str(options.workspace),
        name="benchmark",
        configuration=options.configuration,
    )
    materials = prepare(settings, lambda _: None, lambda: False)
    configuration = materials.configuration
    learner = Learner(
        materials.plan,
        configuration,
        materials.dataset,
        settings,
        device=torch.device("cpu"),
        precision=torch.float32,
    )
    sampler = PatchSampler(
        PreparedStore(materials.preprocessed),
        materials.training,
        batch_size=configuration.batch_size,
        recipe=Recipe.for_patch(configuration.patch_size, configuration.use_mask_for_norm),
        seed=0,
    )
    rows = []
    for iteration in range(options.iterations + 1):
        marks = [time.perf_counter()]
        batch = sampler.batch(iteration)
        marks.append(time.perf_counter())
        learner.optimizer.zero_grad(set_to_none=True)
        outputs = learner.network(batch.images)
        marks.append(time.perf_counter())
        loss = deep_supervision_loss(outputs, batch.labels, batch_dice=configuration.batch_dice)
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(learner.network.parameters(), CLIP)
        learner.optimizer.step()
        marks.append(time.perf_counter())
        parts = ("batch", "forward", "loss", "backward", "optimizer")
        spent = [b - a for a, b in pairwise(marks)]
        rows.append(dict(zip(parts, spent, strict=True)))
    shape = configuration.architecture
    facts = {
        "channels": len(materials.dataset.channel_names),
        "classes": len(materials.dataset.classes),
        "n_stages": shape.n_stages,
        "features": list(shape.features_per_stage),
        "kernels": [list(k) for k in shape.kernel_sizes],
        "strides": [list(s) for s in shape.strides],
        "convs": list(shape.blocks_per_stage),
        "convs_decoder": list(shape.n_conv_per_stage_decoder),
        "batch": configuration.batch_size,
        "patch": list(configuration.patch_size),
        "iterations": options.iterations,
    }
    return rows[1:], facts


def middle(rows: list[dict[str, float]], part: str) -> float:
    return statistics.median(row[part] for row in rows)


def show(title: str, rows: list[dict[str, float]], peak: int | None = None) -> None:
    if peak is None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    total = sum(middle(rows, part) for part in rows[0])
    parts = ", ".join(f"{part} {middle(rows, part):.2f}" for part in rows[0])
    print(f"{title}: {total:.2f} s per iteration ({parts}), peak {peak / 2**30:.2f} GiB")


if __name__ == "__main__":
    sys.exit(main())
