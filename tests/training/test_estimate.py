import dataclasses
import json
from pathlib import Path

import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.errors import BadInput
from napari_unet_mic.training.estimate import estimate
from napari_unet_mic.training.learner import Learner
from napari_unet_mic.training.run import RunSettings


def test_the_estimate_adds_up_and_writes_nothing(tiny: RunSettings) -> None:
    found = estimate(tiny, iterations=1)
    assert found.seconds_per_iteration > 0
    assert found.seconds_per_epoch > 4 * found.seconds_per_iteration
    assert found.seconds_total == pytest.approx(2 * found.seconds_per_epoch)
    assert (found.device, found.precision) == ("cpu", "float32")
    assert found.memory_bytes > 10_000_000
    assert found.sentence.startswith("About ")
    assert "2 epochs on this CPU" in found.sentence
    assert not Path(tiny.workspace).exists()


def test_a_cross_validation_takes_five_times_as_long(tiny: RunSettings) -> None:
    found = estimate(dataclasses.replace(tiny, fold="each"), iterations=1)
    assert found.seconds_total == pytest.approx(10 * found.seconds_per_epoch)


def test_without_plans_they_are_made_in_memory(tiny: RunSettings) -> None:
    found = estimate(dataclasses.replace(tiny, plans=None), iterations=1)
    assert found.seconds_total > 0
    assert not Path(tiny.workspace).exists()


def test_too_much_memory_names_what_would_fit(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Learner, "train_step", greedy)
    with pytest.raises(BadInput, match="expected enough memory for patch 8 × 16 × 16 and batch 2"):
        estimate(tiny)


def test_the_command_prints_json_and_starts_no_run(
    tiny: RunSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", tiny.dataset, "--workspace", str(tmp_path / "w"), "--name", "a"]
    words += ["--plans", str(tiny.plans), "--device", "cpu", "--estimate", "--json"]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts) == {
        "seconds_per_iteration",
        "seconds_per_epoch",
        "seconds_total",
        "memory_bytes",
        "device",
        "precision",
        "sentence",
    }
    assert not (tmp_path / "w").exists()
