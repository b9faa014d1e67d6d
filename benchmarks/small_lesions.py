"""What the preset for small lesions gains and what it costs, on synthetic livers.

    python benchmarks/small_lesions.py --workspace FOLDER [--seeds 3] [--test-cases 100]

Twelve training cases of 48 × 96 × 96 voxels, 150 iterations, the same seed, plan and batches of
cases with nnU-Net's recipe and with ``--preset small-lesions``; the test cases are predicted whole.
*Small* lesions are the smallest third of the test set's lesions by volume, *large* ones the
largest third. A lesion is found when a predicted one shares a voxel with it. Intervals are 95 %
percentile bootstraps over cases, paired: both recipes meet the same cases in every resample.
Prints rows for RESULTS.md.
"""

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LESION = 2
TRAINING_CASES, ITERATIONS = 12, 150
RECIPES = ("nnunet", "small-lesions")


@dataclass(frozen=True)
class Seen:
    """A reference lesion of the test set: case, size, and per recipe its Dice (0: missed)."""

    case: str
    ml: float
    dice: tuple[float, float]


@dataclass(frozen=True)
class Study:
    """Both recipes on one test set; `spurious`: predicted lesions that touch none, by case."""

    lesions: tuple[Seen, ...]
    spurious: dict[str, tuple[int, int]]

    def third(self, which: int) -> list[Seen]:
        """Return the lesions of a third by volume: 0 the smallest, 2 the largest."""
        ordered = sorted(self.lesions, key=lambda lesion: (lesion.ml, lesion.case))
        cuts = [round(len(ordered) * k / 3) for k in range(4)]
        return ordered[cuts[which] : cuts[which + 1]]

    def recall(self, third: int) -> tuple[float, float]:
        """Return the share of a third's lesions that each recipe finds."""
        found = np.array([[d > 0 for d in lesion.dice] for lesion in self.third(third)])
        return float(found[:, 0].mean()), float(found[:, 1].mean())

    def gain(self, third: int, *, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
        """Return the preset's recall minus nnU-Net's, and its 95 % interval."""
        return paired_gain(
            [(lesion.case, float(lesion.dice[1] > 0) - float(lesion.dice[0] > 0))
             for lesion in self.third(third)],
            sorted(self.spurious),
            draws=draws,
            seed=seed,
        )  # fmt: skip

    def spurious_per_case(self) -> tuple[float, float]:
        """Return the mean number of spurious lesions a case, per recipe."""
        counts = np.array(list(self.spurious.values()), dtype=float)
        return float(counts[:, 0].mean()), float(counts[:, 1].mean())

    def large_dice(self) -> tuple[float, float]:
        """Return the mean Dice of the largest third's lesions, a missed one counting 0."""
        dice = np.array([lesion.dice for lesion in self.third(2)])
        return float(dice[:, 0].mean()), float(dice[:, 1].mean())

    def row(self, title: str) -> str:
        """Return the study as a row of a Markdown table (see `HEAD`)."""
        small, large, spurious = self.recall(0), self.large_dice(), self.spurious_per_case()
        gain, low, high = self.gain(0)
        return (
            f"| {title} | {len(self.third(0))} | {small[0]:.3f} | {small[1]:.3f} | "
            f"{gain:+.3f} ({low:+.3f} to {high:+.3f}) | {spurious[0]:.2f} | {spurious[1]:.2f} | "
            f"{large[0]:.3f} | {large[1]:.3f} |"
        )


HEAD = (
    "| seed | small lesions | recall, nnU-Net's recipe | recall, preset | gain (95 %) | "
    "spurious a case, nnU-Net's | preset | large-lesion Dice, nnU-Net's | preset |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def paired_gain(
    gains: list[tuple[str, float]], cases: list[str], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean gain over lesions and its 95 % percentile interval, cases resampled."""
    sums = {case: [0.0, 0] for case in cases}
    for case, gain in gains:
        sums[case][0] += gain
        sums[case][1] += 1
    table = np.array(list(sums.values()), dtype=float)  # (cases, [sum, n])
    rng = np.random.default_rng(seed)
    drawn = table[rng.integers(len(table), size=(draws, len(table)))].sum(1)  # (draws, 2)
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return float(table[:, 0].sum() / table[:, 1].sum()), float(low), float(high)


def judge(dataset: Path, predictions: tuple[Path, Path]) -> Study:
    """Match the lesions of every predicted test case with its reference's, for both recipes."""
    from napari_unet_mic.data.volume import read_labels
    from napari_unet_mic.evaluation.lesions import lesions_of

    lesions: list[Seen] = []
    spurious: dict[str, tuple[int, int]] = {}
    for name in json.loads((dataset / "test_cases.json").read_text()):
        reference = read_labels(dataset / "labelsTr" / f"{name}.nii.gz")
        sides = [
            lesions_of(
                reference.array,
                read_labels(folder / f"{name}.nii.gz").array,
                [LESION],
                reference.spacing_mm,
            ).lesions
            for folder in predictions
        ]
        known = [[one for one in side if one.source == "reference"] for side in sides]
        for first, second in zip(*known, strict=True):
            dice = tuple(2 * one.iou / (1 + one.iou) for one in (first, second))
            lesions.append(Seen(name, first.ml, (dice[0], dice[1])))
        extra = [
            sum(one.source == "prediction" and not one.partners for one in side) for side in sides
        ]
        spurious[name] = (extra[0], extra[1])
    return Study(tuple(lesions), spurious)


def narrow_plan(dataset: Path, file: Path, width: float) -> Path:
    """Write the dataset's own plan with a share of its features."""
    from napari_unet_mic.data.dataset import open_dataset
    from napari_unet_mic.planning.fingerprint import extract
    from napari_unet_mic.planning.rules import plan_experiment

    opened = open_dataset(dataset)
    plan = plan_experiment(extract(opened), opened.nnunet_json(), dataset_name="LiverPhantom")
    raw = plan.to_json()
    arguments = raw["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [
        max(4, round(n * width)) for n in arguments["features_per_stage"]
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(raw, indent=4))
    return file


def train_both(options: argparse.Namespace, seed: int) -> tuple[Path, Path]:
    """Train both recipes with one seed; returns the folders of their test predictions."""
    from napari_unet_mic.data.dataset import open_dataset
    from napari_unet_mic.training.presets import small_lesions
    from napari_unet_mic.training.run import Run, RunSettings
    from napari_unet_mic.training.trainer import run_child

    dataset = options.workspace / "data"
    plans = narrow_plan(dataset, options.workspace / "plans.json", options.width)
    epochs = max(1, options.iterations // 10)
    usual = RunSettings(
        dataset=str(dataset),
        workspace=str(options.workspace / "workspace"),
        name=f"nnunet-{seed}",
        plans=str(plans),
        fold="all",
        epochs=epochs,
        iterations_per_epoch=-(-options.iterations // epochs),
        validation_iterations=0,
        device=options.device,
        precision=options.precision,
        mirroring=False,
        seed=seed,
        batch_size=options.batch_size,
        patch_size=options.patch_size and tuple(options.patch_size),
    )
    preset = small_lesions(open_dataset(dataset))
    other = dataclasses.replace(usual, name=f"small-lesions-{seed}", **preset)
    folders = []
    for settings in (usual, other):
        run = Run.open(settings.folder) if settings.folder.exists() else Run.create(settings)
        if run_child(run.folder) != 0:
            sys.exit(f"{run.folder}: the training did not finish; see its events.jsonl")
        folders.append(run.test_folder)
    return folders[0], folders[1]


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test-cases", type=int, default=100)
    parser.add_argument("--training-cases", type=int, default=TRAINING_CASES)
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    parser.add_argument("--shape", type=int, nargs=3, default=(48, 96, 96))
    parser.add_argument("--width", type=float, default=0.5, help="share of the plan's features")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--patch-size", type=int, nargs=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args(words)
    from napari_unet_mic.data.phantom import write_liver

    if not (options.workspace / "data" / "dataset.json").exists():
        write_liver(
            options.workspace / "data",
            n_cases=options.training_cases + options.test_cases,
            shape=tuple(options.shape),
            seed=1,
            n_test=options.test_cases,
        )
    print(HEAD)
    for seed in range(options.seeds):
        study = judge(options.workspace / "data", train_both(options, seed))
        print(study.row(str(seed)), flush=True)


if __name__ == "__main__":
    main()
