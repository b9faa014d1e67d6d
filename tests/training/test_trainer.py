import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_unet_mic.data.files import read_json
from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.errors import BadInput, RunLocked
from napari_unet_mic.evaluation.lesion_figures import lesions_by_case
from napari_unet_mic.evaluation.result_files import read_evaluation
from napari_unet_mic.network import checkpoint
from napari_unet_mic.network.checkpoint import ModelFolder
from napari_unet_mic.training import events
from napari_unet_mic.training.events import Event, EventLog, in_force, read_events
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import run_child, train, train_here

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def settings(tiny: RunSettings) -> RunSettings:
    return tiny


def never() -> bool:
    return False


def of(kind: type[Any], said: list[Event]) -> list[Any]:
    return [event for event in said if isinstance(event, kind)]


def test_a_run_from_dataset_to_test_loss(settings: RunSettings) -> None:
    run = Run.create(settings)
    said: list[Event] = []
    train(run, said.append, never)
    assert isinstance(said[0], events.RunStarted)
    assert said[0].classes == {0: "background", 1: "bright", 2: "dark"}
    assert isinstance(said[-1], events.RunFinished)
    prepared = of(events.Prepared, said)[0]
    assert (prepared.training_cases, prepared.validation_cases, prepared.test_cases) == (4, 1, 1)
    assert (prepared.patch_size, prepared.n_stages) == ((8, 16, 16), 3)
    epochs = of(events.EpochFinished, said)
    assert [e.epoch for e in epochs] == [0, 1]
    assert epochs[0].learning_rate == pytest.approx(1e-2)
    assert epochs[1].learning_rate == pytest.approx(1e-2)
    assert set(epochs[0].iou) == {1, 2}
    assert {e.stage for e in of(events.Progress, said)} >= {"preprocess", "validation", "test"}
    # a model folder of nnU-Net's making
    model = ModelFolder.open(run.folder)
    assert model.folds("final") == (0,)
    found = checkpoint.load(run.checkpoint("final"))
    assert found["trainer_name"] == "nnUNetTrainer"
    assert found["init_args"]["configuration"] == "3d_fullres"
    assert found["current_epoch"] == 2
    assert found["inference_allowed_mirroring_axes"] == (0, 1, 2)
    assert len(found["logging"]["ema_fg_dice"]) == 2
    assert not run.checkpoint("latest").exists()
    assert run.checkpoint("best").exists()
    # the fold, and the test set
    validation = of(events.ValidationFinished, said)[0]
    summary = json.loads((run.validation_folder / "summary.json").read_text())
    assert summary["foreground_mean"]["IoU"] == pytest.approx(validation.mean_iou)
    assert len(read_evaluation(run.validation_folder).cases) == validation.cases == 1
    tested = of(events.TestFinished, said)[0]
    assert math.isfinite(tested.loss)
    kept = read_json(run.test_folder / "test.json")
    assert kept["loss"] == pytest.approx(tested.loss)
    assert set(kept["loss_per_case"]) == {"blob_5"}
    label = read_labels(run.test_folder / "blob_5.nii.gz")
    assert label.shape == (14, 20, 18)
    assert label.spacing_mm == pytest.approx((2.0, 1.0, 1.0))
    # both with every lesion, as the lesions page reads it
    for folder in (run.validation_folder, run.test_folder):
        assert (folder / "lesions.csv").is_file()
        evaluation = read_evaluation(folder)
        assert evaluation.lesions is not None
        (balls,) = lesions_by_case(evaluation).values()
        (ball,) = [one for one in balls if one.source == "reference"]  # of the smaller class
        assert evaluation.lesions.classes == (ball.value,)
    # the test case is nowhere in what was learned from
    splits = read_json(Path(settings.workspace) / "splits_final.json")
    assert not any("blob_5" in names for fold in splits for names in fold.values())


def test_a_finished_run_has_nothing_left_to_do(settings: RunSettings) -> None:
    run = Run.create(dataclasses.replace(settings, epochs=1, iterations_per_epoch=1))
    train(run, [].append, never)
    written = run.checkpoint("final").stat().st_mtime_ns
    said: list[Event] = []
    train(run, said.append, never)
    assert not of(events.EpochFinished, said)
    assert isinstance(said[-1], events.RunFinished)
    assert run.checkpoint("final").stat().st_mtime_ns == written


def test_fold_all_and_starting_from_another_run(settings: RunSettings) -> None:
    short = dataclasses.replace(
        settings, fold="all", epochs=1, iterations_per_epoch=1, validation_iterations=1
    )
    first = Run.create(short)
    train(first, [].append, never)
    assert (first.folder / "fold_all" / "validation" / "summary.json").exists()
    second = Run.create(
        dataclasses.replace(short, name="next", start_from=str(first.folder), learning_rate=1e-9)
    )
    said: list[Event] = []
    train(second, said.append, never)
    assert any("Starting from" in e.note for e in of(events.Progress, said))
    before = checkpoint.load(first.checkpoint("final"))["network_weights"]
    after = checkpoint.load(second.checkpoint("final"))["network_weights"]
    assert all(torch.allclose(after[name], before[name], atol=1e-5) for name in before)


def test_a_child_writes_its_events_and_leaves_a_lock_free(settings: RunSettings) -> None:
    run = Run.create(dataclasses.replace(settings, epochs=1, iterations_per_epoch=2))
    assert run_child(run.folder) == 0
    assert run.state() == "finished"
    happened = read_events(run.events_file)[0]
    assert isinstance(happened[-1], events.RunFinished)
    assert not run.is_running


def test_a_failure_is_a_sentence_in_the_events(settings: RunSettings) -> None:
    run = Run.create(dataclasses.replace(settings, fold=7))
    assert run_child(run.folder) == 1
    last = read_events(run.events_file)[0][-1]
    assert isinstance(last, events.RunFailed)
    assert "fold" in last.message
    assert run.state() == "failed"


def test_an_unexpected_error_is_reported_too(
    settings: RunSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("something odd")

    monkeypatch.setattr("napari_unet_mic.training.trainer.prepare", broken)
    run = Run.create(settings)
    assert run_child(run.folder) == 1
    last = read_events(run.events_file)[0][-1]
    assert isinstance(last, events.RunFailed)
    assert "ZeroDivisionError: something odd" in last.message
    assert "Traceback" in capsys.readouterr().err


def test_a_nan_loss_ends_the_run_before_it_is_saved(
    settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet_mic.training.learner import Learner

    monkeypatch.setattr(Learner, "train_step", lambda *_: torch.tensor(math.nan))
    run = Run.create(settings)
    with pytest.raises(BadInput, match="the training loss: expected a finite number, got nan"):
        train(run, [].append, never)
    assert not run.checkpoint("latest").exists()


def test_a_killed_session_without_checkpoint_begins_again(settings: RunSettings) -> None:
    run = Run.create(dataclasses.replace(settings, epochs=1, iterations_per_epoch=1))
    log = EventLog(run.events_file)
    log(events.IterationsFinished(0, 1, 0.5, 1.0))
    log.close()
    assert run_child(run.folder) == 0
    kept = in_force(read_events(run.events_file)[0])
    assert of(events.Resumed, kept)[0].from_epoch == 0
    assert len(of(events.EpochFinished, kept)) == 1


def test_two_trainers_do_not_share_a_run(settings: RunSettings) -> None:
    run = Run.create(settings)
    with run.take():
        with pytest.raises(RunLocked):
            train(run, [].append, never)
        assert run_child(run.folder) == 75
    assert not run.events_file.exists()


def test_the_command_line_hears_sentences(settings: RunSettings) -> None:
    said: list[str] = []
    short = dataclasses.replace(settings, epochs=1, iterations_per_epoch=1)
    assert train_here(short, report=said.append) == 0
    assert any("4 training, 1 validation and 1 test cases" in line for line in said)
    assert any(line.startswith("test set, 1 whole cases: loss") for line in said)
