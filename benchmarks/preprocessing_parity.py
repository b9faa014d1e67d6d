"""Preprocessing and export against nnU-Net's own, over random cases and plans.

    python benchmarks/preprocessing_parity.py --nnunet-environment FOLDER [--trials 60] [--golden]

A trial is a random case (1 to 3 channels, zeros around it, 2 or 3 classes, spacing from
isotropic to ten times coarser along one axis) and a random configuration (2-D or 3-D, axes
transposed, any of the five normalisations, with and without the mask). nnU-Net prepares it and
brings given logits back; so do we. ``--golden`` writes the first trials, as facts, to
`tests/preprocessing/nnunet_trials.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from nnunet_environment import nnunet_python

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS / "preprocessing"))

from trials import Trial, ours_of, trial_of  # noqa: E402 (beside the test that uses it too)

SIDE = Path(__file__).with_name("nnunet_side.py")
GOLDEN = TESTS / "preprocessing" / "nnunet_trials.json"
N_GOLDEN, N_SAMPLES = 24, 24


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nnunet-environment", required=True, type=Path)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--golden", action="store_true", help="write the tests' facts")
    options = parser.parse_args()
    python = nnunet_python(options.nnunet_environment.absolute())
    trials = [trial_of(seed) for seed in range(options.trials)]
    with tempfile.TemporaryDirectory() as name:
        theirs = nnunets(python, trials, Path(name))
    bad = 0
    largest, flipped, foreground = 0.0, 0, 0
    for trial, there in zip(trials, theirs, strict=True):
        here = ours_of(trial)
        same = here["data"].shape == there["data"].shape
        same &= here["box"] == there["box"].tolist()
        value = float(np.abs(here["data"] - there["data"]).max()) if same else np.inf
        labels = int((here["labels"] != there["labels"]).sum()) if same else -1
        export = int((here["exported"] != there["exported"]).sum())
        inside = int((there["exported"] > 0).sum())
        largest, flipped, foreground = max(largest, value), flipped + export, foreground + inside
        if not same or value > 1e-3 or labels or export > 0.001 * inside:
            bad += 1
            print(f"{trial}: values {value:.1e}, labels {labels}, exported {export} of {inside}")
    if options.golden:
        facts = [fact_of(*pair) for pair in zip(trials, theirs, strict=True)][:N_GOLDEN]
        GOLDEN.write_text("[\n" + ",\n".join(map(json.dumps, facts)) + "\n]\n")
    print(
        f"{len(trials)} trials, {bad} differ; values within {largest:.1e}; "
        f"{flipped} of {foreground} exported foreground voxels differ"
    )
    return 1 if bad else 0


def nnunets(python: Path, trials: list[Trial], folder: Path) -> list[dict[str, Any]]:
    """What nnU-Net makes of every trial."""
    jobs = []
    for trial in trials:
        file = folder / f"{trial.seed}.npz"
        arrays = {"image": trial.image, "labels": trial.labels, "logits": trial.logits}
        np.savez(file, **arrays, spacing=trial.spacing_mm)
        jobs.append({"arrays": str(file), "plans": trial.plans, "dataset": trial.dataset_json})
    asked = folder / "jobs.json"
    asked.write_text(json.dumps(jobs))
    subprocess.run([python, SIDE, "preprocess", str(asked)], check=True)
    return [dict(np.load(folder / f"{trial.seed}.npz.out.npz")) for trial in trials]


def fact_of(trial: Trial, there: dict[str, Any]) -> dict[str, Any]:
    """A trial's result in a few numbers."""
    data = there["data"]
    at = np.unique(np.linspace(0, data.size - 1, N_SAMPLES).astype(int)).tolist()
    values, counts = np.unique(there["labels"], return_counts=True)
    return {
        "seed": trial.seed,
        "kind": str(trial),
        "shape": list(data.shape),
        "box": there["box"].tolist(),
        "at": at,
        "values": [round(float(v), 6) for v in data.reshape(-1)[at]],
        "label_counts": dict(zip(map(str, values.tolist()), counts.tolist(), strict=True)),
        "exported": "".join(map(str, there["exported"].reshape(-1)[:: exported_step(there)])),
    }


def exported_step(there: dict[str, Any]) -> int:
    return max(1, there["exported"].size // 200)


if __name__ == "__main__":
    sys.exit(main())
