"""The command line as a person meets it."""

import json
import re
from pathlib import Path

import pytest

from napari_unet_mic.cli import COMMANDS, main
from napari_unet_mic.options import build_parser
from napari_unet_mic.train_options import run_settings
from napari_unet_mic.training.settings import RunSettings

PROMISED = [
    "check",
    "fingerprint",
    "plan",
    "network",
    "preprocess",
    "train",
    "resume",
    "predict",
    "evaluate",
    "report",
    "sample",
    "demo",
    "info",
]


def test_every_promised_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    help_text = capsys.readouterr().out
    for name in PROMISED:
        assert name in COMMANDS
        assert re.search(rf"^    {name}\b", help_text, re.MULTILINE)


@pytest.mark.parametrize("name", PROMISED)
def test_help_explains_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert "None" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["report", "somewhere", "-o", "report.html"], id="report"),
    ],
)
def test_later_commands_say_so_in_one_sentence(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "not part of this release yet" in said.err


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([], id="no-command"),
        pytest.param(["predict", "model"], id="lacks-input"),
        pytest.param(["train", "d", "--workspace", "w", "--name", "n", "--fold", "x"], id="fold"),
        pytest.param(
            ["train", "d", "--workspace", "w", "--name", "n", "--epochs", "0"], id="epochs"
        ),
    ],
)
def test_wrong_usage_exits_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["check", "nowhere"], id="check"),
        pytest.param(["fingerprint", "nowhere"], id="fingerprint"),
        pytest.param(["plan", "nowhere"], id="plan"),
        pytest.param(["plan", "--fingerprint", "nowhere"], id="plan-half"),
        pytest.param(["plan"], id="plan-nothing"),
        pytest.param(["network", "nowhere.json"], id="network"),
        pytest.param(["train", "nowhere", "--workspace", "w", "--name", "n"], id="train"),
        pytest.param(["resume", "nowhere"], id="resume"),
        pytest.param(["predict", "nowhere", "nothing.nii.gz", "-o", "out"], id="predict"),
        pytest.param(
            ["evaluate", "--reference", "a", "--prediction", "b", "-o", "out"], id="evaluate"
        ),
    ],
)
def test_missing_input_is_one_sentence_and_leaves_nothing(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.err.startswith("unet-mic: ")
    assert said.err.count("\n") == 1, said.err
    assert list(tmp_path.iterdir()) == []


def test_info_names_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["versions"]["napari-unet-mic"]
    assert facts["versions"]["torch"]
    assert any(device["name"] == "cpu" for device in facts["devices"])


def test_every_option_of_train_is_a_setting() -> None:
    words = "train d --workspace w --name n --fold each --early-stopping 20 --batch-size 3 "
    words += "--patch-size 16 32 32 --class-weights 1 2 4 --focus-class 2 --augmentation light "
    words += "--oversampling 0.5 --learning-rate 0.005 --warm-up 50 --precision float32 "
    words += "--gpu-memory-gb 6 --no-mirroring --checkpoint-minutes 2.5"
    said: list[str] = []
    found = run_settings(build_parser().parse_args(words.split()), report=said.append)
    assert found == RunSettings(
        dataset="d",
        workspace="w",
        name="n",
        fold="each",
        early_stopping_epochs=20,
        batch_size=3,
        patch_size=(16, 32, 32),
        class_weights=(1.0, 2.0, 4.0),
        focus_class=2,
        augmentation="light",
        foreground_oversampling=0.5,
        learning_rate=0.005,
        warm_up_iterations=50,
        precision="float32",
        gpu_memory_gb=6.0,
        mirroring=False,
        checkpoint_minutes=2.5,
    )
    assert said == []


def test_what_is_left_out_is_nnunets_recipe() -> None:
    options = build_parser().parse_args(["train", "d", "--workspace", "w", "--name", "n"])
    usual = RunSettings(dataset="d", workspace="w", name="n")
    assert run_settings(options, report=print) == usual


def test_options_win_over_the_preset(tmp_path: Path) -> None:
    from napari_unet_mic.data.phantom import write_liver

    write_liver(tmp_path / "d", n_cases=2, shape=(12, 32, 32), n_test=0)
    words = ["train", str(tmp_path / "d"), "--workspace", "w", "--name", "n"]
    words += ["--preset", "small-lesions", "--oversampling", "0.9"]
    said: list[str] = []
    found = run_settings(build_parser().parse_args(words), report=said.append)
    assert found.focus_class == 2
    assert found.class_weights == (1.0, 1.0, 2.0)
    assert found.foreground_oversampling == 0.9
    assert "smallest class" in said[0]


def test_only_livers_have_tumours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", "prostate", "-o", str(tmp_path / "p"), "--tumours-ml", "1"]
    assert main(words) == 1
    assert "--tumours-ml: expected a liver set, got a prostate set" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()
