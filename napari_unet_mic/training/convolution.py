"""3-D convolutions whose weight gradient fits a cache, for CPUs with AVX2 only.

There oneDNN has no direct kernel for the weight gradient of a 3-D convolution: it unfolds
whole planes of its input into a matrix, which for 64 channels of 56 × 40 is 15 MB, and
multiplies. Here slabs of about 1 MB are unfolded, of whichever of input and gradient has
fewer channels. On a busy two-core machine single layers of 32 and 64 channels took 0.4 of
the processor time; a whole backward pass (noisily) about 0.85.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_PLANE_BYTES = 4 * 2**20
_SLAB_BYTES = 2**20


def use_small_slabs(network: nn.Module) -> int:
    """Let a network's stride-1 3-D convolutions compute weight gradients in slabs.

    Names, weights and results stay (up to the order of summation). Returns the number of
    convolutions changed: none where the CPU has better kernels.
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return 0
    fitting = [module for module in network.modules() if _fits(module)]
    for module in fitting:
        module.__class__ = SlabConv3d
    return len(fitting)


def _fits(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv3d
        and set(module.stride) == set(module.dilation) == {1}
        and module.groups == 1
        and module.padding_mode == "zeros"
        and any(size > 1 for size in module.kernel_size)
        and all(size % 2 for size in module.kernel_size)
        and module.padding == tuple(size // 2 for size in module.kernel_size)
    )


class SlabConv3d(nn.Conv3d):
    """A stride-1 convolution that keeps the size; only its weight gradient is computed anew."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (B, I, Z, Y, X) into (B, O, Z, Y, X)."""
        if input.device.type != "cpu" or input.dtype != torch.float32:
            return super().forward(input)
        convolved: Tensor = _Convolution.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return convolved


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        padding = [size // 2 for size in weight.shape[2:]]
        return functional.conv3d(x, weight, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _gradients(gradient, x, weight, _same(weight), of_input=True)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, gradient, weight)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3, 4))
        return of_x, of_weight, of_bias


def weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of a size-keeping convolution's weights (O, I, kz, ky, kx).

    Parameters
    ----------
    x
        Its input (B, I, Z, Y, X).
    gradient
        That of its output (B, O, Z, Y, X).
    weight
        For its shape.
    """
    if x.shape[1] > gradient.shape[1]:  # the sum is the same with both exchanged, mirrored
        turned = weight_gradient(gradient, x, weight.transpose(0, 1))
        return turned.transpose(0, 1).flip(2, 3, 4)
    kernel = weight.shape[2:]
    height = x.shape[3]
    row_bytes = 4 * x.shape[1] * kernel.numel() * x.shape[4]
    if row_bytes * height <= _PLANE_BYTES:
        return _gradients(gradient, x, weight, _same(weight), of_input=False)
    rows = max(1, _SLAB_BYTES // row_bytes)
    halo = kernel[1] // 2
    padded = functional.pad(x, (0, 0, halo, halo))
    padding = [kernel[0] // 2, 0, kernel[2] // 2]
    total = torch.zeros_like(weight, memory_format=torch.contiguous_format)
    for low in range(0, height, rows):
        high = min(height, low + rows)
        slab = padded[:, :, :, low : high + 2 * halo].contiguous()
        total += _gradients(
            gradient[:, :, :, low:high].contiguous(), slab, weight, padding, of_input=False
        )
    return total


def _same(weight: Tensor) -> list[int]:
    return [size // 2 for size in weight.shape[2:]]


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, padding: list[int], *, of_input: bool
) -> Tensor:
    ones, zeros = [1, 1, 1], [0, 0, 0]
    found = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        ones,
        padding,
        ones,
        False,
        zeros,
        1,
        [of_input, not of_input, False],
    )
    wanted: Tensor = found[0] if of_input else found[1]
    return wanted
