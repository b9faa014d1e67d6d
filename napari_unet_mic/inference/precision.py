"""Which device computes, in which number type, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from napari_unet_mic.errors import BadInput
from napari_unet_mic.inference.devices import cpu_has_bfloat16
from napari_unet_mic.inference.sliding_window import predict_logits

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

_MOST_DIFFERING = 0.02  # of a tile's foreground, before a shorter number type is given up


def choose_device(name: str = "auto") -> tuple[torch.device, str]:
    """Choose the device to compute on: the one named, or a GPU where there is one.

    Parameters
    ----------
    name
        `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Returns
    -------
    device, sentence
        The sentence tells the person what was chosen and why.

    Raises
    ------
    BadInput
        No such device here; the sentence names those there are.
    """
    there = available_devices()
    if name == "auto":
        chosen = there[0]
        why = "the first GPU found" if chosen != "cpu" else "no GPU that torch can use was found"
    else:
        chosen = "cuda:0" if name == "cuda" else "mps" if name == "mps:0" else name
        why = "as asked"
        if chosen not in there:
            raise BadInput(
                f"device {name}",
                expected=f"one of {', '.join(there)}",
                got=f"{name}, which torch {torch.__version__} cannot use here",
                advice="choose another device, or install the torch build for this GPU",
            )
    device = torch.device(chosen)
    if device.type == "cuda":
        title = f"GPU {chosen} ({torch.cuda.get_device_name(device)})"
    elif device.type == "mps":
        title = "Apple GPU"
    else:
        n = torch.get_num_threads()
        title = f"CPU with {n} thread{'s' if n != 1 else ''}"
    return device, f"Computing on the {title}: {why}."


def available_devices() -> tuple[str, ...]:
    """Names of the devices torch can use here, the preferred one first, the CPU last."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return (*names, "cpu")


def choose_precision(name: str, device: torch.device) -> tuple[torch.dtype, str]:
    """Choose the number type of the network's arithmetic.

    Parameters
    ----------
    name
        `auto`, `float32`, `bfloat16` or `float16`. `auto` takes float16 on an Nvidia GPU, as
        nnU-Net does; bfloat16 on a CPU that multiplies it natively; float32 elsewhere.

    Raises
    ------
    BadInput
        An unknown name, or float16 on a CPU, which is slow there without being exact.
    """
    if name == "auto":
        if device.type == "cuda":
            return torch.float16, "Precision float16 (autocast), as nnU-Net on a GPU."
        if device.type == "cpu" and cpu_has_bfloat16():
            return torch.bfloat16, (
                "Precision bfloat16, which this CPU multiplies natively; "
                "--precision float32 is slower and exact."
            )
        return (
            torch.float32,
            f"Precision float32: this {device.type.upper()} multiplies no shorter type natively.",
        )
    if name not in PRECISIONS or (name == "float16" and device.type == "cpu"):
        raise BadInput(
            "precision",
            expected="auto, float32 or bfloat16" + (", float16" if device.type != "cpu" else ""),
            got=f"{name} on {device.type}",
            advice="choose one of those",
        )
    return PRECISIONS[name], f"Precision {name}, as asked."


def error_of_short_type(
    network: nn.Module,
    data: torch.Tensor,
    patch_size: Sequence[int],
    *,
    precision: torch.dtype,
    n_classes: int,
    device: torch.device,
    **_: Any,
) -> str:
    """Predict the middle tile of an image in float32 and in a shorter type.

    Parameters
    ----------
    data
        Prepared image (C, z, y, x).

    Returns
    -------
    str
        A sentence when their labels differ in more than 2 % of the foreground, else "".
    """
    patch = (*(1,) * (3 - len(patch_size)), *patch_size)
    middle = data[
        (
            slice(None),
            *(
                slice(max(0, (n - p) // 2), max(0, (n - p) // 2) + p)
                for n, p in zip(data.shape[1:], patch, strict=True)
            ),
        )
    ]
    exact, short = (
        predict_logits(network, middle, patch_size, n_classes, device=device, precision=one).argmax(
            0
        )
        for one in (torch.float32, precision)
    )
    union = int(((exact > 0) | (short > 0)).sum())
    differing = int((exact != short).sum())
    if differing <= max(10, _MOST_DIFFERING * union):
        return ""
    return (
        f"{str(precision).removeprefix('torch.')} differs from float32 in {differing} of {union} "
        "foreground voxels of a tile: going on in float32."
    )
