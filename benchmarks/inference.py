"""Prediction side by side with nnU-Net and MONAI: seconds by stage, peak memory, agreement.

    python benchmarks/inference.py --nnunet-environment FOLDER --shared SHARED
        [--only commands stages forward large] [--repeats 3]

commands
    Ten hippocampus cases with nnU-Net's reference model, whole commands from process start to
    files: ``nnUNetv2_predict_from_modelfolder`` and ``unet-mic predict``, with mirroring and
    without.
stages
    The liver CT of SHARED (published plan): preparing it, and bringing given logits back.
forward
    The published liver plan's network on patches of 96³ and 128³: nnU-Net's in float32 with the
    default allocator, MONAI's sliding window over ours in float32, ours as `predict` runs it;
    and the share of this CPU's matrix-product speed that it reaches.
large
    A synthetic CT of 512 × 512 × 600 with 25 classes and a small network: the peak of the whole
    process, at native spacing and at 1.5 mm, one fold and two, with ``--memory-gb 6``.

Run it on an idle machine; every ratio is of one run.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nnunet_environment import nnunet_python
from nnunet_side import NOWHERE

from napari_unet_mic.data.volume import Volume, read_image, read_labels, write_image

SIDE = Path(__file__).with_name("nnunet_side.py")
HERE = [sys.executable, "-m", "napari_unet_mic"]
GB = 1e9


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nnunet-environment", required=True, type=Path)
    parser.add_argument("--shared", required=True, type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    python = nnunet_python(options.nnunet_environment.absolute())
    for part in options.only:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](python, options.shared.absolute(), Path(folder), options.repeats)
    return 0


# ---- whole commands --------------------------------------------------------------------
def commands(python: Path, shared: Path, folder: Path, repeats: int) -> None:
    reference = shared / "reference" / "nnunet_v2_hippocampus"
    (model,) = reference.glob("nnUNetTrainer*")
    images = folder / "images"
    images.mkdir()
    names = [file.name for file in sorted((reference / "predictions" / "plain").glob("*.nii.gz"))]
    for name in names:
        source = shared / "data" / "Task04_Hippocampus" / "imagesTr" / name
        (images / name.replace(".nii.gz", "_0000.nii.gz")).symlink_to(source)
    theirs = [str(python.parent / "nnUNetv2_predict_from_modelfolder"), "-i", str(images)]
    theirs += ["-m", str(model), "-f", "0", "-device", "cpu"]
    for word, off, option in (
        ("mirrored", [], "--mirroring"),
        ("plain", ["--disable_tta"], "--no-mirroring"),
    ):
        rows: dict[str, list[tuple[float, int]]] = {"nnU-Net": [], "auto": [], "float32": []}
        for repeat in range(repeats):
            out = folder / f"{word}{repeat}"
            rows["nnU-Net"].append(measured([*theirs, *off, "-o", f"{out}-nnunet"]))
            for precision in ("auto", "float32"):
                ours = [*HERE, "predict", str(model), str(images), option, "--device", "cpu"]
                ours += ["--precision", precision, "-o", f"{out}-{precision}"]
                rows[precision].append(measured(ours))
        for precision in ("auto", "float32"):
            share = differing(f"{out}-nnunet", f"{out}-{precision}", names)
            show(f"ten cases, {word}, {precision}", rows[precision], rows["nnU-Net"], share)


def measured(command: list[str]) -> tuple[float, int]:
    """Seconds and peak bytes of the largest process of a command."""
    script = (
        "import json, resource, subprocess, sys, time\n"
        "began = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "seconds = time.perf_counter() - began\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024\n"
        "print(json.dumps([seconds, peak, done.returncode, done.stderr[-2000:]]))\n"
    )
    words = [sys.executable, "-c", script, *command]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment())
    seconds, peak, status, said = json.loads(done.stdout)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}\n{said}")
    return seconds, peak


def environment() -> dict[str, str]:
    return {**os.environ, **NOWHERE}


def differing(one: str, other: str, names: list[str]) -> float:
    """Differing voxels, in per cent of the union of both foregrounds."""
    different = union = 0
    for name in names:
        a, b = (read_labels(Path(folder) / name).array for folder in (one, other))
        different += int((a != b).sum())
        union += int(((a > 0) | (b > 0)).sum())
    return 100 * different / union


def show(
    title: str, ours: list[tuple[float, int]], theirs: list[tuple[float, int]], share: float
) -> None:
    mine, other = (statistics.median(row[0] for row in rows) for rows in (ours, theirs))
    peaks = [max(row[1] for row in rows) / GB for rows in (ours, theirs)]
    print(
        f"{title}: {mine:.1f} s against {other:.1f} s, {other / mine:.2f} ×; peak "
        f"{peaks[0]:.2f} GB against {peaks[1]:.2f} GB; {share:.3f} % of the foreground differs",
        flush=True,
    )


# ---- before and after the network ------------------------------------------------------
def stages(python: Path, shared: Path, folder: Path, repeats: int) -> None:
    image, plans, name = liver(shared)
    logits = np.random.default_rng(1).standard_normal((3, 6, 8, 8)).astype(np.float32)
    file = folder / "case.npz"
    job = {"image": str(image), "plans": str(plans), "configuration": name, "seed": str(file)}
    np.savez(file, logits=logits)
    mine = [ours_of("stages", job) for _ in range(repeats)]
    from napari_unet_mic.preprocessing.resample import resample_logits

    volume = read_image(image)
    shape = mine[0]["shape"]
    whole = resample_logits(logits, shape, (1, 1, 1), (1, 1, 1))
    np.savez(
        file,
        image=volume.array,
        spacing=volume.spacing_mm,
        logits=whole,
    )
    raw = json.loads(plans.read_text())
    raw["configurations"] = {"c": raw["configurations"][name]}
    about = json.loads((plans.parent / "dataset.json").read_text())
    jobs = folder / "jobs.json"
    jobs.write_text(json.dumps([{"arrays": str(file), "plans": raw, "dataset": about}]))
    rows = []
    for _ in range(repeats):
        subprocess.run([python, SIDE, "preprocess", jobs], check=True)
        there = np.load(f"{file}.out.npz")
        rows.append((there["seconds"].tolist(), there["peaks"].tolist()))
    for stage, index in (("preparing", 0), ("export", 1)):
        ours_seconds = statistics.median(row["seconds"][index] for row in mine)
        theirs_seconds = statistics.median(row[0][index] for row in rows)
        peaks = max(r["peaks"][index] for r in mine) / GB, max(r[1][index] for r in rows) / GB
        print(
            f"liver CT, {stage}: {ours_seconds:.2f} s against {theirs_seconds:.2f} s, "
            f"{theirs_seconds / ours_seconds:.1f} ×; process peak {peaks[0]:.2f} GB against "
            f"{peaks[1]:.2f} GB",
            flush=True,
        )


def liver(shared: Path) -> tuple[Path, Path, str]:
    (image,) = (shared / "data" / "liver_ct_unlabelled").glob("*.nii.gz")
    plans = shared / "data" / "plans" / "ConvolutionalEncoder" / "Dataset003_Liver" / "plans.json"
    return image, plans, "3d_fullres"


def ours_of(command: str, job: dict[str, Any]) -> dict[str, Any]:
    """Do our side in a process of its own, so that its peak is its own."""
    words = [sys.executable, __file__, f"--side={command}", json.dumps(job)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def side_stages(job: dict[str, Any]) -> dict[str, Any]:
    from napari_unet_mic.inference import allocator
    from napari_unet_mic.planning.plan import read_plan
    from napari_unet_mic.preprocessing.pipeline import prepare
    from napari_unet_mic.preprocessing.resample import resample_logits

    allocator.tune()
    plan = read_plan(job["plans"])
    configuration = plan.configuration(job["configuration"])
    image = read_image(job["image"])
    began = time.perf_counter()
    properties = prepare(image, None, plan, configuration).properties
    seconds, peaks = [time.perf_counter() - began], [peak()]
    from napari_unet_mic.inference.export import to_source_grid

    small = np.load(job["seed"])["logits"]
    logits = resample_logits(small, properties.shape, (1, 1, 1), (1, 1, 1))
    began = time.perf_counter()
    to_source_grid(logits, properties, plan, configuration)
    return {
        "seconds": [*seconds, time.perf_counter() - began],
        "peaks": [*peaks, peak()],
        "shape": properties.shape,
    }


# ---- the network -----------------------------------------------------------------------
def forward(python: Path, shared: Path, folder: Path, repeats: int) -> None:
    _, plans, name = liver(shared)
    for size in (96, 128):
        job = {"plans": json.loads(plans.read_text()), "configuration": name}
        job |= {"channels": 1, "classes": 3, "patch": [size] * 3, "repeats": repeats}
        file = folder / "forward.json"
        file.write_text(json.dumps(job))
        done = subprocess.run(
            [python, SIDE, "forward", file], check=True, capture_output=True, text=True
        )
        theirs = json.loads(done.stdout.splitlines()[-1])
        mine = ours_of("forward", {**job, "plans": str(plans)})
        seconds, other = (statistics.median(one["seconds"]) for one in (mine, theirs))
        print(
            f"forward {size}³: {seconds:.2f} s in {mine['precision']} against {other:.2f} s, "
            f"{other / seconds:.2f} ×; peak {mine['peak'] / GB:.2f} GB against "
            f"{theirs['peak'] / GB:.2f} GB; {mine['share']:.0f} % of this CPU's "
            f"{mine['precision']} matrix products ({mine['gflops']:.0f} GFLOP/s); MONAI's "
            f"sliding window over the same network in float32: {mine['monai']:.2f} s",
            flush=True,
        )


def side_forward(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    from napari_unet_mic.inference import allocator
    from napari_unet_mic.inference.precision import choose_precision
    from napari_unet_mic.inference.sliding_window import predict_logits
    from napari_unet_mic.network.build import build_network
    from napari_unet_mic.network.channels_last import order_for
    from napari_unet_mic.planning.plan import read_plan

    allocator.tune()
    configuration = read_plan(job["plans"]).configuration(job["configuration"])
    network = build_network(configuration, 1, 3, deep_supervision=False).eval()
    precision, _ = choose_precision("auto", torch.device("cpu"))
    image = torch.randn(1, *job["patch"])
    fast = copy.deepcopy(network)
    order_for(fast, torch.device("cpu"), precision)

    def ours() -> None:
        predict_logits(fast, image, job["patch"], 3, precision=precision)

    seconds = timed(ours, job["repeats"])
    at = peak()
    gflops = matrix_gflops(precision)
    flops = convolution_flops(network, image[None])
    from monai.inferers import sliding_window_inference

    def monai() -> None:
        with torch.inference_mode():
            sliding_window_inference(image[None], job["patch"], 1, network, mode="gaussian")

    return {
        "seconds": seconds,
        "peak": at,
        "precision": str(precision).removeprefix("torch."),
        "gflops": gflops,
        "share": 100 * flops / statistics.median(seconds) / 1e9 / gflops,
        "monai": statistics.median(timed(monai, job["repeats"])),
    }


def timed(act: Callable[[], None], repeats: int) -> list[float]:
    act()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return seconds


def matrix_gflops(precision: Any, n: int = 2048) -> float:
    """Speed of a square matrix product in that type."""
    import torch

    a = torch.randn(n, n).to(precision)
    seconds = min(timed(lambda: torch.mm(a, a), 5))  # type: ignore[arg-type, return-value]
    return 2 * n**3 / seconds / 1e9


def convolution_flops(network: Any, image: Any) -> int:
    """Multiplications and additions of all convolutions on one image."""
    import torch

    total = 0

    def count(module: Any, _: Any, output: Any) -> None:
        nonlocal total
        weights = module.weight[0] if isinstance(module, torch.nn.Conv3d) else module.weight[:, 0]
        per_voxel = weights.numel()
        if isinstance(module, torch.nn.ConvTranspose3d):
            per_voxel = module.in_channels  # strides equal kernels: each output sees one input
        total += 2 * per_voxel * output.numel()

    kinds = (torch.nn.Conv3d, torch.nn.ConvTranspose3d)
    hooks = {
        id(module): module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, kinds)
    }
    with torch.inference_mode():
        network(image)
    for hook in hooks.values():
        hook.remove()
    return total


# ---- a large case ----------------------------------------------------------------------
def large(python: Path, shared: Path, folder: Path, repeats: int) -> None:
    image = folder / "ct.nii.gz"
    rng = np.random.default_rng(0)
    values = rng.integers(-100, 200, (1, 600, 512, 512), dtype=np.int16)
    volume = Volume.from_array(values, spacing_mm=(1.0, 0.8, 0.8))
    write_image(image, values, volume)
    del values, volume
    for spacing, word in (((1.0, 0.8, 0.8), "native"), ((1.5, 1.5, 1.5), "1.5 mm")):
        model = write_large_model(folder / word, spacing)
        for folds in (["0"], ["0", "1"]):
            out = folder / f"{word}-{len(folds)}"
            command = [*HERE, "predict", str(model), str(image), "-o", str(out), "--folds", *folds]
            command += ["--memory-gb", "6", "--no-mirroring", "--device", "cpu"]
            seconds, at = measured(command)
            shape = read_labels(out / "ct.nii.gz").shape
            print(
                f"512 × 512 × 600, 25 classes, {word}, {len(folds)} fold(s): peak {at / GB:.2f} GB,"
                f" {seconds:.0f} s, labels {shape}",
                flush=True,
            )


def write_large_model(folder: Path, spacing: tuple[float, ...]) -> Path:
    """A small network of 25 classes, two folds with weights as drawn."""
    import torch

    from napari_unet_mic.network.build import build_network
    from napari_unet_mic.network.checkpoint import save
    from napari_unet_mic.planning.plan import plan_of

    template = Path(__file__).parents[1] / "tests" / "network" / "tiny_plans.json"
    raw = json.loads(template.read_text())
    configuration = raw["configurations"]["3d_fullres"]
    arguments = configuration["architecture"]["arch_kwargs"]
    arguments |= {
        "features_per_stage": [8, 16, 32],
        "kernel_sizes": [[3] * 3] * 3,
        "strides": [[1] * 3, [2] * 3, [2] * 3],
    }
    configuration |= {"patch_size": [96, 128, 128], "spacing": list(spacing)}
    raw["configurations"] = {"3d_fullres": configuration}
    model = folder / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    model.mkdir(parents=True)
    (model / "plans.json").write_text(json.dumps(raw))
    labels = {"background": 0, **{f"organ_{value}": value for value in range(1, 25)}}
    about = {"channel_names": {"0": "MRI"}, "labels": labels, "file_ending": ".nii.gz"}
    (model / "dataset.json").write_text(json.dumps(about))
    for fold in (0, 1):
        torch.manual_seed(fold)
        network = build_network(plan_of(raw).configuration("3d_fullres"), 1, 25)
        arguments_of_run = {"configuration": "3d_fullres", "fold": fold}
        file = model / f"fold_{fold}" / "checkpoint_final.pth"
        save(file, network=network, init_args=arguments_of_run, current_epoch=1)
    return model


PARTS = {"commands": commands, "stages": stages, "forward": forward, "large": large}
SIDES = {"stages": side_stages, "forward": side_forward}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("--side="):
        print(json.dumps(SIDES[sys.argv[1].partition("=")[2]](json.loads(sys.argv[2]))))
        sys.exit(0)
    sys.exit(main())
