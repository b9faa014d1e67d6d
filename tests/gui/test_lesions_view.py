"""Lesions of two layers: counted as the core counts them, following the brush, one click away."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.evaluation.lesion import MATCHES
from napari_unet_mic.evaluation.lesion_figures import figures_of
from napari_unet_mic.evaluation.lesions import lesions_of
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel

Until = Callable[..., None]


@pytest.fixture
def panel(app: App, until: Until, pair_of_labels: tuple[Volume, Volume]) -> InspectorPanel:
    app.viewer.window._qt_window.resize(1366, 768)
    classes = {0: "outside", 1: "liver", 2: "cancer"}
    tuples = [
        layers.labels_tuple(volume, name=role, role=role, case="a", classes=classes)
        for role, volume in zip(("reference", "prediction"), pair_of_labels, strict=True)
    ]
    layers.add(app.viewer, tuples)
    panel = app.show("inspector")
    until(lambda: "missed" in panel.lesions.title.whole)
    return panel


def click(view: Any, row: int) -> None:
    index = view.model().index(row, 0)
    view.scrollTo(index)
    QTest.mouseClick(
        view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(index).center()
    )


def test_counts_are_the_cores_and_a_click_goes_there(app: App, panel: InspectorPanel) -> None:
    view = panel.lesions
    reference, prediction = (app.viewer.layers[name].data for name in ("reference", "prediction"))
    lesions = lesions_of(reference, prediction, (2,), (5, 1, 1)).lesions
    for index, match in enumerate(MATCHES):
        view.match.setCurrentIndex(index)
        assert view.title.whole == figures_of([lesions], 2, match).words
    assert view.found.classes == (2,)
    assert [view.model.text(row, 1) for row in range(2)] == ["○ missed", "△ spurious"]
    panel.parts.bring_forward("Lesions")
    assert view.isVisibleTo(panel)
    click(view.table, 1)
    assert app.viewer.dims.current_step[0] == 3
    click(view.table, 0)
    assert app.viewer.dims.current_step[0] == 1
    assert any(title.startswith("Lesions: 0 found") for title, _ in panel.tables_in_sight())


def test_counts_follow_the_brush_and_old_answers_are_dropped(
    app: App, panel: InspectorPanel, until: Until
) -> None:
    view = panel.lesions
    prediction = app.viewer.layers["prediction"]
    seen: list[str] = []
    app.state.events.comparison.connect(lambda *_: seen.append(view.title.whole))
    prediction.data_setitem(tuple(np.array([i]) for i in (1, 2, 2)), 2)
    until(lambda: view.title.whole == "1 found · 0 missed · 1 spurious")
    assert "…" in seen[0]
    assert view.model.rows[-1][2] == 0.25
    view.match.setCurrentIndex(2)
    assert view.title.whole == "0 found · 1 missed · 2 spurious"
    prediction.undo()
    until(lambda: view.title.whole == "0 found · 1 missed · 1 spurious")


def test_other_classes_are_the_persons_choice(panel: InspectorPanel, until: Until) -> None:
    view = panel.lesions
    liver = next(action for action in view._menu.actions() if action.text() == "liver")
    liver.trigger()
    until(lambda: view.found.classes == (1, 2))
    assert view.title.whole == "1 found · 1 missed · 1 spurious"


def test_the_smallest_lesion_that_counts_is_the_persons_choice(panel: InspectorPanel) -> None:
    view = panel.lesions
    sizes = {action.text(): action for action in view._sizes.actions()}
    assert sizes["all, however small"].isChecked()
    assert view.title.whole == "0 found · 1 missed · 1 spurious"

    sizes["0.1 ml"].trigger()

    assert view.title.whole == "0 found · 0 missed · 0 spurious"
    assert view.found.classes == (2,)
    assert "from 0.1 ml on" in view.title.toolTip()
    assert "--smallest-lesion 0.1ml" in panel.command()
    sizes["all, however small"].trigger()
    assert view.title.whole == "0 found · 1 missed · 1 spurious"


def test_the_network_s_confidence_where_it_was_kept(
    app: App, until: Until, pair_of_labels: tuple[Volume, Volume], tmp_path: Any
) -> None:
    from napari_unet_mic.data.volume import read_labels, write_labels

    affine = np.diag([1.0, -1.0, 5.0, 1.0])  # shown flipped: probabilities follow the file
    for role, volume in zip(("reference", "prediction"), pair_of_labels, strict=True):
        turned = Volume.from_array(volume.array, affine=affine)
        write_labels(tmp_path / f"{role}.nii.gz", volume.array, turned)
    shares = np.zeros((3, 4, 6, 6), np.float32)
    shares[2][pair_of_labels[0].array == 2] = 0.2, 0.4, 0.1, 0.1
    np.savez_compressed(tmp_path / "prediction.npz", probabilities=shares)
    tuples = [
        layers.labels_tuple(
            read_labels(tmp_path / f"{role}.nii.gz"),
            name=role,
            role=role,
            case="a",
            classes={0: "outside", 1: "liver", 2: "cancer"},
        )
        for role in ("reference", "prediction")
    ]
    layers.add(app.viewer, tuples)
    view = app.show("inspector").lesions
    until(lambda: "confidence" in view.model.columns)
    assert [view.model.text(0, column) for column in (1, 3, 4)] == ["○ missed", "0.20", "0.40"]
    assert "almost found" in view.model.tooltip_of(0, 0)
