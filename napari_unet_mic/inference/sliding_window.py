"""Tiles: a prepared image in, logits of the same size out.

The image is padded with zeros to at least one patch (centred) and covered with patches that
overlap by half. Where they overlap, logits are averaged with Gaussian weights that
trust a patch's centre. *Mirroring* averages the logits of the patch and its mirror images.
Sums are float32. A 2-D network goes through the slices, several at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import nn

from napari_unet_mic.errors import BadInput, Cancelled

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]

_SIGMA = 1 / 8  # of the patch
# voxels of the slices that go through a 2-D network together
_SLICE_VOXELS = {"cpu": 2**17, "cuda": 2**21, "mps": 2**20}


@torch.no_grad()
def predict_logits(
    network: nn.Module,
    data: torch.Tensor,
    patch_size: Sequence[int],
    n_classes: int,
    *,
    mirror_axes: Sequence[int] = (),
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    step: float = 0.5,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    say: Callable[[str], None] | None = None,
) -> torch.Tensor:
    """Predict the logits of a prepared image by sliding a window over it.

    Parameters
    ----------
    network
        On `device`, in eval mode; gives one tensor of logits (no deep supervision).
    data
        Image (C, z, y, x) on the network's grid, on the CPU.
    patch_size
        Three numbers; two for a 2-D network, which then sees every slice along z.
    n_classes
        Channels of the logits.
    mirror_axes
        Spatial axes of the network (0 is its first) along which to mirror; 2^n passes.
    precision
        float32, or bfloat16 or float16 for autocast.
    step
        Largest distance of neighbouring patches, in patches.
    progress, should_stop
        Called with (tiles done, tiles in all); asked before every pass.
    say
        Told in a sentence when the device's memory does not hold the sums.

    Returns
    -------
    torch.Tensor
        float32 logits (K, z, y, x), on the CPU.

    Raises
    ------
    Cancelled
        `should_stop` said so.
    BadInput
        The device's memory does not hold the network at work on one patch.

    Notes
    -----
    nnU-Net's `predict_sliding_window_return_logits`, except that it sums in float16.
    """
    device = torch.device(device)
    tiling = Tiling.of(data.shape[1:], patch_size, step)
    slices_at_once = max(1, _SLICE_VOXELS.get(device.type, 2**17) // math.prod(patch_size))

    def run(sums_on: torch.device) -> torch.Tensor:
        passes = _Passes(network, device, precision, tuple(mirror_axes), should_stop)
        return _accumulate(passes, data, tiling, n_classes, sums_on, slices_at_once, progress)

    try:
        return run(device)
    except RuntimeError as error:
        if device.type == "cpu" or not _is_out_of_memory(error):
            raise
    _empty_cache(device)
    if say:
        say(f"The memory of {device} does not hold the whole volume's logits: summing on the CPU.")
    try:
        return run(torch.device("cpu"))
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        raise BadInput(
            f"device {device}",
            expected=f"memory for one patch of {tuple(patch_size)} voxels",
            got="out of memory",
            advice="close what else uses it, or predict on the CPU (--device cpu)",
        ) from error


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
        for index in itertools.product(*(range(len(axis.starts)) for axis in self.axes)):
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


def window_starts(size: int, patch: int, step: float = 0.5) -> tuple[int, ...]:
    """First voxels of the patches along an axis: evenly spread, at most `step` patches apart.

    Notes
    -----
    nnU-Net's `compute_steps_for_sliding_window`: 110 voxels with patches of 64 give 0, 23, 46.
    """
    n = math.ceil((size - patch) / (patch * step)) + 1
    if n == 1:
        return (0,)
    # halves go to the even neighbour, as numpy rounds
    return tuple(round((size - patch) / (n - 1) * i) for i in range(n))


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


@dataclass(frozen=True)
class _Passes:
    """The network applied to a tile and its mirror images."""

    network: nn.Module
    device: torch.device
    precision: torch.dtype
    mirror_axes: tuple[int, ...]
    should_stop: ShouldStop | None

    def __call__(self, tile: torch.Tensor) -> torch.Tensor:
        """Image (B, C, *patch) in, float32 logits (B, K, *patch) on the device out."""
        tile = tile.to(self.device)
        logits = self._forward(tile)
        turns = [
            [axis + 2 for axis in axes]
            for n in range(len(self.mirror_axes))
            for axes in itertools.combinations(self.mirror_axes, n + 1)
        ]
        for axes in turns:
            logits += self._forward(tile.flip(axes)).flip(axes)
        return logits.div_(len(turns) + 1) if turns else logits

    def _forward(self, tile: torch.Tensor) -> torch.Tensor:
        if self.should_stop and self.should_stop():
            raise Cancelled("the prediction")
        exact = self.precision == torch.float32
        with (
            torch.backends.cudnn.flags(benchmark=True, allow_tf32=not exact)
            if self.device.type == "cuda"
            else nullcontext(),
            nullcontext() if exact else torch.autocast(self.device.type, dtype=self.precision),
        ):
            logits: torch.Tensor = self.network(tile)
        return logits.float()


def _accumulate(
    passes: _Passes,
    data: torch.Tensor,
    tiling: Tiling,
    n_classes: int,
    sums_on: torch.device,
    slices_at_once: int,
    progress: Progress | None,
) -> torch.Tensor:
    """Sum the weighted logits of all tiles: (K, z, y, x) on the CPU."""
    data = _padded(data, tiling).to(sums_on)  # (C, z, y, x)
    is_2d = len(tiling.patch) == 2
    n_slices = data.shape[1] if is_2d else 1
    done, total = 0, len(tiling) * n_slices
    sums = torch.zeros((n_classes, *tiling.shape), dtype=torch.float32, device=sums_on)
    for place, weights in tiling:
        weights = weights.to(sums_on)
        for first in range(0, n_slices, slices_at_once):
            if is_2d:
                planes = slice(first, first + slices_at_once)
                where = (slice(None), planes, *place)
                tile = data[where].transpose(0, 1)  # (B, C, y, x)
                logits = passes(tile.contiguous()).transpose(0, 1)  # (K, B, y, x)
            else:
                where = (slice(None), *place)
                logits = passes(data[where][None].contiguous())[0]  # (K, z, y, x)
            if tiling.is_single:
                sums[where] = logits
            else:
                sums[where].addcmul_(logits.to(sums_on), weights)
            done += min(slices_at_once, n_slices - first)
            if progress:
                progress(done, total)
    return sums[(slice(None), *tiling.inner)].cpu()


def _padded(data: torch.Tensor, tiling: Tiling) -> torch.Tensor:
    """The image (C, z, y, x) with zeros around it up to the tiling's shape."""
    if tuple(data.shape[1:]) == tiling.shape:
        return data
    padded = data.new_zeros((data.shape[0], *tiling.shape))
    padded[(slice(None), *tiling.inner)] = data
    return padded


def _is_out_of_memory(error: RuntimeError) -> bool:
    return "out of memory" in str(error).lower()


def _empty_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
