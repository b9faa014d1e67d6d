import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import nn

from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.inference import memory, sliding_window
from napari_unet_mic.inference.sliding_window import finished_planes, predict_logits
from napari_unet_mic.inference.windows import window_starts


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
    monkeypatch.setitem(memory._VOXELS_AT_ONCE, "cpu", 3 * 12 * 8)  # slices in groups of 3
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


def test_planes_leave_as_soon_as_no_tile_touches_them() -> None:
    seen: list[int] = []
    data = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 13, 30, 21)))
    network = network_of(3)
    planes = finished_planes(
        network, data.float(), (5, 12, 8), 3, progress=lambda done, _: seen.append(done)
    )
    first = next(planes)
    assert first.shape == (3, 2, 30, 21)  # windows start at 0, 2, 4, 6, 8
    assert seen[-1] == 4 * 5
    parts = [first.clone(), *(part.clone() for part in planes)]
    assert [part.shape[1] for part in parts] == [2, 2, 2, 2, 5]
    whole = predict_logits(network, data.float(), (5, 12, 8), 3)
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_float16_sums_are_close() -> None:
    data = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 9, 20, 21))).float()
    exact, half = (
        predict_logits(network_of(3), data, (5, 12, 8), 3, sums=dtype)
        for dtype in (torch.float32, torch.float16)
    )
    assert not torch.equal(exact, half)
    assert (exact - half).abs().max() < 0.01


def test_folds_are_averaged_tile_by_tile() -> None:
    networks = [network_of(3), network_of(3)]
    with torch.no_grad():
        for parameter in networks[1].parameters():
            parameter.add_(0.3)
    data = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 9, 20, 8))).float()
    one, two, both = (
        predict_logits(these, data, (5, 12, 8), 3, mirror_axes=(1,))
        for these in (networks[0], networks[1], networks)
    )
    assert torch.allclose(both, (one + two) / 2, atol=1e-6)


@pytest.fixture
def claims_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is called cuda and computes on the CPU, where tests run everywhere."""
    monkeypatch.setattr(sliding_window, "_empty_cache", lambda device: None)
    to = torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor,
        "to",
        lambda self, *a: to(self, *[torch.device("cpu") if str(x) == "cuda" else x for x in a]),
    )


@pytest.mark.usefixtures("claims_cuda")
def test_full_device_memory_moves_the_sums_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    zeros = torch.zeros

    def short_of_memory(shape, *, dtype, device):  # type: ignore[no-untyped-def]
        tried.append(device.type)
        if device.type == "cuda":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return zeros(shape, dtype=dtype, device=device)

    data = torch.zeros(1, 4, 4, 9)
    monkeypatch.setattr(torch, "zeros", short_of_memory)
    said: list[str] = []
    logits = predict_logits(network_of(3), data, (4, 4, 4), 3, device="cuda", say=said.append)
    assert tried == ["cuda", "cpu"]
    assert logits.device.type == "cpu"
    assert "summing on the CPU" in said[0]


class Hungry(nn.Module):
    """Takes at most `most` images at a time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.inner, self.most, self.sizes = network_of(3), most, list[int]()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(batch))
        if len(batch) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self.inner(batch)  # type: ignore[no-any-return]


@pytest.mark.usefixtures("claims_cuda")
def test_mirror_images_go_in_smaller_groups_when_memory_is_short() -> None:
    data = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 4, 4, 6))).float()
    hungry = Hungry(2)
    options = {"mirror_axes": (0, 1, 2)}
    found = predict_logits(hungry, data, (4, 4, 4), 3, **options)
    assert hungry.sizes[:4] == [8, 4, 2, 2]
    assert max(hungry.sizes[4:]) == 2
    assert torch.allclose(found, predict_logits(network_of(3), data, (4, 4, 4), 3, **options))


@pytest.mark.usefixtures("claims_cuda")
def test_device_too_small_for_one_patch_is_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"memory for one patch of \(4, 4, 4\)"):
        predict_logits(Hungry(0), torch.zeros(1, 4, 4, 4), (4, 4, 4), 3, device="cuda")
