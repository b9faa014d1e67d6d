import dataclasses
from pathlib import Path

import pytest

from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import BadInput, Cancelled, ChannelMismatch, UNetMicError
from napari_unet_mic.training.events import Event, Progress
from napari_unet_mic.training.prepare import open_workspace, prepare, prepare_workspace
from napari_unet_mic.training.run import RunSettings
from napari_unet_mic.training.trainer import train_here


def asked(blobs: Path, workspace: Path, **changes: object) -> RunSettings:
    settings = RunSettings(dataset=str(blobs), workspace=str(workspace), name="x")
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def never() -> bool:
    return False


def test_what_the_workspace_lacks_is_made_once(blobs: Path, tmp_path: Path) -> None:
    said: list[Event] = []
    made = prepare(asked(blobs, tmp_path), said.append, never)
    stages = [event.stage for event in said if isinstance(event, Progress)]
    assert stages[0] == "fingerprint"
    assert set(stages) == {"fingerprint", "plan", "preprocess"}
    assert made.test == ("blob_5",)
    assert set(made.training) | set(made.validation) == {f"blob_{n}" for n in range(5)}
    for name in ("dataset_fingerprint.json", "plans.json", "splits_final.json"):
        assert (tmp_path / name).exists()
    again: list[Event] = []
    prepare(asked(blobs, tmp_path), again.append, never)
    assert {event.stage for event in again if isinstance(event, Progress)} == {"preprocess"}


def test_another_grid_gets_a_folder_of_its_own(
    blobs: Path, blobs_plan: Path, tmp_path: Path
) -> None:
    first = prepare(asked(blobs, tmp_path, fold="all"), [].append, never)
    other = read_json(blobs_plan)
    other["configurations"]["3d_fullres"]["spacing"] = [2.5, 1.0, 1.0]
    write_json(tmp_path / "other.json", other)
    plans = str(tmp_path / "other.json")
    second = prepare(asked(blobs, tmp_path, fold="all", plans=plans), [].append, never)
    assert first.preprocessed != second.preprocessed
    assert list(first.preprocessed.glob("*.b2nd"))


def test_another_test_set_needs_another_workspace(blobs: Path, tmp_path: Path) -> None:
    open_workspace(asked(blobs, tmp_path, test=("blob_1",)))
    open_workspace(asked(blobs, tmp_path))
    with pytest.raises(BadInput, match="test cases asked for"):
        open_workspace(asked(blobs, tmp_path, test=("blob_2",)))


def test_test_cases_from_a_file(blobs: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "held.json", ["blob_0"])
    workspace = open_workspace(asked(blobs, tmp_path / "w", test=(str(tmp_path / "held.json"),)))
    assert [case.name for case in workspace.dataset().test] == ["blob_0", "blob_5"]


def test_folds_keep_a_patient_together(eight_blobs: Path, tmp_path: Path) -> None:
    told = {"blob_0": "ann", "blob_1": "ann", "blob_2": "bob", "blob_7": "bob"}
    write_json(tmp_path / "who.json", told)
    settings = asked(eight_blobs, tmp_path / "w", patients=str(tmp_path / "who.json"))
    for fold in range(5):
        made = prepare(dataclasses.replace(settings, fold=fold), [].append, never)
        validating = {told[name] for name in made.validation if name in told}
        assert not validating & {told[name] for name in made.training if name in told}
    assert read_json(tmp_path / "w" / "patients.json") == told
    prepare(asked(eight_blobs, tmp_path / "w"), [].append, never)  # the workspace knows them

    write_json(tmp_path / "others.json", {"blob_0": "ann", "blob_5": "ann"})
    others = asked(eight_blobs, tmp_path / "w", patients=str(tmp_path / "others.json"))
    with pytest.raises(BadInput, match="use a new workspace folder"):
        prepare(others, [].append, never)


def test_folds_made_without_patients_are_refused(eight_blobs: Path, tmp_path: Path) -> None:
    prepare(asked(eight_blobs, tmp_path / "w"), [].append, never)
    fold = read_json(tmp_path / "w" / "splits_final.json")[0]
    write_json(tmp_path / "who.json", {fold["val"][0]: "ann", fold["train"][0]: "ann"})
    settings = asked(eight_blobs, tmp_path / "w", patients=str(tmp_path / "who.json"))
    with pytest.raises(BadInput, match="on one side of fold 0"):
        prepare(settings, [].append, never)
    assert not (tmp_path / "w" / "patients.json").exists()


def test_a_patient_in_training_and_test_is_refused(blobs: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "who.json", {"blob_5": "ann", "blob_1": "ann"})
    settings = asked(blobs, tmp_path / "w", patients=str(tmp_path / "who.json"))
    with pytest.raises(BadInput, match=r"blob_1 \(train\), blob_5 \(test\)"):
        train_here(settings, report=lambda _: None)
    assert not (tmp_path / "w").exists()


def test_a_plan_for_other_channels_is_refused(
    blobs: Path, blobs_plan: Path, tmp_path: Path
) -> None:
    plan = read_json(blobs_plan)
    plan["configurations"]["3d_fullres"]["normalization_schemes"] *= 2
    plan["configurations"]["3d_fullres"]["use_mask_for_norm"] *= 2
    write_json(tmp_path / "two.json", plan)
    with pytest.raises(ChannelMismatch, match="2 channels"):
        prepare(asked(blobs, tmp_path, plans=str(tmp_path / "two.json")), [].append, never)


def test_preparing_can_be_cancelled(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        prepare(asked(blobs, tmp_path), [].append, lambda: True)


def test_the_command_names_the_folder(blobs: Path, tmp_path: Path) -> None:
    said: list[str] = []
    done: list[tuple[int, int]] = []
    folder = prepare_workspace(
        blobs, tmp_path, report=said.append, progress=lambda *at: done.append(at)
    )
    assert folder == tmp_path / "preprocessed" / "3d_fullres"
    assert said[0].startswith("fingerprint")
    assert done[-1] == (5, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"dataset": "nowhere"}, id="dataset"),
        pytest.param({"fold": 7}, id="fold"),
        pytest.param({"plans": "nowhere.json"}, id="plans"),
        pytest.param({"start_from": "nowhere.pth"}, id="start-from"),
        pytest.param({"test": ("nobody",)}, id="test"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    wrong: dict[str, object], blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = asked(blobs, tmp_path / "w", **wrong)
    with pytest.raises(UNetMicError):
        train_here(settings, report=lambda _: None)
    assert not (tmp_path / "w").exists()
