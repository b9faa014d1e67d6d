import json

import pytest

from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadCheckpoint, UnreadableFile
from napari_unet_mic.gui.models import models_of, read_model

ABOUT = {
    "channel_names": {"0": "T2", "1": "ADC"},
    "labels": {"background": 0, "gland": [1, 2], "zone": 2, "ignore": 3},
}


def write_model(folder, *checkpoints):
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(ABOUT))
    for checkpoint in checkpoints:
        file = folder / checkpoint
        file.parent.mkdir(exist_ok=True)
        file.touch()
    return folder


def test_a_model_tells_folds_channels_and_classes(tmp_path):
    folder = write_model(
        tmp_path / "a",
        "fold_0/checkpoint_final.pth",
        "fold_10/checkpoint_final.pth",
        "fold_2/checkpoint_final.pth",
        "fold_all/checkpoint_best.pth",
    )
    model = read_model(folder)

    assert model.folds["final"] == (0, 2, 10)
    assert model.folds["best"] == ("all",)
    assert model.checkpoints == ("final", "best")
    assert model.channel_names == ("T2", "ADC")
    assert model.classes == {0: "background", 1: "gland", 2: "zone"}


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(UnreadableFile):
        read_model(tmp_path)
    with pytest.raises(BadCheckpoint, match="no checkpoint in any fold"):
        read_model(write_model(tmp_path / "a"))


def test_runs_without_a_checkpoint_are_not_listed(tmp_path):
    write_model(tmp_path / "runs" / "a", "fold_0/checkpoint_latest.pth")
    write_model(tmp_path / "runs" / "b")

    assert [model.name for model in models_of(Workspace(tmp_path))] == ["a"]
