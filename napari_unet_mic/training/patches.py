"""Batches of training patches, each a function of (seed, stream, iteration) alone.

What enters: preprocessed cases read in patches, and the recipe of augmentation. What
leaves: images (B, C, *patch) and labels (B, *patch). Because no draw depends on another
batch, batches may be made ahead in threads, and a resumed run sees the same ones.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.random import Generator as Random
from numpy.typing import NDArray
from torch import Tensor

from napari_unet_mic.errors import BadInput
from napari_unet_mic.preprocessing.locations import ANNOTATED
from napari_unet_mic.training.augment import Recipe
from napari_unet_mic.training.threads import compute_alone

Triple: TypeAlias = tuple[int, int, int]

COMPONENT_VOXELS = 200

TRAINING, VALIDATION = 0, 1
"""The streams of random numbers: training and validation patches never share draws."""


class CaseStore(Protocol):
    """What patch sampling needs of the preprocessed cases."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the spatial shape (Z, Y, X) of a case."""

    def read_patch(
        self, name: str, lower: Sequence[int], upper: Sequence[int]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return new arrays (C, z, y, x) and (z, y, x) of a box; outside the case 0 and -1."""

    def foreground_locations(self, name: str) -> Mapping[int, NDArray[Any]]:
        """Return voxels (n, 3) by class, and under `ANNOTATED` of all that are not ignored."""


@dataclass(frozen=True)
class Batch:
    """Images (B, C, *patch) float32, labels (B, *patch) int16, and the cases they show."""

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


class PatchSampler:
    """Draws batches from preprocessed cases with nnU-Net's foreground oversampling.

    Parameters
    ----------
    store
        Where the cases are read.
    names
        The cases to draw from, with replacement.
    batch_size, recipe
        Of the configuration.
    seed, stream
        With an iteration number they determine a batch.
    oversampling
        Share of a batch, its last samples, that must hold foreground (0.33: the last one
        of 2, the last three of 9).
    augment
        Whether the recipe's augmentation is applied.
    ignore_value
        When the dataset has one, unforced samples too are centred on annotated voxels.
    focus
        A class whose connected components are the centres of forced samples, each component
        as likely as another; in a case without it forced samples are as ever.
    """

    def __init__(
        self,
        store: CaseStore,
        names: Sequence[str],
        *,
        batch_size: int,
        recipe: Recipe,
        seed: int,
        stream: int = TRAINING,
        oversampling: float = 0.33,
        augment: bool = True,
        ignore_value: int | None = None,
        focus: int | None = None,
        device: torch.device | None = None,
    ) -> None:
        if not names:
            raise BadInput(
                "the cases to draw patches from",
                expected="at least one",
                got="none",
                advice="choose another fold, or fold 'all'",
            )
        self.store = store
        self.names = tuple(names)
        self.batch_size = batch_size
        self.recipe = recipe
        self.seed = seed
        self.stream = stream
        self.augment = augment
        self.ignore_value = ignore_value
        self.focus = focus
        self.device = device or torch.device("cpu")
        self.first_forced = round(batch_size * (1 - oversampling))
        self._locations: dict[str, dict[int, NDArray[np.int16]]] = {}
        self._components: dict[str, list[NDArray[np.int16]]] = {}
        self._lock = threading.Lock()

    def batch(self, iteration: int) -> Batch:
        """Make the batch of an iteration; the same whenever and wherever it is made."""
        samples = [self.sample(iteration, index) for index in range(self.batch_size)]
        images = torch.stack([image for _, image, _ in samples])  # (B, C, Z, Y, X)
        labels = torch.stack([label for _, _, label in samples])  # (B, Z, Y, X)
        if self.recipe.is_2d:
            images, labels = images[:, :, 0], labels[:, 0]
        return Batch(images, labels, tuple(name for name, _, _ in samples))

    def sample(self, iteration: int, index: int) -> tuple[str, Tensor, Tensor]:
        """Make one sample: its case, image (C, Z, Y, X) and labels (Z, Y, X)."""
        rng = np.random.default_rng([self.seed, self.stream, iteration, index])
        name = self.names[int(rng.integers(len(self.names)))]
        lower = self.place(name, rng, forced=index >= self.first_forced)
        spatial = self.recipe.draw_spatial(rng) if self.augment else None
        size = self.recipe.patch_size
        if spatial is not None:
            size = self.recipe.initial_patch_size
        elif self.augment:
            lower = central(lower, self.recipe.initial_patch_size, size)
        upper = [at + extent for at, extent in zip(lower, size, strict=True)]
        data, labels = self.store.read_patch(name, lower, upper)
        image = torch.from_numpy(data).to(self.device)
        label = torch.from_numpy(labels).to(self.device)
        if self.augment:
            image, label = self.recipe.apply(image, label, spatial, rng)
        else:
            label = label.clamp_min(0)
        return name, image, label

    def place(self, name: str, rng: Random, *, forced: bool) -> Triple:
        """Draw where the (initial) patch of a case begins; may lie outside the case.

        Notes
        -----
        nnU-Net's ``get_bbox``: uniform over all places that reach half the surplus of the
        initial patch over the border; forced samples are centred on a random voxel of a
        random class present, but do not begin before the lowest such place.
        """
        shape = self.store.shape(name)
        size = self.recipe.initial_patch_size if self.augment else self.recipe.patch_size
        surplus = [i - p for i, p in zip(size, self.recipe.patch_size, strict=True)]
        pad = [max(s, p - n) for s, p, n in zip(surplus, size, shape, strict=True)]
        lowest = [-(p // 2) - p % 2 for p in pad]
        highest = [n + p // 2 + p % 2 - s for n, p, s in zip(shape, pad, size, strict=True)]
        centre = self._centre(name, rng, forced=forced)
        if centre is None:
            z, y, x = (
                int(rng.integers(low, high + 1)) for low, high in zip(lowest, highest, strict=True)
            )
        else:
            z, y, x = (
                max(low, int(at) - p // 2) for low, at, p in zip(lowest, centre, size, strict=True)
            )
        return z, y, x

    def _centre(self, name: str, rng: Random, *, forced: bool) -> NDArray[np.int16] | None:
        if not forced and self.ignore_value is None:
            return None
        if forced and self.focus is not None and (found := self.components(name)):
            voxels = found[int(rng.integers(len(found)))]
            spot: NDArray[np.int16] = voxels[int(rng.integers(len(voxels)))]
            return spot
        locations = self.locations(name)
        classes = sorted(value for value in locations if value != ANNOTATED)
        if not forced or not classes:
            classes = [value for value in locations if value == ANNOTATED]
        if not classes:
            return None
        voxels = locations[classes[int(rng.integers(len(classes)))]]
        centre: NDArray[np.int16] = voxels[int(rng.integers(len(voxels)))]
        return centre

    def locations(self, name: str) -> dict[int, NDArray[np.int16]]:
        """Return voxels of a case by class, classes present only; kept in memory."""
        with self._lock:
            known = self._locations.get(name)
        if known is None:
            known = {
                int(value): np.asarray(voxels).astype(np.int16)
                for value, voxels in self.store.foreground_locations(name).items()
                if len(voxels)
            }
            with self._lock:
                self._locations[name] = known
        return known

    def components(self, name: str) -> list[NDArray[np.int16]]:
        """Return voxels (n, 3) of each connected component of the focus class; kept in memory."""
        with self._lock:
            known = self._components.get(name)
        if known is None:
            _, labels = self.store.read_patch(name, (0, 0, 0), self.store.shape(name))
            known = components_of(labels == self.focus)
            with self._lock:
                self._components[name] = known
        return known


def components_of(mask: NDArray[np.bool_]) -> list[NDArray[np.int16]]:
    """Return at most `COMPONENT_VOXELS` voxels (n, 3), spread evenly, of each 26-connected part."""
    import cc3d

    if not mask.any():
        return []
    parts, n = cc3d.connected_components(mask, connectivity=26, return_N=True)
    voxels = np.argwhere(parts).astype(np.int16)
    number = parts[parts > 0]
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number, minlength=n + 1)[1:])
    found = np.split(voxels[order], ends[:-1])
    return [part[:: -(-len(part) // COMPONENT_VOXELS)] for part in found]


def central(lower: Triple, initial: Triple, final: Triple) -> Triple:
    """Return where the central `final` box begins in an `initial` box that begins at `lower`."""
    z, y, x = (at + i // 2 - f // 2 for at, i, f in zip(lower, initial, final, strict=True))
    return z, y, x


def ahead(
    sampler: PatchSampler, iterations: Sequence[int], *, threads: int = 1, depth: int = 3
) -> Generator[Batch, None, None]:
    """Yield the batches of `iterations` in order, made up to `depth` ahead in threads.

    With ``threads=0`` each batch is made when asked for. An error in a thread is raised
    here, in the caller. Each thread computes alone: small patches spread over all cores
    cost six times the processor time, taken from the network.
    """
    if threads == 0:
        for iteration in iterations:
            yield sampler.batch(iteration)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="patches", initializer=compute_alone)
    waiting: list[Future[Batch]] = []
    try:
        for iteration in iterations:
            waiting.append(pool.submit(sampler.batch, iteration))
            if len(waiting) > depth:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
