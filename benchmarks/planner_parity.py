"""Our planner against nnU-Net's own, over planners, memory targets and random datasets.

    python benchmarks/planner_parity.py --nnunet-environment FOLDER --plans PLANS

nnU-Net runs in its own environment, where its networks are made on torch's meta device
(its own cost functions, no memory). Every field of every plan is compared.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nnunet_environment import nnunet_python

ORACLE = """
import contextlib, io, json, os, sys, tempfile, warnings
warnings.simplefilter("ignore")
import torch
root = tempfile.mkdtemp()
os.environ.update(nnUNet_raw=root + "/raw", nnUNet_preprocessed=root + "/pre",
                  nnUNet_results=root + "/res")
from nnunetv2.experiment_planning.experiment_planners import default_experiment_planner as D
from nnunetv2.experiment_planning.experiment_planners.residual_unets import (
    residual_encoder_unet_planners as R)
planners = {"default": D.ExperimentPlanner, "resenc-m": R.nnUNetPlannerResEncM,
            "resenc-l": R.nnUNetPlannerResEncL, "resenc-xl": R.nnUNetPlannerResEncXL}
real = D.get_network_from_plans
def on_meta(*a, **k):
    with torch.device("meta"):
        return real(*a, **k)
D.get_network_from_plans = on_meta
D.ExperimentPlanner.determine_reader_writer = lambda self: type("SimpleITKIO", (), {})
plans = []
for i, job in enumerate(json.load(open(sys.argv[1]))):
    name = f"Dataset{i + 1:03d}_X"
    for folder in ("raw/%s/imagesTr", "raw/%s/labelsTr", "pre/%s"):
        os.makedirs(os.path.join(root, folder % name))
    for c in range(len(job["dataset"]["channel_names"])):
        open(f"{root}/raw/{name}/imagesTr/a_{c:04d}.nii.gz", "w").close()
    open(f"{root}/raw/{name}/labelsTr/a.nii.gz", "w").close()
    json.dump(job["dataset"], open(f"{root}/raw/{name}/dataset.json", "w"))
    json.dump(job["fingerprint"], open(f"{root}/pre/{name}/dataset_fingerprint.json", "w"))
    target = {} if job["gb"] is None else {"gpu_memory_target_in_gb": job["gb"]}
    with contextlib.redirect_stdout(io.StringIO()):
        plans.append(json.loads(json.dumps(
            planners[job["planner"]](name, **target).plan_experiment())))
json.dump(plans, open(sys.argv[2], "w"))
"""
PLANNERS = ("default", "resenc-m", "resenc-l", "resenc-xl")
STATISTICS = dict.fromkeys(
    ("mean", "median", "std", "min", "max", "percentile_00_5", "percentile_99_5"), 0.0
)


def published(plans: Path) -> list[dict[str, Any]]:
    """Liver and Prostate with every planner and memory targets from 4 to 40 GB."""
    jobs = []
    for folder in sorted((plans / "ConvolutionalEncoder").iterdir()):
        fingerprint = json.loads((folder / "dataset_fingerprint.json").read_text())
        dataset = json.loads((folder / "dataset.json").read_text())
        jobs += [
            {"dataset": dataset, "fingerprint": fingerprint, "planner": planner, "gb": gb}
            for planner in PLANNERS
            for gb in (None, 4, 6, 11, 16, 24, 32, 40)
        ]
    return jobs


def invented(n: int, seed: int) -> list[dict[str, Any]]:
    """Random datasets: isotropic, anisotropic, thin, two-dimensional, coarse along x or y."""
    rng = random.Random(seed)
    jobs = []
    for _ in range(n):
        kind = rng.choice(["isotropic", "coarse", "thin", "flat", "odd", "transposed"])
        spacing = [rng.uniform(0.4, 2)] * 3
        size = [rng.randint(20, 500) for _ in range(3)]
        if kind in ("coarse", "transposed"):
            spacing[0] *= rng.uniform(2, 9)
            size[0] = rng.randint(8, 60)
        elif kind == "odd":
            spacing = [rng.uniform(0.3, 3) for _ in range(3)]
        elif kind == "thin":
            size[rng.randrange(3)] = rng.randint(4, 15)
        elif kind == "flat":
            spacing, size = [999.0, *spacing[1:]], [1, *size[1:]]
        if kind == "transposed":
            order = rng.choice([(1, 0, 2), (1, 2, 0)])
            spacing, size = [spacing[i] for i in order], [size[i] for i in order]
        n_cases = rng.randint(5, 60)
        names = rng.choices(
            ["CT", "MRI", "noNorm", "rescale_to_0_1", "zscore"], k=rng.randint(1, 4)
        )
        labels = {"background": 0, **{f"c{i}": i for i in range(1, rng.randint(2, 7))}}
        jobs.append(
            {
                "dataset": {
                    "channel_names": {str(i): name for i, name in enumerate(names)},
                    "labels": labels,
                    "numTraining": n_cases,
                    "file_ending": ".nii.gz",
                },
                "fingerprint": {
                    "spacings": [
                        [s if s == 999 else s * rng.choice([1, 1, 1.1]) for s in spacing]
                        for _ in range(n_cases)
                    ],
                    "shapes_after_crop": [
                        [n if n == 1 else max(2, round(n * rng.uniform(0.7, 1.4))) for n in size]
                        for _ in range(n_cases)
                    ],
                    "foreground_intensity_properties_per_channel": {
                        str(i): STATISTICS for i in range(len(names))
                    },
                    "median_relative_size_after_cropping": rng.choice([0.2, 0.74, 0.75, 1.0]),
                },
                "planner": rng.choice(PLANNERS),
                "gb": rng.choice([None, 4, 8, 12, 24, 40]),
            }
        )
    return jobs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nnunet-environment", required=True, type=Path)
    parser.add_argument("--plans", type=Path, help="the folder with the published plans")
    parser.add_argument("--invented", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    python = nnunet_python(options.nnunet_environment.absolute())

    from napari_unet_mic.planning.fingerprint import Fingerprint
    from napari_unet_mic.planning.rules import plan_experiment

    jobs = published(options.plans) if options.plans else []
    jobs += invented(options.invented, options.seed)
    counts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "jobs.json", Path(folder) / "plans.json"
        asked.write_text(json.dumps(jobs))
        command = [str(python), "-c", ORACLE, str(asked), str(answered)]
        subprocess.run(command, check=True)
        theirs = json.loads(answered.read_text())
        for job, plan in zip(jobs, theirs, strict=True):
            asked.write_text(json.dumps(job["fingerprint"]))
            start = time.perf_counter()
            ours = plan_experiment(
                Fingerprint.read(asked),
                job["dataset"],
                planner=job["planner"],
                gpu_memory_gb=job["gb"],
                dataset_name=plan["dataset_name"],
            )
            slowest = max(slowest, time.perf_counter() - start)
            equal = ours.to_json() == plan
            counts["plans equal" if equal else "plans that differ"] += 1
            counts["configurations"] += len(plan["configurations"])
            if not equal:
                print("differs:", job["planner"], job["gb"], json.dumps(job["fingerprint"])[:200])
    print(dict(counts), f"slowest of ours {slowest:.2f} s")
    return 1 if counts["plans that differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
