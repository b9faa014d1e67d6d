import sys

import pytest

from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui import run_work
from napari_unet_mic.training.run import Run, RunSettings, runs_of


@pytest.fixture
def run(tmp_path):
    run = Run.create(RunSettings(dataset=str(tmp_path), workspace=str(tmp_path), name="one"))
    (run.folder / "fold_0").mkdir()
    (run.folder / "fold_0" / "checkpoint_best.pth").write_bytes(b"weights")
    return run


def test_a_deleted_run_lies_in_the_trash(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run_work, "_to_trash", lambda folder: folder.rename(tmp_path / "bin"))

    assert run_work.delete_run(run.folder) == "one lies in the trash"
    assert (tmp_path / "bin" / "fold_0" / "checkpoint_best.pth").read_bytes() == b"weights"
    assert runs_of(tmp_path) == []


def test_without_a_trash_it_lies_beside_the_runs(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run_work, "_to_trash", lambda folder: False)

    words = run_work.delete_run(run.folder)

    (kept,) = (tmp_path / "runs" / ".trash").iterdir()
    assert kept.name.startswith("one-")
    assert str(kept) in words
    assert (kept / "fold_0" / "checkpoint_best.pth").read_bytes() == b"weights"
    assert runs_of(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="where the trash lies differs")
def test_the_systems_own_trash_takes_a_folder(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))

    words = run_work.delete_run(run.folder)

    assert not run.folder.exists()
    (weights,) = tmp_path.rglob("checkpoint_best.pth")
    assert ("lies in the trash" in words) == ("share" in weights.parts)


def test_a_run_at_work_is_never_deleted(run):
    with run.lock(), pytest.raises(BadInput, match="stop it first"):
        run_work.delete_run(run.folder)

    assert (run.folder / "fold_0" / "checkpoint_best.pth").exists()


def test_pausing_and_continuing_leave_a_request_for_this_session(run):
    session = run.new_session()
    run_work.pause_run(run.folder)
    assert run.pause_requested(session)

    run_work.continue_run(run.folder)
    assert not run.pause_requested(session)


def test_the_end_of_the_output_starts_with_a_whole_line(run):
    assert run_work.output_of(run.folder) == ""
    lines = [f"line {n}" for n in range(20_000)]
    run.output_file.write_text("\n".join(lines))

    told = run_work.output_of(run.folder).splitlines()

    assert told[-1] == lines[-1]
    assert told == lines[-len(told) :]
    assert len("\n".join(told)) <= run_work.OUTPUT_BYTES
