import json

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver, write_prostate
from napari_unet_mic.errors import BadInput, Cancelled, ChannelMismatch
from napari_unet_mic.gui.plan_panel import PlanWish
from napari_unet_mic.gui.plan_work import default_workspace, make_plan, open_workspace


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    write_liver(folder, n_cases=3, shape=(16, 32, 32), seed=0, n_test=0)
    return open_dataset(folder)


def plan(dataset, folder, wish=None, should_stop=lambda: False):
    seen = []
    wish = wish or PlanWish()
    made = make_plan(
        dataset,
        folder,
        wish,
        progress=lambda done, total: seen.append((done, total)),
        should_stop=should_stop,
    )
    return made, seen


def test_the_default_workspace_is_beside_the_dataset(dataset):
    assert default_workspace(dataset) == dataset.folder.with_name("Task03_Liver-unet-mic")


def test_planning_writes_fingerprint_and_plan_once(dataset, tmp_path):
    made, seen = plan(dataset, tmp_path / "w")
    assert seen[-1] == (3, 3)
    assert made.plan_file == tmp_path / "w" / "plans.json"
    assert json.loads(made.plan_file.read_text()) == made.plan.to_json()
    assert made.workspace.fingerprint_file.is_file()

    again, seen = plan(dataset, tmp_path / "w", PlanWish("resenc-m", 6.0))
    assert seen == []
    assert again.plan_file.name == "plans_resenc-m_6gb.json"


def test_an_opened_workspace_knows_its_reasons_again(dataset, tmp_path):
    made, _ = plan(dataset, tmp_path / "w")

    opened = open_workspace(tmp_path / "w", None)

    assert opened.dataset.name == dataset.name
    assert opened.plan.reasons == made.plan.reasons != {}


def test_a_workspace_without_a_plan_opens_too(dataset, tmp_path):
    made, _ = plan(dataset, tmp_path / "w")
    made.plan_file.unlink()

    assert open_workspace(tmp_path / "w", dataset).plan is None
    with pytest.raises(BadInput, match="no such folder"):
        open_workspace(tmp_path / "nowhere", None)


def test_cancelling_leaves_no_plan(dataset, tmp_path):
    with pytest.raises(Cancelled):
        plan(dataset, tmp_path / "w", should_stop=lambda: True)

    assert not (tmp_path / "w" / "plans.json").exists()


def test_a_plans_file_is_taken_over_when_its_channels_fit(dataset, tmp_path):
    made, _ = plan(dataset, tmp_path / "w")
    taken, seen = plan(dataset, tmp_path / "v", PlanWish(plans_file=made.plan_file))
    assert seen == []
    assert taken.plan.to_json() == made.plan.to_json()

    folder = write_prostate(tmp_path / "p", n_cases=1, shape=(16, 32, 32), n_test=0)
    with pytest.raises(ChannelMismatch, match="a plan for 2 channels"):
        plan(open_dataset(folder), tmp_path / "u", PlanWish(plans_file=made.plan_file))
