"""A model folder and an image in, labels on the image's grid out.

Several folds are averaged as logits. What was chosen for the person (device, precision,
mirroring) is said in `Predictor.sentences`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import ChannelMismatch
from napari_unet_mic.inference.batch import BatchSummary, CaseEvent, predict_files
from napari_unet_mic.inference.export import LabelExport
from napari_unet_mic.inference.loading import load_folds
from napari_unet_mic.inference.memory import GB, estimate, fitting, images_at_once
from napari_unet_mic.inference.model_parts import (
    chosen_folds,
    mirroring_sentence,
    model_sentence,
)
from napari_unet_mic.inference.precision import (
    choose_device,
    choose_precision,
    error_of_short_type,
)
from napari_unet_mic.inference.sliding_window import (
    Progress,
    ShouldStop,
    finished_planes,
    predict_logits,
)
from napari_unet_mic.network.checkpoint import Fold, ModelFolder
from napari_unet_mic.network.unet import UNet
from napari_unet_mic.planning.plan import Configuration
from napari_unet_mic.preprocessing.pipeline import Prepared, Properties, prepare, properties_of

__all__ = [
    "BatchSummary",
    "CaseEvent",
    "Prediction",
    "Predictor",
    "Ready",
    "choose_device",
    "predict_files",
]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was predicted for one image, on its own grid.

    `labels` (Z, Y, X), uint8 or uint16; `probabilities` float32 (K, Z, Y, X) or None;
    `seconds` by stage: prepare, network, export.
    """

    labels: NDArray[Any]
    probabilities: NDArray[np.float32] | None
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class Ready:
    """A case that waits for the network; `sums` is what its tiles are added up in."""

    prepared: Prepared
    sums: np.dtype[Any]
    seconds: float


@dataclass(eq=False)
class Predictor:
    """A model loaded onto a device, ready for one image after another.

    `sentences` say what was chosen; `mirror_axes` is empty when mirroring is off.
    """

    model: ModelFolder
    configuration: Configuration
    folds: tuple[Fold, ...]
    device: torch.device
    precision: torch.dtype
    mirror_axes: tuple[int, ...]
    sentences: tuple[str, ...]
    memory_gb: float | None
    _networks: tuple[UNet, ...] = field(repr=False)
    _is_checked: bool = field(repr=False)
    _said_bytes: int = field(default=0, repr=False)

    @classmethod
    def open(
        cls,
        model_folder: str | os.PathLike[str],
        *,
        folds: Sequence[Fold] | None = None,
        checkpoint: str = "final",
        device: str = "auto",
        mirroring: bool | None = None,
        precision: str = "auto",
        memory_gb: float | None = None,
    ) -> Predictor:
        """Load a model.

        Parameters
        ----------
        model_folder
            An nnU-Net v2 model folder, or a run.
        folds
            Folds whose logits are averaged; all that are there without it.
        checkpoint
            `final`, `best` or `latest`.
        device, precision
            Names, or `auto`.
        mirroring
            Average over mirror images; None: on a GPU yes, on a CPU no.
        memory_gb
            The most memory a prediction may take at its peak, in GB (1e9 bytes).

        Raises
        ------
        UnreadableFile, BadPlan, BadCheckpoint, StageMismatch, ChannelMismatch
            The model cannot be used; the sentence says what to do.
        BadInput
            No such device or precision here.
        NotYet
            A kind of model that a later release predicts with.
        """
        model = ModelFolder.open(model_folder)
        used = chosen_folds(model, folds, checkpoint)
        torch_device, device_sentence = choose_device(device)
        dtype, precision_sentence = choose_precision(precision, torch_device)
        files = [model.file(fold, checkpoint) for fold in used]
        loaded = load_folds(model, files, torch_device, dtype)
        allowed = loaded.mirror_axes
        on = mirroring if mirroring is not None else torch_device.type != "cpu"
        axes = allowed if on else ()
        sentences = (
            model_sentence(loaded.configuration.name, used, checkpoint),
            device_sentence,
            precision_sentence,
            mirroring_sentence(mirroring, axes, len(allowed), torch_device),
        )
        return cls(
            model,
            loaded.configuration,
            used,
            torch_device,
            dtype,
            axes,
            sentences,
            memory_gb,
            loaded.networks,
            precision != "auto" or dtype == torch.float32,
        )

    @property
    def n_channels(self) -> int:
        """Channels an image must have."""
        return self._networks[0].n_channels

    @property
    def n_classes(self) -> int:
        """Classes that are predicted, background included."""
        return self._networks[0].n_classes

    def predict(
        self,
        image: Volume,
        *,
        probabilities: bool = False,
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
        say: Callable[[str], None] | None = None,
    ) -> Prediction:
        """Predict one image.

        Parameters
        ----------
        image
            (C, Z, Y, X).
        probabilities
            Also give the softmax.
        progress
            Called with (tiles done, tiles in all) over all folds.
        should_stop
            Asked before every pass through the network.
        say
            Told in a sentence what the prediction needs, and what it had to change.

        Raises
        ------
        ChannelMismatch
            The image has another number of channels than the model.
        BadInput
            It does not fit into `memory_gb`.
        Cancelled
            `should_stop` said so.
        """
        ready = self.prepare(image, probabilities=probabilities, say=say)
        return self.predict_prepared(
            ready,
            probabilities=probabilities,
            progress=progress,
            should_stop=should_stop,
            say=say,
        )

    def prepare(
        self,
        image: Volume,
        *,
        probabilities: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> Ready:
        """Do what comes before the network; the image's voxels are not needed afterwards.

        Parameters and errors are those of `predict`.
        """
        started = time.perf_counter()
        self.check_channels(image)
        plan, configuration = self.model.plan, self.configuration
        properties = properties_of(image, plan, configuration)
        sums = np.dtype(np.float32)
        sizes = self._sizes(image, properties, probabilities)
        if self.memory_gb is None:
            needed = estimate(configuration, **sizes)
        else:
            thing = str(image.file or "the image")
            most = self.memory_gb * GB
            needed, sums = fitting(configuration, memory_bytes=most, thing=thing, **sizes)
        if say and needed.peak > 1.1 * self._said_bytes:
            self._said_bytes = needed.peak
            say(f"{image.file.name if image.file else 'The image'} needs {needed}.")
        prepared = prepare(image, None, plan, configuration, properties=properties)
        return Ready(prepared, sums, time.perf_counter() - started)

    def predict_prepared(
        self,
        ready: Ready,
        *,
        probabilities: bool = False,
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
        say: Callable[[str], None] | None = None,
    ) -> Prediction:
        """Predict what `prepare` made ready; parameters and errors are those of `predict`."""
        seconds = {"prepare": ready.seconds, "network": 0.0, "export": 0.0}
        data = torch.from_numpy(ready.prepared.data)
        export = LabelExport(
            ready.prepared.properties,
            self.model.plan,
            self.configuration,
            self.n_classes,
            probabilities=probabilities,
        )
        with _timed(seconds, "network"):
            self._check_precision(data, say)
        planes = finished_planes(
            self._networks,
            data,
            progress=progress,
            should_stop=should_stop,
            say=say,
            sums=torch.float16 if ready.sums == np.float16 else torch.float32,
            **self._options,
        )
        while True:
            with _timed(seconds, "network"):
                finished = next(planes, None)
            if finished is None:
                break
            with _timed(seconds, "export"):
                export.add(finished)
        with _timed(seconds, "export"):
            result = export.result()
        return Prediction(result.labels, result.probabilities, seconds)

    def _sizes(self, image: Volume, properties: Properties, probabilities: bool) -> dict[str, Any]:
        parameters = sum(p.numel() for network in self._networks for p in network.parameters())
        return {
            "source_shape": image.shape,
            "source_bytes_per_voxel": image.array.dtype.itemsize,
            "shape": properties.shape,
            "n_channels": self.n_channels,
            "n_classes": self.n_classes,
            "n_parameters": parameters,
            "at_once": images_at_once(self.device.type, self.configuration.patch_size),
            "exact": self.precision == torch.float32,
            "probabilities": probabilities,
        }

    def _check_precision(self, data: torch.Tensor, say: Callable[[str], None] | None) -> None:
        """Compare the shorter type with float32 on one tile, once; go on in float32 if it errs."""
        if self._is_checked:
            return
        self._is_checked = True
        error = error_of_short_type(self._networks[0], data, **self._options)
        if error:
            self.precision = torch.float32
            if say:
                say(error)

    def check_channels(self, image: Volume) -> None:
        """Raise `ChannelMismatch` unless the image has the model's number of channels."""
        if image.n_channels != self.n_channels or image.is_labels:
            raise ChannelMismatch(
                image.file or "the image",
                expected=f"{self.n_channels} channel{'s' if self.n_channels != 1 else ''}, as the "
                "model was trained with",
                got="a label map" if image.is_labels else str(image.n_channels),
                advice="give the channels in the model's order, as one 4-D file or as files "
                "ending in _0000, _0001, …",
            )

    def logits(
        self,
        data: torch.Tensor,
        *,
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
        say: Callable[[str], None] | None = None,
    ) -> torch.Tensor:
        """Logits (K, z, y, x) of a prepared image (C, z, y, x), averaged over the folds."""
        return predict_logits(
            self._networks,
            data,
            progress=progress,
            should_stop=should_stop,
            say=say,
            **self._options,
        )

    @property
    def _options(self) -> dict[str, Any]:
        """What the sliding window needs to know of the model."""
        return {
            "patch_size": self.configuration.patch_size,
            "n_classes": self.n_classes,
            "mirror_axes": self.mirror_axes,
            "device": self.device,
            "precision": self.precision,
        }


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - start
