"""Tiles: where the patches of a sliding window lie, and how much each of their voxels counts.

The image is padded with zeros to at least one patch (centred) and covered with patches that
overlap by half. A patch's weights are a Gaussian that trusts its centre; those of all patches
at one voxel sum to 1, so that weighted logits only have to be added.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_unet_mic.inference.windows import window_starts

_SIGMA = 1 / 8  # of the patch


@dataclass(frozen=True)
class AxisTiles:
    """Where patches start along one axis, and how much each voxel of each counts.

    The weights of all patches at one voxel sum to 1.
    """

    starts: tuple[int, ...]
    weights: NDArray[np.float32]  # (tiles, patch)

    @classmethod
    def of(cls, size: int, patch: int, step: float = 0.5) -> AxisTiles:
        """Cover an axis of `size` voxels (at least `patch`)."""
        starts = window_starts(size, patch, step)
        profile = gaussian_profile(patch)
        total = np.zeros(size)
        for start in starts:
            total[start : start + patch] += profile
        weights = [profile / total[start : start + patch] for start in starts]
        return cls(starts, np.asarray(weights, dtype=np.float32))


@dataclass(frozen=True)
class Tiling:
    """The tiles of a volume: axes of the network's patch, and the padding before and after.

    `shape` is the padded (z, y, x); `inner` the place of the image in it.
    """

    shape: tuple[int, ...]
    inner: tuple[slice, ...]
    axes: tuple[AxisTiles, ...]
    patch: tuple[int, ...]

    @classmethod
    def of(cls, shape: Sequence[int], patch_size: Sequence[int], step: float = 0.5) -> Tiling:
        """Tile an image of (z, y, x) voxels; a 2-D patch tiles y and x."""
        patch = tuple(patch_size)
        least = (1,) * (len(shape) - len(patch)) + patch
        padded = tuple(max(n, p) for n, p in zip(shape, least, strict=True))
        below = [(p - n) // 2 for n, p in zip(shape, padded, strict=True)]
        inner = tuple(slice(b, b + n) for b, n in zip(below, shape, strict=True))
        axes = tuple(
            AxisTiles.of(n, p, step) for n, p in zip(padded[-len(patch) :], patch, strict=True)
        )
        return cls(padded, inner, axes, patch)

    @property
    def is_single(self) -> bool:
        """Whether one patch holds every slice or the whole volume."""
        return all(len(axis.starts) == 1 for axis in self.axes)

    def __iter__(self) -> Iterator[tuple[tuple[slice, ...], torch.Tensor]]:
        """Give each tile's place along the patch's axes and its weights (*patch)."""
        return self._tiles(*(range(len(axis.starts)) for axis in self.axes))

    def row(self, index: int) -> Iterator[tuple[tuple[slice, ...], torch.Tensor]]:
        """Give the tiles that start at ``axes[0].starts[index]``, as iterating gives them."""
        return self._tiles([index], *(range(len(axis.starts)) for axis in self.axes[1:]))

    def _tiles(self, *indices: Iterable[int]) -> Iterator[tuple[tuple[slice, ...], torch.Tensor]]:
        for index in itertools.product(*indices):
            place = tuple(
                slice(axis.starts[i], axis.starts[i] + p)
                for axis, i, p in zip(self.axes, index, self.patch, strict=True)
            )
            weights = torch.ones((), dtype=torch.float32)
            for axis, i in zip(self.axes, index, strict=True):
                weights = weights[..., None] * torch.from_numpy(axis.weights[i])
            yield place, weights

    def __len__(self) -> int:
        """Tiles per slice (2-D) or in all (3-D)."""
        return math.prod(len(axis.starts) for axis in self.axes)


def gaussian_profile(patch: int) -> NDArray[np.float64]:
    """How much the voxels along one axis of a patch count: a Gaussian of sigma patch / 8.

    Notes
    -----
    nnU-Net blurs a single voxel at patch // 2, scales the peak to 10 and lifts zeros to
    the smallest value. The blur is separable, so a patch's weights are the product of
    one profile per axis; the scale cancels when weights are normalised.
    """
    point = np.zeros(patch)
    point[patch // 2] = 1
    profile = gaussian_filter1d(point, patch * _SIGMA, mode="constant", cval=0)
    profile /= profile.max()
    profile[profile == 0] = profile[profile > 0].min()
    return np.asarray(profile, dtype=np.float64)
