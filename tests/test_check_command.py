"""`unet-mic check` as a person meets it: text, JSON, exit status, grouped folds."""

import json
import shutil
from pathlib import Path

import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.data import phantom
from napari_unet_mic.data.files import read_json, write_json


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "prostate"
    phantom.write_prostate(folder, n_cases=12, seed=1)
    return folder


@pytest.fixture
def dataset(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "prostate"))


def test_a_sound_dataset_exits_0(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(dataset)]) == 0
    said = capsys.readouterr()
    assert "12 cases, no errors" in said.out
    assert "Cases with it" in said.out


def test_an_error_exits_3_and_names_file_and_advice(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next((dataset / "labelsTr").iterdir())
    file.write_bytes(b"")
    assert main(["check", str(dataset)]) == 3
    out = capsys.readouterr().out
    assert f"labelsTr/{file.name}: expected a NIfTI" in out
    assert out.startswith("error    empty-file")
    assert "1 error," in out


def test_json_is_the_promised_record(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = sorted((dataset / "imagesTr").iterdir())
    shutil.copy(image[0], image[1])
    assert main(["check", str(dataset / "dataset.json"), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["cases"] == 12
    (found,) = [f for f in report["findings"] if f["kind"] == "duplicate-image"]
    names = {file.name.removesuffix(".nii.gz") for file in image[:2]}
    assert {found["case"], *found["related"]} == names
    assert found["severity"] == "error"
    assert Path(found["file"]).is_file()
    assert set(found) >= {"severity", "kind", "case", "file", "message", "related"}
    assert {s["name"] for s in report["statistics"]} == {"PZ", "TZ"}


def test_patients_and_grouped_folds(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = [
        name
        for name in sorted(f.name.removesuffix(".nii.gz") for f in (dataset / "imagesTr").iterdir())
        if name not in read_json(dataset / "test_cases.json")
    ]
    write_json(tmp_path / "who.json", {name: f"p{n // 2}" for n, name in enumerate(training)})
    splits = tmp_path / "splits_final.json"
    words = ["check", str(dataset), "--patients", str(tmp_path / "who.json"), "--json"]
    assert main([*words, "--grouped-splits", str(splits)]) == 0
    before = json.loads(capsys.readouterr().out)
    across = [f for f in before["findings"] if f["kind"] == "same-patient-across-split"]
    assert across
    assert all(f["severity"] == "warning" for f in across)
    assert any(fold["patient_in_training"] for fold in before["splits"]["folds"])
    assert not any(f["grouped"]["patient_in_training"] for f in before["splits"]["folds"])
    assert main([*words, "--splits", str(splits)]) == 0
    after = json.loads(capsys.readouterr().out)
    assert not [f for f in after["findings"] if f["kind"] == "same-patient-across-split"]


def test_a_name_pattern_says_what_changes(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(dataset), "--patient-pattern", "prostate_{pair}"]) == 0
    out = capsys.readouterr().out
    assert "patients from the pattern prostate_{pair}" in out
    assert "validation cases have their patient in training; grouped by patient 0 of" in out


def test_more_than_ten_of_a_kind_are_shortened(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (dataset / "labelsTr").iterdir():
        file.unlink()
    assert main(["check", str(dataset), "--no-leaks"]) == 3
    short = capsys.readouterr().out
    assert short.count("missing-label") == 11
    assert "… and 2 more (--all)" in short
    assert main(["check", str(dataset), "--no-leaks", "--all"]) == 3
    assert capsys.readouterr().out.count("missing-label") == 12


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--patients", "nowhere.json"], id="no-patients-file"),
        pytest.param(["--patient-pattern", "all"], id="pattern-without-patient"),
    ],
)
def test_what_cannot_be_checked_exits_1(
    words: list[str], dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(dataset), *words]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
