"""The only coordinator: one App per viewer builds panels, runs work, says what happened.

A panel emits a request in the user's words; the App (or the controller it created for that
panel) acts on it, off the GUI thread where it takes time, and writes the answer to `state`.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from napari.settings import get_settings
from napari.utils.notifications import Notification, NotificationSeverity, notification_manager
from qtpy.QtCore import QObject, Qt, QTimer, Signal, Slot
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_unet_mic.errors import Cancelled, UNetMicError
from napari_unet_mic.gui.state import State

if TYPE_CHECKING:
    from napari.viewer import Viewer

log = logging.getLogger(__name__)

PANELS = {
    "workbench": "Workbench",
    "dataset": "Dataset",
    "plan_and_train": "Plan and train",
    "predict": "Predict",
    "inspector": "Error inspector",
    "annotate": "Annotate",
}
_APPS: dict[int, App] = {}


def unwrapped(viewer: Any) -> Viewer:
    """Return the viewer itself, out of the proxies that napari and npe2 hand to plugins."""
    while hasattr(type(viewer), "__wrapped__") or "Proxy" in type(viewer).__name__:
        viewer = viewer.__wrapped__
    return viewer


class Ticket:
    """One piece of work in a thread; `stale` turns true when nobody wants its answer."""

    def __init__(self, on_done: Callable | None, on_error: Callable | None, say: str) -> None:
        self.on_done = on_done
        self.on_error = on_error
        self.busy_sentence = say
        self.stale = False

    def should_stop(self) -> bool:
        """Return whether the work may end early: hand this to long functions."""
        return self.stale


class _Relay(QObject):
    """Carries answers from worker threads to the GUI thread."""

    answered = Signal(object, object, object)
    told = Signal(object, object)

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = weakref.ref(app)
        self.answered.connect(self._on_answered, Qt.ConnectionType.QueuedConnection)
        self.told.connect(self._on_told, Qt.ConnectionType.QueuedConnection)

    @Slot(object, object, object)
    def _on_answered(self, ticket: Ticket, answer: Any, error: BaseException | None) -> None:
        app = self._app()
        if app is not None:
            app._apply(ticket, answer, error)

    @Slot(object, object)
    def _on_told(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        app = self._app()
        if app is not None and not app.closed:
            function(*arguments)


class App:
    """The coordinator of one viewer; get it with `App.of(viewer)`."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = weakref.ref(viewer)
        self.state = State()
        self.closed = False
        self.on_close: list[Callable[[], None]] = []
        self._panels: dict[str, QWidget] = {}
        self._controllers: dict[str, Any] = {}
        self._newest: dict[str, Ticket] = {}
        self._working: list[Ticket] = []
        self._threads = ThreadPoolExecutor(max_workers=3, thread_name_prefix="unet-mic")
        self._relay = _Relay(self)

    @staticmethod
    def of(viewer: Any) -> App:
        """Return the viewer's App, made on the first call; proxies are unwrapped."""
        viewer = unwrapped(viewer)
        app = _APPS.get(id(viewer))
        if app is None or app._viewer() is not viewer:
            app = _APPS[id(viewer)] = App(viewer)
            weakref.finalize(viewer, _APPS.pop, id(viewer), None)
            window = getattr(viewer.window, "_qt_window", None)
            if window is not None:
                window.destroyed.connect(app.close)
        return app

    @property
    def viewer(self) -> Viewer:
        """The napari viewer (unwrapped)."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer of this App has been closed")
        return viewer

    # ---- work in threads -------------------------------------------------------------
    def in_thread(
        self,
        function: Callable[..., Any],
        *args: Any,
        on_done: Callable[[Any], None] | None = None,
        on_error: Callable[[BaseException], None] | None = None,
        topic: str = "",
        busy: str = "",
        stoppable: bool = False,
        **kwargs: Any,
    ) -> Ticket:
        """Call ``function(*args, **kwargs)`` in a thread; its answer arrives on the GUI thread.

        Parameters
        ----------
        on_done, on_error
            Called on the GUI thread; without `on_error` the error is shown as a sentence.
        topic
            A newer request on the same topic makes the older answer stale: it is dropped.
        busy
            A sentence for `state.busy` while this is the newest work under way.
        stoppable
            Hand ``should_stop=ticket.should_stop`` to the function.
        """
        ticket = Ticket(on_done, on_error, busy)
        if topic:
            if topic in self._newest:
                self._newest[topic].stale = True
            self._newest[topic] = ticket
        if stoppable:
            kwargs["should_stop"] = ticket.should_stop
        self._working.append(ticket)
        self._show_busy()

        def work() -> None:
            answer, error = None, None
            if not ticket.stale:
                try:
                    answer = function(*args, **kwargs)
                except BaseException as caught:  # handed to the GUI thread, never lost
                    error = caught
            try:
                self._relay.answered.emit(ticket, answer, error)
            except RuntimeError:
                log.debug("the window closed before an answer arrived")

        self._threads.submit(work)
        return ticket

    def tell(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call ``function(*arguments)`` on the GUI thread, from any thread, in order."""
        try:
            self._relay.told.emit(function, arguments)
        except RuntimeError:
            log.debug("the window closed before a message arrived")

    def _apply(self, ticket: Ticket, answer: Any, error: BaseException | None) -> None:
        self._working = [other for other in self._working if other is not ticket]
        if self.closed:
            return
        self._show_busy()
        if ticket.stale:
            return
        try:
            if error is None:
                if ticket.on_done is not None:
                    ticket.on_done(answer)
            elif ticket.on_error is not None:
                ticket.on_error(error)
            else:
                self.show_error(error)
        except Exception as caught:  # a broken panel must not take the event loop with it
            self.show_error(caught)

    def _show_busy(self) -> None:
        sentences = [t.busy_sentence for t in self._working if t.busy_sentence and not t.stale]
        self.state.busy = sentences[-1] if sentences else ""

    # ---- what the person is told -----------------------------------------------------
    def say(self, sentence: str) -> None:
        """Put one sentence into the panels' message lines and napari's status bar."""
        self.state.message = sentence
        viewer = self._viewer()
        if viewer is not None and sentence:
            viewer.status = sentence

    def show_error(self, error: BaseException) -> None:
        """Show an error as one sentence; nothing blocks, the full trace goes to the log."""
        if isinstance(error, Cancelled):
            self.say(str(error))
            return
        sentence = sentence_of(error)
        if not isinstance(error, UNetMicError):
            log.error(sentence, exc_info=error)
        self.say(sentence)
        notification_manager.dispatch(Notification(sentence, NotificationSeverity.WARNING))

    # ---- panels ----------------------------------------------------------------------
    def controller(self, name: str) -> Any:
        """Return the controller behind "plan_and_train" or "predict" (made on the first call)."""
        if name not in self._controllers:
            if name == "plan_and_train":
                from napari_unet_mic.gui.training_control import TrainingControl

                self._controllers[name] = TrainingControl(self)
            elif name == "predict":
                from napari_unet_mic.gui.prediction_control import PredictionControl

                self._controllers[name] = PredictionControl(self)
            else:
                raise KeyError(name)
        return self._controllers[name]

    def panel(self, name: str) -> QWidget:
        """Return a panel of this viewer, made on the first call; names are those of `PANELS`."""
        if name not in self._panels:
            self._panels[name] = self._build(name)
            self._panels[name].setObjectName(dock_name(name))
            if "workbench" in self._panels:
                self._panels["workbench"].watch(self._panels[name])
        return self._panels[name]

    def has_panel(self, name: str) -> bool:
        """Return whether a panel has been made."""
        return name in self._panels

    def _build(self, name: str) -> QWidget:
        if name == "workbench":
            from napari_unet_mic.gui.workbench import Workbench

            return Workbench(self)
        if name == "dataset":
            from napari_unet_mic.gui.dataset_panel import DatasetPanel

            return DatasetPanel(self)
        if name == "inspector":
            from napari_unet_mic.gui.inspector_panel import InspectorPanel

            return InspectorPanel(self)
        if name == "annotate":
            from napari_unet_mic.gui.annotate_panel import AnnotatePanel

            return AnnotatePanel(self)
        widget: QWidget = self.controller(name).widget
        return widget

    def show(self, name: str) -> QWidget:
        """Show a panel where it is (a dock, a tab of the workbench), or dock it."""
        if "workbench" in self._panels and not self.has_panel(name):
            self._panels["workbench"].fill(name)
        panel = self.panel(name)
        dock = dock_of(panel)
        if dock is None:
            area = "bottom" if name == "inspector" else "right"
            dock = self.viewer.window.add_dock_widget(panel, name=dock_name(name), area=area)
        elif "workbench" in self._panels:
            self._panels["workbench"].choose(panel)
        dock.show()
        dock.raise_()
        return panel

    def released(self, name: str) -> QWidget:
        """Return a panel for napari to dock, out of the dock or tab where it was before."""
        panel = self.panel(name)
        dock = dock_of(panel)
        if dock is not None and dock.widget() is panel:
            self.viewer.window.remove_dock_widget(dock)
        panel.setParent(None)
        if name == "workbench":
            QTimer.singleShot(0, lambda: None if self.closed else self.show("inspector"))
        elif name == "inspector":
            positions = get_settings().application.plugin_widget_positions
            positions.setdefault(dock_name(name), "bottom")
        return panel

    def suggest_pair(self) -> None:
        """Let the inspector, when there is one, choose a reference and a prediction."""
        if "inspector" in self._panels:
            self._panels["inspector"].suggest_pair()

    def close(self, *_: object) -> None:
        """The viewer is gone: make all answers stale and let controllers end their children."""
        if self.closed:
            return
        self.closed = True
        for ticket in [*self._working, *self._newest.values()]:
            ticket.stale = True
        for callback in self.on_close:
            with contextlib.suppress(RuntimeError):  # Qt may have deleted it with the window
                callback()
        for panel in self._panels.values():
            with contextlib.suppress(RuntimeError):  # most went with the window
                if panel.parent() is None:
                    panel.deleteLater()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for key, app in list(_APPS.items()):
            if app is self:
                del _APPS[key]


def dock_name(panel: str) -> str:
    """Return the name of a panel's dock, as napari's Plugins menu composes it."""
    return f"{PANELS[panel]} (U-Net MIC)"


def dock_of(panel: QWidget) -> QDockWidget | None:
    """Return the dock that holds a panel, at whatever depth."""
    parent = panel.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def sentence_of(error: BaseException) -> str:
    """Return what to show for an error: its own sentence, or a plain one for surprises."""
    if isinstance(error, UNetMicError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; close other layers or programs and try again"
    text = " ".join(str(error).split()) or "no details"
    return f"Something unexpected happened ({type(error).__name__}: {text}); see the log"
