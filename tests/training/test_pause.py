import dataclasses
from pathlib import Path

import pytest
import torch

from napari_unet_mic.network import checkpoint
from napari_unet_mic.training import events
from napari_unet_mic.training.events import Event
from napari_unet_mic.training.pause import Pause
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import train


class Person:
    """Asks for a pause at the n-th look of the trainer, and ends it (or stops) when it is said."""

    def __init__(self, run: Run, look: int, *, stops: bool = False) -> None:
        self.run, self.look, self.stops = run, look, stops
        self.looks, self.stopped = 0, False
        self.said: list[Event] = []

    def should_stop(self) -> bool:
        self.looks += (self.run.folder / "plans.json").exists()
        if self.looks == self.look:
            self.looks += 1
            self.run.ask_to_pause()
        return self.stopped

    def emit(self, event: Event) -> None:
        self.said.append(event)
        if isinstance(event, events.RunPaused):
            assert self.run.checkpoint("latest").exists()
            self.stopped = self.stops
            if not self.stops:
                self.run.ask_to_continue()

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.said]


def same_weights(one: Run, other: Run) -> bool:
    ours, theirs = (checkpoint.load(run.checkpoint("final")) for run in (one, other))
    assert ours["logging"]["train_losses"] == theirs["logging"]["train_losses"]
    assert ours["logging"]["val_losses"] == theirs["logging"]["val_losses"]
    weights = theirs["network_weights"]
    return all(torch.equal(ours["network_weights"][name], weights[name]) for name in weights)


@pytest.mark.parametrize("look", [3, 4, 6], ids=["between", "last-iteration", "validating"])
def test_paused_and_continued_is_bit_exact(tiny: RunSettings, look: int) -> None:
    straight = Run.create(tiny)
    train(straight, [].append, lambda: False)
    run = Run.create(dataclasses.replace(tiny, name="paused"))
    person = Person(run, look)
    train(run, person.emit, person.should_stop)
    paused = next(e for e in person.said if isinstance(e, events.RunPaused))
    continued = next(e for e in person.said if isinstance(e, events.RunContinued))
    assert (paused.epoch, paused.iteration) == (0, min(look, 4))
    assert (continued.epoch, continued.iteration) == (0, min(look, 4))
    assert paused.memory == "on a CPU: the memory stays with the process"
    assert person.kinds().count("EpochFinished") == 2
    assert isinstance(person.said[-1], events.RunFinished)
    assert same_weights(run, straight)


def test_a_stop_ends_a_pause_and_the_run_can_be_resumed(tiny: RunSettings) -> None:
    straight = Run.create(tiny)
    train(straight, [].append, lambda: False)
    run = Run.create(dataclasses.replace(tiny, name="paused"))
    person = Person(run, 3, stops=True)
    train(run, person.emit, person.should_stop)
    last = person.said[-1]
    assert isinstance(last, events.RunStopped)
    assert (last.epoch, last.iteration) == (0, 3)
    assert "RunContinued" not in person.kinds()
    train(run, [].append, lambda: False)  # a new session: the old request is not for it
    assert same_weights(run, straight)


def test_work_between_cases_waits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet_mic.training.pause.LOOK_SECONDS", 0.01)
    run = Run.create(RunSettings(dataset=str(tmp_path), workspace=str(tmp_path), name="a"))
    session = run.new_session()
    person = Person(run, 0)
    said: list[Event] = []

    def emit(event: Event) -> None:
        said.append(event)
        if isinstance(event, events.RunPaused):
            run.ask_to_continue()

    pause = Pause(run, session, emit, lambda: person.stopped)
    assert not pause.should_stop()
    assert said == []
    run.ask_to_pause()
    pause.epoch, pause.iteration = 2, 5
    assert not pause.should_stop()
    assert [type(event).__name__ for event in said] == ["RunPaused", "RunContinued"]
    assert (said[0].epoch, said[0].iteration) == (2, 5)  # type: ignore[union-attr]
    person.stopped = True
    assert pause.should_stop()
