from pathlib import Path

import pytest
from qtpy.QtWidgets import QMenu

from napari_unet_mic.gui.run_actions import (
    CONTINUE,
    DELETE,
    DUPLICATE,
    EVALUATION,
    FOLDER,
    MENU,
    OUTPUT,
    PAUSE,
    RESUME,
    STOP,
    RunActions,
    why_not,
)

ALWAYS = {DUPLICATE, FOLDER}


@pytest.mark.parametrize(
    ("state", "alive", "asked", "possible"),
    [
        ("new", False, "", {RESUME, DELETE}),
        ("running", True, "", {PAUSE, STOP, OUTPUT}),
        ("running", True, "pause", {OUTPUT}),
        ("paused", True, "", {CONTINUE, STOP, OUTPUT}),
        ("paused", False, "", {RESUME, DELETE, OUTPUT}),
        ("stopped", False, "", {RESUME, DELETE, OUTPUT}),
        ("failed", False, "", {RESUME, DELETE, OUTPUT}),
        ("lost its process", False, "", {RESUME, DELETE, OUTPUT}),
        ("finished", False, "", {DELETE, OUTPUT}),
    ],
)
def test_what_is_possible_in_each_state(status, state, alive, asked, possible):
    run = status("a", state, alive=alive)

    assert {a for a in MENU if not why_not(a, run, asked)} == possible | ALWAYS


def test_a_run_with_whole_cases_predicted_has_an_evaluation(status):
    assert "has not predicted whole cases" in why_not(EVALUATION, status("a"))
    there = status("a", "finished", evaluations=(Path("/w/runs/a/fold_0/validation"),))
    assert why_not(EVALUATION, there) == ""


def test_without_a_run_everything_says_so(status):
    assert all("no run yet" in why_not(action, None) for action in MENU)


def test_buttons_say_why_they_are_off_and_pause_becomes_continue(qtbot, status):
    row = RunActions()
    qtbot.addWidget(row)
    row.show()
    row.show_status(status("a"))
    assert row.pause.isVisible()
    assert not row.go_on.isVisible()
    assert not row.resume.isEnabled()
    assert "one process only" in row.resume.toolTip()

    row.show_status(status("a", "paused", alive=True))
    assert row.go_on.isVisible()
    assert not row.pause.isVisible()
    with qtbot.waitSignal(row.asked) as asked:
        row.go_on.click()
    assert asked.args == ["continue"]


def test_the_menu_has_what_the_buttons_have(qtbot, status):
    row = RunActions()
    qtbot.addWidget(row)
    row.show_status(status("a"))
    menu = QMenu(row)
    row.fill(menu)

    items = {item.text(): item for item in menu.actions() if item.text()}
    assert list(items) == [a.text for a in MENU if a is not CONTINUE]
    assert not items["Delete…"].isEnabled()
    assert "stop it first" in items["Delete…"].toolTip()
    with qtbot.waitSignal(row.asked) as asked:
        items["Duplicate…"].trigger()
    assert asked.args == ["duplicate"]
