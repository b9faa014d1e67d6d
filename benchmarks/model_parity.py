"""Models out: what is trained here runs in nnU-Net, and both predict the same.

    python benchmarks/model_parity.py --nnunet-environment FOLDER [--hippocampus TASK04] [-o OUT]

Trains runs with `unet-mic train`, their plan's features cut to a quarter (synthetic liver CT
and two-channel prostate MR, 2-D and 3-D, plain and residual encoder; the real hippocampus set
where its folder is given), hands each run folder as it is to
``nnUNetv2_predict_from_modelfolder`` in an environment of its own, and compares with
``unet-mic predict``: differing voxels as a share of the union of both foregrounds, the worst
Dice of a class, the largest difference of probabilities. nnU-Net adds up tiles in float16, whose
smallest numbers are too coarse for the Gaussian weights at a volume's edge; told to add up in
float32 (the lines "float32 sums"), its probabilities are ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nnunet_environment import nnunet_python
from nnunet_side import NOWHERE

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.volume import read_image, read_labels, write_image

N_CASES = 3


@dataclass(frozen=True)
class Trial:
    """One run to train here and to predict with there."""

    dataset: str  # liver, prostate or a folder
    configuration: str
    planner: str = "default"
    iterations: int = 100

    @property
    def name(self) -> str:
        return f"{Path(self.dataset).name}-{self.configuration}-{self.planner}"


TRIALS = [
    Trial("liver", "3d_fullres"),
    Trial("liver", "2d"),
    Trial("liver", "3d_fullres", "resenc-m"),
    Trial("prostate", "3d_fullres"),
    Trial("prostate", "2d"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nnunet-environment", required=True, type=Path)
    parser.add_argument("--hippocampus", type=Path, help="Task04_Hippocampus")
    parser.add_argument("-o", "--output", type=Path, help="keep everything in this folder")
    parser.add_argument("--only", nargs="+", help="names of trials, as they are printed")
    options = parser.parse_args()
    python = nnunet_python(options.nnunet_environment.absolute())
    trials = list(TRIALS)
    if options.hippocampus:
        trials.append(Trial(str(options.hippocampus.absolute()), "3d_fullres"))
    trials = [trial for trial in trials if not options.only or trial.name in options.only]
    with tempfile.TemporaryDirectory() as name:
        folder = (options.output or Path(name)).absolute()
        good = [compare(trial, folder, python.parent) for trial in trials]
    return 0 if all(good) else 1


def compare(trial: Trial, folder: Path, scripts: Path) -> bool:
    """Train, predict on both sides, print a line for each way of predicting."""
    dataset = folder / trial.dataset
    if trial.dataset in ("liver", "prostate") and not dataset.exists():
        ours("sample", trial.dataset, "-o", str(dataset), "--cases", "8")
    workspace = folder / f"{trial.name}-workspace"
    run = workspace / "runs" / "out"
    if not (run / "fold_0" / "checkpoint_final.pth").exists():
        plans = quarter(dataset, trial.planner, folder / f"{trial.name}-plans.json")
        words = ["--workspace", str(workspace), "--name", "out", "--epochs", "1"]
        words += ["--configuration", trial.configuration, "--plans", str(plans)]
        words += ["--iterations-per-epoch", str(trial.iterations), "--validation-iterations", "1"]
        ours("train", str(dataset), *words)
    images = write_images(dataset, folder / f"{trial.name}-images")
    good = True
    for mirroring in (False, True):
        word = "mirrored" if mirroring else "plain"
        there, here = (folder / f"{trial.name}-{side}-{word}" for side in ("nnunet", "ours"))
        command = [str(scripts / "nnUNetv2_predict_from_modelfolder"), "-i", str(images)]
        command += ["-o", str(there), "-m", str(run), "-f", "0", "-device", "cpu"]
        command += ["-npp", "1", "-nps", "1", "--save_probabilities"]
        quietly([*command, *([] if mirroring else ["--disable_tta"])])
        option = "--mirroring" if mirroring else "--no-mirroring"
        words = ["-o", str(here), option, "--precision", "float32", "--probabilities"]
        ours("predict", str(run), str(images), *words, "--device", "cpu")
        good &= report(f"{trial.name}, {word}", there, here, at_most=0.1)
    exact, here = (folder / f"{trial.name}-{side}" for side in ("float32-sums", "ours-plain"))
    one = {"folds": [0], "mirroring": False, "out": str(exact), "probabilities": True}
    job = folder / f"{trial.name}.json"
    job.write_text(
        json.dumps({"model": str(run), "images": str(images), "runs": [one], "float32_sums": True})
    )
    side = str(Path(__file__).with_name("nnunet_side.py"))
    quietly([str(scripts / "python"), side, "predict", str(job)])
    return good & report(f"{trial.name}, plain, float32 sums", exact, here, at_most=1e-3)


def quarter(dataset: Path, planner: str, file: Path) -> Path:
    """The dataset's plan with a quarter of its features: learns something in a few minutes."""
    ours("plan", str(dataset), "--planner", planner, "-o", str(file))
    plan = json.loads(file.read_text())
    for configuration in plan["configurations"].values():
        if "architecture" in configuration:
            arguments = configuration["architecture"]["arch_kwargs"]
            arguments["features_per_stage"] = [n // 4 for n in arguments["features_per_stage"]]
            configuration["batch_size"] = 2 if len(configuration["patch_size"]) == 3 else 8
    file.write_text(json.dumps(plan))
    return file


def write_images(dataset: Path, folder: Path) -> Path:
    """A few cases in nnU-Net's naming, one file a channel."""
    for case in open_dataset(dataset).cases[:N_CASES]:
        image = read_image(case.images)
        for channel, values in enumerate(image.array):
            write_image(folder / f"{case.name}_{channel:04d}.nii.gz", values, image)
    return folder


def report(title: str, there: Path, here: Path, *, at_most: float) -> bool:
    """Print how far the two folders agree; whether that is within what we promise."""
    differing = union = 0
    dice, shares = [], []
    for file in sorted(there.glob("*.nii.gz")):
        theirs, mine = read_labels(file).array, read_labels(here / file.name).array
        differing += int((theirs != mine).sum())
        union += int(((theirs > 0) | (mine > 0)).sum())
        for value in np.unique(theirs):
            a, b = theirs == value, mine == value
            dice.append(2 * (a & b).sum() / (a.sum() + b.sum()))
        name = file.name.removesuffix(".nii.gz") + ".npz"
        pair = [np.load(folder / name)["probabilities"] for folder in (there, here)]
        shares.append(float(np.abs(pair[0] - pair[1]).max()))
    print(
        f"{title}: {len(shares)} cases, {differing} of {union} foreground voxels differ "
        f"({100 * differing / max(union, 1):.4f} %), worst Dice {min(dice):.5f}, "
        f"probabilities within {max(shares):.1e}",
        flush=True,
    )
    return differing <= 0.001 * union and min(dice) >= 0.999 and max(shares) <= at_most


def ours(*words: str) -> None:
    quietly([sys.executable, "-m", "napari_unet_mic", *words])


def quietly(command: list[str]) -> None:
    """Run a command; its output is shown only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **NOWHERE})
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
        raise SystemExit(f"failed: {' '.join(command)}")


if __name__ == "__main__":
    sys.exit(main())
