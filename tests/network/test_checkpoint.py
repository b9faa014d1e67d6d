import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_unet_mic.errors import BadCheckpoint, NotYet, UnreadableFile
from napari_unet_mic.network.build import build_network
from napari_unet_mic.network.checkpoint import (
    ModelFolder,
    configuration_of,
    load,
    load_weights,
    save,
)
from napari_unet_mic.planning.plan import Configuration

NNUNET_KEYS = {
    "network_weights",
    "optimizer_state",
    "grad_scaler_state",
    "logging",
    "_best_ema",
    "current_epoch",
    "init_args",
    "trainer_name",
    "inference_allowed_mirroring_axes",
}


class Malicious:
    """Unpickling it would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


@pytest.fixture
def model(tmp_path: Path, tiny_json: dict[str, Any], fullres: Configuration) -> Path:
    """A model folder of the tiny 3d_fullres network, fold 0."""
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    folder.mkdir()
    (folder / "plans.json").write_text(json.dumps(tiny_json))
    labels = {"background": 0, "organ": 1, "tumour": 2}
    about = {"channel_names": {"0": "MRI"}, "labels": labels, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(about))
    save(
        folder / "fold_0" / "checkpoint_final.pth",
        network=build_network(fullres, 1, 3),
        init_args={"configuration": "3d_fullres", "fold": 0},
        current_epoch=3,
        logging={"train_losses": [np.float32(0.5)], "lrs": [0.01]},
        best_ema=np.float64(0.8),
    )
    return folder


def test_checkpoint_comes_back_as_saved(model: Path, fullres: Configuration) -> None:
    checkpoint = load(model / "fold_0" / "checkpoint_final.pth")
    assert set(checkpoint) == NNUNET_KEYS
    assert checkpoint["logging"]["train_losses"] == [np.float32(0.5)]
    assert checkpoint["current_epoch"] == 3
    assert checkpoint["inference_allowed_mirroring_axes"] == (0, 1, 2)
    assert configuration_of(checkpoint) == "3d_fullres"
    for initialize in (True, False):
        network = build_network(fullres, 1, 3, initialize=initialize)
        load_weights(network, checkpoint, fullres)
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, checkpoint["network_weights"][name]), name


def test_duplicates_are_stored_once(model: Path, fullres: Configuration) -> None:
    weights = load(model / "fold_0" / "checkpoint_final.pth")["network_weights"]
    n_parameters = sum(p.numel() for p in build_network(fullres, 1, 3).parameters())
    stored = {tensor.data_ptr(): tensor.numel() for tensor in weights.values()}
    assert sum(stored.values()) == n_parameters


def test_weights_of_distributed_training_fit(model: Path, fullres: Configuration) -> None:
    checkpoint = load(model / "fold_0" / "checkpoint_final.pth")
    prefixed = {f"module.{k}": v for k, v in checkpoint["network_weights"].items()}
    network = build_network(fullres, 1, 3, initialize=False)
    load_weights(network, {"network_weights": prefixed}, fullres)
    assert not next(network.parameters()).is_meta


def test_model_folder_says_what_it_holds(model: Path) -> None:
    found = ModelFolder.open(model)
    assert (found.n_channels, found.n_classes) == (1, 3)
    assert found.configuration_name == "3d_fullres"
    assert found.folds() == (0,)
    assert found.folds("best") == ()
    assert ModelFolder.open(model / "fold_0").folder == model


def test_run_folder_without_nnunets_name_asks_the_checkpoint(model: Path) -> None:
    run = model.rename(model.with_name("my run"))
    assert ModelFolder.open(run).configuration_name == "3d_fullres"


def test_missing_fold_names_those_there_are(model: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"final checkpoint of fold 3, got final in fold_0;"):
        ModelFolder.open(model).file(3)
    with pytest.raises(BadCheckpoint, match=r"best checkpoint of fold 0, got final in fold_0;"):
        ModelFolder.open(model).file(0, "best")


@pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
def test_missing_file_of_a_model_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(UnreadableFile, match=name):
        ModelFolder.open(model)


def test_missing_folder_and_v1_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="model folder, got nothing"):
        ModelFolder.open(tmp_path / "nowhere")
    (tmp_path / "plans.pkl").touch()
    with pytest.raises(NotYet, match="v1"):
        ModelFolder.open(tmp_path)


def test_folder_of_one_model_stands_for_it(model: Path) -> None:
    assert ModelFolder.open(model.parent).folder == model
    shutil.copytree(model, model.with_name("other"))
    with pytest.raises(BadCheckpoint, match=r"expected one model, got 2: nnUNetTrainer.*, other"):
        ModelFolder.open(model.parent)


def test_regions_are_refused_and_ignore_is_no_class(model: Path) -> None:
    file = model / "dataset.json"
    about = json.loads(file.read_text())
    about["labels"] = {"background": 0, "organ": 1, "ignore": 2}
    file.write_text(json.dumps(about))
    assert ModelFolder.open(model).n_classes == 2
    about["labels"] = {"background": 0, "whole": [1, 2], "tumour": 2}
    file.write_text(json.dumps(about))
    with pytest.raises(NotYet, match="regions"):
        _ = ModelFolder.open(model).n_classes


def test_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "was-run"
    file = tmp_path / "checkpoint_final.pth"
    torch.save({"network_weights": {}, "x": Malicious(target)}, file)
    with pytest.raises(BadCheckpoint, match=r"would build \w+\.mkdir; nothing of it was run"):
        load(file)
    file.write_bytes(pickle.dumps(Malicious(target)))
    with pytest.raises((BadCheckpoint, UnreadableFile)):
        load(file)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged or truncated"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"no checkpoint at all", "checkpoint"),
    ],
    ids=["empty", "lfs pointer", "text"],
)
def test_what_is_no_checkpoint_is_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "checkpoint_final.pth"
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=words):
        load(file)


def test_truncated_and_foreign_checkpoints_are_refused(model: Path, tmp_path: Path) -> None:
    whole = model / "fold_0" / "checkpoint_final.pth"
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(UnreadableFile, match="truncated"):
        load(cut)
    torch.save({"state_dict": {}}, cut)
    with pytest.raises(BadCheckpoint, match="network_weights, got state_dict"):
        load(cut)
    with pytest.raises(UnreadableFile, match="no such file"):
        load(tmp_path / "none.pth")


def test_failed_save_leaves_the_old_checkpoint(model: Path, fullres: Configuration) -> None:
    file = model / "fold_0" / "checkpoint_final.pth"
    before = file.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save(
            file,
            network=build_network(fullres, 1, 3),
            init_args={"broken": lambda: None},
            current_epoch=4,
        )
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_nnunets_own_checkpoint_loads(shared: Path, tmp_path: Path) -> None:
    (folder,) = (shared / "reference" / "nnunet_v2_hippocampus").glob("nnUNetTrainer*")
    model = ModelFolder.open(folder)
    configuration = model.plan.configuration(model.configuration_name)
    checkpoint = load(model.file(0))
    network = build_network(configuration, model.n_channels, model.n_classes, initialize=False)
    load_weights(network, checkpoint, configuration)
    assert checkpoint["_best_ema"] == pytest.approx(0.8303858)
    assert sum(p.numel() for p in network.parameters()) == 5_603_177
    shutil.copytree(folder, tmp_path / "run")
    assert ModelFolder.open(tmp_path / "run").configuration_name == "3d_fullres"
