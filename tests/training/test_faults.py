"""What goes wrong in training is a sentence, and the last checkpoint is whole."""

import dataclasses
import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_unet_mic.network import checkpoint
from napari_unet_mic.training import events
from napari_unet_mic.training.events import Event, read_events
from napari_unet_mic.training.learner import Learner
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import run_child, train

resource = pytest.importorskip("resource", reason="limits of POSIX systems")


def never() -> bool:
    return False


def stopped_after(run: Run, iterations: int) -> None:
    """Train so many iterations and leave a latest checkpoint."""
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += (run.folder / "plans.json").exists()
        return looks >= iterations

    train(run, [].append, stop)


def failure(run: Run) -> str:
    assert run_child(run.folder) == 1
    last = read_events(run.events_file)[0][-1]
    assert isinstance(last, events.RunFailed)
    assert run.state() == "failed"
    return last.message


def finish(run: Run) -> None:
    assert run_child(run.folder) == 0
    assert run.state() == "finished"


def equal_to_straight(run: Run) -> bool:
    straight = Run.create(dataclasses.replace(run.settings, name="undisturbed"))
    train(straight, [].append, never)
    ours, theirs = (
        checkpoint.load(one.checkpoint("final"))["network_weights"] for one in (run, straight)
    )
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_out_of_memory_names_the_batch_that_would_fit(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")

    gigabyte = 10**9
    monkeypatch.setattr("napari_unet_mic.training.faults.usable_bytes", lambda _: gigabyte)
    run = Run.create(dataclasses.replace(tiny, batch_size=64, patch_size=(16, 32, 32)))
    monkeypatch.setattr(Learner, "train_step", greedy)
    said = failure(run)
    assert "patch 16 × 32 × 32 and batch 64" in said
    assert "out of memory of 1.0 GB (CUDA out of memory" in said
    assert "would fit (--batch-size" in said


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["python", "torch-cpu"],
)
def test_memory_of_a_cpu_is_memory_too(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def greedy(*_: Any) -> torch.Tensor:
        raise error

    run = Run.create(tiny)
    stopped_after(run, 2)
    with monkeypatch.context() as broken:
        broken.setattr(Learner, "train_step", greedy)
        said = failure(run)
    assert said.startswith("training on the CPU: expected enough memory for patch 8 × 16 × 16")
    finish(run)
    assert equal_to_straight(run)


def test_another_runtime_error_is_not_called_memory(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Learner, "train_step", broken)
    assert "RuntimeError: shapes do not match" in failure(Run.create(tiny))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("{}.b2nd", "cut"),
        ("{}.labels.b2nd", "cut"),
        ("{}.locations.npz", "cut"),
        ("{}.b2nd", "gone"),
    ],
)
def test_an_unreadable_case_in_the_middle_is_named_and_made_again(
    tiny: RunSettings, file: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet_mic.preprocessing.store._CACHE_BYTES", 0)
    run = Run.create(tiny)
    stopped_after(run, 2)
    prepared = Path(tiny.workspace) / "preprocessed" / "3d_fullres"
    broken = {}
    for n in range(5):
        one = prepared / file.format(f"blob_{n}")
        broken[one.name] = one.read_bytes()
        if damage == "gone":
            one.unlink()
        else:
            one.write_bytes(one.read_bytes()[: one.stat().st_size // 2])
    if damage == "gone":  # the check of prepared cases sees that, and prepares them
        finish(run)
    else:
        said = failure(run)
        named = next(n for n in range(5) if file.format(f"blob_{n}") in said)
        assert f"case blob_{named} as it was prepared" in said
        assert "resume the run: the case is prepared again" in said
        assert not (prepared / f"blob_{named}.json").exists()
        for n in range(5):
            if n != named:  # the others' disk was good after all
                one = prepared / file.format(f"blob_{n}")
                one.write_bytes(broken[one.name])
        finish(run)
    assert equal_to_straight(run)


@contextmanager
def files_at_most(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_in_the_middle_of_a_checkpoint_leaves_the_last_one(
    tiny: RunSettings,
) -> None:
    run = Run.create(dataclasses.replace(tiny, checkpoint_minutes=0.0))
    stopped_after(run, 2)
    before = run.checkpoint("latest").read_bytes()
    with files_at_most(len(before) // 2):
        said = failure(run)
    assert said.startswith(f"{run.checkpoint('latest')}: expected room for it on its disk")
    assert "free some room and resume" in said
    assert run.checkpoint("latest").read_bytes() == before
    assert not list(run.folder.rglob(".part-*"))
    finish(run)
    assert equal_to_straight(run)


def test_what_is_missing_on_a_full_disk_is_said(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("napari_unet_mic.training.learner.checkpoint.save", full)
    monkeypatch.setattr(
        "napari_unet_mic.training.faults.shutil.disk_usage",
        lambda _: type("Usage", (), {"free": 500_000}),
    )
    said = failure(Run.create(dataclasses.replace(tiny, checkpoint_minutes=0.0)))
    assert "0.5 MB free, 0.6 MB missing ([Errno 28] No space left on device)" in said


def test_a_few_losses_that_are_no_numbers_are_passed_over(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = Learner._loss
    calls = 0

    def sometimes(self: Learner, *batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal calls
        calls += 1
        loss, logits = straight(self, *batch)
        return (loss * math.nan if calls in (2, 3) else loss), logits

    monkeypatch.setattr(Learner, "_loss", sometimes)
    run = Run.create(dataclasses.replace(tiny, epochs=1))
    said: list[Event] = []
    train(run, said.append, never)
    epoch = next(e for e in said if isinstance(e, events.EpochFinished))
    assert math.isfinite(epoch.train_loss)
    weights = checkpoint.load(run.checkpoint("final"))["network_weights"]
    assert all(bool(torch.isfinite(w).all()) for w in weights.values())


def test_many_in_a_row_end_the_run_and_the_checkpoint_is_from_before(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(dataclasses.replace(tiny, iterations_per_epoch=40))
    stopped_after(run, 3)
    straight = Learner._loss

    def bad(self: Learner, *batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss, logits = straight(self, *batch)
        return loss * math.inf * 0, logits

    before = run.checkpoint("latest").read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(Learner, "_loss", bad)
        said = failure(run)
    assert "expected a finite number, got nan for 1" in said
    assert run.checkpoint("latest").read_bytes() == before


def test_a_disk_too_full_for_the_run_itself(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = Run.create(tiny)
    with monkeypatch.context() as broken:
        broken.setattr("napari_unet_mic.training.run.write_json", full)
        assert run_child(run.folder) == 1
        assert f"{run.run_file}: expected room for it on its disk" in capsys.readouterr().err
        assert not run.is_running
    with monkeypatch.context() as broken:
        broken.setattr("napari_unet_mic.preprocessing.store.write_json", full)
        assert f"{tiny.workspace}: expected room for it on its disk" in failure(run)
