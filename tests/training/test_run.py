import dataclasses
from pathlib import Path

import pytest

from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import BadInput, RunLocked, UnreadableFile
from napari_unet_mic.training import events
from napari_unet_mic.training.events import EventLog
from napari_unet_mic.training.run import Run, RunSettings, runs_of


def settings(folder: Path, **changes: object) -> RunSettings:
    return dataclasses.replace(
        RunSettings(dataset=str(folder / "data"), workspace=str(folder), name="liver-a"),
        **changes,  # type: ignore[arg-type]
    )


def test_settings_come_back_from_the_run_folder(tmp_path: Path) -> None:
    asked = settings(
        tmp_path, fold="all", epochs=3, test=("liver_1", "liver_2"), start_from="m.pth"
    )
    run = Run.create(asked)
    assert run.folder == tmp_path / "runs" / "liver-a"
    assert run.settings.start_from == str(Path("m.pth").absolute())
    assert Run.open(run.folder).settings == run.settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../elsewhere"),
        ("name", ""),
        ("name", ".hidden"),
        ("fold", -1),
        ("fold", "some"),
        ("epochs", 0),
        ("iterations_per_epoch", 0),
        ("validation_iterations", -1),
        ("learning_rate", 0.0),
        ("foreground_oversampling", 1.5),
        ("augmentation", "wild"),
        ("early_stopping_epochs", 0),
        ("batch_size", 0),
        ("patch_size", (16, 16)),
        ("patch_size", (0, 16, 16)),
        ("class_weights", (1.0,)),
        ("class_weights", (1.0, -1.0)),
        ("class_weights", (0.0, 0.0)),
        ("focus_class", 0),
        ("warm_up_iterations", -1),
    ],
)
def test_a_setting_out_of_bounds_is_named(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(BadInput, match=field):
        settings(tmp_path, **{field: value})


def test_a_name_is_used_once(tmp_path: Path) -> None:
    Run.create(settings(tmp_path))
    with pytest.raises(BadInput, match="existing run"):
        Run.create(settings(tmp_path))


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"run\.json"):
        Run.open(tmp_path)
    write_json(tmp_path / "run.json", {"format_version": 99})
    with pytest.raises(BadInput, match="format version"):
        Run.open(tmp_path)
    write_json(tmp_path / "run.json", {"format_version": 1, "settings": {"name": "x"}})
    with pytest.raises(BadInput, match="settings of a run"):
        Run.open(tmp_path)


def started(session: str) -> events.RunStarted:
    return events.RunStarted(session, "CPU", "2d", "0", 1, 1, 1, {0: "background"})


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (events.RunFinished(1.0), "finished"),
        (events.RunFailed("no such file"), "failed"),
        (events.RunStopped("stop", 1), "stopped"),
        (events.RunStopped("pause", 1), "paused"),
        (None, "lost its process"),
    ],
    ids=["finished", "failed", "stopped", "paused", "lost"],
)
def test_the_state_follows_from_the_last_words(
    tmp_path: Path, last: events.Event | None, state: str
) -> None:
    run = Run.create(settings(tmp_path))
    assert run.state() == "new"
    with run.take():
        assert run.state() == "running"
        log = EventLog(run.events_file)
        log(started(run.session or ""))
        if last is not None:
            log(last)
        log.close()
    assert run.state() == state


def test_a_session_just_asked_for_counts_as_running(tmp_path: Path) -> None:
    run = Run.create(settings(tmp_path))
    run.new_session()
    assert run.state() == "running"


def test_a_stop_is_for_one_session_only(tmp_path: Path) -> None:
    run = Run.create(settings(tmp_path))
    first = run.new_session()
    assert run.stop_requested(first) is None
    run.request_stop(reason="pause")
    assert run.stop_requested(first) == "pause"
    second = run.new_session()
    assert run.stop_requested(second) is None
    run.stop_file.write_text("not json")
    assert run.stop_requested(second) is None


def test_one_trainer_per_run(tmp_path: Path) -> None:
    run = Run.create(settings(tmp_path))
    with run.take():
        before = run.session
        with pytest.raises(RunLocked, match="already working"):
            Run.open(run.folder).take()
        assert run.session == before
        holder = run.holder
        assert holder is not None
        assert holder.is_alive
    assert set(read_json(run.run_file)["holder"]) == {"host", "pid", "created"}


def test_the_runs_of_a_workspace_are_listed(tmp_path: Path) -> None:
    assert runs_of(tmp_path) == []
    Run.create(settings(tmp_path, name="one"))
    Run.create(settings(tmp_path, name="two"))
    broken = tmp_path / "runs" / "three"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    assert {run.name for run in runs_of(tmp_path)} == {"one", "two"}


def test_every_new_setting_comes_back(tmp_path: Path) -> None:
    asked = settings(
        tmp_path,
        fold="each",
        early_stopping_epochs=20,
        batch_size=3,
        patch_size=(16, 32, 32),
        class_weights=(1.0, 2.0, 4.5),
        focus_class=2,
        augmentation="light",
        warm_up_iterations=50,
    )
    run = Run.create(asked)
    assert Run.open(run.folder).settings == run.settings


def test_early_stopping_needs_validation_patches(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="early stopping looks at the validation patches"):
        settings(tmp_path, early_stopping_epochs=5, validation_iterations=0)


def test_a_cross_validation_has_five_folds_in_one_folder(tmp_path: Path) -> None:
    run = Run.create(settings(tmp_path, fold="each"))
    assert run.folds == (0, 1, 2, 3, 4)
    assert run.of_fold(3).checkpoint("best") == run.folder / "fold_3" / "checkpoint_best.pth"
    assert run.validation_folder.name == "crossval_results_folds_0_1_2_3_4"
    assert Run.create(settings(tmp_path, name="one", fold="all")).folds == ("all",)


def test_a_pause_is_for_one_session_only(tmp_path: Path) -> None:
    run = Run.create(settings(tmp_path))
    first = run.new_session()
    assert not run.pause_requested(first)
    run.ask_to_pause()
    assert run.pause_requested(first)
    run.ask_to_continue("another")
    assert run.pause_requested(first)
    run.ask_to_continue(first)
    assert not run.pause_requested(first)
    run.ask_to_pause(first)
    second = run.new_session()
    assert not run.pause_requested(second)


def test_a_trainer_that_waits_is_paused(tmp_path: Path) -> None:
    run = Run.create(settings(tmp_path))
    with run.take():
        log = EventLog(run.events_file)
        log(started(run.session or ""))
        assert run.state() == "running"
        log(events.RunPaused(0, 3, "on a CPU: the memory stays with the process"))
        log(events.CheckpointSaved("latest", "x.pth", 0, 3))
        assert run.state() == "paused"
        log(events.RunContinued(0, 3))
        assert run.state() == "running"
        log(events.RunPaused(0, 5, "on a CPU: the memory stays with the process"))
        log.close()
    assert run.state() == "lost its process"
