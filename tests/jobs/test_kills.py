"""SIGKILL of the trainer at random moments, also while it writes a checkpoint.

After every kill the latest checkpoint is whole, the events are, and the next session goes on
from exactly there. At the end the weights are, bit for bit, those of a run that nobody
disturbed.
"""

import dataclasses
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_unet_mic.jobs.process import Job, start
from napari_unet_mic.network import checkpoint
from napari_unet_mic.training import events
from napari_unet_mic.training.events import Event, in_force, read_events
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

Place = tuple[int, int]
LOOKS_PER_EPOCH = 7  # five iterations, one validation patch, the epoch's end


@dataclass
class Tally:
    """What a series of kills met."""

    kills: int = 0
    while_starting: int = 0
    half_written_checkpoints: int = 0
    resumed: int = 0
    last: Place = (0, 0)


def place_of(run: Run) -> Place:
    """Where the latest checkpoint lies; it must be whole and finite."""
    if not run.checkpoint("latest").exists():
        return (0, 0)
    found = checkpoint.load(run.checkpoint("latest"))
    assert all(bool(torch.isfinite(w).all()) for w in found["network_weights"].values())
    assert found["optimizer_state"]["state"]
    return int(found["current_epoch"]), int(found["unet_mic"]["iteration"])


def until(job: Job, run: Run, holds: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert job.alive, run.output_file.read_text()[-2000:]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def half_written(run: Run) -> list[Path]:
    return list(run.fold_folder.glob(".part-*"))


def held_while_writing(job: Job, run: Run) -> bool:
    """Halt the trainer for a moment; whether that met it with a half-written checkpoint."""
    if not half_written(run):
        return False
    assert job.pid is not None
    os.kill(job.pid, signal.SIGSTOP)
    time.sleep(0.01)  # the signal takes effect
    if half_written(run):
        return True
    os.kill(job.pid, signal.SIGCONT)
    return False


def kill_once(run: Run, how: str, rng: random.Random, tally: Tally) -> None:
    """Start a session, kill it in the way asked for, and look at what is left."""
    before = place_of(run)
    _, at = read_events(run.events_file)

    def said() -> list[Event]:
        return read_events(run.events_file, at)[0]

    job = start(run)
    if how == "anywhere":
        time.sleep(rng.uniform(0.0, 5.0))
    else:
        until(job, run, lambda: any(isinstance(e, events.CheckpointSaved) for e in said()))
        time.sleep(rng.uniform(0.0, 0.4))
    if how == "writing":
        until(job, run, lambda: held_while_writing(job, run))
    job.kill()
    assert job.wait(60)
    assert half_written(run) or how != "writing"
    tally.kills += 1
    tally.half_written_checkpoints += bool(half_written(run))
    if rng.random() < 0.5:  # otherwise napari was killed as well, and nobody notes the end
        job.poll()
        assert run.state() == "failed"
    happened = said()
    tally.while_starting += not any(isinstance(e, events.Prepared) for e in happened)
    resumed = [e for e in happened if isinstance(e, events.Resumed)]
    if before != (0, 0) and resumed:
        assert [(e.from_epoch, e.from_iteration) for e in resumed] == [before]
        tally.resumed += 1
    tally.last = place_of(run)
    assert tally.last >= before


def undisturbed(settings: RunSettings, stop_at: Place) -> Run:
    """Train the same run in one go up to a place."""
    run = Run.create(dataclasses.replace(settings, name="undisturbed", checkpoint_minutes=1e6))
    wanted = LOOKS_PER_EPOCH * stop_at[0] + stop_at[1]
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += (run.folder / "plans.json").exists()
        return looks >= wanted

    train(run, [].append, stop)
    return run


def kill_again_and_again(settings: RunSettings, kills: int, seed: int) -> Tally:
    rng = random.Random(seed)
    run, tally = Run.create(settings), Tally()
    ways = ("writing", "training", "anywhere", "writing")
    for number in range(kills):
        kill_once(run, ways[number % len(ways)], rng, tally)
    job = start(run)
    _, at = read_events(run.events_file)
    until(job, run, lambda: place_of_saved(run, at) > tally.last)
    assert job.stop(grace=120) == 0
    assert run.state() == "stopped"
    assert not half_written(run)  # what kills left behind was cleared away
    everything = read_events(run.events_file)[0]
    stopped = everything[-1]
    assert isinstance(stopped, events.RunStopped)
    tally.last = (stopped.epoch, stopped.iteration)
    kept = [e.epoch for e in in_force(everything) if isinstance(e, events.EpochFinished)]
    assert kept == list(range(stopped.epoch))
    straight = undisturbed(settings, tally.last)
    ours, theirs = (checkpoint.load(one.checkpoint("latest")) for one in (run, straight))
    assert place_of(straight) == place_of(run) == tally.last
    for name, weights in theirs["network_weights"].items():
        assert torch.equal(ours["network_weights"][name], weights), name
    for key, state in theirs["optimizer_state"]["state"].items():
        assert torch.equal(
            ours["optimizer_state"]["state"][key]["momentum_buffer"], state["momentum_buffer"]
        )
    assert ours["unet_mic"]["losses"] == theirs["unet_mic"]["losses"]
    assert ours["logging"]["train_losses"] == theirs["logging"]["train_losses"]
    return tally


def place_of_saved(run: Run, at: int) -> Place:
    saved = [
        e for e in read_events(run.events_file, at)[0] if isinstance(e, events.CheckpointSaved)
    ]
    return max(((e.epoch, e.iteration) for e in saved), default=(0, 0))


@pytest.fixture
def settings(small_settings: RunSettings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run that writes a checkpoint after every iteration, on one thread everywhere."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield dataclasses.replace(small_settings, checkpoint_minutes=0.0, precision="float32")
    torch.set_num_threads(before)


def test_three_kills_change_nothing(settings: RunSettings) -> None:
    tally = kill_again_and_again(settings, 3, seed=1)
    assert tally.kills == 3
    assert tally.half_written_checkpoints >= 1  # the first kill waits for one


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_kills_change_nothing(settings: RunSettings) -> None:
    tally = kill_again_and_again(settings, 50, seed=2)
    sys.stdout.write(f"\n{tally}\n")
    assert tally.kills == 50
    assert tally.half_written_checkpoints >= 10
    assert tally.resumed >= 20
