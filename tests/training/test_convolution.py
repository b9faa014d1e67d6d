import pytest
import torch
from torch import nn

from napari_unet_mic.training import convolution
from napari_unet_mic.training.convolution import SlabConv3d, use_small_slabs, weight_gradient


@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (3, 3, 1)], ids=str)
@pytest.mark.parametrize(("i", "o"), [(2, 5), (5, 2), (3, 3)])
def test_gradients_are_those_of_the_plain_convolution(
    monkeypatch: pytest.MonkeyPatch, kernel: tuple[int, int, int], i: int, o: int
) -> None:
    monkeypatch.setattr(convolution, "_PLANE_BYTES", 0)
    monkeypatch.setattr(convolution, "_SLAB_BYTES", 3 * 4 * 2 * 9 * 6)
    plain = nn.Conv3d(i, o, kernel, padding=tuple(k // 2 for k in kernel))
    slabs = SlabConv3d(i, o, kernel, padding=plain.padding)
    slabs.load_state_dict(plain.state_dict())
    x = torch.randn(2, i, 4, 7, 6)
    results = []
    for module in (plain, slabs):
        own = x.clone().requires_grad_()
        out = module(own)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        assert module.weight.grad is not None
        assert module.bias is not None
        assert module.bias.grad is not None
        results.append((out.detach(), own.grad, module.weight.grad, module.bias.grad))
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert ours is not None
        assert theirs is not None
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_weight_gradient_by_hand() -> None:
    x = torch.zeros(1, 1, 1, 1, 4)
    x[..., 1] = 2
    gradient = torch.zeros(1, 1, 1, 1, 4)
    gradient[..., 2] = 3
    found = weight_gradient(x, gradient, torch.zeros(1, 1, 1, 1, 3))
    assert found.flatten().tolist() == [6, 0, 0]


def test_only_size_keeping_convolutions_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(
        nn.Conv3d(1, 2, 3, padding=1),
        nn.Conv3d(2, 2, 3, padding=1, stride=2),
        nn.Conv3d(2, 2, 1),
        nn.Conv3d(2, 2, 3),
        nn.ConvTranspose3d(2, 2, 2, stride=2),
    )
    names = list(network.state_dict())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert use_small_slabs(network) == 0
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert use_small_slabs(network) == 1
    assert isinstance(network[0], SlabConv3d)
    assert list(network.state_dict()) == names


def test_nothing_is_kept_without_gradients() -> None:
    module = SlabConv3d(1, 2, 3, padding=1)
    with torch.no_grad():
        assert not module(torch.ones(1, 1, 3, 3, 3)).requires_grad
