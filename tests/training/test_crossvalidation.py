import dataclasses
import json
import math
from pathlib import Path
from typing import Any, cast

import pytest

from napari_unet_mic.data.files import read_json
from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.gathering import gather
from napari_unet_mic.evaluation.lesion_figures import lesions_by_case
from napari_unet_mic.network.checkpoint import ModelFolder
from napari_unet_mic.training import events
from napari_unet_mic.training.crossvalidation import gather_folds
from napari_unet_mic.training.events import Event
from napari_unet_mic.training.prepare import check_settings
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import train


def of(kind: type[Any], said: list[Event]) -> list[Any]:
    return [event for event in said if isinstance(event, kind)]


@pytest.fixture
def each(tiny: RunSettings) -> RunSettings:
    return dataclasses.replace(
        tiny, fold="each", epochs=1, iterations_per_epoch=1, validation_iterations=1
    )


def test_five_folds_in_one_run_are_gathered_and_score_the_test_set(each: RunSettings) -> None:
    run = Run.create(each)
    said: list[Event] = []
    stopped = run.of_fold(1).validation_folder / "summary.json"
    train(run, said.append, lambda: stopped.exists())  # the first look after fold 1
    assert [e.fold for e in of(events.FoldStarted, said)] == [0, 1, 2]
    assert isinstance(said[-1], events.RunStopped)
    rest: list[Event] = []
    train(run, rest.append, lambda: False)
    assert [(e.fold, e.number, e.total) for e in of(events.FoldStarted, rest)] == [
        (2, 3, 5),
        (3, 4, 5),
        (4, 5, 5),
    ]
    assert [e.fold for e in of(events.ValidationFinished, said + rest)] == list("01234")
    assert ModelFolder.open(run.folder).folds("final") == (0, 1, 2, 3, 4)
    # gathered as nnU-Net does: all predictions and one summary in one folder
    folder = run.folder / "crossval_results_folds_0_1_2_3_4"
    gathered = of(events.CrossValidationFinished, rest)[0]
    assert (gathered.folder, gathered.cases, gathered.folds) == (str(folder), 5, (0, 1, 2, 3, 4))
    names = {f"blob_{n}" for n in range(5)}
    assert {file.name.split(".")[0] for file in folder.glob("*.nii.gz")} == names
    assert (folder / "plans.json").read_bytes() == (run.folder / "plans.json").read_bytes()
    summary = read_json(folder / "summary.json")
    assert len(summary["metric_per_case"]) == 5
    assert summary["foreground_mean"]["IoU"] == pytest.approx(gathered.mean_iou, nan_ok=True)
    # the inspector reads it, and the five summaries of the run's folder come to the same
    opened, joined = gather(folder).evaluation, gather(run.folder).evaluation
    assert {case.name for case in opened.cases} == {case.name for case in joined.cases} == names
    assert opened.foreground_iou == pytest.approx(joined.foreground_iou, nan_ok=True)
    assert (folder / "lesions.csv").is_file()
    assert lesions_by_case(opened) == lesions_by_case(joined)
    assert len(lesions_by_case(opened)) == 5
    tested = of(events.TestFinished, rest)[0]
    assert tested.cases == 1
    assert math.isfinite(tested.loss)
    again: list[Event] = []
    train(run, again.append, lambda: False)
    assert not of(events.FoldStarted, again)
    assert not of(events.CrossValidationFinished, again)
    assert not of(events.TestFinished, again)


def test_a_case_in_two_folds_is_refused(tmp_path: Path) -> None:
    run = Run.create(
        RunSettings(dataset=str(tmp_path), workspace=str(tmp_path), name="a", fold="each")
    )
    for fold in (0, 3):
        folder = run.of_fold(fold).validation_folder
        folder.mkdir(parents=True)
        (folder / "liver_1.nii.gz").write_bytes(b"labels")
        (folder / "summary.json").write_text("{}")
    with pytest.raises(BadInput, match="liver_1 in folds 0 and 3"):
        gather_folds(run, cast(Any, None), [].append)


def test_every_fold_is_looked_at_before_anything_is_written(
    each: RunSettings, tmp_path: Path
) -> None:
    check_settings(each)
    splits = tmp_path / "four.json"
    fold = {"train": ["blob_1", "blob_2", "blob_3", "blob_4"], "val": ["blob_0"]}
    splits.write_text(json.dumps([fold] * 4))
    with pytest.raises(BadInput, match="fold"):
        check_settings(dataclasses.replace(each, splits=str(splits)))
