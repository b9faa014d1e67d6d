"""Memory and time of a prediction are known before it starts: from headers, plan and events."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from napari_unet_mic.data.dataset import Dataset, open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.volume import read_image
from napari_unet_mic.gui.models import Model
from napari_unet_mic.gui.predict_panel import PredictWish, Subject
from napari_unet_mic.gui.prediction_needs import (
    ImageSize,
    Pace,
    configuration_name,
    needs_of,
    sizes_of_cases,
)
from napari_unet_mic.inference.memory import shape_on_grid
from napari_unet_mic.planning.fingerprint import extract
from napari_unet_mic.planning.plan import Plan
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.preprocessing.pipeline import properties_of
from napari_unet_mic.training.events import EventLog, IterationsFinished
from napari_unet_mic.training.run import Run, RunSettings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    return open_dataset(write_liver(folder, 3, shape=(16, 32, 32), seed=0, n_test=2))


@pytest.fixture(scope="module")
def plan(dataset: Dataset) -> Plan:
    return plan_experiment(extract(dataset), dataset.nnunet_json(), dataset_name="Liver")


def model(folder: Path, plan: Plan, dataset: Dataset) -> Model:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plan.to_json()))
    return Model(folder, ("CT",), dataset.classes, {"final": (0, 1)})


def wish(one: Model, folds: tuple[int, ...] | None = None) -> PredictWish:
    return PredictWish(one, Subject("test", "", ()), folds, "final", False, "cpu")


def test_the_case_that_needs_most_counts_and_folds_weigh(
    dataset: Dataset, plan: Plan, tmp_path: Path
) -> None:
    one = model(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", plan, dataset)
    small, large = ImageSize((16, 32, 32), (2.0, 1.0, 1.0)), ImageSize((600, 512, 512), (1.0,) * 3)
    both, alone = needs_of(wish(one), [small, large]), needs_of(wish(one), [small])
    assert both is not None
    assert alone is not None
    first = needs_of(wish(one, (0,)), [large])
    assert first is not None
    assert both.memory.peak > alone.memory.peak
    assert both.memory.weights == 2 * first.memory.weights
    assert both.passes == 2 * first.passes + alone.passes
    assert both.voxels == 600 * 512 * 512 + 16 * 32 * 32
    mirrored = needs_of(replace(wish(one), mirroring=True), [small])
    assert mirrored is not None
    assert mirrored.passes == 8 * alone.passes
    assert needs_of(wish(one), []) is None


def test_the_time_follows_from_how_fast_the_model_went(
    dataset: Dataset, plan: Plan, tmp_path: Path
) -> None:
    one = model(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", plan, dataset)
    size = ImageSize((64, 128, 128), (2.0, 1.0, 1.0))
    few, many = needs_of(wish(one), [size]), needs_of(wish(one), [size] * 5)
    assert few is not None
    assert many is not None
    assert few.words(None).startswith("Needs about ")
    assert few.words(None).endswith(")")  # nothing is known of the time
    pace = few.pace({"prepare": 1.0, "network": 20.0, "export": 3.0})
    assert few.words(pace).endswith(" and about 24 s")
    assert many.words(pace).endswith(" and about 2 min 0 s")


def test_before_the_first_prediction_the_training_tells(
    dataset: Dataset, plan: Plan, tmp_path: Path
) -> None:
    settings = RunSettings(str(dataset.folder), str(tmp_path), "run", device="cpu", batch_size=4)
    run = Run.create(settings)
    one = model(run.folder, plan, dataset)
    size = ImageSize((16, 32, 32), (2.0, 1.0, 1.0))
    untimed = needs_of(wish(one), [size])
    assert untimed is not None
    assert untimed.trained is None
    log = EventLog(run.events_file)
    for seconds in (60.0, 24.0):  # the first iterations are slower
        log(IterationsFinished(0, 1, 0.5, seconds, 0.01))
    log.close()
    timed = needs_of(wish(one), [size])
    assert timed is not None
    assert timed.trained == Pace(2.0)
    assert timed.words(None).endswith(f" and about {2 * timed.passes} s")
    elsewhere = needs_of(replace(wish(one), device="cuda:0"), [size])
    assert elsewhere is not None
    assert elsewhere.trained is None


def test_the_grid_is_the_one_that_the_case_is_prepared_on(dataset: Dataset, plan: Plan) -> None:
    for name in ("2d", "3d_fullres"):
        configuration = plan.configuration(name)
        for case in dataset.test:
            (size,) = sizes_of_cases(dataset, [case.name])
            exact = properties_of(read_image(case.images[0]), plan, configuration)
            ours = shape_on_grid(size.shape, size.spacing_mm, plan, configuration)
            cropped = exact.shape_after_crop != exact.shape_before
            assert ours == exact.shape or (
                cropped and all(a >= b for a, b in zip(ours, exact.shape, strict=True))
            )


def test_the_configuration_is_told_by_name_or_run(
    dataset: Dataset, plan: Plan, tmp_path: Path
) -> None:
    assert configuration_name(tmp_path / "T__P__2d", plan) == "2d"
    settings = RunSettings(str(dataset.folder), str(tmp_path), "flat", configuration="2d")
    assert configuration_name(Run.create(settings).folder, plan) == "2d"
    assert configuration_name(tmp_path / "elsewhere", plan) == "3d_fullres"
