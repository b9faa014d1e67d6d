"""A case read for the viewer: its layers, and a sentence when image and label do not fit.

A dataset and a case enter, an `OpenCase` and layers leave; call `read_case` in a thread.
"""

from __future__ import annotations

from napari_unet_mic.data.dataset import Case, Dataset, load_case
from napari_unet_mic.data.volume import Volume, read_image, read_labels
from napari_unet_mic.errors import (
    ChannelMismatch,
    GridMismatch,
    UNetMicError,
    UnknownClass,
    UnreadableFile,
)
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.state import OpenCase

ReadCase = tuple[OpenCase, list[layers.LayerTuple], str]


def read_case(dataset: Dataset, case: Case) -> ReadCase:
    """Read a case and prepare its layers.

    Of a case that is wrong as much is shown as can be: the image without a label that does not
    fit, a label with a value that nobody declared, the first of channels that do not fit. The
    sentence then says what is wrong; otherwise it is empty.

    Raises
    ------
    UNetMicError
        When not even the image can be read.
    """
    wrong = ""
    try:
        image, reference = load_case(dataset, case)
    except (GridMismatch, UnknownClass, ChannelMismatch, UnreadableFile) as error:
        image, reference, wrong = _image_of(case), None, str(error)
        if isinstance(error, UnknownClass) and case.label is not None:
            reference = read_labels(case.label)
    tuples = layers.image_tuples(image, case=case.name, channel_names=dataset.channel_names)
    if reference is not None:
        tuples.append(
            layers.labels_tuple(
                reference,
                name=f"{case.name} reference",
                role="reference",
                case=case.name,
                classes=dataset.classes,
            )
        )
    return OpenCase(case, image, reference), tuples, wrong


def _image_of(case: Case) -> Volume:
    try:
        return read_image(case.images)
    except UNetMicError:
        return read_image(case.images[0])
