"""The plain-conv, residual-encoder and v1 U-Nets, with nnU-Net v2's parameter names.

An image (B, C, *size) enters, logits (B, K, *size) leave; with deep supervision a
list of logits, full resolution first, one per decoder stage. A stage is an encoder
resolution level: n poolings make n + 1 stages, and n decoder stages.

Names and order of the state dict are nnU-Net's, duplicates included: a block's
layers appear under their own name and under `all_modules`, the encoder under
`encoder` and under `decoder.encoder`. Each pair is one tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from napari_unet_mic.network.channels_last import (
    ConvTranspose2d,
    ConvTranspose3d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from napari_unet_mic.planning.architecture import Architecture

_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, type[ConvTranspose2d] | type[ConvTranspose3d]] = {
    2: ConvTranspose2d,
    3: ConvTranspose3d,
}
_NORM: dict[int, type[InstanceNorm2d] | type[InstanceNorm3d]] = {
    2: InstanceNorm2d,
    3: InstanceNorm3d,
}
_POOL: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class ConvBlock(nn.Module):
    """Convolution with same padding, instance norm, leaky ReLU (unless `linear`)."""

    def __init__(
        self,
        architecture: Architecture,
        in_features: int,
        out_features: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        *,
        bias: bool,
        linear: bool = False,
    ) -> None:
        super().__init__()
        ndim = architecture.ndim
        self.conv = _CONV[ndim](
            in_features,
            out_features,
            tuple(kernel),  # type: ignore[arg-type]
            tuple(stride),  # type: ignore[arg-type]
            padding=tuple((k - 1) // 2 for k in kernel),  # type: ignore[arg-type]
            bias=bias,
        )
        self.norm = _NORM[ndim](out_features, **architecture.norm_op_kwargs)
        layers: list[nn.Module] = [self.conv, self.norm]
        if not linear:
            self.nonlin = nn.LeakyReLU(**architecture.nonlin_kwargs)
            layers.append(self.nonlin)
        self.all_modules = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features in, features out, the size divided by the stride."""
        y: torch.Tensor = self.all_modules(x)
        return y


class ConvStack(nn.Module):
    """`n` convolution blocks, the first of which takes the stride."""

    def __init__(
        self,
        architecture: Architecture,
        n: int,
        in_features: int,
        out_features: int,
        kernel: Sequence[int],
        stride: Sequence[int],
    ) -> None:
        super().__init__()
        one = (1,) * architecture.ndim
        self.convs = nn.Sequential(
            *(
                ConvBlock(
                    architecture,
                    out_features if i else in_features,
                    out_features,
                    kernel,
                    one if i else stride,
                    bias=architecture.conv_bias,
                )
                for i in range(n)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features in, features out."""
        y: torch.Tensor = self.convs(x)
        return y


class ResidualBlock(nn.Module):
    """Two convolutions beside a skip: average pooling, then a 1-wide projection, where needed.

    Notes
    -----
    ResNet-D (He et al., Bag of tricks for image classification, CVPR 2019), as
    nnU-Net's `BasicBlockD`.
    """

    def __init__(
        self,
        architecture: Architecture,
        in_features: int,
        out_features: int,
        kernel: Sequence[int],
        stride: Sequence[int],
    ) -> None:
        super().__init__()
        one = (1,) * architecture.ndim
        bias = architecture.conv_bias
        self.conv1 = ConvBlock(architecture, in_features, out_features, kernel, stride, bias=bias)
        self.conv2 = ConvBlock(
            architecture, out_features, out_features, kernel, one, bias=bias, linear=True
        )
        self.nonlin2 = nn.LeakyReLU(**architecture.nonlin_kwargs)
        steps: list[nn.Module] = []
        if any(s != 1 for s in stride):
            steps.append(_POOL[architecture.ndim](tuple(stride), tuple(stride)))  # type: ignore[arg-type]
        if in_features != out_features:
            steps.append(
                ConvBlock(
                    architecture, in_features, out_features, one, one, bias=False, linear=True
                )
            )
        self.skip = nn.Sequential(*steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features in, features out, the size divided by the stride."""
        y: torch.Tensor = self.conv2(self.conv1(x))
        y += self.skip(x)
        out: torch.Tensor = self.nonlin2(y)
        return out


class ResidualStack(nn.Module):
    """`n` residual blocks, the first of which takes the stride."""

    def __init__(
        self,
        architecture: Architecture,
        n: int,
        in_features: int,
        out_features: int,
        kernel: Sequence[int],
        stride: Sequence[int],
    ) -> None:
        super().__init__()
        one = (1,) * architecture.ndim
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(
                    architecture,
                    out_features if i else in_features,
                    out_features,
                    kernel,
                    one if i else stride,
                )
                for i in range(n)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features in, features out."""
        y: torch.Tensor = self.blocks(x)
        return y


class Encoder(nn.Module):
    """The stages, each fed by the one before; gives all their features, finest first."""

    def __init__(self, architecture: Architecture, n_channels: int) -> None:
        super().__init__()
        features = n_channels
        if architecture.is_residual:
            one = (1,) * architecture.ndim
            features = architecture.features_per_stage[0]
            self.stem = ConvStack(
                architecture, 1, n_channels, features, architecture.kernel_sizes[0], one
            )
        stages: list[nn.Module] = []
        for s in range(architecture.n_stages):
            shape = (
                architecture.blocks_per_stage[s],
                features,
                architecture.features_per_stage[s],
                architecture.kernel_sizes[s],
                architecture.strides[s],
            )
            if architecture.is_residual:
                stages.append(ResidualStack(architecture, *shape))
            else:
                stages.append(nn.Sequential(ConvStack(architecture, *shape)))
            features = architecture.features_per_stage[s]
        self.stages = nn.Sequential(*stages)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """An image (B, C, *size) in, one feature map per stage out."""
        if hasattr(self, "stem"):
            x = self.stem(x)
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        return skips


class Decoder(nn.Module):
    """From the bottleneck up: transposed convolution, skip, convolutions, logits.

    `kernel_sizes`, coarsest first, are those of the convolutions; by default those
    of the encoder stage at the same resolution. `bias` is that of the transposed
    convolutions and of the output layers (nnU-Net v1 has none).
    """

    def __init__(
        self,
        architecture: Architecture,
        encoder: Encoder,
        n_classes: int,
        *,
        deep_supervision: bool,
        kernel_sizes: Sequence[Sequence[int]] | None = None,
        up_bias: bool | None = None,
        output_bias: bool = True,
    ) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision
        self.encoder = encoder
        ndim, one = architecture.ndim, (1,) * architecture.ndim
        kernels = kernel_sizes or architecture.kernel_sizes[-2::-1]
        up_bias = architecture.conv_bias if up_bias is None else up_bias
        stages, ups, outputs = [], [], []
        for d in range(architecture.n_stages - 1):
            below, features = architecture.features_per_stage[::-1][d : d + 2]
            stride = architecture.strides[-1 - d]
            n = architecture.n_conv_per_stage_decoder[d]
            ups.append(_UP[ndim](below, features, stride, stride, bias=up_bias))  # type: ignore[arg-type]
            stages.append(ConvStack(architecture, n, 2 * features, features, kernels[d], one))
            outputs.append(_CONV[ndim](features, n_classes, 1, bias=output_bias))
        self.stages = nn.ModuleList(stages)
        self.transpconvs = nn.ModuleList(ups)
        self.seg_layers = nn.ModuleList(outputs)

    def forward(self, skips: list[torch.Tensor]) -> torch.Tensor | list[torch.Tensor]:
        """The encoder's features in, logits (with deep supervision: finest first) out."""
        x, finest = skips[-1], len(self.stages) - 1
        logits: list[torch.Tensor] = []
        for d, (up, stage, output) in enumerate(
            zip(self.transpconvs, self.stages, self.seg_layers, strict=True)
        ):
            x = torch.cat((up(x), skips[-2 - d]), dim=1)
            x = stage(x)
            if self.deep_supervision or d == finest:
                logits.append(output(x))
        return logits[::-1] if self.deep_supervision else logits[0]


class UNet(nn.Module):
    """Encoder and decoder of an architecture; `deep_supervision` can be switched.

    Parameters
    ----------
    architecture
        Stages, features, kernels and strides, from a plan.
    n_channels
        Channels of the image.
    n_classes
        Classes of the logits, background included.
    deep_supervision
        Whether logits of every decoder stage are given, as training needs them.
    """

    def __init__(
        self,
        architecture: Architecture,
        n_channels: int,
        n_classes: int,
        *,
        deep_supervision: bool = False,
        **decoder: Any,
    ) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_classes = n_classes
        self.encoder = Encoder(architecture, n_channels)
        self.decoder = Decoder(
            architecture, self.encoder, n_classes, deep_supervision=deep_supervision, **decoder
        )

    @property
    def deep_supervision(self) -> bool:
        """Whether the logits of every decoder stage are given."""
        return self.decoder.deep_supervision

    @deep_supervision.setter
    def deep_supervision(self, value: bool) -> None:
        self.decoder.deep_supervision = value

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """An image (B, C, *size) in, logits (B, K, *size) out (a list with deep supervision)."""
        out: torch.Tensor | list[torch.Tensor] = self.decoder(self.encoder(x))
        return out


class PlainConvUNet(UNet):
    """nnU-Net's default network: stacked convolutions, strided ones for pooling."""


class LegacyUNet(UNet):
    """nnU-Net v1's `Generic_UNet`: the plain-conv encoder with another decoder.

    Transposed convolutions and output layers have no bias, and the decoder's kernels are
    indexed from the other end, so that each is that of the encoder stage below: on
    anisotropic plans some differ (3×3×3 against 1×3×3). Names are those of v2;
    `network.legacy` translates v1's.
    """

    def __init__(
        self,
        architecture: Architecture,
        n_channels: int,
        n_classes: int,
        *,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__(
            architecture,
            n_channels,
            n_classes,
            deep_supervision=deep_supervision,
            kernel_sizes=architecture.kernel_sizes[:0:-1],
            up_bias=False,
            output_bias=False,
        )


class ResidualEncoderUNet(UNet):
    """nnU-Net's residual-encoder network (ResEnc presets): a stem and residual blocks."""
