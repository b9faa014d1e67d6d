import pytest
from qtpy.QtWidgets import QLabel

from napari_unet_mic.gui.activity import SLOWLY, STEPS, TrainingActivity


class Bar:
    """A progress bar of napari's: turns the event loop when it changes."""

    turn = staticmethod(lambda: None)

    def __init__(self, total, desc):
        self.total, self.desc, self.n, self.left = total, f"{desc}: ", 0, ""
        self.events = self
        self.closed = False
        self.turn()

    def eta(self, value):
        self.shown_left = value

    def update(self, n):
        self.n += n
        self.turn()

    def set_description(self, words):
        self.desc = f"{words}: "

    def close(self):
        self.closed = True


@pytest.fixture
def made():
    return []


@pytest.fixture
def activity(made):
    def make(total, desc):
        made.append(Bar(total, desc))
        return made[-1]

    return TrainingActivity(make)


def test_a_bar_for_every_run_at_work(activity, made, status):
    activity.show([status("a"), status("b", "finished")], now=0.0)

    (bar,) = made
    assert (bar.total, bar.n, bar.desc, bar.shown_left) == (STEPS, 37, "a: ", "3 h 40 min left")

    activity.show([status("a", "paused", alive=True, fraction=0.5)], now=5.0)
    assert (bar.n, bar.desc) == (500, "a paused: ")

    activity.show([status("a", "stopped")], now=10.0)
    assert bar.closed


def test_it_is_brought_up_to_date_about_once_a_second(activity, made, status):
    activity.show([status("a")], now=0.0)
    activity.show([status("a", fraction=0.5)], now=0.3)
    assert made[0].n == 37

    activity.show([status("a", fraction=0.5)], now=1.3)
    assert made[0].n == 500


def test_being_called_while_napari_turns_its_event_loop_does_nothing(
    activity, made, status, monkeypatch
):
    turned = []

    def turn():
        turned.append(1)
        activity.show([status("b")], now=100.0)

    monkeypatch.setattr(Bar, "turn", staticmethod(turn))
    activity.show([status("a")], now=0.0)

    assert turned
    assert [bar.desc for bar in made] == ["a: "]


def test_closing_while_napari_turns_its_event_loop_makes_no_further_bar(
    activity, made, status, monkeypatch
):
    monkeypatch.setattr(Bar, "turn", staticmethod(activity.close))
    activity.show([status("a"), status("b")], now=0.0)

    assert len(made) == 1


def test_the_dock_shows_our_time_left(viewer, status, qtbot):
    from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar

    activity = TrainingActivity()
    activity.show([status("a")], now=0.0)
    (bar,) = viewer.window._qt_window.findChildren(QtLabeledProgressBar)

    assert bar.qt_progress_bar.value() == 37
    assert bar.description_label.text() == "a: "
    assert bar.eta_label.text() == "3 h 40 min left"

    activity.close()
    qtbot.waitUntil(
        lambda: not viewer.window._qt_window.findChildren(QtLabeledProgressBar), timeout=20000
    )


def test_the_docks_wheel_turns_slowly_while_runs_are_at_work(viewer, status):
    window = viewer.window._qt_window
    movies = [label.movie() for label in window.findChildren(QLabel) if label.movie()]
    activity = TrainingActivity(window=window)
    assert movies

    activity.show([status("a")], now=0.0)
    assert {movie.speed() for movie in movies} == {SLOWLY}
    activity.show([status("a", "finished")], now=5.0)
    assert {movie.speed() for movie in movies} == {100}
    activity.show([status("a")], now=10.0)
    activity.close()
    assert {movie.speed() for movie in movies} == {100}
