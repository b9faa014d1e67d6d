"""Faults of training as sentences: memory, disk, damaged cases, losses that are no numbers.

What torch or the system says enters; a `BadInput` leaves that names the thing and what can be
done. In every case the last checkpoint is whole, and a resumed run goes on from it.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Generator
from pathlib import Path

import torch

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.errors import BadInput, UnreadableFile
from napari_unet_mic.planning.configuration import Configuration
from napari_unet_mic.preprocessing.store import forget_case
from napari_unet_mic.training.memory import usable_bytes, what_would_fit
from napari_unet_mic.training.prepare import Materials

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@contextlib.contextmanager
def explained(
    materials: Materials, device: torch.device, precision: torch.dtype
) -> Generator[None, None, None]:
    """Turn what goes wrong in a training into `BadInput` with a sentence.

    A prepared case that cannot be read is forgotten, so that resuming prepares it again.
    """
    try:
        yield
    except UnreadableFile as error:
        if error.file.parent != materials.preprocessed:
            raise
        raise damaged_case(materials, error) from error
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not is_out_of_memory(error):
            raise
        asked = materials.configuration
        raise out_of_memory(asked, materials.dataset, device, precision, error) from error
    except OSError as error:
        if not is_no_room(error):
            raise
        raise no_room(Path(error.filename or materials.workspace.folder), error) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says that memory was short, on a GPU or elsewhere."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(word in said for word in _NO_MEMORY)


def out_of_memory(
    configuration: Configuration,
    dataset: Dataset,
    device: torch.device,
    precision: torch.dtype,
    error: BaseException,
) -> BadInput:
    """Say that memory was short, and which batch or patch would fit."""
    usable = usable_bytes(device)
    smaller = None
    if usable is not None:
        smaller = what_would_fit(
            configuration,
            len(dataset.channel_names),
            len(dataset.classes),
            usable=usable,
            precision=precision,
        )
    if smaller is None:
        advice = "close other programs, choose another device, or plan with less memory"
    elif smaller.patch_size == configuration.patch_size:
        advice = f"batch {smaller.batch_size} would fit (--batch-size {smaller.batch_size})"
    else:
        sizes = smaller.patch_size if len(smaller.patch_size) == 3 else (1, *smaller.patch_size)
        advice = (
            f"patch {_times(smaller.patch_size)} with batch {smaller.batch_size} would fit "
            f"(--patch-size {' '.join(map(str, sizes))} --batch-size {smaller.batch_size})"
        )
    size = f"patch {_times(configuration.patch_size)} and batch {configuration.batch_size}"
    there = f" of {usable / 1e9:.1f} GB" if usable else ""
    return BadInput(
        f"training on the {'GPU' if device.type != 'cpu' else 'CPU'}",
        expected=f"enough memory for {size}",
        got=f"out of memory{there} ({_first_line(error)})",
        advice=f"{advice}: start the run anew with it",
    )


def damaged_case(materials: Materials, error: UnreadableFile) -> BadInput:
    """Say which prepared case cannot be read, and forget it so that it is prepared again."""
    name = error.file.name.split(".b2nd")[0].removesuffix(".labels")
    name = name.removesuffix(".locations.npz").removesuffix(".json")
    forget_case(materials.preprocessed, name)
    return UnreadableFile(
        error.file,
        expected=f"case {name} as it was prepared",
        got=error.got,
        advice="resume the run: the case is prepared again; if it happens again, see to the disk",
    )


def is_no_room(error: OSError) -> bool:
    """Whether the system says that a disk (or somebody's share of it) is full."""
    return error.errno in _NO_ROOM


def is_write_failure(error: BaseException) -> bool:
    """Whether torch or the system could not write a file."""
    if isinstance(error, OSError):
        return True
    said = str(error)
    return any(word in said for word in ("PytorchStreamWriter", "inline_container", "write"))


def no_room(file: Path, error: BaseException, needed: int = 0) -> BadInput:
    """Say that a file could not be written: how much room there is and how much is missing."""
    free = shutil.disk_usage(next(p for p in (file, *file.parents) if p.exists())).free
    missing = needed - free
    got = f"{_size(free)} free" + (f", {_size(missing)} missing" if missing > 0 else "")
    return BadInput(
        file,
        expected=f"room for it on its disk{f' (about {_size(needed)})' if needed else ''}",
        got=f"{got} ({_first_line(error)})",
        advice="free some room and resume: the last checkpoint is whole, the run goes on from it",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.1f} MB"


def _times(sizes: tuple[int, ...]) -> str:
    return " × ".join(map(str, sizes))
