"""How well a fold is learnt in a few hundred iterations, and in what time: this beside nnU-Net.

    python benchmarks/learning.py DATASET --work FOLDER --nnunet-environment FOLDER
        [--only ours nnunet speed table] [--seeds 0 1 2] [--epochs 1]

``ours`` and ``nnunet`` train fold 0 of a labelled dataset for so many epochs of 250 iterations,
once for every seed, with the plan's own patch and batch, and validate the whole fold, mirrored.
nnU-Net's trainer runs as it is; both are looked at every 25 iterations (pseudo Dice of ten
validation batches; the clock stands still). They may share a machine, since seeds alone decide.
``speed`` needs an idle one: two dozen whole iterations of both commands, one after the other, with
nnU-Net's own number of workers. ``table`` prints the rows for RESULTS.md and draws learning.svg,
its wall time being iterations times the seconds of ``speed``. A second call does what is missing.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_environment import nnunet_python

ITERATIONS, EVERY, LOOKS, TIMED = 250, 25, 10, 24
PARTS = ("ours", "nnunet", "speed", "table")
SIDES = {"ours": "napari-unet-mic", "nnunet": "nnU-Net"}
COLOURS = {"ours": "#0072b2", "nnunet": "#d55e00"}


@dataclass(frozen=True)
class Learnt:
    """One training: mean pseudo Dice after iterations, and the fold's validation."""

    side: str
    seed: int
    epochs: int
    looks: dict[int, float]
    dice: float
    classes: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="kept; a second call goes on")
    parser.add_argument("--nnunet-environment", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=1, help="of 250 iterations")
    options = parser.parse_args()
    options.work = options.work.absolute()
    options.dataset = options.dataset.absolute()
    for seed in options.seeds:
        if "ours" in options.only:
            ours(options, seed)
        if "nnunet" in options.only:
            nnunet(options, seed)
    if "speed" in options.only:
        print(json.dumps(speed(options)))
    if "table" in options.only:
        table(options)


def name_of(side: str, seed: int, epochs: int) -> str:
    return f"{side}-{seed}-{ITERATIONS * epochs}"


def ours(options: argparse.Namespace, seed: int) -> None:
    """Train with ``unet-mic train``: epochs of 25 iterations are the looks."""
    name = name_of("ours", seed, options.epochs)
    summary = options.work / "workspace" / "runs" / name / "fold_0" / "validation" / "summary.json"
    if not summary.exists():
        epochs = options.epochs * ITERATIONS // EVERY
        words = f"--epochs {epochs} --iterations-per-epoch {EVERY} --validation-iterations {LOOKS}"
        train(options, name, [*words.split(), "--mirroring", "--seed", str(seed)])


def train(options: argparse.Namespace, name: str, words: list[str]) -> None:
    command = [sys.executable, "-m", "napari_unet_mic", "train", str(options.dataset)]
    command += ["--workspace", str(options.work / "workspace"), "--name", name, *words]
    subprocess.run(command, check=True)


def nnunet(options: argparse.Namespace, seed: int) -> None:
    """Train with nnU-Net's trainer (see nnunet_learning.py)."""
    name = name_of("nnunet", seed, options.epochs)
    out = options.work / f"{name}.jsonl"
    if not (out.exists() and any("validated" in row for row in rows_of(out))):
        job = {"seed": seed, "epochs": options.epochs, "iterations": ITERATIONS, "every": EVERY}
        job |= {"looks": LOOKS, "validate_after": [options.epochs]}
        learn(options, name, job)


def learn(options: argparse.Namespace, name: str, job: dict[str, Any]) -> None:
    out = options.work / f"{name}.jsonl"
    out.unlink(missing_ok=True)
    job |= {"raw": str(raw_folder(options)), "work": str(options.work / "nnunet"), "out": str(out)}
    file = options.work / f"{name}.json"
    file.write_text(json.dumps(job | {"splits": str(options.work / "splits_final.json")}))
    script = Path(__file__).with_name("nnunet_learning.py")
    python = nnunet_python(options.nnunet_environment.absolute())
    subprocess.run([python, script, file], check=True)


def raw_folder(options: argparse.Namespace) -> Path:
    """Return the labelled cases in nnU-Net's raw layout, as links, and write the folds."""
    from napari_unet_mic.data.dataset import open_dataset
    from napari_unet_mic.data.splits import five_folds, write_splits

    dataset = open_dataset(options.dataset)
    raw: Path = options.work / "raw" / f"Dataset004_{dataset.name}"
    for part in ("imagesTr", "labelsTr"):
        (raw / part).mkdir(parents=True, exist_ok=True)
    for case in dataset.training:
        assert case.label is not None
        pairs = [(f"imagesTr/{case.name}_{c:04d}", file) for c, file in enumerate(case.images)]
        for link, file in [*pairs, (f"labelsTr/{case.name}", case.label)]:
            target = raw / f"{link}{dataset.nnunet_json()['file_ending']}"
            if not target.exists():
                target.symlink_to(file)
    (raw / "dataset.json").write_text(json.dumps(dataset.nnunet_json()))
    names = [case.name for case in dataset.training]
    write_splits(options.work / "splits_final.json", five_folds(names))
    return raw


def speed(options: argparse.Namespace) -> dict[str, float]:
    """Return seconds per whole iteration of both, on this machine now; kept as speed.json.

    Neither's first iterations count, in which memory is asked for and workers fill their queues:
    of ours the first epoch, of nnU-Net's its first third.
    """
    words = f"--epochs 2 --iterations-per-epoch {TIMED} --validation-iterations 1"
    train(options, "speed", words.split())
    learn(
        options,
        "nnunet-speed",
        {"seed": 0, "epochs": 1, "iterations": TIMED, "every": 0, "looks": 1}
        | {"validate_after": [], "workers": True},
    )
    epochs = events_of(options.work / "workspace" / "runs" / "speed", "EpochFinished")
    first, both = (row["seconds_per_iteration"] for row in epochs)  # means of all until then
    theirs = [row["seconds"] for row in rows_of(options.work / "nnunet-speed.jsonl")]
    found = {"ours": 2 * both - first, "nnunet": statistics.mean(theirs[TIMED // 3 :])}
    (options.work / "speed.json").write_text(json.dumps(found))
    return found


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def events_of(run: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in rows_of(run / "events.jsonl") if row["event"] == kind]


def learnt(options: argparse.Namespace) -> list[Learnt]:
    """Read every training that was finished."""
    found = []
    for file in sorted(options.work.glob("nnunet-[0-9]*-*.jsonl")):
        _, seed, iterations = file.stem.split("-")
        rows = rows_of(file)
        looks = {r["look"]: statistics.mean(r["dice"]) for r in rows if "look" in r}
        for last in [row for row in rows if "validated" in row][-1:]:
            epochs = int(iterations) // ITERATIONS
            classes = tuple(last["classes"].values())
            found.append(Learnt("nnunet", int(seed), epochs, looks, last["dice"], classes))
    for summary in sorted(
        (options.work / "workspace" / "runs").glob("ours-*/fold_0/*/summary.json")
    ):
        run = summary.parents[2]
        _, seed, iterations = run.name.split("-")
        facts = json.loads(summary.read_text())
        looks = {
            EVERY * (row["epoch"] + 1): statistics.mean(v or 0.0 for v in row["dice"].values())
            for row in events_of(run, "EpochFinished")
        }
        classes = tuple(scores["Dice"] for scores in facts["mean"].values())
        dice = facts["foreground_mean"]["Dice"]
        found.append(Learnt("ours", int(seed), int(iterations) // ITERATIONS, looks, dice, classes))
    return found


def table(options: argparse.Namespace) -> None:
    """Print the figures as Markdown; draw pseudo Dice over wall time."""
    file = options.work / "speed.json"
    seconds = json.loads(file.read_text()) if file.exists() else {"ours": 1.0, "nnunet": 1.0}
    runs = learnt(options)
    print("| | iterations | seed | Dice of the classes | mean Dice | wall time |")
    print("|---|---|---|---|---|---|")
    for one in sorted(runs, key=lambda r: (r.epochs, r.side, r.seed)):
        classes = " / ".join(f"{value:.3f}" for value in one.classes)
        done = one.epochs * ITERATIONS
        print(
            f"| {SIDES[one.side]} | {done} | {one.seed} | {classes} | {one.dice:.3f} | "
            f"{done * seconds[one.side] / 60:.1f} min |"
        )
    for epochs, side in sorted({(one.epochs, one.side) for one in runs}):
        dice = [one.dice for one in runs if (one.epochs, one.side) == (epochs, side)]
        print(
            f"{SIDES[side]}, {epochs * ITERATIONS} iterations: mean {statistics.mean(dice):.3f}, "
            f"{min(dice):.3f} to {max(dice):.3f}; {seconds[side]:.2f} s an iteration"
        )
    Path(__file__).with_name("learning.svg").write_text(drawing(runs, seconds))


def drawing(runs: list[Learnt], seconds: dict[str, float]) -> str:
    """Return an SVG: pseudo Dice (0 to 1) over minutes, a line for every training."""
    width, height, left, low = 640, 360, 48, 320
    curves = [
        (one.side, [(0.0, 0.0), *((n * seconds[one.side] / 60, d) for n, d in one.looks.items())])
        for one in runs
    ]
    most = max((minutes for _, points in curves for minutes, _ in points), default=1.0)
    across, up = (width - left - 16) / most, low - 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for tenth in range(0, 11, 2):
        y = low - up * tenth / 10
        parts.append(f'<path d="M{left} {y:.0f}H{width - 16}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 28}" y="{y + 4:.0f}">{tenth / 10:.1f}</text>')
    step = next(n for n in (1, 2, 5, 10, 20, 30, 60, 120) if most / n <= 9 or n == 120)
    for minutes in range(0, int(most) + 1, step):
        parts.append(f'<text x="{left + across * minutes - 4:.0f}" y="{low + 16}">{minutes}</text>')
    for side, points in curves:
        line = " ".join(f"{left + across * m:.1f},{low - up * d:.1f}" for m, d in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{COLOURS[side]}" stroke-width="1.8"/>'
        )
    for row, side in enumerate(sorted({one.side for one in runs}, reverse=True)):
        y = low - 40 + 18 * row
        parts.append(f'<path d="M{width - 170} {y - 4}h24" stroke="{COLOURS[side]}"/>')
        parts.append(f'<text x="{width - 140}" y="{y}">{SIDES[side]}</text>')
    parts.append(
        f'<text x="{width / 2 - 90:.0f}" y="{height - 8}">minutes on an idle machine</text>'
    )
    parts.append(f'<text x="{left}" y="16">pseudo Dice of ten validation batches</text></svg>')
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
