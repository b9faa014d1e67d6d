from pathlib import Path

from napari_unet_mic.gui.commands import evaluate_command, predict_command, train_command
from napari_unet_mic.options import build_parser
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
    )
    options = build_parser().parse_args(train_command(settings).split()[1:])

    assert (options.fold, options.epochs, options.iterations_per_epoch) == ("all", 3, 5)
    assert (options.validation_iterations, options.device) == (1, "cpu")
    assert options.start_from == Path("/m/checkpoint_final.pth")
    assert options.configuration == "2d"


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
