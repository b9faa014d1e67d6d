"""Small building blocks of the panels."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget

from napari_unet_mic.gui.controls import later


def test_later_is_when_the_event_loop_turns(qtbot: QtBot) -> None:
    owner, done = QWidget(), []
    qtbot.addWidget(owner)
    later(owner, lambda: done.append(1))
    assert done == []
    qtbot.waitUntil(lambda: done == [1], timeout=10_000)


@pytest.mark.parametrize("milliseconds", [0, 20])
def test_what_belongs_to_a_widget_that_has_gone_is_not_done(
    qtbot: QtBot, milliseconds: int
) -> None:
    class Panel(QWidget):
        def act(self) -> None:
            done.append(self.objectName())  # raises once Qt has taken the widget

    window, done = QWidget(), []
    panel = Panel(window)
    later(panel, panel.act, milliseconds)
    window.deleteLater()
    qtbot.wait(100)
    assert done == []
