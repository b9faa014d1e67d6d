"""The learner's schedule, what it starts from, and when a run ends early."""

import dataclasses
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_unet_mic.data.dataset import Dataset, open_dataset
from napari_unet_mic.errors import BadInput
from napari_unet_mic.network import checkpoint
from napari_unet_mic.network.archive import model_inside
from napari_unet_mic.network.checkpoint import ModelFolder
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan
from napari_unet_mic.training import events
from napari_unet_mic.training.epochs import weights_file
from napari_unet_mic.training.events import Event
from napari_unet_mic.training.learner import Learner, Place
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.schedule import step_of
from napari_unet_mic.training.trainer import train

NNUNET_MODELS = Path(__file__).parents[1] / "inference" / "nnunet_models"


def learner(settings: RunSettings, plan: Plan, dataset: Dataset, name: str = "") -> Learner:
    configuration: Configuration = plan.configuration(name or settings.configuration)
    return Learner(
        plan,
        configuration,
        dataset,
        settings,
        device=torch.device("cpu"),
        precision=torch.float32,
    )


@pytest.fixture
def one(tiny: RunSettings, blobs: Path, blobs_plan: Path) -> Learner:
    settings = dataclasses.replace(tiny, warm_up_iterations=4, epochs=10)
    return learner(settings, read_plan(blobs_plan), open_dataset(blobs))


def test_every_step_has_its_rate_and_momentum(one: Learner) -> None:
    per_epoch = one.settings.iterations_per_epoch
    rates = [one.set_rate(0, iteration) for iteration in range(per_epoch)]
    group = one.optimizer.param_groups[0]
    step = step_of(one.settings, per_epoch - 1)
    assert rates == [step_of(one.settings, i).rate for i in range(per_epoch)]
    assert (group["lr"], group["momentum"]) == (step.sgd_rate, step.momentum)


def test_nnunet_goes_on_from_a_checkpoint_with_its_own_momentum(
    one: Learner, tmp_path: Path
) -> None:
    one.set_rate(5)
    one.save(tmp_path / "latest.pth", Place(5))
    (group,) = checkpoint.load(tmp_path / "latest.pth")["optimizer_state"]["param_groups"]
    assert (group["lr"], group["momentum"]) == (one.rate, 0.99)
    assert one.optimizer.param_groups[0]["momentum"] < 0.99


def test_resting_and_waking_change_no_number(one: Learner) -> None:
    before = {name: w.clone() for name, w in one.network.state_dict().items()}
    assert one.rest() == "on a CPU: the memory stays with the process"
    one._move(torch.device("cpu"))
    one.wake()
    assert all(torch.equal(w, before[name]) for name, w in one.network.state_dict().items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_resting_gives_a_gpu_back(tiny: RunSettings, blobs: Path, blobs_plan: Path) -> None:
    plan, device = read_plan(blobs_plan), torch.device("cuda:0")
    one = Learner(
        plan,
        plan.configuration("3d_fullres"),
        open_dataset(blobs),
        tiny,
        device=device,
        precision=torch.float16,
    )
    assert one.rest() == "GPU memory is given back"
    assert next(one.network.parameters()).device.type == "cpu"
    one.wake()
    assert next(one.network.parameters()).device.type == "cuda"


def test_a_model_without_mirrored_patches_is_not_mirrored(tiny: RunSettings) -> None:
    run = Run.create(
        dataclasses.replace(tiny, augmentation="none", epochs=1, iterations_per_epoch=1)
    )
    train(run, [].append, lambda: False)
    found = checkpoint.load(run.checkpoint("final"))
    assert found["inference_allowed_mirroring_axes"] is None


@pytest.mark.parametrize("kind", sorted(folder.name for folder in NNUNET_MODELS.iterdir()))
def test_a_checkpoint_of_nnunet_is_gone_on_from(
    tiny: RunSettings, blobs: Path, tmp_path: Path, kind: str
) -> None:
    with zipfile.ZipFile(NNUNET_MODELS / kind / "model.zip") as archive:
        archive.extractall(tmp_path)
    model = ModelFolder.open(model_inside(tmp_path))
    file = weights_file(model.folder)
    theirs = checkpoint.plain_names(checkpoint.load(file)["network_weights"])
    names = {i: f"class {i}" for i in range(model.n_classes)}
    channels = tuple(f"channel {i}" for i in range(model.n_channels))
    dataset = dataclasses.replace(open_dataset(blobs), classes=names, channel_names=channels)
    same = learner(tiny, model.plan, dataset, model.configuration_name)
    assert same.start_from(file) == f"Starting from {file}."
    ours = same.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    # with another class the output layers are new, and that is said
    wider = dataclasses.replace(dataset, classes={**names, len(names): "another"})
    more = learner(tiny, model.plan, wider, model.configuration_name)
    assert "the output layers are new, since the classes differ" in more.start_from(file)
    ours = more.network.state_dict()
    kept = [name for name in theirs if ".seg_layers." not in name]
    assert all(torch.equal(ours[name], theirs[name]) for name in kept)
    assert ours["decoder.seg_layers.0.weight"].shape[0] == len(names) + 1


def test_another_network_cannot_be_started_from(one: Learner, tmp_path: Path) -> None:
    weights = one.network.state_dict()
    name = "encoder.stages.0.0.convs.0.conv.weight"
    torch.save({"network_weights": {**weights, name: weights[name][:1]}}, tmp_path / "other.pth")
    with pytest.raises(BadInput, match="weights of this plan's network"):
        one.start_from(tmp_path / "other.pth")


def test_the_weights_of_the_same_fold_are_started_from(tiny: RunSettings, tmp_path: Path) -> None:
    run = Run.create(
        dataclasses.replace(tiny, epochs=1, iterations_per_epoch=1, validation_iterations=1)
    )
    train(run, [].append, lambda: False)
    other = run.folder / "fold_3"
    other.mkdir()
    (other / "checkpoint_final.pth").write_bytes(run.checkpoint("final").read_bytes())
    assert weights_file(run.folder, 3) == other / "checkpoint_final.pth"
    assert weights_file(run.folder, 2) == run.checkpoint("final")
    assert weights_file(run.checkpoint("final"), 2) == run.checkpoint("final")


def test_early_stopping_ends_a_run_that_gets_no_better(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = iter([0.3, 0.5, *[0.1] * 20])

    def validate(_: Learner, batches: Iterable[Any]) -> tuple[float, Any, Any]:
        assert len(list(batches)) == 2
        value = next(dice)
        return 0.5, {1: value, 2: value}, {1: value, 2: value}

    monkeypatch.setattr(Learner, "validate", validate)
    run = Run.create(
        dataclasses.replace(tiny, epochs=20, iterations_per_epoch=1, early_stopping_epochs=3)
    )
    said: list[Event] = []
    train(run, said.append, lambda: False)
    ended = next(e for e in said if isinstance(e, events.EndedEarly))
    assert (ended.epoch, ended.best_epoch, ended.patience) == (5, 2, 3)
    assert isinstance(said[-1], events.RunFinished)
    assert checkpoint.load(run.checkpoint("final"))["current_epoch"] == 5
    assert checkpoint.load(run.checkpoint("best"))["current_epoch"] == 2
    rates = [e.learning_rate for e in said if isinstance(e, events.EpochFinished)]
    assert rates[4] == pytest.approx(0.01)  # the rate falls as if all 20 were trained
    again: list[Event] = []
    train(run, again.append, lambda: False)
    assert not any(isinstance(e, events.EndedEarly) for e in again)


def test_another_number_of_threads_is_said(tiny: RunSettings) -> None:
    run = Run.create(tiny)
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += (run.folder / "plans.json").exists()
        return looks >= 2

    train(run, [].append, stop)
    torch.set_num_threads(2)
    said: list[Event] = []
    train(run, said.append, lambda: False)
    notes = [e.note for e in said if isinstance(e, events.Progress)]
    assert any(note.startswith("Computed with 1 threads until here and with 2") for note in notes)
    started = next(e for e in said if isinstance(e, events.RunStarted))
    assert started.threads == 2
