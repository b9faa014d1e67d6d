"""The coordinator: answers on the GUI thread, stale ones dropped, errors as sentences."""

import threading
from collections.abc import Callable

import pytest

from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.app import App, sentence_of


@pytest.fixture
def app(make_napari_viewer: Callable) -> App:
    return App.of(make_napari_viewer())


def test_one_app_per_viewer_also_through_a_proxy(make_napari_viewer: Callable) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    viewer = make_napari_viewer()
    assert App.of(viewer) is App.of(PublicOnlyProxy(viewer))
    assert App.of(viewer).viewer is viewer
    assert App.of(make_napari_viewer()) is not App.of(viewer)


def test_answers_arrive_on_the_gui_thread(app: App, until: Callable[..., None]) -> None:
    got = []
    app.in_thread(
        lambda: threading.get_ident(),
        on_done=lambda worker: got.append((worker, threading.get_ident())),
    )
    until(lambda: bool(got))
    worker, gui = got[0]
    assert gui == threading.get_ident()
    assert worker != gui


def test_only_the_newest_answer_of_a_topic_is_applied(app: App, until: Callable[..., None]) -> None:
    gate, got = threading.Event(), []
    app.in_thread(gate.wait, on_done=lambda _: got.append("old"), topic="scores")
    app.in_thread(lambda: None, on_done=lambda _: got.append("new"), topic="scores")
    gate.set()
    until(lambda: not app._working)
    assert got == ["new"]


def test_an_error_becomes_a_sentence(app: App, until: Callable[..., None]) -> None:
    def fail() -> None:
        raise BadInput("a.nii.gz", expected="a file", got="nothing", advice="choose another")

    app.in_thread(fail, busy="Reading a.nii.gz")
    assert app.state.busy == "Reading a.nii.gz"
    until(lambda: bool(app.state.message))
    assert app.state.message == "a.nii.gz: expected a file, got nothing; choose another"
    assert app.state.busy == ""


def test_a_surprise_is_named_too() -> None:
    assert "ZeroDivisionError: by zero" in sentence_of(ZeroDivisionError("by zero"))


def test_told_messages_keep_their_order(app: App, until: Callable[..., None]) -> None:
    got: list[int] = []
    app.in_thread(lambda: [app.tell(got.append, n) for n in range(5)])
    until(lambda: len(got) == 5)
    assert got == [0, 1, 2, 3, 4]


def test_a_panel_is_first_shown_in_the_workbench_that_is_open(app: App) -> None:
    workbench = app.show("workbench")
    panel = app.show("predict")

    assert workbench.currentWidget() is panel
