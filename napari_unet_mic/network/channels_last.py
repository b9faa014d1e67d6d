"""Channels last: the memory order in which a CPU's bfloat16 convolutions are fastest.

A network enters and leaves with its weights reordered; names, shapes and values stay. Its norms
are those of this module, which keep features in that order: torch's own instance norm copies
them to the plain order and back, which costs more than the convolutions gain.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class _KeepsOrder:
    """Instance norm that leaves channels-last features channels last."""

    weight: torch.Tensor
    bias: torch.Tensor
    eps: float
    _order: torch.memory_format

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (B, C, *size) in, features of mean 0 and variance 1 per sample out."""
        if x.is_contiguous() or not x.is_contiguous(memory_format=self._order):
            y: torch.Tensor = super().forward(x)  # type: ignore[misc]
            return y
        # The batch norm of a batch of one is that sample's instance norm.
        samples = [
            functional.batch_norm(
                sample, None, None, self.weight, self.bias, training=True, eps=self.eps
            )
            for sample in torch.split(x, 1)
        ]
        return samples[0] if len(samples) == 1 else torch.cat(samples)


class InstanceNorm2d(_KeepsOrder, nn.InstanceNorm2d):  # type: ignore[misc]
    """torch's `InstanceNorm2d`, fast in channels-last order too."""

    _order = torch.channels_last


class InstanceNorm3d(_KeepsOrder, nn.InstanceNorm3d):  # type: ignore[misc]
    """torch's `InstanceNorm3d`, fast in channels-last order too."""

    _order = torch.channels_last_3d


def order_for(network: nn.Module, device: torch.device, precision: torch.dtype) -> None:
    """Put a network's convolution weights into the order that is fastest there, in place.

    Notes
    -----
    Channels last for bfloat16 on a CPU; nothing is changed elsewhere. Measured on the liver
    plan's 128³ patch: 2.28 s a forward pass instead of 2.72 s (AVX-512, two cores).
    """
    if device.type != "cpu" or precision != torch.bfloat16:
        return
    orders: dict[int, Any] = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        order = orders.get(parameter.ndim)
        if order is not None:
            parameter.data = parameter.data.contiguous(memory_format=order)
