import dataclasses
from pathlib import Path

from napari_unet_mic.gui.commands import (
    evaluate_command,
    option_of,
    predict_command,
    train_command,
    train_words,
)
from napari_unet_mic.options import build_parser
from napari_unet_mic.train_options import run_settings
from napari_unet_mic.training.run import RunSettings


def test_train_command_leaves_out_what_is_usual():
    usual = RunSettings(dataset="/d/Task 4", workspace="/w", name="a")

    assert train_command(usual) == "unet-mic train '/d/Task 4' --workspace /w --name a"


def test_train_command_means_the_same_to_the_command_line():
    settings = RunSettings(
        dataset="/d",
        workspace="/w",
        name="a",
        configuration="2d",
        fold="all",
        epochs=3,
        iterations_per_epoch=5,
        validation_iterations=1,
        device="cpu",
        start_from="/m/checkpoint_final.pth",
        planner="resenc-m",
        gpu_memory_gb=11.5,
        plans="/p.json",
        seed=3,
        splits="/s.json",
        patients="/patients.csv",
        patient_pattern="{patient}_*",
        test=("liver_1", "liver_2"),
        precision="float32",
        learning_rate=0.002,
        foreground_oversampling=0.67,
        augmentation="light",
        early_stopping_epochs=20,
        batch_size=4,
        patch_size=(1, 64, 96),
        class_weights=(1.0, 1.0, 2.5),
        focus_class=2,
        warm_up_iterations=100,
        mirroring=False,
        checkpoint_minutes=0.5,
    )
    options = build_parser().parse_args(train_words(settings))

    assert run_settings(options, report=print) == settings


def test_predict_command_means_the_same_to_the_command_line():
    line = predict_command(
        Path("/m"), [Path("/i")], Path("/o"), folds=(0, 1), checkpoint="best", mirroring=False
    )
    options = build_parser().parse_args(line.split()[1:])

    assert options.folds == [0, 1]
    assert options.mirroring is False
    assert (options.model, options.input, options.output) == (Path("/m"), [Path("/i")], Path("/o"))
    assert options.checkpoint == "best"


def test_evaluate_names_lesion_classes_and_criterion():
    line = evaluate_command("r", "p", lesion_classes=(2, 3), match="0.5")
    chosen = "--lesion-classes 2 3 --match 0.5"
    assert line == f"unet-mic evaluate --reference r --prediction p {chosen} -o OUT"


def test_every_setting_of_a_run_has_its_option():
    known = {field.name for field in dataclasses.fields(RunSettings)}
    elsewhere = {"dataset", "workspace", "name"}

    assert {field for field in known if option_of_or_none(field)} == known - elsewhere


def option_of_or_none(field):
    try:
        return option_of(field)
    except KeyError:
        return None
