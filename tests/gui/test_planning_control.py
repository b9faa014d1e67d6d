import shutil
from pathlib import Path

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.gui.plan_panel import PlanPanel, PlanWish
from napari_unet_mic.gui.planning_control import PlanningControl


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_liver(tmp_path_factory.mktemp("d"), 2, shape=(16, 32, 32), seed=0, n_test=0)


@pytest.fixture
def dataset(written, tmp_path):
    return open_dataset(shutil.copytree(written, tmp_path / "Task03_Liver"))


@pytest.fixture
def panel(qtbot):
    panel = PlanPanel()
    qtbot.addWidget(panel)
    return panel


@pytest.fixture
def control(fake_app, panel):
    return PlanningControl(fake_app, panel)


def test_a_dataset_brings_a_folder_to_work_in_and_planning_shows_the_plan(
    fake_app, panel, control, dataset
):
    fake_app.state.dataset = dataset
    assert control.folder.name == "Task03_Liver-unet-mic"
    assert not control.folder.exists()
    assert panel.button.isEnabled()

    panel.button.click()

    state = fake_app.state
    assert state.workspace == Workspace(control.folder)
    assert state.configuration == "3d_fullres"
    assert panel.summary.text().startswith("patch ")
    assert panel.stages.rowCount() == len(
        state.plan.configuration("3d_fullres").architecture.strides
    )
    assert panel.button.isVisibleTo(panel)


def test_opening_the_dataset_again_brings_its_plan_back(fake_app, panel, control, dataset):
    fake_app.state.dataset = dataset
    panel.button.click()
    plan = fake_app.state.plan

    fake_app.state.workspace = fake_app.state.plan = None
    fake_app.state.dataset = open_dataset(dataset.folder)

    assert fake_app.state.plan == plan
    assert fake_app.state.workspace.folder == control.folder


def test_a_workspace_brings_its_dataset(fake_app, panel, control, dataset, tmp_path):
    Workspace.create(tmp_path / "w", dataset.with_test(["liver_00"]))

    panel.workspace.choose(tmp_path / "w")

    assert fake_app.state.workspace.folder == tmp_path / "w"
    assert [case.name for case in fake_app.state.dataset.test] == ["liver_00"]
    assert panel.summary.text() == "No plan yet"


def test_what_is_no_workspace_is_said_inside_the_panel(fake_app, panel, control, dataset, tmp_path):
    panel.workspace.choose(tmp_path)
    assert "folder without workspace.json" in panel.error.sentence

    fake_app.state.dataset = dataset
    panel.plan_requested.emit(PlanWish(plans_file=Path("/nowhere/plans.json")))
    assert "/nowhere/plans.json" in panel.error.sentence
    assert fake_app.shown_errors == []


def test_choosing_a_configuration_shows_its_stages(fake_app, panel, control, dataset):
    fake_app.state.dataset = dataset
    panel.button.click()

    panel.configuration_chosen.emit("2d")

    assert fake_app.state.configuration == "2d"
    assert panel.stages.item(0, 2).text() == "3 3"


def test_the_network_can_be_drawn(fake_app, panel, control, dataset, tmp_path):
    fake_app.state.dataset = dataset
    panel.button.click()
    panel.picture_requested.emit(tmp_path / "network.svg")
    assert (tmp_path / "network.svg").read_text().lstrip().startswith("<")
    assert "network.svg" in fake_app.said[-1]

    panel.picture_requested.emit(tmp_path / "network.gif")
    assert "network.gif" in panel.error.sentence
