import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import nn

from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.inference import sliding_window
from napari_unet_mic.inference.sliding_window import (
    AxisTiles,
    Tiling,
    gaussian_profile,
    predict_logits,
    window_starts,
)


@pytest.mark.parametrize(
    ("size", "patch", "starts"),
    [
        (110, 64, (0, 23, 46)),
        (64, 64, (0,)),
        (65, 64, (0, 1)),
        (9, 4, (0, 2, 3, 5)),  # 1.67 and 3.33 rounded
        (7, 4, (0, 2, 3)),  # 1.5 goes to the even neighbour
    ],
)
def test_windows_start_where_nnunet_puts_them(
    size: int, patch: int, starts: tuple[int, ...]
) -> None:
    assert window_starts(size, patch) == starts


@pytest.mark.parametrize("patch", [1, 2, 5, 16, 40])
def test_gaussian_profile_peaks_in_the_middle_and_is_never_zero(patch: int) -> None:
    profile = gaussian_profile(patch)
    assert profile.argmax() == patch // 2
    assert profile.max() == 1
    assert profile.min() > 0


def test_weights_of_all_tiles_sum_to_one() -> None:
    tiles = AxisTiles.of(110, 64)
    total = np.zeros(110)
    for start, weights in zip(tiles.starts, tiles.weights, strict=True):
        total[start : start + 64] += weights
    assert total == pytest.approx(np.ones(110), abs=1e-6)


def test_small_image_is_padded_centred() -> None:
    tiling = Tiling.of((3, 10), (4, 6))
    assert tiling.shape == (4, 10)
    assert tiling.inner == (slice(0, 3), slice(0, 10))  # the odd voxel comes after
    assert not tiling.is_single
    assert len(tiling) == 3


def network_of(ndim: int, n_channels: int = 1, n_classes: int = 3) -> nn.Module:
    """A convolution that sees beyond its voxel and tells left from right."""
    torch.manual_seed(0)
    conv = nn.Conv3d if ndim == 3 else nn.Conv2d
    return nn.Sequential(conv(n_channels, n_classes, 3, padding=1), nn.LeakyReLU(0.3)).eval()


def oracle(
    network: nn.Module, data: NDArray[np.float32], patch: Sequence[int], mirror_axes: Sequence[int]
) -> NDArray[np.float64]:
    """nnU-Net's sliding window, written down naively in float64 with its own weights."""
    ndim = len(patch)
    shape = [max(n, p) for n, p in zip(data.shape[-ndim:], patch, strict=True)]
    before = [(s - n) // 2 for s, n in zip(shape, data.shape[-ndim:], strict=True)]
    padding = [(b, s - n - b) for b, s, n in zip(before, shape, data.shape[-ndim:], strict=True)]
    lead = [(0, 0)] * (data.ndim - ndim)
    padded = np.pad(data, [*lead, *padding])
    point = np.zeros(patch)
    point[tuple(p // 2 for p in patch)] = 1
    weights = gaussian_filter(point, [p / 8 for p in patch], mode="constant")
    weights *= 10 / weights.max()
    weights[weights == 0] = weights[weights > 0].min()
    planes = [padded] if ndim == 3 else [padded[:, z] for z in range(padded.shape[1])]
    results = []
    for plane in planes:
        sums, count = np.zeros((3, *shape)), np.zeros(shape)
        for start in itertools.product(
            *(window_starts(s, p) for s, p in zip(shape, patch, strict=True))
        ):
            place = tuple(slice(a, a + p) for a, p in zip(start, patch, strict=True))
            tile = torch.from_numpy(plane[(slice(None), *place)].copy())[None]
            passes = []
            for n in range(len(mirror_axes) + 1):
                for axes in itertools.combinations(mirror_axes, n):
                    turned = [axis + 2 for axis in axes]
                    with torch.no_grad():
                        passes.append(network(tile.flip(turned)).flip(turned)[0].double().numpy())
            sums[(slice(None), *place)] += np.mean(passes, axis=0) * weights
            count[place] += weights
        inner = tuple(slice(b, b + n) for b, n in zip(before, data.shape[-ndim:], strict=True))
        results.append((sums / count)[(slice(None), *inner)])
    return results[0] if ndim == 3 else np.stack(results, axis=1)


@pytest.mark.parametrize(
    ("shape", "patch", "mirror_axes"),
    [
        ((1, 13, 30, 21), (5, 12, 8), ()),
        ((2, 13, 30, 21), (5, 12, 8), (0, 2)),
        ((1, 3, 30, 5), (5, 12, 8), ()),
        ((1, 5, 12, 8), (5, 12, 8), (0, 1, 2)),
        ((1, 4, 30, 21), (12, 8), (0, 1)),
        ((1, 3, 6, 21), (12, 8), ()),
    ],
    ids=["3x3x3 tiles", "mirrored", "smaller than the patch", "one tile", "2d", "2d padded"],
)
def test_logits_are_the_weighted_mean_of_all_tiles(
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    patch: tuple[int, ...],
    mirror_axes: tuple[int, ...],
) -> None:
    monkeypatch.setitem(sliding_window._SLICE_VOXELS, "cpu", 3 * 12 * 8)  # slices in groups of 3
    data = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    network = network_of(len(patch), shape[0])
    calls: list[tuple[int, int]] = []
    logits = predict_logits(
        network,
        torch.from_numpy(data),
        patch,
        3,
        mirror_axes=mirror_axes,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert logits.shape == (3, *shape[1:])
    assert logits.dtype == torch.float32
    expected = oracle(network, data, patch, mirror_axes)
    assert np.abs(logits.numpy() - expected).max() < 1e-5
    assert calls[-1][0] == calls[-1][1]
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


def test_prediction_is_cancelled_between_tiles() -> None:
    asked = iter([False, False, True])
    done: list[int] = []
    with pytest.raises(Cancelled, match="prediction"):
        predict_logits(
            network_of(3),
            torch.zeros(1, 4, 4, 12),
            (4, 4, 4),
            3,
            should_stop=lambda: next(asked),
            progress=lambda count, total: done.append(count),
        )
    assert done == [1, 2]


def test_full_device_memory_moves_the_sums_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    accumulate = sliding_window._accumulate

    def short_of_memory(passes, data, tiling, n, sums_on, *rest):  # type: ignore[no-untyped-def]
        tried.append(sums_on.type)
        if len(tried) == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return accumulate(passes, data, tiling, n, sums_on, *rest)

    monkeypatch.setattr(sliding_window, "_accumulate", short_of_memory)
    monkeypatch.setattr(sliding_window, "_empty_cache", lambda device: None)
    monkeypatch.setattr(sliding_window._Passes, "__call__", lambda self, tile: self.network(tile))
    said: list[str] = []
    logits = predict_logits(
        network_of(3), torch.zeros(1, 4, 4, 4), (4, 4, 4), 3, device="cuda", say=said.append
    )
    assert tried == ["cuda", "cpu"]
    assert logits.device.type == "cpu"
    assert "summing on the CPU" in said[0]


def test_device_too_small_for_one_patch_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*everything: object) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(sliding_window, "_accumulate", never)
    monkeypatch.setattr(sliding_window, "_empty_cache", lambda device: None)
    with pytest.raises(BadInput, match=r"memory for one patch of \(4, 4, 4\)"):
        predict_logits(network_of(3), torch.zeros(1, 4, 4, 4), (4, 4, 4), 3, device="cuda")
