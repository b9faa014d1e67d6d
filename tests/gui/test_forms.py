from pathlib import Path

from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QPushButton, QSpinBox

from napari_unet_mic.gui.forms import (
    ElidedLabel,
    ErrorLine,
    PathChoice,
    Section,
    explained,
    guard_wheel,
)


def test_explained_escapes_and_names_the_option(qtbot):
    button = explained(QPushButton(), "patch < image\nsecond line", "--fold K")
    qtbot.addWidget(button)

    assert "patch &lt; image<br>second line" in button.toolTip()
    assert "<code>--fold K</code>" in button.toolTip()


def test_wheel_does_not_change_a_value_in_passing(qtbot):
    spin = QSpinBox()
    qtbot.addWidget(spin)
    guard_wheel(spin)
    spin.show()
    spin.clearFocus()
    wheel = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(spin, wheel)

    assert spin.value() == 0


def test_error_line_shows_and_hides_its_sentence(qtbot):
    line = ErrorLine()
    qtbot.addWidget(line)

    line.show_sentence("/a/b_c.nii.gz: truncated")
    assert line.sentence == "/a/b_c.nii.gz: truncated"
    assert not line.isHidden()

    line.show_sentence("")
    assert line.isHidden()


def test_long_text_loses_its_middle(qtbot):
    label = ElidedLabel("/home/somebody/a/very/long/path/to/Task03_Liver")
    qtbot.addWidget(label)
    label.resize(120, 20)
    label.show()

    assert "…" in label.text()
    assert label.whole.endswith("Task03_Liver")


def test_a_chosen_path_is_announced(qtbot):
    choice = PathChoice("Folder", folder=True, nothing="none")
    qtbot.addWidget(choice)
    assert choice.path is None

    with qtbot.waitSignal(choice.chosen) as announced:
        choice.choose(Path("/w"))

    assert announced.args == [Path("/w")]
    assert choice.path == Path("/w")


def test_a_folded_section_says_the_gist(qtbot):
    section = Section("Plan", QPushButton("content"), "Fold the plan away")
    qtbot.addWidget(section)
    section.set_gist("patch 40×56×40")
    assert section.heading.text() == "▾  Plan"

    section.heading.click()
    assert section.folded
    assert section.content.isHidden()
    assert section.heading.text() == "▸  Plan:  patch 40×56×40"

    section.fold(False)
    assert not section.content.isHidden()
