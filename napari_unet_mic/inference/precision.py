"""Which device computes, in which number type, and the sentences that say so."""

from __future__ import annotations

import torch

from napari_unet_mic.errors import BadInput
from napari_unet_mic.inference.devices import cpu_has_bfloat16

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


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
