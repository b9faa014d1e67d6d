"""Every number leads to its voxels, and follows the brush."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.evaluation.confusion import confusion_table
from napari_unet_mic.gui import confusion_tables, inspector_tables, layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.comparison import Pair, compare
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.table_copies import as_markdown

CLASSES = {0: "outside", 1: "liver", 2: "cancer"}
REPORT = np.array([[6534266, 5467, 62], [11075, 174966, 4650], [474, 2146, 26894]])


def pair(reference: Any, prediction: Any, classes: Any = None) -> Pair:
    return Pair(("r", "p"), reference, prediction, classes or {}, (5.0, 1.0, 1.0), None)


@pytest.fixture
def panel(
    app: App, until: Callable[..., None], pair_of_labels: tuple[Volume, Volume]
) -> InspectorPanel:
    for volume, role in zip(pair_of_labels, ("reference", "prediction"), strict=True):
        made = layers.labels_tuple(volume, name=role, role=role, classes=CLASSES)
        layers.add(app.viewer, [made])
    panel = app.show("inspector")
    until(lambda: app.state.comparison is not None)
    return panel


def test_the_reports_table_is_shown_in_its_order(qapp: Any) -> None:
    comparison, _ = compare(pair(np.zeros((1, 1, 1), int), np.zeros((1, 1, 1), int), CLASSES))
    comparison = type(comparison)(**{**vars(comparison), "table": REPORT})
    model, shown = confusion_tables.list_model(), confusion_tables.of_comparison(comparison)
    confusion_tables.show_list(model, shown)
    rows = [tuple(row) for row in model.frame.iloc[:, :3].itertuples(index=False)]
    assert rows[:3] == [
        ("outside", "outside", 6534266),
        ("outside", "liver", 5467),
        ("outside", "cancer", 62),
    ]
    assert rows[7] == ("cancer", "liver", 2146)
    share = confusion_tables.cells(shown, "% of true")
    assert share[2, 1] == pytest.approx(100 * 2146 / 29514)
    assert confusion_tables.cells(shown, "% of predicted")[:, 2].sum() == pytest.approx(100)
    assert confusion_tables.cells(shown, "ml")[2, 2] == pytest.approx(26894 * 0.005)


def test_values_nobody_uses_have_no_row() -> None:
    reference = np.array([[[0, 1, 52]]])
    comparison, shadow = compare(pair(reference, reference))
    assert comparison.class_values == (0, 1, 52)
    assert comparison.class_names == ("background", "class 1", "class 52")
    assert shadow.table.shape == (53, 53)
    assert [score.value for score in comparison.scores] == [0, 1, 52]


def test_two_empty_maps_are_absent_not_perfect() -> None:
    empty = np.zeros((2, 2, 2), np.uint8)
    comparison, _ = compare(pair(empty, empty, CLASSES))
    model = inspector_tables.class_model()
    inspector_tables.show_classes(model, comparison)
    assert [model.text(2, column) for column in range(8)] == [
        "cancer", "absent", "–", "–", "–", "–", "0.00", "0.00",
    ]  # fmt: skip
    every = np.array([[[0, 1], [2, 2]]], np.uint8)
    inspector_tables.show_classes(model, compare(pair(every, every, CLASSES))[0])
    assert "note" not in model.columns


def test_the_inspector(panel: InspectorPanel, app: App, until: Callable[..., None]) -> None:
    """One viewer, many questions: starting a viewer costs more than asking."""
    comparison = app.state.comparison
    assert comparison is not None
    assert comparison.table.tolist() == [[111, 0, 1], [0, 28, 0], [0, 4, 0]]
    assert max(panel.sizeHint().height(), panel.layout().minimumSize().height()) <= 240
    assert (app.state.reference_layer, app.state.prediction_layer) == ("reference", "prediction")

    # a cell leads to its voxels: the missed lesion on slice 1
    panel.confusion_view.cell_clicked.emit(2, 1)
    until(lambda: bool(panel.mistakes.regions))
    assert [(r.kind, r.voxels) for r in panel.mistakes.regions] == [("missed lesion", 4)]
    assert app.viewer.dims.current_step[0] == 1
    until(lambda: layers.errors_layer(app.viewer) is not None)
    errors = layers.errors_layer(app.viewer)
    shown = np.asarray(errors.colormap.map(errors.data))[..., 3] > 0
    assert np.array_equal(shown, np.asarray(app.viewer.layers["reference"].data) == 2)

    # the column header: everything wrongly called cancer
    panel.confusion_view.column_header_clicked.emit(2)
    until(lambda: panel.mistakes.regions[0].kind == "spurious lesion")
    assert app.viewer.dims.current_step[0] == 3

    # all errors, walked by size and round again
    panel._on_all_errors()
    until(lambda: len(panel.mistakes.regions) == 2)
    steps = []
    for _ in range(3):
        steps.append(int(app.viewer.dims.current_step[0]))
        panel.mistakes.step(1)
    assert steps == [1, 3, 1]

    # painting: numbers, voxels and regions follow
    prediction = app.viewer.layers["prediction"]
    prediction.data_setitem(tuple(np.array([i]) for i in (3, 5, 5)), 0)
    until(lambda: app.state.comparison.table[0, 2] == 0)
    assert app.state.comparison.table.tolist() == [[112, 0, 0], [0, 28, 0], [0, 4, 0]]
    until(lambda: len(panel.mistakes.regions) == 1)
    prediction.undo()
    until(lambda: app.state.comparison.table[0, 2] == 1)
    replaced = np.array(app.viewer.layers["reference"].data)
    prediction.data = replaced
    until(lambda: app.state.comparison.table.trace() == 144)
    truth = confusion_table(np.asarray(app.viewer.layers["reference"].data), replaced, 3)
    assert np.array_equal(app.state.comparison.table, truth)

    # a class nobody had is painted: it gets a row
    prediction.data_setitem(tuple(np.array([i]) for i in (0, 0, 0)), 7)
    until(lambda: app.state.comparison is not None and len(app.state.comparison.scores) == 4)
    assert app.state.comparison.class_names[-1] == "class 7"

    # copies
    panel.copy_tables(as_markdown)
    assert "| outside | 111 | 0 | 0 | 1 |" in QGuiApplication.clipboard().text()
    panel.view_box.setCurrentText("list")
    panel.copy_tables(as_markdown)
    assert (
        "| True class | Predicted class | Number of voxels |" in QGuiApplication.clipboard().text()
    )

    # another grid is refused in a sentence
    other = layers.labels_tuple(Volume.from_array(np.zeros((2, 2, 2), np.uint8)), name="small")
    layers.add(app.viewer, [other])
    until(lambda: panel.prediction_box.findText("small") > 0)
    panel.choose(app.viewer.layers["reference"], app.viewer.layers["small"])
    assert "expected the shape (4, 6, 6) of reference, got (2, 2, 2)" in app.state.message
    assert app.state.comparison is None

    # the layer goes, the choice goes with it
    app.viewer.layers.remove("reference")
    until(lambda: panel.reference_box.findText("reference") < 0)


def test_all_cases_of_an_evaluation(
    app: App, until: Callable[..., None], tmp_path: Path, pair_of_labels: tuple[Volume, Volume]
) -> None:
    from napari_unet_mic.data.volume import write_labels
    from napari_unet_mic.evaluation.summary import evaluate_folders

    reference, prediction = pair_of_labels
    for name, predicted in (("good", reference), ("bad", prediction)):
        write_labels(tmp_path / "r" / f"{name}.nii.gz", reference.array, reference)
        write_labels(tmp_path / "p" / f"{name}.nii.gz", predicted.array, prediction)
    evaluation = evaluate_folders(tmp_path / "r", tmp_path / "p")
    evaluation.write(tmp_path / "e")
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    panel.cases.open(tmp_path / "e")
    until(lambda: panel.cases.evaluation is not None)
    until(lambda: panel.cases.list.model.rowCount() == 2)
    assert panel.cases.list.model.frame["case"].tolist() == ["bad", "good"]
    assert "2 cases" in panel.cases.title.whole
    panel.cases.list.table.cell_clicked.emit(0, 0)
    until(lambda: app.state.comparison is not None)
    assert app.state.comparison.table.tolist() == [[111, 0, 1], [0, 28, 0], [0, 4, 0]]
