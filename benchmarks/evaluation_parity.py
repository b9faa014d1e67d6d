"""Our evaluation against three independent ones, on real and on invented pairs of label maps.

    python benchmarks/evaluation_parity.py --oracle-python ENV/bin/python --shared SHARED
        [--golden tests/evaluation/evaluation_golden.json]

Confusion tables, IoU and Dice against nnU-Net's own functions and NSD against DeepMind's
`surface-distance` (both run in another environment that has `nnunetv2` and
`surface-distance`), HD95 against MONAI (here). `--golden` also writes what the oracles said,
with the invented label maps themselves, for tests that need neither oracle nor real data.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCES_MM = (0.5, 1.0, 3.0)
TOTALSEGMENTATOR = {
    "spleen": 1,
    "kidney_right": 2,
    "kidney_left": 3,
    "gallbladder": 4,
    "liver": 5,
    "vertebrae_L1": 31,
    "aorta": 52,
}

ORACLE = """
import json, os, sys, tempfile, warnings
warnings.simplefilter("ignore")
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(name, tempfile.gettempdir())
import torch
for name in ("nms", "qnms"):  # torchvision's operators, where it does not fit torch
    try:
        torch.library.define(
            "torchvision::" + name, "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:
        pass
import numpy as np
from nnunetv2.evaluation.evaluate_predictions import (
    compute_metrics_on_folder, compute_tp_fp_fn_tn)
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from surface_distance import compute_surface_dice_at_tolerance, compute_surface_distances

def judged(job):
    reference, prediction = np.load(job["reference"]), np.load(job["prediction"])
    ignore = None if job["ignore"] is None else reference == job["ignore"]
    table = [[int(compute_tp_fp_fn_tn(reference == t, prediction == p, ignore)[0])
              for p in job["values"]] for t in job["values"]]
    counts = {}
    for value in job["values"]:
        tp, fp, fn, tn = map(int, compute_tp_fp_fn_tn(
            reference == value, prediction == value, ignore))
        any_ = tp + fp + fn
        counts[value] = {"tp": tp, "fp": fp, "fn": fn, "tn": tn,
                         "iou": tp / any_ if any_ else None,
                         "dice": 2 * tp / (2 * tp + fp + fn) if any_ else None}
    nsd = {}
    for value in job["values"]:
        masks = [labels == value for labels in (reference, prediction)]
        if ignore is not None:
            masks = [mask & ~ignore for mask in masks]
        if value and masks[0].any() and masks[1].any():
            found = compute_surface_distances(*masks, job["spacing_mm"])
            nsd[value] = [float(compute_surface_dice_at_tolerance(found, t))
                          for t in job["tolerances_mm"]]
    return {"table": table, "counts": counts, "nsd": nsd}

if __name__ == "__main__":
    jobs, folders = json.load(open(sys.argv[1]))
    answers = {"jobs": [judged(job) for job in jobs], "summaries": []}
    for one in folders:
        compute_metrics_on_folder(one["references"], one["predictions"], one["output"],
                                  SimpleITKIO(), ".nii.gz", one["values"], num_processes=2)
        answers["summaries"].append(json.load(open(one["output"])))
    json.dump(answers, open(sys.argv[2], "w"))
"""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two label maps on one grid, and what may occur in them."""

    name: str
    reference: np.ndarray
    prediction: np.ndarray
    spacing_mm: tuple[float, ...]
    ignore: int | None = None
    invented: bool = False

    @property
    def values(self) -> list[int]:
        """The background and every value of either map that is not ignored."""
        maps = (self.reference, self.prediction)
        found = {0}.union(*(np.unique(one).tolist() for one in maps)) - {self.ignore}
        return sorted(found)


def real_pairs(shared: Path) -> list[Pair]:
    """Hippocampus predictions, TotalSegmentator outputs, spine pairs, tumour masks."""
    from napari_unet_mic.data.volume import read_labels

    data = shared / "data"
    pairs = []

    def add(name: str, reference: Path, prediction: Path) -> None:
        one, other = read_labels(reference), read_labels(prediction)
        pairs.append(Pair(name, one.array, other.array, one.spacing_mm))

    predictions = shared / "reference" / "nnunet_v2_hippocampus" / "predictions" / "mirrored"
    for file in sorted(predictions.glob("*.nii.gz")):
        label = data / "Task04_Hippocampus" / "labelsTr" / file.name
        add(f"hippocampus/{file.name.removesuffix('.nii.gz')}", label, file)
    for kind in ("semantic", "matched_instance", "unmatched_instance"):
        folder = data / "panoptica_spine" / kind
        add(f"spine/{kind}", folder / "ref.nii.gz", folder / "pred.nii.gz")
    pairs += totalsegmentator_pairs(data / "totalsegmentator")
    for kind in ("uninformative", "uninformative_slice"):
        masks = sorted((data / "sts_tumour" / "misc_images" / kind / "mask").glob("*_mask.nii.gz"))
        for one in masks:
            for other in masks:
                names = [file.name.removesuffix("_mask.nii.gz") for file in (one, other)]
                add(f"tumour/{kind}/{'/'.join(names)}", one, other)
    for patient in ("STS_002", "STS_003"):
        for modality in ("CT", "MR_T1", "PET"):
            mask = read_labels(data / "sts_tumour" / f"{patient}_{modality}_mask.nii.gz")
            moved = np.roll(mask.array, (1, 2, -1), (0, 1, 2))
            name = f"tumour/{patient}_{modality}/displaced"
            pairs.append(Pair(name, mask.array, moved, mask.spacing_mm))
    return pairs


def totalsegmentator_pairs(folder: Path) -> list[Pair]:
    """The single-organ outputs as one map, and all classes displaced, against all classes."""
    from napari_unet_mic.data.volume import read_labels

    reference = read_labels(folder / "example_seg.nii.gz")
    organs = np.zeros_like(reference.array)
    for name, value in TOTALSEGMENTATOR.items():
        organs[read_labels(folder / "organs_fast" / f"{name}.nii.gz").array > 0] = value
    moved = np.roll(reference.array, (0, 1, 1), (0, 1, 2))
    return [
        Pair("totalsegmentator/organs", reference.array, organs, reference.spacing_mm),
        Pair("totalsegmentator/displaced", reference.array, moved, reference.spacing_mm),
    ]


def invented_pairs() -> list[Pair]:
    """Small maps with every awkward thing: absent, missed, spurious, ignored, one voxel, full."""
    rng = np.random.default_rng(4)
    pairs = []
    for name, shape, spacing, n_classes in (
        ("isotropic", (12, 20, 24), (1.0, 1.0, 1.0), 3),
        ("thick slices", (8, 24, 24), (5.0, 0.7, 0.7), 4),
        ("three spacings", (14, 18, 16), (2.5, 0.8, 1.3), 2),
        ("flat", (40, 44), (0.5, 2.0), 3),
    ):
        both = [blobs(rng, shape, n_classes) for _ in range(2)]
        wrong = blobs(rng, shape, 2) > 0
        mixed = np.where(wrong, both[1], both[0])
        pairs.append(Pair(name, both[0], mixed, spacing, invented=True))
    thick = pairs[1]
    missed = np.where(thick.prediction == 2, 0, thick.prediction)
    spurious = np.where(thick.reference == 2, 0, thick.reference)
    edges = {
        "missed": (thick.reference, missed, None),
        "spurious": (spurious, thick.prediction, None),
        "in neither": (spurious, missed, None),
        "ignored": (thick.reference, np.where(thick.prediction == 3, 1, thick.prediction), 3),
        "gaps": (thick.reference * 80, thick.prediction * 80, None),
        "both empty": (thick.reference * 0, thick.reference * 0, None),
        "full": (thick.reference * 0 + 1, thick.reference * 0 + 1, None),
        "full and empty": (thick.reference * 0 + 1, thick.reference * 0, None),
        "one voxel": (
            one_voxel(thick.reference.shape, 0),
            one_voxel(thick.reference.shape, 1),
            None,
        ),
    }
    for name, (reference, prediction, ignore) in edges.items():
        pairs.append(Pair(name, reference, prediction, thick.spacing_mm, ignore, invented=True))
    return pairs


def blobs(rng: np.random.Generator, shape: tuple[int, ...], n_classes: int) -> np.ndarray:
    """Return smooth random regions of several classes, from whole numbers only."""
    scores = []
    for _ in range(n_classes):
        noise = rng.integers(-100, 100, shape)
        for axis in range(len(shape)):
            noise = sum(np.roll(noise, step, axis) for step in (-1, 0, 1))
        scores.append(noise)
    scores[0] = scores[0] + 60 * len(shape)
    return np.argmax(scores, axis=0).astype(np.uint8)


def one_voxel(shape: tuple[int, ...], step: int) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[3, 5, 7 + step] = 1
    return labels


def monai_hd95(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Any) -> float:
    from monai.metrics import compute_hausdorff_distance

    one_hot = [mask[None, None].astype(np.float32) for mask in (prediction, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compute_hausdorff_distance(
            *one_hot,
            include_background=True,
            percentile=95,
            spacing=[float(one) for one in spacing_mm],
        )
    return float(found)


def ask(python: Path, pairs: list[Pair], folders: list[dict[str, Any]]) -> dict[str, Any]:
    """Let the other environment judge all pairs."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        jobs = []
        for index, pair in enumerate(pairs):
            files = [place / f"{index}_{role}.npy" for role in ("reference", "prediction")]
            for file, labels in zip(files, (pair.reference, pair.prediction), strict=True):
                np.save(file, labels)
            jobs.append(
                {
                    "reference": str(files[0]),
                    "prediction": str(files[1]),
                    "values": pair.values,
                    "ignore": pair.ignore,
                    "spacing_mm": list(map(float, pair.spacing_mm)),
                    "tolerances_mm": TOLERANCES_MM,
                }
            )
        for number, folder in enumerate(folders):
            folder["output"] = str(place / f"summary_{number}.json")
        (place / "oracle.py").write_text(ORACLE)
        (place / "jobs.json").write_text(json.dumps([jobs, folders]))
        command = [str(python), *(str(place / n) for n in ("oracle.py", "jobs.json", "out.json"))]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        answers: dict[str, Any] = json.loads((place / "out.json").read_text())
    for pair, answer in zip(pairs, answers["jobs"], strict=True):
        answer["hd95_mm"] = {}
        for value in answer["nsd"]:
            masks = [labels == int(value) for labels in (pair.reference, pair.prediction)]
            if pair.ignore is not None:
                masks = [mask & (pair.reference != pair.ignore) for mask in masks]
            answer["hd95_mm"][value] = monai_hd95(*masks, pair.spacing_mm)
    return answers


def judge(pair: Pair, theirs: dict[str, Any], counts: Counter[str]) -> None:
    """Compare our figures of one pair with the oracles'; what differs is printed."""
    from napari_unet_mic.evaluation.confusion import confusion_table
    from napari_unet_mic.evaluation.overlap import scores_of
    from napari_unet_mic.evaluation.surface import surface_scores

    values = pair.values
    raw = confusion_table(pair.reference, pair.prediction, max(values) + 1, pair.ignore)
    table = raw[np.ix_(values, values)]

    def tell(what: str, equal: bool, detail: object = "") -> None:
        counts[f"{what}: {'equal' if equal else 'different'}"] += 1
        if not equal:
            print(f"{pair.name}: {what} differs {detail}")

    tell("confusion table", table.tolist() == theirs["table"])
    for value, score in zip(values, scores_of(table), strict=True):
        expected = theirs["counts"][str(value)]
        ours = {name: getattr(score, name) for name in expected}
        tell("tp fp fn tn iou dice of a class", ours == expected, (value, ours, expected))
    for number, tolerance_mm in enumerate(TOLERANCES_MM):
        surfaces = surface_scores(
            pair.reference,
            pair.prediction,
            values,
            pair.spacing_mm,
            tolerance_mm=tolerance_mm,
            ignore=pair.ignore,
        )
        for value, surface in surfaces.items():
            score = theirs["counts"][str(value)]
            in_both = str(value) in theirs["nsd"]
            if not in_both:
                empty = score["tp"] + score["fp"] + score["fn"] == 0
                wanted = (None, None if empty else 0.0)
                tell("one or both sides empty", (surface.hd95_mm, surface.nsd) == wanted, value)
                continue
            nsd, hd95 = theirs["nsd"][str(value)][number], theirs["hd95_mm"][str(value)]
            tell("NSD within 1e-6", abs((surface.nsd or 0) - nsd) <= 1e-6, (value, surface, nsd))
            if number == 0:
                close = math.isclose(surface.hd95_mm or 0, hd95, rel_tol=1e-6, abs_tol=1e-6)
                tell("HD95 within 1e-6", close, (value, surface, hd95))


def judge_summary(folder: dict[str, Any], theirs: dict[str, Any], counts: Counter[str]) -> None:
    """Compare our summary.json of a folder with nnU-Net's own, figure by figure."""
    from napari_unet_mic.evaluation.summary import evaluate_folders

    ours = evaluate_folders(folder["references"], folder["predictions"], tolerance_mm=None)
    texts = [json.dumps(one, sort_keys=True) for one in (ours.summary(), theirs)]
    equal = texts[0] == texts[1]
    counts[f"summary.json: {'equal' if equal else 'different'}"] += 1
    if not equal:
        print(f"{folder['predictions']}: summary.json differs")


def golden(pairs: list[Pair], answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the oracles said; invented label maps go with it."""
    facts: dict[str, Any] = {"tolerances_mm": TOLERANCES_MM, "invented": {}, "real": {}}
    for pair, answer in zip(pairs, answers, strict=True):
        fact = {"values": pair.values, **answer}
        if pair.invented:
            fact |= {
                "shape": pair.reference.shape,
                "spacing_mm": pair.spacing_mm,
                "ignore": pair.ignore,
                "reference": packed(pair.reference),
                "prediction": packed(pair.prediction),
            }
        else:  # the counts follow from the table; keep the file small
            fact = {name: fact[name] for name in ("values", "nsd", "hd95_mm")}
            fact["table"] = packed(np.array(answer["table"], np.int64))
        facts["invented" if pair.invented else "real"][pair.name] = fact
    return facts


def packed(array: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--oracle-python", required=True, type=Path)
    parser.add_argument("--shared", type=Path, help="the folder with the real data")
    parser.add_argument("--golden", type=Path, help="write what the oracles said")
    options = parser.parse_args()
    pairs = invented_pairs()
    folders = []
    if options.shared:
        pairs += real_pairs(options.shared)
        predictions = options.shared / "reference" / "nnunet_v2_hippocampus" / "predictions"
        references = options.shared / "data" / "Task04_Hippocampus" / "labelsTr"
        folders = [
            {
                "references": str(references),
                "predictions": str(predictions / kind),
                "values": [1, 2],
            }
            for kind in ("mirrored", "plain")
        ]
    answers = ask(options.oracle_python, pairs, folders)
    counts: Counter[str] = Counter()
    for pair, answer in zip(pairs, answers["jobs"], strict=True):
        judge(pair, answer, counts)
    for folder, summary in zip(folders, answers["summaries"], strict=True):
        judge_summary(folder, summary, counts)
    print(f"{len(pairs)} pairs, {sum(len(pair.values) for pair in pairs)} classes")
    for what, number in sorted(counts.items()):
        print(f"{number:6d}  {what}")
    if options.golden:
        text = json.dumps(golden(pairs, answers["jobs"]), indent=1)
        options.golden.write_text(text + "\n", encoding="utf-8")
    return 1 if any("different" in what for what in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
