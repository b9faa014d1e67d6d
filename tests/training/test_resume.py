"""Twenty iterations straight, and ten, a stop and ten more, are one run bit for bit."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_unet_mic.inference.devices import cpu_has_bfloat16
from napari_unet_mic.network import checkpoint
from napari_unet_mic.training import events
from napari_unet_mic.training.events import Event
from napari_unet_mic.training.learner import Learner
from napari_unet_mic.training.patches import Batch
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import train

ITERATIONS, STOP_AFTER = 20, 10
NATIVE_BFLOAT16 = pytest.mark.skipif(
    not cpu_has_bfloat16(), reason="this CPU does not multiply bfloat16 natively"
)


class Stop:
    """Asks for a stop at the trainer's n-th look after its tenth iteration (0: never)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, look: int) -> None:
        self.look, self.steps, self.looks = look, 0, 0
        learn = Learner.train_step

        def counted(learner: Learner, batch: Batch) -> torch.Tensor:
            self.steps += 1
            return learn(learner, batch)

        monkeypatch.setattr(Learner, "train_step", counted)

    def __call__(self) -> bool:
        self.looks += self.steps == STOP_AFTER
        return self.looks == self.look != 0


def session(run: Run, look: int = 0) -> tuple[list[Event], int]:
    """Train until the end, or to a stop; returns what was said and the number of iterations."""
    said: list[Event] = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop = Stop(monkeypatch, look)
        train(run, said.append, stop)
    assert isinstance(said[0], events.RunStarted)
    assert said[0].threads == torch.get_num_threads() == 1
    return said, stop.steps


def learned(file: Path) -> dict[str, Any]:
    """Return all that training made, without times and the momentum's bookkeeping."""
    found = checkpoint.load(file)
    assert found["unet_mic"]["threads"] == 1
    momentum = {
        str(number): state["momentum_buffer"]
        for number, state in found["optimizer_state"]["state"].items()
    }
    losses = {name: found["logging"][name] for name in ("train_losses", "val_losses", "lrs")}
    return {"weights": found["network_weights"], "momentum": momentum, "losses": losses}


def assert_equal_bits(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours["losses"] == theirs["losses"]
    for kind in ("weights", "momentum"):
        assert ours[kind].keys() == theirs[kind].keys()
        for name, values in theirs[kind].items():
            assert torch.equal(ours[kind][name], values), (kind, name)


@pytest.mark.parametrize(
    ("per_epoch", "stops", "precision"),
    [
        pytest.param(4, {1: (2, 2)}, "float32", id="in the middle of an epoch"),
        pytest.param(
            5,
            {1: (1, 5), 2: (1, 5), 4: (2, 0)},
            "float32",
            id="after the epoch's last, validating, between epochs",
        ),
        pytest.param(4, {1: (2, 2)}, "bfloat16", id="bfloat16", marks=NATIVE_BFLOAT16),
    ],
)
def test_ten_and_ten_iterations_are_twenty_bit_for_bit(
    tiny: RunSettings, per_epoch: int, stops: dict[int, tuple[int, int]], precision: str
) -> None:
    settings = dataclasses.replace(
        tiny,
        epochs=ITERATIONS // per_epoch,
        iterations_per_epoch=per_epoch,
        precision=precision,
    )
    straight = Run.create(settings)
    assert session(straight)[1] == ITERATIONS
    expected = learned(straight.checkpoint("final"))
    for look, place in stops.items():
        run = Run.create(dataclasses.replace(settings, name=f"stopped-{look}"))
        said, steps = session(run, look)
        assert steps == STOP_AFTER
        stopped = said[-1]
        assert isinstance(stopped, events.RunStopped)
        assert (stopped.epoch, stopped.iteration) == place
        before = learned(run.checkpoint("latest"))["weights"]
        assert any(not torch.equal(before[name], expected["weights"][name]) for name in before)
        said, steps = session(run)
        assert steps == ITERATIONS - STOP_AFTER
        resumed = next(event for event in said if isinstance(event, events.Resumed))
        assert (resumed.from_epoch, resumed.from_iteration) == place
        assert_equal_bits(learned(run.checkpoint("final")), expected)
