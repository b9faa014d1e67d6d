"""Layers to NIfTI files and back: exact geometry, the previous version kept.

A layer of ours goes back onto its own file's axes with that file's affine, codes, units and
type. A layer from elsewhere gets a plain affine from its scale and translation, read as
millimetres along (Superior, Posterior, Left). Nothing here needs the GUI thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.data.volume import (
    Volume,
    read_grid,
    read_image,
    read_labels,
    write_image,
    write_labels,
)
from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.layers import KEY, LayerTuple, Source, image_tuples, labels_tuple

Array = npt.NDArray[Any]
ENDINGS = (".nii.gz", ".nii")
MOST_CHANNEL_LAYERS = 8
_LABEL_WORDS = ("label", "seg", "mask", "gt", "pred", "annot", "reference", "output")
_NIFTI_INTENT_LABEL = 1002


def stem_of(path: str | Path) -> str:
    """Return a file's name without its NIfTI ending."""
    name = Path(path).name
    for ending in ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


# ---- reading ---------------------------------------------------------------------------
def read_as_layers(path: str | Path) -> list[LayerTuple]:
    """Read a NIfTI file as napari layers: labels as labels, an image as a layer per channel.

    Raises
    ------
    UnreadableFile
        When the file is missing, truncated, a Git-LFS pointer or not NIfTI.
    """
    grid = read_grid(path)
    if grid.n_channels == 1 and _may_be_labels(Path(path)):
        try:
            labels = read_labels(path)
        except BadInput:
            labels = None
        if labels is not None and _is_labels(Path(path), labels):
            return [labels_tuple(labels, name=stem_of(path))]
    image = read_image(path)
    if image.n_channels <= MOST_CHANNEL_LAYERS:
        return image_tuples(image, case=stem_of(path))
    return [_stack_tuple(image, stem_of(path))]


def _may_be_labels(path: Path) -> bool:
    where = f"{path.parent.name} {stem_of(path)}".lower()
    return not (path.parent.name.startswith("images") or where.endswith("_0000"))


def _is_labels(path: Path, labels: Volume) -> bool:
    """Decide from the header's intent, the names of file and folder, and the values."""
    if int(labels.header["intent_code"]) == _NIFTI_INTENT_LABEL:
        return True
    array = labels.array
    steps = tuple(slice(None, None, max(1, size // 128)) for size in array.shape)
    sample = array[steps]
    if sample.size == 0 or int(sample.min()) < 0:
        return False
    n_values = len(np.unique(sample))
    where = f"{path.parent.name} {stem_of(path)}".lower()
    if any(word in where for word in _LABEL_WORDS):
        return n_values <= 1024
    most = np.bincount(sample.ravel().clip(0, 65535).astype(np.int64)).max()
    stored_as_integer = labels.header.get_data_dtype().kind in "iu"
    return stored_as_integer and n_values <= 32 and bool(most > sample.size / 3)


def _stack_tuple(image: Volume, name: str) -> LayerTuple:
    """Return one layer with a leading channel axis, for files with many channels."""
    ((_, options, _),) = image_tuples(
        Volume(image.array[:1], image.affine, image.header, image.file), case=name
    )
    display = options["metadata"][KEY].display
    options["scale"] = (1.0, *options["scale"])
    options["translate"] = (0.0, *options["translate"])
    options["axis_labels"] = ("channel", *options["axis_labels"])
    options["units"] = ("pixel", "mm", "mm", "mm")
    options["metadata"] = {KEY: Source("image", volume=image, display=display)}
    options["name"] = name
    return display.view(image.array), options, "image"


# ---- writing ---------------------------------------------------------------------------
def array_and_geometry(data: Array, attributes: Mapping[str, Any]) -> tuple[Array, Volume]:
    """Return a layer's array on its file's axes and a volume with the geometry to write.

    Parameters
    ----------
    attributes
        Of the layer: ``metadata``, ``scale``, ``translate``.
    """
    source = attributes.get("metadata", {}).get(KEY)
    if isinstance(source, Source) and source.volume is not None and source.display is not None:
        array = source.display.unview(np.asarray(data))
        if array.shape[-3:] == source.volume.shape:
            return array, source.volume
    array = np.asarray(data)
    if array.ndim == 2:
        array = array[None]
    n = min(3, np.asarray(data).ndim)
    scale = [1.0] * (3 - n) + [float(s) for s in attributes.get("scale", (1.0,) * n)][-n:]
    start = [0.0] * (3 - n) + [float(t) for t in attributes.get("translate", (0.0,) * n)][-n:]
    affine = np.diag([-scale[2], -scale[1], scale[0], 1.0])
    affine[:3, 3] = -start[2], -start[1], start[0]
    return array, Volume.from_array(array, affine=affine)


def write_labels_layer(path: str | Path, data: Array, attributes: Mapping[str, Any]) -> None:
    """Write a labels layer as NIfTI with the geometry of what it came from.

    Raises
    ------
    BadInput
        When the name ends neither in .nii.gz nor in .nii.
    """
    array, like = array_and_geometry(data, attributes)
    write_labels(path, array, like)


def write_image_layer(path: str | Path, data: Array, attributes: Mapping[str, Any]) -> None:
    """Write an image layer as NIfTI with the geometry of what it came from."""
    array, like = array_and_geometry(data, attributes)
    write_image(path, array, like)


@dataclass(frozen=True)
class Saved:
    """What saving a label did: the file, and where the version before it went (if any)."""

    file: Path
    previous: Path | None


def save_version(file: Path, array: Array, like: Volume, keep_in: Path | None = None) -> Saved:
    """Write a label, keeping the version that was there under a name with the time.

    Parameters
    ----------
    array
        (Z, Y, X) on the axes of `like`.
    keep_in
        Folder for the previous version; ``previous_versions`` beside the file by default.
    """
    previous = None
    if file.exists():
        folder = keep_in or file.parent / "previous_versions"
        previous = _free_name(folder, file)
        write_whole(previous, lambda temporary: _copy(file, temporary))
    write_labels(file, array, like)
    return Saved(file, previous)


def _free_name(folder: Path, file: Path) -> Path:
    ending = file.name[len(stem_of(file)) :]
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = [f"{stem_of(file)}.{time}{extra}{ending}" for extra in ("", *_counted())]
    return next(folder / name for name in names if not (folder / name).exists())


def _counted() -> Sequence[str]:
    return [f"-{n}" for n in range(2, 100)]


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
