"""How long a training stays on the plateau where everything is background, and what shortens it.

    python benchmarks/plateau.py DATASET --workspace W [--seeds 3] [--iterations 120] [--width 0.25]
        [--precisions float32 bfloat16] [--warm-ups 0 50] [--momenta 0.99 0.9]

Fold 0 of a prepared workspace, the plan's own patch and batch, nnU-Net's recipe. The loss is cross
entropy minus soft Dice: while all is background the Dice is 0 and the loss above 0. A run has left
the plateau when the mean of its last ten losses is below 0. Prints, for every setting and seed,
the iteration at which it did, the mean of the last ten losses, and what the network answers on
eight validation batches (pseudo Dice). ``--width`` takes a share of the plan's features, so that a
trial takes minutes; 1 is the plan's own network.
"""

import argparse
import dataclasses
import itertools
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=120)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--warm-ups", type=int, nargs="+", default=[0, 50])
    parser.add_argument("--momenta", type=float, nargs="+", default=[0.99])
    options = parser.parse_args()
    materials = prepared(options)
    print("| precision | warm-up | momentum | seed | left at | last loss | pseudo Dice | s |")
    print("|---|---|---|---|---|---|---|---|")
    for precision, warm_up, momentum, seed in itertools.product(
        options.precisions, options.warm_ups, options.momenta, options.seeds
    ):
        began = time.monotonic()
        left, loss, dice = trial(options, materials, precision, warm_up, momentum, seed)
        print(
            f"| {precision} | {warm_up} | {momentum:g} | {seed} | {left or '–'} | {loss:.3f} | "
            f"{dice:.3f} | {time.monotonic() - began:.0f} |",
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
    warm_up: int,
    momentum: float,
    seed: int,
) -> tuple[int | None, float, float]:
    """Return when the plateau was left, the mean of the last ten losses, and the pseudo Dice."""
    import torch

    from napari_unet_mic.training.epochs import samplers
    from napari_unet_mic.training.learner import Learner
    from napari_unet_mic.training.patches import ahead

    settings = settings_of(options, seed=seed, warm_up_iterations=warm_up, precision=precision)
    device = torch.device("cpu")
    learner = Learner(
        materials.plan,
        materials.configuration,
        materials.dataset,
        settings,
        device=device,
        precision=getattr(torch, precision),
    )
    for group in learner.optimizer.param_groups:
        group["momentum"] = momentum
    training, validation = samplers(settings, materials, device)
    learner.network.train()
    losses: list[float] = []
    left = None
    for batch in ahead(training, range(options.iterations)):
        learner.set_rate(0, len(losses))
        losses.append(float(learner.train_step(batch)))
        recent = losses[-10:]
        if left is None and len(recent) == 10 and sum(recent) < 0:
            left = len(losses)
    _, dice, _ = learner.validate(ahead(validation, range(8)))
    known = [value for value in dice.values() if value is not None]
    return left, sum(losses[-10:]) / 10, sum(known) / max(1, len(known))


if __name__ == "__main__":
    sys.exit(main())
