"""Makes `tests/inference/nnunet_models` with nnU-Net itself: models, an image, its predictions.

    python benchmarks/model_fixtures.py --nnunet-environment FOLDER [--only KIND …]

For every kind below nnU-Net plans, prepares, trains (a small network, a few iterations) and
exports a model on phantoms, and predicts a case that spans at least 3 tiles along every axis.
What the tests compare with lies beside the model: label maps as nnU-Net wrote them, and its
probabilities at some voxels (`facts.json`), for which it was told to add up tiles in float32:
in float16 the Gaussian weights at a volume's edge are too coarse.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from nnunet_environment import nnunet_python

from napari_unet_mic.data.phantom import (
    LIVER_CLASSES,
    PROSTATE_CLASSES,
    liver_case,
    prostate_case,
)
from napari_unet_mic.data.volume import read_labels, write_image, write_labels

FOLDER = Path(__file__).parents[1] / "tests" / "inference" / "nnunet_models"
SIDE = Path(__file__).with_name("nnunet_side.py")
CUBE, PLANE = [3, 3, 3], [1, 3, 3]
N_TRAINING, N_SAMPLES = 6, 256

KINDS: dict[str, dict[str, Any]] = {
    "tiles": {
        "dataset": "liver",
        "shape": (36, 48, 48),
        "configuration": "3d_fullres",
        "folds": [0],
        "network": {
            "kind": "plain",
            "patch": [16, 16, 16],
            "batch": 4,
            "features": [4, 8, 16],
            "kernels": [CUBE] * 3,
            "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
            "blocks": [2, 2, 2],
        },
    },
    "slices": {
        "dataset": "liver",
        "shape": (12, 64, 64),
        "configuration": "2d",
        "folds": [0],
        "network": {
            "kind": "plain",
            "patch": [24, 20],
            "batch": 12,
            "features": [6, 12, 24],
            "kernels": [[3, 3]] * 3,
            "strides": [[1, 1], [2, 2], [2, 2]],
            "blocks": [2, 2, 2],
        },
    },
    "two_channels_two_folds": {
        "dataset": "prostate",
        "shape": (20, 48, 48),
        "configuration": "3d_fullres",
        "folds": [0, 1],
        "network": {
            "kind": "plain",
            "patch": [8, 16, 20],
            "batch": 4,
            "features": [4, 8, 16],
            "kernels": [PLANE, PLANE, CUBE],
            "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
            "blocks": [2, 2, 2],
        },
    },
    "residual": {
        "dataset": "liver",
        "shape": (36, 44, 44),
        "configuration": "3d_fullres",
        "folds": ["all"],
        "network": {
            "kind": "residual",
            "patch": [16, 16, 16],
            "batch": 4,
            "features": [4, 8, 16],
            "kernels": [CUBE] * 3,
            "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
            "blocks": [1, 2, 2],
        },
    },
}
DATASETS: dict[str, tuple[Any, dict[int, str], dict[str, str]]] = {
    "liver": (liver_case, LIVER_CLASSES, {"0": "CT"}),
    "prostate": (prostate_case, PROSTATE_CLASSES, {"0": "T2", "1": "ADC"}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nnunet-environment", required=True, type=Path)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--keep-models", action="store_true", help="only predict again")
    options = parser.parse_args()
    python = nnunet_python(options.nnunet_environment.absolute())
    for kind in options.only:
        if options.keep_models:
            predict(kind, python)
        else:
            make(kind, python, options.iterations)
    return 0


def make(kind: str, python: Path, iterations: int) -> None:
    job, target = KINDS[kind], FOLDER / kind
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        raw = write_raw(Path(name) / f"Dataset{500 + list(KINDS).index(kind)}_{kind}", job)
        model = str(target / "model.zip")
        run(python, "train", {**job, "raw": str(raw), "iterations": iterations, "zip": model})
        shutil.copytree(raw / "imagesTs", target / "image")
    predict(kind, python)


def predict(kind: str, python: Path) -> None:
    """nnU-Net's labels as it is; its probabilities with float32 sums, as the module says."""
    target, folds = FOLDER / kind, KINDS[kind]["folds"]
    job = {"model": str(target / "model.zip"), "images": str(target / "image")}
    chosen = [folds, *([[fold] for fold in folds] if len(folds) > 1 else [])]
    facts = {}
    with tempfile.TemporaryDirectory() as name:
        for exact in (False, True):
            runs = [
                {
                    "folds": some,
                    "mirroring": mirroring,
                    "probabilities": exact,
                    "out": str(Path(name) / str(exact) / run_name(some, mirroring)),
                }
                for some in chosen
                for mirroring in (False, True)
            ]
            run(python, "predict", {**job, "runs": runs, "float32_sums": exact})
            for out in (Path(one["out"]) for one in runs):
                if exact:
                    facts[out.name] = probabilities_at_some_voxels(out)
                else:
                    keep_labels(out, target)
    (target / "facts.json").write_text(
        "{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in facts.items()) + "\n}\n"
    )
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target}: {size / 1e3:.0f} kB")


def write_raw(folder: Path, job: dict[str, Any]) -> Path:
    """Phantoms in nnU-Net's raw layout; one more case in imagesTs."""
    make_case, classes, channels = DATASETS[job["dataset"]]
    for number in range(N_TRAINING + 1):
        image, reference = make_case(10 + number, job["shape"])
        part = "Ts" if number == N_TRAINING else "Tr"
        for channel, values in enumerate(image.array):
            file = folder / f"images{part}" / f"case_{number}_{channel:04d}.nii.gz"
            write_image(file, values, image)
        write_labels(folder / f"labels{part}" / f"case_{number}.nii.gz", reference.array, reference)
    about = {
        "channel_names": channels,
        "labels": {name: value for value, name in classes.items()},
        "numTraining": N_TRAINING,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def run_name(folds: list[Any], mirroring: bool) -> str:
    return f"{'mirrored' if mirroring else 'plain'}_{'_'.join(map(str, folds))}"


def keep_labels(out: Path, target: Path) -> None:
    (labels_file,) = out.glob("*.nii.gz")
    shutil.copy(labels_file, target / f"{out.name}.nii.gz")
    values, counts = np.unique(read_labels(labels_file).array, return_counts=True)
    print(out.name, dict(zip(values.tolist(), counts.tolist(), strict=True)))


def probabilities_at_some_voxels(out: Path) -> dict[str, Any]:
    """Probabilities at voxels drawn where classes meet."""
    (shares_file,) = out.glob("*.npz")
    shares = np.load(shares_file)["probabilities"]  # (K, Z, Y, X)
    unsure = np.flatnonzero(shares.max(axis=0).ravel() < 0.9)
    drawn = np.random.default_rng(0).choice(unsure, min(N_SAMPLES, unsure.size), replace=False)
    at = sorted(drawn.tolist())
    values = shares.reshape(len(shares), -1)[:, at].T
    return {"at": at, "probabilities": np.round(values.astype(float), 5).tolist()}


def run(python: Path, command: str, job: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(job, file)
        file.flush()
        done = subprocess.run([python, SIDE, command, file.name], capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
        raise SystemExit(f"nnU-Net's side failed at {command}")


if __name__ == "__main__":
    sys.exit(main())
