"""From spacing and patch to strides and kernels, and what the feature maps cost.

The arithmetic of nnU-Net's network_topology.py and of the
`compute_conv_feature_map_size` methods of dynamic_network_architectures,
without building a network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from napari_unet_mic.planning.presets import MIN_FEATURE_MAP_EDGE

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Stages:
    """Strides and kernels of every stage (stage 0 first), and the padded patch.

    `divisors` are what each patch axis must be divisible by: 2 to the number of
    its poolings.
    """

    strides: tuple[Axes, ...]
    kernels: tuple[Axes, ...]
    patch: Axes
    divisors: Axes

    @property
    def n_stages(self) -> int:
        """One more than the poolings."""
        return len(self.strides)

    @property
    def poolings(self) -> Axes:
        """How often each axis is halved."""
        return tuple(divisor.bit_length() - 1 for divisor in self.divisors)


def divide_stages(spacing: Sequence[float], patch: Sequence[float]) -> Stages:
    """Pool until no axis can be pooled further.

    An axis is halved while it has at least 2 x 4 voxels and its spacing is less
    than twice the finest such axis; a lone axis needs 3 x 4 voxels. A kernel
    axis becomes 3, and stays so, once its spacing is within a factor 2 of the
    finest; the last stage is 3 everywhere.

    Parameters
    ----------
    spacing
        Millimetres, one per axis of the network (2 or 3).
    patch
        Voxels; need not be whole or divisible (the median shape may end in .5).

    Notes
    -----
    Source: nnunetv2 network_topology.get_pool_and_conv_props.
    """
    edge = MIN_FEATURE_MAP_EDGE
    axes = range(len(spacing))
    spacings = [float(s) for s in spacing]
    sizes = [float(n) for n in patch]
    kernel = [1] * len(spacing)
    strides: list[Axes] = [(1,) * len(spacing)]
    kernels: list[Axes] = []
    while True:
        large = [i for i in axes if sizes[i] >= 2 * edge]
        if not large:
            break
        finest = min(spacings[i] for i in large)
        pooled = [i for i in large if spacings[i] / finest < 2]
        if len(pooled) == 1 and sizes[pooled[0]] < 3 * edge:
            break
        kernel = [
            3 if kernel[i] == 3 or spacings[i] / min(spacings) < 2 else kernel[i] for i in axes
        ]
        for i in pooled:
            spacings[i] *= 2
            sizes[i] = math.ceil(sizes[i] / 2)
        strides.append(tuple(2 if i in pooled else 1 for i in axes))
        kernels.append(tuple(kernel))
    kernels.append((3,) * len(spacing))
    divisors = tuple(math.prod(stride[i] for stride in strides) for i in axes)
    return Stages(
        strides=tuple(strides),
        kernels=tuple(kernels),
        patch=tuple(
            int(n if n % divisor == 0 else n + divisor - n % divisor)
            for n, divisor in zip(patch, divisors, strict=True)
        ),
        divisors=divisors,
    )


def stage_sizes(patch: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[Axes, ...]:
    """The feature maps' sizes at every stage, in voxels."""
    sizes = []
    size = tuple(patch)
    for stride in strides:
        size = tuple(n // s for n, s in zip(size, stride, strict=True))
        sizes.append(size)
    return tuple(sizes)


def feature_map_cost(
    patch: Sequence[int],
    strides: Sequence[Sequence[int]],
    features: Sequence[int],
    encoder_blocks: Sequence[int],
    decoder_convolutions: Sequence[int],
    n_classes: int,
    *,
    residual: bool,
    deep_supervision: bool = False,
) -> int:
    """Sum of all convolutions' output sizes in values, for one patch.

    Equals `compute_conv_feature_map_size` of PlainConvUNet and
    ResidualEncoderUNet. In a residual block's skip a strided block is counted
    even where it has no convolution (equal features, average pooling only), as
    nnU-Net counts it.
    """
    sizes = stage_sizes(patch, strides)
    cost = features[0] * math.prod(patch) if residual else 0  # the stem
    before, size_before = features[0], tuple(patch)
    for size, n_features, blocks in zip(sizes, features, encoder_blocks, strict=True):
        values = n_features * math.prod(size)
        if residual:
            has_skip = before != n_features or size != size_before
            cost += (2 * blocks + has_skip) * values
        else:
            cost += blocks * values
        before, size_before = n_features, size
    # decoder steps run from the bottleneck up; step s ends at stage n - 2 - s
    for step, convolutions in enumerate(decoder_convolutions):
        stage = len(sizes) - 2 - step
        voxels = math.prod(sizes[stage])
        cost += (convolutions + 1) * features[stage] * voxels  # + the transposed convolution
        if deep_supervision or stage == 0:
            cost += n_classes * voxels
    return cost
