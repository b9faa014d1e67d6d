"""What predicting does on disk and to arrays, for a thread: requests, results. No Qt.

A wish and what is open go in; a request for the worker, layers or an evaluation come out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet_mic.data.dataset import Case, Dataset
from napari_unet_mic.data.splits import fold_cases, read_splits
from napari_unet_mic.data.volume import Volume
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput, ChannelMismatch
from napari_unet_mic.evaluation.lesion import LesionQuestion
from napari_unet_mic.evaluation.summary import CasePair, Evaluation, evaluate_pairs
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.predict_panel import PredictWish, Subject
from napari_unet_mic.gui.state import OpenCase
from napari_unet_mic.jobs.worker import CaseRequest, PredictionRequest, array_request


@dataclass(frozen=True, eq=False)
class LayerImage:
    """An image layer to predict: one channel, on its file's axes, and its geometry."""

    name: str
    array: np.ndarray[Any, Any]
    geometry: Volume


def prediction_name(wish: PredictWish) -> str:
    """Return the folder name of predictions: the model's, and what differs from the usual."""
    parts = [wish.model.name]
    if wish.checkpoint != "final":
        parts.append(wish.checkpoint)
    if wish.folds is not None and len(wish.model.folds.get(wish.checkpoint, ())) > 1:
        parts.append("fold" + "".join(str(fold) for fold in wish.folds))
    return "-".join(parts)


def subjects_of(
    dataset: Dataset | None,
    workspace: Workspace | None,
    case: OpenCase | None,
    layer_names: list[str],
) -> tuple[Subject, ...]:
    """Return what can be predicted now, the most likely first."""
    subjects = []
    if case is not None:
        subjects.append(Subject("case", f"the open case ({case.name})", (case.name,)))
    subjects += [Subject("layer", f"layer {name}", (name,)) for name in layer_names]
    if dataset is not None and dataset.test:
        names = tuple(one.name for one in dataset.test)
        subjects.append(Subject("test", f"the test set ({len(names)} cases)", names))
    if dataset is not None and workspace is not None and workspace.splits_file.is_file():
        training = [one.name for one in dataset.training]
        held = [one.name for one in dataset.test]
        splits = read_splits(workspace.splits_file)
        for fold in range(len(splits)):
            names = tuple(fold_cases(splits, fold, training, held_out=held)[1])
            words = f"validation cases of fold {fold} ({len(names)})"
            subjects.append(Subject("validation", words, names))
    return tuple(subjects)


def request_for_cases(
    wish: PredictWish, dataset: Dataset, cases: tuple[Case, ...], out: Path
) -> PredictionRequest:
    """Return the request that writes ``out/<case>.nii.gz`` for every case.

    Raises
    ------
    ChannelMismatch
        When the model wants other channels than the dataset has.
    """
    _check_channels(wish, len(dataset.channel_names), str(dataset.folder))
    out.mkdir(parents=True, exist_ok=True)
    requests = tuple(
        CaseRequest(
            name=case.name,
            out=str(out / f"{case.name}.nii.gz"),
            images=tuple(str(file) for file in case.images),
        )
        for case in cases
    )
    return _request(wish, requests)


def request_for_layer(wish: PredictWish, image: LayerImage) -> PredictionRequest:
    """Write the layer's voxels into a folder of their own and return the request for them.

    Raises
    ------
    ChannelMismatch
        When the model wants more than one channel.
    BadInput
        When the layer is not a 3-D image.
    """
    if image.array.ndim != 3:
        raise BadInput(
            image.name,
            expected="a 3-D image layer",
            got=f"one with {image.array.ndim} dimensions",
            advice="choose another layer",
        )
    _check_channels(wish, 1, image.name)
    one = array_request("layer", image.array[None], image.geometry.affine, temporary_folder())
    return _request(wish, (one,))


def _request(wish: PredictWish, cases: tuple[CaseRequest, ...]) -> PredictionRequest:
    return PredictionRequest(
        model=str(wish.model.folder),
        cases=cases,
        folds=wish.folds,
        checkpoint=wish.checkpoint,
        mirroring=wish.mirroring,
        device=wish.device,
        probabilities=wish.probabilities,
    )


def _check_channels(wish: PredictWish, n_channels: int, thing: str) -> None:
    wanted = wish.model.channel_names
    if len(wanted) != n_channels:
        raise ChannelMismatch(
            thing,
            expected=f"the {len(wanted)} channels of {wish.model.name} ({', '.join(wanted)})",
            got=f"{n_channels}",
            advice="predict an image that has them, or choose another model",
        )


def temporary_folder() -> Path:
    """Return a new folder for what is predicted without a workspace."""
    return Path(tempfile.mkdtemp(prefix="unet-mic-predict-"))


def gone(name: str, what: str) -> BadInput:
    """Return the error for something that was closed meanwhile."""
    return BadInput(name, expected=f"an {what}", got="none", advice="open it again")


def read_layer_prediction(file: Path, geometry: Volume) -> Volume:
    """Read the labels that were predicted for a layer's voxels and remove the files."""
    labels = np.load(file, allow_pickle=False)
    for leftover in file.parent.iterdir():
        leftover.unlink()
    file.parent.rmdir()
    return Volume(labels, geometry.affine, geometry.header, None)


def prediction_tuple(labels: Volume, of: str, wish: PredictWish) -> layers.LayerTuple:
    """Return the labels layer of a prediction, named after what was predicted and the model."""
    return layers.labels_tuple(
        labels,
        name=prediction_layer_name(of, wish),
        role="prediction",
        case=of,
        classes=wish.model.classes,
    )


def prediction_layer_name(of: str, wish: PredictWish) -> str:
    """Return the layer name of a prediction."""
    return f"{of} {prediction_name(wish)}"


def reference_layer_name(case: str) -> str:
    """Return the layer name of a case's reference, as the Dataset panel has it."""
    return f"{case} reference"


def evaluate(
    dataset: Dataset,
    cases: tuple[str, ...],
    predictions: Path,
    folder: Path,
    *,
    probabilities: bool = False,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Evaluation:
    """Compare predictions with their references and write the evaluation into `folder`.

    With `probabilities`, which lie beside the predictions, lesions have their confidence.
    """
    pairs = [
        CasePair(name, label, predictions / f"{name}.nii.gz")
        for name in cases
        if (label := dataset.case(name).label) is not None
        and (predictions / f"{name}.nii.gz").is_file()
    ]
    found = evaluate_pairs(
        pairs,
        dataset.classes,
        ignore=dataset.ignore_value,
        tolerance_mm=1.0,
        lesions=LesionQuestion(probabilities=predictions if probabilities else None),
        keep_going=True,
        progress=progress,
        should_stop=should_stop,
    )
    found.write(folder)
    return found
