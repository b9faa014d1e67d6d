"""The preview: one patch, its reference and what the network says of it, as a file to look at.

In: the network in training. Out: ``preview.npz`` in the run's folder (see `PreviewSaved`), at
most every half a minute, always of the same patch, so that one sees it come into focus.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.training.events import Event, PreviewSaved
from napari_unet_mic.training.learner import Learner, Place
from napari_unet_mic.training.patches import PatchSampler
from napari_unet_mic.training.prepare import Materials
from napari_unet_mic.training.run import Run

EVERY_SECONDS = 30.0
_FLOAT16_MOST = 65_504.0


class Preview:
    """Shows the network's present answer to a patch of the sampler that holds foreground.

    Nothing that it does changes what is learned: the patch is a function of the seed, and no
    random number is drawn.
    """

    def __init__(
        self,
        run: Run,
        materials: Materials,
        sampler: PatchSampler,
        learner: Learner,
        emit: Callable[[Event], None],
    ) -> None:
        self._run, self._sampler, self._learner, self._emit = run, sampler, learner, emit
        spacing = materials.configuration.spacing
        if len(spacing) == 2:
            spacing = (materials.plan.original_median_spacing_after_transp[0], *spacing)
        self._spacing_mm = spacing
        self._saved_at = -EVERY_SECONDS
        self._patch: tuple[str, torch.Tensor, torch.Tensor] | None = None

    def __call__(self, place: Place, *, at_once: bool = False) -> None:
        """Write the preview each half minute, or `at_once`; a full disk is no error."""
        now = time.monotonic()
        if not at_once and now - self._saved_at < EVERY_SECONDS:
            return
        self._saved_at = now
        if self._patch is None:
            self._patch = self._sampler.sample(0, self._sampler.batch_size - 1)
        name, image, labels = self._patch  # (C, Z, Y, X), (Z, Y, X)
        flat = self._sampler.recipe.is_2d
        answer = self._learner.answer(image[:, 0] if flat else image)  # ([Z,] Y, X)
        arrays: dict[str, NDArray[Any]] = {
            "image": _half(image.float().cpu().numpy()),
            "reference": _small(labels.cpu().numpy()),
            "prediction": _small((answer[None] if flat else answer).cpu().numpy()),
            "spacing_mm": np.array(self._spacing_mm, dtype=np.float64),
            "case": np.array(name),
        }
        try:
            write_whole(self._run.preview_file, lambda path: np.savez(path, **arrays))  # type: ignore[arg-type]
        except OSError:
            return  # a full disk, or a folder that is gone, is the checkpoint's to tell
        self._emit(PreviewSaved(place.epoch, place.iteration, str(self._run.preview_file)))


def _half(image: NDArray[np.float32]) -> NDArray[np.float16]:
    return np.clip(image, -_FLOAT16_MOST, _FLOAT16_MOST).astype(np.float16)


def _small(labels: NDArray[Any]) -> NDArray[Any]:
    return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
