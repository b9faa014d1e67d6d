"""Errors as work: decisions are shown, kept, hidden when done, and undone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet_mic.data.volume import Volume, read_labels, write_labels
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.mistakes_view import MistakesView

Until = Callable[..., None]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Spurious lesions of 27, 8 and 1 voxels in files."""
    reference = np.zeros((12, 40, 40), np.uint8)
    reference[1:11, 5:15, 5:15] = 1
    prediction = reference.copy()
    prediction[2:5, 25:28, 25:28] = 1
    prediction[7:9, 30:32, 5:7] = 2
    prediction[10, 35, 35] = 1
    files = {}
    for role, array in (("reference", reference), ("prediction", prediction)):
        volume = Volume.from_array(array, spacing_mm=(3, 1, 1))
        files[role] = tmp_path / role / "case_1.nii.gz"
        write_labels(files[role], array, volume)
    return files


def shown(app: App, files: dict[str, Path], until: Until) -> MistakesView:
    """Open the case as "all cases" does, and list all its errors."""
    tuples = [
        layers.labels_tuple(
            read_labels(files[role]), name=f"case_1 {role}", role=role, case="case_1"
        )
        for role in ("prediction", "reference")
    ]
    layers.show_case(app.viewer, tuples)
    panel: InspectorPanel = app.show("inspector")
    newest = {layers.role_of(layer): layer for layer in app.viewer.layers}
    panel.choose(newest["reference"], newest["prediction"])
    until(lambda: app.state.comparison is not None)
    panel.mistakes.select(None, None)
    until(lambda: len(panel.mistakes.regions) == 3 and not panel.mistakes._go)
    until(lambda: panel.mistakes.keeper._ready)
    return panel.mistakes


def statuses(view: MistakesView) -> list[str]:
    if "status" not in view.model.columns:
        return [""] * view.model.rowCount()
    column = view.model.columns.index("status")
    return [view.model.text(row, column) for row in range(view.model.rowCount())]


def test_decisions_are_shown_kept_and_found_again(
    app: App, files: dict[str, Path], until: Until
) -> None:
    view = shown(app, files, until)
    assert "status" not in view.model.columns
    QTest.mouseClick(view.review.buttons["fixed"], Qt.MouseButton.LeftButton)
    view.step(1)
    QTest.mouseClick(view.review.buttons["label is wrong"], Qt.MouseButton.LeftButton)
    assert statuses(view) == ["✓ fixed", "✎ label is wrong", ""]
    assert app.state.message.endswith("voxels: label is wrong")
    assert view.table.current_row() == 1
    assert view.hide_done.text() == "hide 2 done"
    file = files["prediction"].parent / "review" / "case_1.json"
    until(lambda: file.is_file() and len(json.loads(file.read_text())["marks"]) == 2)
    assert str(file) in view.review.buttons["fixed"].toolTip()

    # hidden when done; N walks what is left
    view.hide_done.click()
    assert [one.voxels for one in view.regions] == [1]
    view.hide_done.click()

    # the same button again: open; and undo takes the last decision back
    view.go_to_region(0)
    view.review.mark("fixed")
    assert statuses(view)[0] == ""
    view.review.undo()
    assert statuses(view) == ["✓ fixed", "✎ label is wrong", ""]
    view.review.undo()
    assert statuses(view) == ["✓ fixed", "", ""]
    until(lambda: len(json.loads(file.read_text())["marks"]) == 1)

    # another case, and this one again: the status is back
    app.viewer.layers.clear()
    until(lambda: app.state.comparison is None)
    assert statuses(shown(app, files, until)) == ["✓ fixed", "", ""]


def test_accepting_writes_the_prediction_into_the_reference_as_one_step(
    app: App, files: dict[str, Path], until: Until
) -> None:
    view = shown(app, files, until)
    reference = app.viewer.layers["case_1 reference"]
    prediction = app.viewer.layers["case_1 prediction"]
    before = reference.data.copy()
    view.step(1)  # the one of 8 voxels, class 2
    QTest.mouseClick(view.review.buttons["accepted"], Qt.MouseButton.LeftButton)
    until(lambda: len(view.regions) == 2)
    assert (reference.data != before).sum() == 8
    assert (reference.data == 2).sum() == 8
    assert layers.is_edited(reference)
    assert [one.voxels for one in view.regions] == [27, 1]
    assert "8 voxels of case_1 reference" in app.state.message
    view.step(1)
    assert view.regions[view.table.current_row()].voxels == 1  # N goes on from there

    # one step of the layer's own history
    reference.undo()
    assert np.array_equal(reference.data, before)
    until(lambda: len(view.regions) == 3)
    assert statuses(view) == ["", "", ""]
    reference.redo()
    until(lambda: len(view.regions) == 2)

    # the undo of the review writes back what is still as it was accepted
    reference.data[7, 30, 5] = 1
    view.review.undo()
    assert (reference.data != before).sum() == 1
    until(lambda: len(view.regions) > 2)
    assert not view.review.buttons["undo"].isEnabled()
    assert np.array_equal(prediction.data, app.viewer.layers["case_1 prediction"].data)


def test_keys_act_and_say_when_there_is_no_region(
    app: App, files: dict[str, Path], until: Until
) -> None:
    view = shown(app, files, until)
    panel: Any = app.panel("inspector")
    view.clear()
    view.review.mark("fixed")
    assert "Go to a region" in app.state.message
    view.select(1, 1)
    until(lambda: bool(view.regions))
    view.review.mark("fixed")
    assert app.state.message == "Nothing is wrong there"
    view.select(None, None)
    until(lambda: len(view.regions) == 3)
    panel.setFocus()
    QTest.keyClick(panel, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
    assert statuses(view)[0] == "✎ label is wrong"
    QTest.keyClick(panel, Qt.Key.Key_U, Qt.KeyboardModifier.ShiftModifier)
    assert statuses(view)[0] == ""
    view.review.undo()
    assert app.state.message == "There is nothing to undo"


def test_a_review_that_cannot_be_read_is_named_and_left_alone(
    app: App, files: dict[str, Path], until: Until
) -> None:
    file = files["prediction"].parent / "review" / "case_1.json"
    file.parent.mkdir()
    file.write_text("nonsense")
    view = shown(app, files, until)
    assert "case_1.json" in app.state.message
    view.review.mark("fixed")
    assert statuses(view)[0] == "✓ fixed"
    assert file.read_text() == "nonsense"
    assert "until napari is closed" in view.keeper.where
