"""The standard arrangement: the panels as tabs in one dock; the inspector docks below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QSize
from qtpy.QtWidgets import QSizePolicy, QTabWidget, QWidget

from napari_unet_mic.gui.app import PANELS, dock_of
from napari_unet_mic.gui.controls import later

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

TABS = ("dataset", "plan_and_train", "predict", "annotate")


class Workbench(QTabWidget):
    """Tabs of the panels; one that is taken out into its own dock comes back when that closes.

    A panel is built when its tab is first shown, so opening the workbench costs one panel.
    """

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self.setContentsMargins(0, 4, 0, 0)
        self.setUsesScrollButtons(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.currentChanged.connect(self._on_tab_changed)
        for name in TABS:
            self.addTab(QWidget(), PANELS[name])
            if app.has_panel(name):
                self.watch(app.panel(name))
        self._on_tab_changed(0)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the width that a table of cases needs."""
        return QSize(410, 480)

    def watch(self, panel: QWidget) -> None:
        """Follow where a panel goes, to take it in when its own dock closes."""
        panel.installEventFilter(self)

    def fill(self, name: str) -> None:
        """Build a panel in its tab, when it is one of ours and nobody has it yet."""
        if name in TABS:
            self._fill(TABS.index(name))

    def choose(self, panel: QWidget) -> None:
        """Bring a panel's tab to the front when it is one of ours."""
        if self.indexOf(panel) >= 0:
            self.setCurrentWidget(panel)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Notice that a panel left, and take it back when nobody holds it any more."""
        if event.type() == QEvent.Type.ParentChange and isinstance(watched, QWidget):
            later(self, self._tidy)
        return super().eventFilter(watched, event)

    def _on_tab_changed(self, index: int) -> None:
        if 0 <= index < len(TABS) and self.count() == len(TABS):
            self._fill(index)

    def _fill(self, index: int) -> None:
        name = TABS[index]
        fresh = not self._app.has_panel(name)
        panel = self._app.panel(name)
        self.watch(panel)
        if self.widget(index) is panel or (not fresh and dock_of(panel) is not None):
            return
        self._replace(index, panel)

    def _replace(self, index: int, widget: QWidget) -> None:
        blocked = self.blockSignals(True)
        old, current = self.widget(index), self.currentIndex()
        self.removeTab(index)
        self.insertTab(index, widget, PANELS[TABS[index]])
        self.setCurrentIndex(current)
        self.blockSignals(blocked)
        if old is not None and old.objectName() == "":
            old.deleteLater()

    def _tidy(self) -> None:
        """Put empty tabs where panels left, and homeless panels into theirs."""
        if self._app.closed:
            return
        blocked = self.blockSignals(True)
        for index, name in enumerate(TABS):
            if index >= self.count() or self.tabText(index) != PANELS[name]:
                self.insertTab(index, QWidget(), PANELS[name])
            if not self._app.has_panel(name):
                continue
            panel = self._app.panel(name)
            if dock_of(panel) is None and panel.parentWidget() is None:
                self._replace(index, panel)
        self.blockSignals(blocked)
