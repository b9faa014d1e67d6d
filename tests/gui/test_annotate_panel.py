"""Correcting a label: palette, keys, a start from the prediction, saving."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_unet_mic.data.volume import Volume, read_image, read_labels
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App

CLASSES = {0: "background", 1: "liver", 2: "cancer"}


def test_correct_and_save(
    app: App, until: Callable[..., None], write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    file = write_nifti("labelsTr/p1.nii.gz", np.zeros((4, 5, 6), np.int16), codes=(1, 2))
    image = read_image(write_nifti("p1.nii.gz", np.zeros((4, 5, 6), np.float32)))
    reference = read_labels(file)
    prediction = Volume(np.ones_like(reference.array), reference.affine, reference.header)
    made = layers.image_tuples(image, case="p1")
    for volume, role in ((prediction, "prediction"), (reference, "reference")):
        made.append(
            layers.labels_tuple(volume, name=f"p1 {role}", role=role, case="p1", classes=CLASSES)
        )
    layers.add(app.viewer, made)
    panel = app.show("annotate")
    assert panel.layer.name == "p1 reference"
    items = [panel.palette_list.item(row).text() for row in range(panel.palette_list.count())]
    assert items == ["liver   Ctrl+1", "cancer   Ctrl+2", "background (erases)"]

    layer = panel.layer
    panel.choose_class_at(2)
    assert (layer.selected_label, layer.mode) == (2, "paint")
    layer.selected_label = 1
    assert panel.palette_list.currentRow() == 0
    panel.brush_slider.setValue(7)
    assert layer.brush_size == 7
    layer.brush_size = 3
    assert panel.brush_box.value() == 3

    panel.start_from_prediction()
    until(lambda: "Took over 120 voxels" in app.state.message)
    layer.undo()
    assert not layer.data.any()
    layer.redo()

    layer.data_setitem(tuple(np.array([i]) for i in (0, 0, 0)), 2)
    assert layers.is_edited(layer)
    panel.save()
    until(lambda: app.state.message.startswith("Saved"))
    assert not layers.is_edited(layer)
    saved = nib.load(file)
    assert np.bincount(np.asarray(saved.dataobj).ravel()).tolist() == [0, 119, 1]
    assert saved.header.get_data_dtype() == np.int16
    assert (int(saved.header["qform_code"]), int(saved.header["sform_code"])) == (1, 2)
    (previous,) = (file.parent / "previous_versions").iterdir()
    assert not read_labels(previous).array.any()

    panel.choose(app.viewer.layers["p1 prediction"])
    assert panel.target.whole == "Not saved in any file yet"
    panel.new_label()
    until(lambda: "p1 label" in app.viewer.layers)
    assert panel.layer.name == "p1 label"
    assert panel.layer.data.shape == app.viewer.layers["p1 image"].data.shape
    assert np.allclose(panel.layer.translate, layer.translate)

    panel._save(panel.layer, tmp_path / "no-ending")
    until(lambda: "expected a name ending in .nii.gz" in app.state.message)
    assert layers.is_edited(panel.layer)
