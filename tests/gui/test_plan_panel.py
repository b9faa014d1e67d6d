from pathlib import Path

import pytest
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

from napari_unet_mic.gui.plan_panel import PlanPanel, PlanWish
from napari_unet_mic.gui.plan_view import PlanView, StageRow

VIEW = PlanView(
    configurations=("2d", "3d_fullres"),
    configuration="3d_fullres",
    summary="patch 40×56×40 · batch 9 · spacing 1 1 1 mm",
    summary_reason="Patch: fits the memory",
    rows=(
        StageRow(("0", "40×56×40", "3 3 3", "1 1 1", "32"), "the patch itself"),
        StageRow(("1", "20×28×20", "3 3 3", "2 2 2", "64"), "z, y, x halved"),
    ),
    stage_check="2 stages = 1 pooling + 1 ✓",
    size="0.3 M parameters · about 1.0 GB while training",
    size_reason="estimated",
)


@pytest.fixture
def panel(qtbot):
    panel = PlanPanel()
    qtbot.addWidget(panel)
    return panel


def test_a_plan_is_shown_with_its_reasons(panel):
    panel.show_plan(VIEW)

    assert panel.summary.text() == VIEW.summary
    assert "fits the memory" in panel.summary.toolTip()
    assert panel.stages.rowCount() == 2
    assert panel.stages.item(1, 1).text() == "20×28×20"
    assert panel.stages.item(1, 1).toolTip() == "z, y, x halved"
    assert panel.stage_check.text() == "2 stages = 1 pooling + 1 ✓"
    assert panel.configuration.currentText() == "3d_fullres"

    panel.show_plan(None)
    assert panel.stages.rowCount() == 0
    assert panel.summary.text() == "No plan yet"


def test_nothing_can_be_planned_without_a_dataset(panel):
    assert not panel.button.isEnabled()

    panel.show_workspace(Path("/w"), can_plan=True)
    assert panel.button.isEnabled()


def test_plan_asks_for_planner_and_memory(panel, qtbot):
    panel.show_workspace(Path("/w"), can_plan=True)
    with qtbot.waitSignal(panel.plan_requested) as asked:
        panel.button.click()
    assert asked.args == [PlanWish("default", None)]

    panel.planner.setCurrentIndex(2)
    assert panel.memory.value() == 24
    panel.memory.setValue(40)
    with qtbot.waitSignal(panel.plan_requested) as asked:
        panel.button.click()
    assert asked.args == [PlanWish("resenc-l", 40.0)]


def test_a_plans_file_hides_the_planner(panel, qtbot):
    panel.source.setCurrentIndex(1)
    assert panel.planner.isHidden()
    assert not panel.plans_file.isHidden()

    with qtbot.waitSignal(panel.plan_requested) as asked:
        panel.plans_file.choose(Path("/w/plans.json"))
    assert asked.args == [PlanWish(plans_file=Path("/w/plans.json"))]


def test_progress_can_be_cancelled(panel, qtbot):
    panel.set_working((3, 12))
    assert panel.progress.value() == 3
    assert panel.button.isHidden()
    with qtbot.waitSignal(panel.cancel_requested):
        panel.cancel.click()

    panel.set_working(None)
    assert panel.cancel.isHidden()


def test_choosing_a_configuration_is_announced_but_showing_one_is_not(panel, qtbot):
    with qtbot.assertNotEmitted(panel.configuration_chosen):
        panel.show_plan(VIEW)
    with qtbot.waitSignal(panel.configuration_chosen) as chosen:
        panel.configuration.setCurrentIndex(0)
        panel.configuration.activated.emit(0)
    assert chosen.args == ["2d"]


def test_every_control_explains_itself(panel):
    for kind in (QComboBox, QAbstractSpinBox, QAbstractButton):
        for control in panel.findChildren(kind):
            if control.objectName().startswith("qt_") or control.parent() is panel.stages:
                continue
            assert control.toolTip(), control


def test_it_fits_a_narrow_dock(panel):
    panel.show_plan(VIEW)
    assert panel.minimumSizeHint().width() <= 420
