"""What napari.yaml names: widgets, menu commands, sample data, reader and writers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_unet_mic.gui.app import App

if TYPE_CHECKING:
    from napari.types import LayerData


# ---- widgets ---------------------------------------------------------------------------
class _Widget(QWidget):
    """Calling a subclass returns the viewer's one panel of that name.

    napari docks whatever comes back and hands the viewer only to classes with a parameter
    `napari_viewer`; hence a class whose ``__new__`` answers, and not a function.
    """

    panel = ""

    def __new__(cls, napari_viewer: napari.viewer.Viewer) -> QWidget:
        return App.of(napari_viewer).released(cls.panel)

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        """Never runs: ``__new__`` returns something else."""


class Workbench(_Widget):
    """All panels: tabs on the right, the error inspector below."""

    panel = "workbench"


class Dataset(_Widget):
    """Open a dataset, look at its cases."""

    panel = "dataset"


class PlanAndTrain(_Widget):
    """Plan a network and train it."""

    panel = "plan_and_train"


class Predict(_Widget):
    """Segment images with a trained model."""

    panel = "predict"


class ErrorInspector(_Widget):
    """See where a prediction is wrong."""

    panel = "inspector"


class Annotate(_Widget):
    """Correct a label and save it."""

    panel = "annotate"


# ---- menu commands ---------------------------------------------------------------------
def predict_with_unet(viewer: napari.viewer.Viewer) -> None:
    """Open the Predict panel (Layers menu, Segment)."""
    App.of(viewer).show("predict")


def compare_with_reference(viewer: napari.viewer.Viewer) -> None:
    """Open the Error inspector on the selected labels layers (Layers menu, Measure)."""
    app = App.of(viewer)
    app.show("inspector")
    app.panel("inspector").compare_selected()


def correct_this_label(viewer: napari.viewer.Viewer) -> None:
    """Open the Annotate panel on the selected labels layer (Layers menu, Annotate)."""
    app = App.of(viewer)
    app.show("annotate")
    app.panel("annotate").choose_selected()


# ---- sample data -----------------------------------------------------------------------
def liver_sample() -> list[LayerData]:
    """Return a synthetic liver CT: image, reference, and a prediction with every kind of error."""
    from napari_unet_mic.data.phantom import liver_case

    return _sample(liver_case, "liver phantom", {0: "background", 1: "liver", 2: "cancer"}, ("CT",))


def prostate_sample() -> list[LayerData]:
    """Return a synthetic two-channel prostate MR with reference and imperfect prediction."""
    from napari_unet_mic.data.phantom import prostate_case

    classes = {0: "background", 1: "PZ", 2: "TZ"}
    return _sample(prostate_case, "prostate phantom", classes, ("T2", "ADC"))


def _sample(
    make: Callable[..., Any], name: str, classes: dict[int, str], channels: Sequence[str]
) -> list[LayerData]:
    from napari_unet_mic.data.phantom import imperfect_prediction
    from napari_unet_mic.gui.layers import image_tuples, labels_tuple

    image, reference = make(seed=1)
    prediction = imperfect_prediction(reference, seed=1)
    layers: list[Any] = image_tuples(image, case=name, channel_names=channels)
    for volume, role in ((prediction, "prediction"), (reference, "reference")):
        title = f"{name} {role}"
        layers.append(labels_tuple(volume, name=title, role=role, case=name, classes=classes))
    QTimer.singleShot(0, _arrange_sample)
    return layers


def _arrange_sample() -> None:
    """Draw the sample's reference as a contour; let an inspector that is open look at it."""
    from napari_unet_mic.gui import layers

    viewer = napari.current_viewer()
    if viewer is not None:
        newest = {layers.role_of(layer): layer for layer in viewer.layers}
        if "reference" in newest and "prediction" in newest:
            layers.show_pair(newest["reference"], newest["prediction"])
        App.of(viewer).suggest_pair()


# ---- reader and writers ----------------------------------------------------------------
def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return the reader when every path is a NIfTI file."""
    paths = [path] if isinstance(path, str) else path
    if paths and all(p.lower().endswith((".nii", ".nii.gz")) for p in paths):
        return read_nifti
    return None


def read_nifti(path: str | list[str]) -> list[LayerData]:
    """Read NIfTI files as layers that know their geometry."""
    from napari_unet_mic.gui.label_files import read_as_layers

    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in read_as_layers(one)]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer with the exact geometry of its source."""
    from napari_unet_mic.gui.label_files import write_labels_layer

    write_labels_layer(path, data, attributes)
    return [path]


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image layer with the exact geometry of its source."""
    from napari_unet_mic.gui.label_files import write_image_layer

    write_image_layer(path, data, attributes)
    return [path]
