"""What a configuration's network looks like: stages, parameters, receptive field, memory.

Arithmetic only: no network is built and torch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.architecture import Architecture
from napari_unet_mic.planning.plan import Configuration
from napari_unet_mic.planning.stages import Axes, feature_map_cost, stage_sizes

BYTES_PER_VALUE = 6
BYTES_PER_PARAMETER = 16
FIXED_BYTES = 800_000_000


@dataclass(frozen=True)
class StageFacts:
    """One stage: an encoder level and the decoder step that comes back to it.

    `size` in voxels for one patch; `kernel` and `stride` of the encoder; `blocks`
    convolutions or residual blocks of the encoder; `receptive_field` the input
    voxels one voxel at the encoder stage's end depends on; `reason` why this
    stage halves the axes it does.
    """

    index: int
    size: Axes
    kernel: Axes
    stride: Axes
    features: int
    blocks: int
    decoder_convolutions: int
    encoder_parameters: int
    decoder_parameters: int
    receptive_field: Axes
    reason: str

    @property
    def parameters(self) -> int:
        """Weights of the encoder stage and of the decoder step that ends here."""
        return self.encoder_parameters + self.decoder_parameters


@dataclass(frozen=True)
class NetworkFacts:
    """A network in numbers, for one configuration.

    `receptive_field` is that of one voxel of the last encoder stage (every later
    layer only adds to it); `feature_map_values` what nnU-Net calls the
    convolutions' feature-map size, deep supervision on, for one patch.
    """

    configuration: str
    network: str
    n_channels: int
    n_classes: int
    patch_size: Axes
    batch_size: int
    spacing: tuple[float, ...]
    stages: tuple[StageFacts, ...]
    parameters: int
    receptive_field: Axes
    feature_map_values: int
    memory_bytes_estimate: int

    @property
    def n_stages(self) -> int:
        """One more than the poolings."""
        return len(self.stages)

    @property
    def stage_sentence(self) -> str:
        """The sum that this project's first mistake got wrong."""
        n = self.n_stages
        return f"{n} stages = {n - 1} pooling{'s' * (n != 2)} + 1"

    @property
    def memory_sentence(self) -> str:
        """The estimate and what it is made of."""
        gb = self.memory_bytes_estimate / 1e9
        return (
            f"about {gb:.1f} GB while training ({BYTES_PER_VALUE} bytes for each of "
            f"{self.feature_map_values / 1e6:.0f} million feature-map values in each of "
            f"{self.batch_size} patches, {BYTES_PER_PARAMETER} bytes a parameter, "
            f"{FIXED_BYTES / 1e9:.1f} GB fixed)"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists, as `unet-mic network --json` prints them."""
        facts = asdict(self)
        for stage, plain in zip(self.stages, facts["stages"], strict=True):
            plain["parameters"] = stage.parameters
        return {**facts, "n_stages": self.n_stages}

    def to_text(self) -> str:
        """The table that `unet-mic network` prints."""
        head = ("stage", "size", "kernel", "stride", "features", "parameters", "receptive field")
        rows = [
            (
                str(stage.index),
                "×".join(map(str, stage.size)),
                "×".join(map(str, stage.kernel)),
                "×".join(map(str, stage.stride)),
                str(stage.features),
                f"{stage.parameters:,}",
                "×".join(map(str, stage.receptive_field)),
                stage.reason,
            )
            for stage in self.stages
        ]
        widths = [max(len(row[i]) for row in (*rows, head)) for i in range(len(head))]
        lines = [
            f"{self.configuration}: {self.network}, "
            f"{self.n_channels} channel{'s' * (self.n_channels != 1)}, "
            f"{self.n_classes} classes, patch {'×'.join(map(str, self.patch_size))}, "
            f"batch {self.batch_size}, spacing {' '.join(f'{s:g}' for s in self.spacing)} mm",
            "  ".join(word.rjust(width) for word, width in zip(head, widths, strict=True)),
        ]
        for row in rows:
            cells = [word.rjust(width) for word, width in zip(row, widths, strict=False)]
            lines.append("  ".join((*cells, row[-1])))
        lines.append(self.stage_sentence)
        lines.append(f"{self.parameters:,} parameters; {self.memory_sentence}")
        return "\n".join(lines)


def describe(configuration: Configuration, n_channels: int, n_classes: int) -> NetworkFacts:
    """The network of a configuration, in numbers.

    Parameters
    ----------
    n_channels
        Input channels (a cascade's second stage also gets one per foreground class).
    n_classes
        Output channels, background included.

    Notes
    -----
    The memory estimate is a line, not a promise: 6 bytes for every feature-map
    value of a batch (half-precision outputs kept for the way back), 16 bytes for
    every parameter (weight, gradient, momentum, half-precision copy) and a fixed
    0.8 GB. It is set so that nnU-Net's 560 million values with batch 2 come to 8 GB.
    """
    if n_channels < 1 or n_classes < 1:
        raise BadInput(
            configuration.name,
            expected="at least 1 channel and 1 class",
            got=f"{n_channels} channels and {n_classes} classes",
            advice="see channel_names and labels in dataset.json",
        )
    arch = configuration.architecture
    sizes = stage_sizes(configuration.patch_size, arch.strides)
    fields = _receptive_fields(arch)
    reasons = _stage_reasons(configuration)
    stages = tuple(
        StageFacts(
            index=i,
            size=sizes[i],
            kernel=arch.kernel_sizes[i],
            stride=arch.strides[i],
            features=arch.features_per_stage[i],
            blocks=arch.blocks_per_stage[i],
            decoder_convolutions=_decoder_convolutions(arch, i),
            encoder_parameters=_encoder_parameters(arch, i, n_channels),
            decoder_parameters=_decoder_parameters(arch, i, n_classes),
            receptive_field=fields[i],
            reason=reasons[i],
        )
        for i in range(arch.n_stages)
    )
    parameters = sum(stage.parameters for stage in stages)
    values = feature_map_cost(
        configuration.patch_size,
        arch.strides,
        arch.features_per_stage,
        arch.blocks_per_stage,
        arch.n_conv_per_stage_decoder,
        n_classes,
        residual=arch.is_residual,
        deep_supervision=True,
    )
    return NetworkFacts(
        configuration=configuration.name,
        network=arch.network_class,
        n_channels=n_channels,
        n_classes=n_classes,
        patch_size=configuration.patch_size,
        batch_size=configuration.batch_size,
        spacing=configuration.spacing,
        stages=stages,
        parameters=parameters,
        receptive_field=fields[-1],
        feature_map_values=values,
        memory_bytes_estimate=BYTES_PER_VALUE * values * configuration.batch_size
        + BYTES_PER_PARAMETER * parameters
        + FIXED_BYTES,
    )


def _convolution(
    arch: Architecture, kernel: Sequence[int], before: int, after: int, *, bias: bool
) -> int:
    """Weights of a convolution and the normalisation behind it."""
    norm = 2 * after if arch.norm_op_kwargs.get("affine", False) else 0
    return math.prod(kernel) * before * after + after * bias + norm


def _encoder_parameters(arch: Architecture, stage: int, n_channels: int) -> int:
    kernel, after = arch.kernel_sizes[stage], arch.features_per_stage[stage]
    blocks = arch.blocks_per_stage[stage]
    first = after if arch.is_residual else n_channels  # the stem already widened the image
    before = arch.features_per_stage[stage - 1] if stage else first
    bias = arch.conv_bias
    inner = _convolution(arch, kernel, after, after, bias=bias)
    outer = _convolution(arch, kernel, before, after, bias=bias)
    if not arch.is_residual:
        return outer + (blocks - 1) * inner
    total = outer + inner + (blocks - 1) * 2 * inner
    if before != after:
        total += _convolution(arch, (1,), before, after, bias=False)  # the skip's projection
    if stage == 0:
        total += _convolution(arch, kernel, n_channels, after, bias=bias)  # the stem
    return total


def _decoder_convolutions(arch: Architecture, stage: int) -> int:
    """Convolutions of the decoder step that ends at a stage (none at the last stage)."""
    last = arch.n_stages - 1
    return 0 if stage == last else arch.n_conv_per_stage_decoder[last - 1 - stage]


def _decoder_parameters(arch: Architecture, stage: int, n_classes: int) -> int:
    """Upsampling, convolutions and output layer of the decoder step that ends at a stage."""
    if stage == arch.n_stages - 1:
        return 0
    legacy = arch.network_class == "Generic_UNet"  # no biases there, kernels from the stage below
    n, below = arch.features_per_stage[stage], arch.features_per_stage[stage + 1]
    kernel = arch.kernel_sizes[stage + 1 if legacy else stage]
    upsampling = math.prod(arch.strides[stage + 1]) * below * n
    upsampling += 0 if legacy or not arch.conv_bias else n
    first = _convolution(arch, kernel, 2 * n, n, bias=arch.conv_bias)
    inner = _convolution(arch, kernel, n, n, bias=arch.conv_bias)
    output = n * n_classes + (0 if legacy else n_classes)
    return upsampling + first + (_decoder_convolutions(arch, stage) - 1) * inner + output


def _receptive_fields(arch: Architecture) -> list[Axes]:
    """Per stage and axis: input voxels seen by one voxel at the encoder stage's end."""
    field, jump = [1] * arch.ndim, [1] * arch.ndim
    fields: list[Axes] = []
    for i, blocks in enumerate(arch.blocks_per_stage):
        convolutions = 2 * blocks if arch.is_residual else blocks
        for axis in range(arch.ndim):
            reach = arch.kernel_sizes[i][axis] - 1
            if arch.is_residual and i == 0:
                field[axis] += reach  # the stem
            # the first convolution still steps on the finer grid
            field[axis] += reach * jump[axis]
            jump[axis] *= arch.strides[i][axis]
            field[axis] += reach * jump[axis] * (convolutions - 1)
        fields.append(tuple(field))
    return fields


def _stage_reasons(configuration: Configuration) -> list[str]:
    """Why each stage halves the axes it does, in the plan's spacing and sizes."""
    names = configuration.axis_names
    spacing = list(configuration.spacing)
    size = list(configuration.patch_size)
    reasons = ["the patch itself"]
    for stride in configuration.architecture.strides[1:]:
        halved = [i for i, n in enumerate(stride) if n > 1]
        finest = min((spacing[i] for i in halved), default=min(spacing))
        kept = []
        for i, n in enumerate(stride):
            if n > 1:
                continue
            if size[i] < 8:
                kept.append(f"{names[i]} kept ({size[i]} voxels, 8 needed)")
            elif spacing[i] >= 2 * finest:
                kept.append(f"{names[i]} kept ({spacing[i]:.3g} mm against {finest:.3g} mm)")
            else:
                kept.append(f"{names[i]} kept")
        what = ", ".join(names[i] for i in halved)
        reasons.append("; ".join([f"{what} halved" if halved else "nothing halved", *kept]))
        for i in halved:
            size[i], spacing[i] = size[i] // stride[i], spacing[i] * stride[i]
    return reasons
