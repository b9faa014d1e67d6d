"""How long a training stays on the plateau where everything is background, and what shortens it.

    python benchmarks/plateau.py DATASET --workspace W [--seeds 0 1 2] [--iterations 250]
        [--width 0.25] [--batch-size 2] [--precisions float32 bfloat16] [--momenta rising 0.99 0.9]
        [--rates kept late falling]

Fold 0 of a prepared workspace, the plan's own patch, nnU-Net's recipe. The loss is cross entropy
minus soft Dice: while all is background the Dice is 0 and the loss above 0. A run has left the
plateau when the mean of its last ten losses is below 0. Prints, for every setting and seed, the
iteration at which it did, the mean of the last ten losses, and what the network answers on twelve
validation batches (pseudo Dice). The momentum is the recipe's own (``rising``) or a fixed one with
the rate at which a gradient comes to the same step; the rate is ``kept``, falls in the last part
(``late``) or all along as nnU-Net's would in many epochs (``falling``). ``--width`` takes a share
of the plan's features, so that a trial takes minutes; 1 is the plan's own network.
"""

import argparse
import dataclasses
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_unet_mic.training.schedule import LAST_PART, POLY_EXPONENT, Step, step_of

RATES: dict[str, Callable[[float], float]] = {
    "kept": lambda left: 1.0,
    "late": lambda left: min(1.0, left / LAST_PART),
    "falling": lambda left: left**POLY_EXPONENT,
}
"""Share of the rate by the share of the run that is left."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=250)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch-size", type=int, help="instead of the plan's")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--momenta", nargs="+", default=["rising", "0.99"])
    parser.add_argument("--rates", nargs="+", choices=tuple(RATES), default=["late", "kept"])
    options = parser.parse_args()
    materials = prepared(options)
    print("| precision | momentum | rate | seed | left at | last loss | pseudo Dice | s |")
    print("|---|---|---|---|---|---|---|---|")
    for precision, momentum, rate, seed in itertools.product(
        options.precisions, options.momenta, options.rates, options.seeds
    ):
        began = time.monotonic()
        left, loss, dice = trial(options, materials, precision, momentum, rate, seed)
        words = " / ".join(f"{value:.3f}" for value in dice)
        print(
            f"| {precision} | {momentum} | {rate} | {seed} | {left or '–'} | {loss:.3f} | "
            f"{words} | {time.monotonic() - began:.0f} |",
            flush=True,
        )


def settings_of(options: argparse.Namespace, **changes: Any) -> Any:
    from napari_unet_mic.training.settings import RunSettings

    return RunSettings(
        dataset=str(options.dataset),
        workspace=str(options.workspace),
        name="plateau",
        epochs=1,
        iterations_per_epoch=options.iterations,
        batch_size=options.batch_size,
        **changes,
    ).absolute()


def prepared(options: argparse.Namespace) -> Any:
    from napari_unet_mic.planning.plan import plan_of
    from napari_unet_mic.training.prepare import prepare

    found = prepare(settings_of(options), lambda _: None, lambda: False)
    raw = found.plan.to_json()
    arguments = raw["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [
        max(4, round(n * options.width)) for n in arguments["features_per_stage"]
    ]
    plan = plan_of(raw)
    return dataclasses.replace(found, plan=plan, configuration=plan.configuration("3d_fullres"))


def trial(
    options: argparse.Namespace,
    materials: Any,
    precision: str,
    momentum: str,
    rate: str,
    seed: int,
) -> tuple[int | None, float, list[float]]:
    """Return when the plateau was left, the mean of the last ten losses, and the pseudo Dice."""
    import torch

    from napari_unet_mic.training.epochs import samplers
    from napari_unet_mic.training.learner import Learner
    from napari_unet_mic.training.patches import ahead

    settings = settings_of(options, seed=seed, precision=precision)
    device = torch.device("cpu")
    learner = Learner(
        materials.plan,
        materials.configuration,
        materials.dataset,
        settings,
        device=device,
        precision=getattr(torch, precision),
    )
    training, validation = samplers(settings, materials, device)
    learner.network.train()
    losses: list[float] = []
    left = None
    for batch in ahead(training, range(options.iterations)):
        done = len(losses)
        fixed = step_of(settings, done).momentum if momentum == "rising" else float(momentum)
        step = Step(settings.learning_rate * RATES[rate](1 - done / options.iterations), fixed)
        for group in learner.optimizer.param_groups:
            group["lr"], group["momentum"] = step.sgd_rate, step.momentum
        losses.append(float(learner.train_step(batch)))
        recent = losses[-10:]
        if left is None and len(recent) == 10 and sum(recent) < 0:
            left = len(losses)
    _, dice, _ = learner.validate(ahead(validation, range(12)))
    return left, sum(losses[-10:]) / 10, [value or 0.0 for value in dice.values()]


if __name__ == "__main__":
    sys.exit(main())
