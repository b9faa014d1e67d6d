from typing import Any

import pytest
import torch
from torch import nn

from napari_unet_mic.network.build import build_network
from napari_unet_mic.network.channels_last import (
    ConvTranspose2d,
    ConvTranspose3d,
    InstanceNorm2d,
    InstanceNorm3d,
    order_for,
)
from napari_unet_mic.planning.plan import Plan

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("norm", "plain", "order", "size"),
    [
        (InstanceNorm2d, nn.InstanceNorm2d, torch.channels_last, (6, 5)),
        (InstanceNorm3d, nn.InstanceNorm3d, torch.channels_last_3d, (4, 6, 5)),
    ],
)
def test_norm_equals_torchs_and_keeps_the_order(
    norm: Any, plain: Any, order: torch.memory_format, size: tuple[int, ...], batch: int
) -> None:
    torch.manual_seed(0)
    ours, theirs = norm(7, affine=True), plain(7, affine=True)
    for parameter, twin in zip(ours.parameters(), theirs.parameters(), strict=True):
        nn.init.normal_(parameter)
        twin.data.copy_(parameter.data)
    x = torch.randn(batch, 7, *size) * 3 + 2
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    got = ours(a.contiguous(memory_format=order))
    expected = theirs(b)
    assert got.is_contiguous(memory_format=order)
    torch.testing.assert_close(got, expected)
    (got**3).sum().backward()
    (expected**3).sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs", "stride", "order"),
    [
        (ConvTranspose2d, nn.ConvTranspose2d, (2, 2), torch.channels_last),
        (ConvTranspose3d, nn.ConvTranspose3d, (2, 2, 2), torch.channels_last_3d),
        (ConvTranspose3d, nn.ConvTranspose3d, (1, 2, 2), torch.channels_last_3d),
    ],
)
def test_transposed_convolution_learns_what_torchs_does(
    ours: Any, theirs: Any, stride: tuple[int, ...], order: torch.memory_format, bias: bool
) -> None:
    torch.manual_seed(0)
    one = ours(5, 3, stride, stride, bias=bias).bfloat16()
    other = theirs(5, 3, stride, stride, bias=bias).bfloat16()
    other.load_state_dict(one.state_dict())
    size = (4, 6, 3)[: len(stride)]
    x = torch.randn(2, 5, *size).bfloat16()
    a = x.contiguous(memory_format=order).requires_grad_()
    b = x.clone().requires_grad_()
    got, expected = one(a), other(b)
    assert type(got.grad_fn).__name__ == "_SpreadBackward"
    torch.testing.assert_close(got, expected)
    upstream = torch.randn_like(expected.float()).bfloat16()
    got.backward(upstream)
    expected.backward(upstream)
    near = {"rtol": 0.02, "atol": 0.02}
    torch.testing.assert_close(a.grad, b.grad, **near)
    for mine, twin in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, twin.grad, rtol=0.02, atol=0.1)


@pytest.mark.parametrize("channels", [1, 2])
def test_no_feature_leaves_the_order_in_training(tiny_plan: Plan, channels: int) -> None:
    configuration = tiny_plan.configuration("3d_fullres")
    network = build_network(configuration, channels, 3)
    order_for(network, CPU, torch.bfloat16)
    plain: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, features: torch.Tensor) -> None:
            if not features.is_contiguous(memory_format=torch.channels_last_3d):
                plain.append(name)

        return hook

    for name, module in network.named_modules():
        if not list(module.children()):
            module.register_forward_hook(look(name))
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(2, channels, *configuration.patch_size))
    assert not plain


@pytest.mark.parametrize("name", ["2d", "3d_fullres", "3d_residual"])
def test_network_gives_the_same_in_either_order(tiny_plan: Plan, name: str) -> None:
    configuration = tiny_plan.configuration(name)
    torch.manual_seed(0)
    network = build_network(configuration, 2, 3, deep_supervision=False).eval()
    image = torch.randn(2, 2, *configuration.patch_size)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        expected = network(image)
        order_for(network, CPU, torch.bfloat16)
        got = network(image)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    order = torch.channels_last if len(configuration.patch_size) == 2 else torch.channels_last_3d
    kernels = [p for p in network.parameters() if p.ndim > 2]
    assert all(kernel.is_contiguous(memory_format=order) for kernel in kernels)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_other_devices_and_types_keep_the_plain_order(tiny_plan: Plan) -> None:
    network = build_network(tiny_plan.configuration("3d_fullres"), 1, 3)
    order_for(network, CPU, torch.float32)
    order_for(network, torch.device("cuda"), torch.bfloat16)
    assert all(parameter.is_contiguous() for parameter in network.parameters())
