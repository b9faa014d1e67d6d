"""The sliding window: a prepared image in, logits of the same size out, a few planes at a time.

Tiles go through the network along the first axis; planes that no later tile touches are
finished and leave at once, so the logits of the whole volume need never exist together.
Where tiles overlap, logits are averaged with the weights of `tiles`. *Mirroring* averages the
logits of a tile and its mirror images; several folds' networks are averaged alike. A 2-D
network goes through the slices, several at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.inference.memory import images_at_once
from napari_unet_mic.inference.tiles import Tiling

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]
Networks = nn.Module | Sequence[nn.Module]


@torch.no_grad()
def finished_planes(
    networks: Networks,
    data: torch.Tensor,
    patch_size: Sequence[int],
    n_classes: int,
    *,
    mirror_axes: Sequence[int] = (),
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    sums: torch.dtype = torch.float32,
    step: float = 0.5,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[torch.Tensor]:
    """Give the logits of a prepared image plane by plane, each as soon as it is final.

    Parameters
    ----------
    networks
        One, or those of several folds (their logits are averaged); on `device`, in eval
        mode, each giving one tensor of logits (no deep supervision).
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
    sums
        What tiles are added up in: float32, or float16 for half the memory.
    step
        Largest distance of neighbouring patches, in patches.
    progress, should_stop
        Called with (tiles done, tiles in all); asked before every pass.
    say
        Told in a sentence when the device's memory does not hold the sums.

    Yields
    ------
    torch.Tensor
        Logits (K, n, y, x) of the next n planes, in order; together they are the image's. They
        are valid until the next are asked for.

    Raises
    ------
    Cancelled
        `should_stop` said so.
    BadInput
        The device's memory does not hold the network at work on one patch.

    Notes
    -----
    nnU-Net's `predict_sliding_window_return_logits`, except that it sums whole volumes in
    float16. Here memory holds the sums of one patch's depth: K x patch x y x x numbers.
    """
    several = (networks,) if isinstance(networks, nn.Module) else tuple(networks)
    device = torch.device(device)
    tiling = Tiling.of(data.shape[1:], patch_size, step)
    at_once = images_at_once(device.type, patch_size)
    make = _planes_of_slices if len(tiling.patch) == 2 else _planes_of_tiles
    for sums_on in dict.fromkeys((device, torch.device("cpu"))):
        passes = _Passes(several, device, precision, tuple(mirror_axes), should_stop, at_once)
        planes = make(passes, data, tiling, n_classes, sums_on, sums, progress)
        try:
            first = next(planes)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if sums_on.type == "cpu":
                raise _too_small(device, tiling) from error
            _empty_cache(device)
            if say:
                say(
                    f"The memory of {device} does not hold the logits of a patch's depth: "
                    "summing on the CPU."
                )
            continue
        yield first
        yield from planes
        return


def predict_logits(
    networks: Networks,
    data: torch.Tensor,
    patch_size: Sequence[int],
    n_classes: int,
    **options: object,
) -> torch.Tensor:
    """Predict all logits of a prepared image: float32 (K, z, y, x), on the CPU.

    Parameters, errors and notes are those of `finished_planes`.
    """
    logits = torch.empty((n_classes, *data.shape[1:]), dtype=torch.float32)
    done = 0
    planes = finished_planes(networks, data, patch_size, n_classes, **options)  # type: ignore[arg-type]
    for part in planes:
        logits[:, done : done + part.shape[1]] = part
        done += part.shape[1]
    return logits


@dataclass
class _Passes:
    """The networks applied to tiles and their mirror images.

    `at_once` images go through a network together; fewer when the memory is short.
    """

    networks: tuple[nn.Module, ...]
    device: torch.device
    precision: torch.dtype
    mirror_axes: tuple[int, ...]
    should_stop: ShouldStop | None
    at_once: int

    def __call__(self, tiles: torch.Tensor) -> torch.Tensor:
        """Image (B, C, *patch) in, float32 logits (B, K, *patch) on the device out."""
        tiles = tiles.to(self.device)
        turns = [
            [axis + 2 for axis in axes]
            for n in range(len(self.mirror_axes) + 1)
            for axes in itertools.combinations(self.mirror_axes, n)
        ]
        total: torch.Tensor | None = None
        while turns:
            n = max(1, self.at_once // len(tiles))
            now, turns = turns[:n], turns[n:]
            batch = torch.cat([tiles.flip(axes) for axes in now]) if now != [[]] else tiles
            for network in self.networks:
                logits = self._forward(network, batch)  # (turns * B, K, *patch)
                for axes, part in zip(now, torch.split(logits, len(tiles)), strict=True):
                    turned = part.flip(axes) if axes else part
                    total = turned if total is None else total.add_(turned)
        assert total is not None
        return total.div_(len(self.networks) * 2 ** len(self.mirror_axes))

    def _forward(self, network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        """Logits of a batch; in smaller groups when the device's memory does not hold it whole."""
        parts = []
        while len(batch):
            group = batch[: self.at_once]
            try:
                parts.append(self._once(network, group))
            except RuntimeError as error:
                if len(group) == 1 or not _is_out_of_memory(error):
                    raise
                _empty_cache(self.device)
                self.at_once = len(group) // 2
            else:
                batch = batch[len(group) :]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _once(self, network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        if self.should_stop and self.should_stop():
            raise Cancelled("the prediction")
        exact = self.precision == torch.float32
        with (
            torch.backends.cudnn.flags(benchmark=True, allow_tf32=not exact)
            if self.device.type == "cuda"
            else nullcontext(),
            nullcontext() if exact else torch.autocast(self.device.type, dtype=self.precision),
        ):
            logits: torch.Tensor = network(batch).float().contiguous()
            return logits


def _planes_of_tiles(
    passes: _Passes,
    data: torch.Tensor,
    tiling: Tiling,
    n_classes: int,
    sums_on: torch.device,
    dtype: torch.dtype,
    progress: Progress | None,
) -> Iterator[torch.Tensor]:
    """One row of tiles after the other along z; what lies before the next row is finished."""
    data = _padded(data, tiling).to(sums_on)  # (C, z, y, x)
    depth, total, done = tiling.patch[0], len(tiling), 0
    inside = tiling.inner[0]
    starts = tiling.axes[0].starts
    sums: torch.Tensor | None = None  # (K, depth, y, x): planes from the row's start on
    for index, start in enumerate(starts):
        for place, weights in tiling.row(index):
            logits = passes(data[(slice(None), *place)][None].contiguous())[0]  # (K, *patch)
            if tiling.is_single:
                sums = logits
            else:
                if sums is None:
                    shape = (n_classes, depth, *tiling.shape[1:])
                    sums = torch.zeros(shape, dtype=dtype, device=sums_on)
                _add(sums[(slice(None), slice(None), *place[1:])], logits, weights)
            done += 1
            if progress:
                progress(done, total)
        assert sums is not None
        is_last = index == len(starts) - 1
        n = depth if is_last else starts[index + 1] - start
        first, last = max(start, inside.start), min(start + n, inside.stop)
        yield sums[(slice(None), slice(first - start, last - start), *tiling.inner[1:])]
        if not is_last:
            _forget(sums, n)


def _add(sums: torch.Tensor, logits: torch.Tensor, weights: torch.Tensor) -> None:
    """Add weighted logits, wherever and in whatever type the sums are."""
    weights = weights.to(logits.device)
    if sums.device == logits.device and sums.dtype == logits.dtype:
        sums.addcmul_(logits, weights)
    else:
        sums.add_(logits.mul_(weights).to(sums.device, sums.dtype))


def _forget(sums: torch.Tensor, n: int) -> None:
    """Move planes n, n + 1, … to the front and put zeros behind them."""
    kept = sums.shape[1] - n
    for plane in range(kept):  # one by one: the two ranges overlap
        sums[:, plane] = sums[:, plane + n]
    sums[:, kept:] = 0


def _planes_of_slices(
    passes: _Passes,
    data: torch.Tensor,
    tiling: Tiling,
    n_classes: int,
    sums_on: torch.device,
    dtype: torch.dtype,
    progress: Progress | None,
) -> Iterator[torch.Tensor]:
    """Some slices after the other, each group finished when its tiles are."""
    n_slices, at_once = data.shape[1], passes.at_once
    done, total = 0, len(tiling) * n_slices
    for first in range(0, n_slices, at_once):
        planes = _padded(data[:, first : first + at_once], tiling).to(sums_on)
        n = planes.shape[1]
        shape = (n_classes, n, *tiling.shape[1:])
        sums = torch.zeros(shape, dtype=dtype, device=sums_on)
        for place, weights in tiling:
            where = (slice(None), slice(None), *place)
            tile = planes[where].transpose(0, 1).contiguous()  # (B, C, y, x)
            logits = passes(tile).transpose(0, 1)  # (K, B, y, x)
            if tiling.is_single:
                sums = logits
            else:
                _add(sums[where], logits, weights)
            done += n
            if progress:
                progress(done, total)
        yield sums[(slice(None), slice(None), *tiling.inner[1:])]


def _padded(data: torch.Tensor, tiling: Tiling) -> torch.Tensor:
    """The image (C, z, y, x), or some of its slices, with zeros around it as the tiling asks."""
    shape = (*data.shape[: 4 - len(tiling.patch)], *tiling.shape[-len(tiling.patch) :])
    if tuple(data.shape) == shape:
        return data
    padded = data.new_zeros(shape)
    inner = tiling.inner[-len(tiling.patch) :]
    padded[(slice(None),) * (4 - len(inner)) + inner] = data
    return padded


def _too_small(device: torch.device, tiling: Tiling) -> BadInput:
    return BadInput(
        f"device {device}",
        expected=f"memory for one patch of {tiling.patch} voxels",
        got="out of memory",
        advice="close what else uses it, or predict on the CPU (--device cpu)",
    )


def _is_out_of_memory(error: RuntimeError) -> bool:
    return "out of memory" in str(error).lower()


def _empty_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
