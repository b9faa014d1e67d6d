"""What the manifest promises: widgets both ways, sample data, reader, writers, menus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.errors import UnreadableFile
from napari_unet_mic.gui import contributions, layers
from napari_unet_mic.gui.app import App, dock_name, dock_of
from napari_unet_mic.gui.label_files import save_version

PLUGIN = "napari-unet-mic"


def test_images_open_as_images_and_labels_as_labels(write_nifti: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    ct = rng.integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    few = np.zeros((4, 5, 6), np.uint8)
    few[1:3] = 2
    files = {
        "imagesTr/a_0000.nii.gz": few,  # an image by its name
        "ct.nii.gz": ct,
        "labelsTr/a.nii.gz": few.astype(np.float32),  # a label stored as float
        "b_seg.nii": few,
        "unknown.nii": few,  # few values, most of them equal
        "noise.nii": rng.random((4, 5, 6)).astype(np.float32),
    }
    kinds = {}
    for name, array in files.items():
        file = str(write_nifti(name, array))
        ((_, _, kinds[name]),) = contributions.get_reader(file)(file)
    assert list(kinds.values()) == ["image", "image", "labels", "labels", "labels", "image"]


def test_a_four_dimensional_file_opens_as_channels(write_nifti: Callable[..., Path]) -> None:
    two = write_nifti("two.nii.gz", np.ones((4, 5, 6, 2), np.float32))
    assert len(contributions.read_nifti(str(two))) == 2
    many = write_nifti("many.nii.gz", np.ones((4, 5, 6, 20), np.float32))
    ((data, options, _),) = contributions.read_nifti(str(many))
    assert data.shape == (20, 6, 5, 4)
    assert len(options["scale"]) == 4


def test_other_files_are_left_to_other_readers(tmp_path: Path) -> None:
    assert contributions.get_reader("image.tif") is None
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(UnreadableFile, match="Git-LFS pointer"):
        contributions.get_reader(str(broken))(str(broken))


def test_a_layer_from_elsewhere_is_written_where_it_stands(tmp_path: Path) -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[2, 1, 3] = 1
    place = {"scale": (5, 1, 2), "translate": (10, 20, 30), "metadata": {}}
    contributions.write_labels(str(tmp_path / "l.nii.gz"), labels, place)
    saved = nib.load(tmp_path / "l.nii.gz")
    (ijk,) = np.argwhere(np.asarray(saved.dataobj))
    right, anterior, superior = nib.affines.apply_affine(saved.affine, ijk)
    assert (superior, -anterior, -right) == (10 + 2 * 5, 20 + 1, 30 + 3 * 2)


def test_saving_keeps_every_version_before(write_nifti: Callable[..., Path]) -> None:
    from napari_unet_mic.data.volume import read_labels

    file = write_nifti("labelsTr/a.nii.gz", np.zeros((4, 5, 6), np.uint8))
    labels = read_labels(file)
    first, second = (save_version(file, labels.array + n, labels) for n in (1, 2))
    assert first.previous is not None
    assert second.previous not in (None, first.previous)
    assert read_labels(first.previous).array.max() == 0
    assert read_labels(second.previous).array.max() == 1
    assert read_labels(file).array.max() == 2
    assert sorted(p.name for p in file.parent.iterdir()) == ["a.nii.gz", "previous_versions"]


def test_file_save_and_open_in_napari(
    viewer: Any, write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    tilted = np.array([[0, 0, -2.0, 3], [-1.0, 0, 0, 5], [0, 1.0, 0, 7], [0, 0, 0, 1]])
    source = write_nifti("labelsTr/p.nii.gz", np.zeros((4, 5, 6), np.int16), tilted, codes=(0, 3))
    (layer,) = viewer.open(str(source), plugin=PLUGIN)
    assert isinstance(layer, layers.Labels)
    layer.data_setitem(tuple(np.array([i]) for i in (1, 2, 3)), 4)
    (saved,) = layer.save(str(tmp_path / "q.nii.gz"), plugin=PLUGIN)
    after, before = nib.load(saved), nib.load(source)
    assert np.array_equal(after.affine, before.affine)
    assert after.header.get_data_dtype() == np.int16
    for code in ("qform_code", "sform_code"):
        assert after.header[code] == before.header[code]
    assert int(np.asarray(after.dataobj).max()) == 4


def test_sample_data_and_menu_commands(viewer: Any, until: Callable[..., None]) -> None:
    viewer.open_sample(PLUGIN, "prostate_mr_phantom")
    names = [layer.name for layer in viewer.layers]
    assert names == [f"prostate phantom {n}" for n in ("ADC", "T2", "prediction", "reference")]
    until(lambda: viewer.layers[-1].contour == 1)
    app = App.of(viewer)
    contributions.compare_with_reference(viewer)
    until(lambda: app.state.comparison is not None)
    assert app.state.reference_layer == "prostate phantom reference"
    viewer.layers.selection.active = viewer.layers["prostate phantom prediction"]
    contributions.correct_this_label(viewer)
    assert app.panel("annotate").layer.name == "prostate phantom prediction"


def test_a_panel_exists_once_whichever_way_it_is_opened(
    viewer: Any, until: Callable[..., None]
) -> None:
    from napari._app_model import get_app_model

    app = App.of(viewer)
    get_app_model().commands.execute_command(f"{PLUGIN}.dataset").result()
    panel = app.panel("dataset")
    assert dock_of(panel).widget() is panel
    assert viewer.window.dock_widgets[dock_name("dataset")] is panel
    _, again = viewer.window.add_plugin_dock_widget(PLUGIN, "Dataset")
    assert again is panel
    _, bench = viewer.window.add_plugin_dock_widget(PLUGIN, "Workbench")
    until(lambda: dock_of(app.panel("inspector")) is not None)
    assert bench.indexOf(panel) < 0  # it has its own dock
    viewer.window.remove_dock_widget(dock_of(panel))
    until(lambda: bench.indexOf(panel) == 0)
    assert bench.count() == 4
    assert app.show("dataset") is panel
    assert bench.currentWidget() is panel
