"""The view bar: how to look at the comparison, in one compact row of controls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QKeySequence, QShortcut
from qtpy.QtWidgets import QDockWidget, QHBoxLayout, QMenu, QPushButton, QSizePolicy, QWidget

from napari_unet_mic.gui import window_menu
from napari_unet_mic.gui.app import dock_of
from napari_unet_mic.gui.controls import later
from napari_unet_mic.gui.cursor_readout import CursorReadout
from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.orientation import OrientationMarks, oblique_note
from napari_unet_mic.gui.orthogonal import NEEDS_3D, OrthogonalViews
from napari_unet_mic.gui.probability_switch import (
    PROBABILITY,
    UNCERTAINTY_WORDS,
    ProbabilitySwitch,
)
from napari_unet_mic.gui.view_icons import view_icon
from napari_unet_mic.gui.view_modes import ERRORS_ONLY, IN_3D, OVERLAY, SIDE_BY_SIDE, ViewModes

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

ORTHOGONAL = "orthogonal"
DOCK = "Orthogonal views (U-Net MIC)"
EXPLAINED = {
    OVERLAY: ("F5", "Overlay", "reference as contour over the filled prediction"),
    SIDE_BY_SIDE: ("F6", "Side by side", "input, reference and prediction, moving together"),
    ERRORS_ONLY: ("F7", "Errors only", "the input and the wrong voxels"),
    IN_3D: ("F8", "3-D", "errors, or else the prediction, inside the translucent reference"),
}
BACK = "Again: back to exactly what was before"
SETTLED_MS = 30  # until Qt has laid out the window anew
ORTHOGONAL_WORDS = "Orthogonal views (F9): the two other planes beside the canvas, and a crosshair"


class ViewBar(QWidget):
    """Buttons for the ways of viewing, and a menu with everything about the view."""

    def __init__(
        self,
        app: App,
        pair: Callable[[], tuple[Labels | None, Labels | None]],
        show_all_errors: Callable[[], None],
        clear_errors: Callable[[], None],
    ) -> None:
        super().__init__()
        self._app = app
        self.modes = ViewModes(app, pair, show_all_errors, clear_errors)
        self.modes.about_to_change.connect(self._on_mode_changing)
        self.modes.changed.connect(self._on_mode_changed)
        self._height = 0
        self.marks = OrientationMarks(app.viewer)
        self.readout = CursorReadout(app, pair)
        self.probability = ProbabilitySwitch(app, pair, self.modes)
        self.probability.changed.connect(self.readout.read_again)
        self.orthogonal: OrthogonalViews | None = None
        self._build()
        self._bind_keys()
        self._draw_icons()
        app.viewer.events.theme.connect(self._draw_icons)
        status_bar = app.viewer.window._qt_window.statusBar()
        status_bar.insertPermanentWidget(1, self.readout)

    # ---- building --------------------------------------------------------------------
    def _build(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.buttons: dict[str, QPushButton] = {}
        for mode, (key, title, words) in EXPLAINED.items():
            button = explained(QPushButton(), f"{title} ({key}): {words}.\n{BACK}")
            button.clicked.connect(partial(self._on_mode_clicked, mode))
            self._show_icon(mode, button)
        button = explained(QPushButton(), ORTHOGONAL_WORDS)
        button.clicked.connect(self._on_orthogonal_clicked)
        self._show_icon(ORTHOGONAL, button)
        self._show_icon(PROBABILITY, self.probability)
        self.menu_button = explained(
            QPushButton("View"), "Ways to look at the comparison; contrast windows; letters"
        )
        self.menu = QMenu(self.menu_button)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.menu_button.setMenu(self.menu)
        for widget in (*self.buttons.values(), self.menu_button):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def _show_icon(self, name: str, button: QPushButton) -> None:
        button.setCheckable(True)
        button.setIconSize(QSize(16, 16))
        button.setFixedWidth(26)
        button.setAccessibleName(name)
        self.buttons[name] = button

    def _bind_keys(self) -> None:
        acts: dict[str, Callable[[], None]] = {
            key: partial(self.modes.toggle, mode) for mode, (key, _, _) in EXPLAINED.items()
        }
        acts["F9"] = self.toggle_orthogonal
        for key, act in acts.items():
            self._app.viewer.bind_key(key, lambda _, act=act: act(), overwrite=True)
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(act)

    def _draw_icons(self, event: Any = None) -> None:
        colour = QColor(get_theme(self._app.viewer.theme).icon.as_hex())
        for name, button in self.buttons.items():
            button.setIcon(view_icon(name, colour))

    def _fill_menu(self) -> None:
        menu = self.menu
        menu.clear()
        for mode, (key, title, words) in EXPLAINED.items():
            action = menu.addAction(f"{title}\t{key}", partial(self.modes.toggle, mode))
            action.setCheckable(True)
            action.setChecked(self.modes.mode == mode)
            action.setToolTip(f"{words.capitalize()}. {BACK}")
        action = menu.addAction("Back to what was before", self.modes.leave)
        action.setEnabled(bool(self.modes.mode))
        menu.addSeparator()
        action = menu.addAction("Orthogonal views\tF9", self.toggle_orthogonal)
        action.setCheckable(True)
        action.setChecked(self.orthogonal_shown)
        action.setToolTip(ORTHOGONAL_WORDS)
        self._offer_probability(menu)
        action = menu.addAction("Letters R L A P S I", lambda: self.marks.switch(not self.marks.on))
        action.setCheckable(True)
        action.setChecked(self.marks.on)
        note = oblique_note(self._app.viewer)
        action.setToolTip(
            "Towards which side of the patient the canvas' edges lie, for files that say so"
            + (f". {note}" if note else "")
        )
        window_menu.fill(menu, self._app)

    def _offer_probability(self, menu: QMenu) -> None:
        switch = self.probability
        for title, uncertain, words in (
            ("Probability of the chosen class", False, switch.toolTip()),
            ("Uncertainty of the network", True, UNCERTAINTY_WORDS),
        ):
            action = menu.addAction(title, partial(switch.choose, uncertain))
            action.setCheckable(True)
            action.setChecked(switch.isChecked() and switch.uncertain == uncertain)
            action.setEnabled(switch.isEnabled())
            action.setToolTip(words if switch.isEnabled() else switch.toolTip())

    # ---- ways of viewing -----------------------------------------------------------------
    def _on_mode_changing(self, coming: str) -> None:
        """Keep the panel's height: napari's controls are higher in 3-D and squeeze the docks."""
        dock = dock_of(self)
        if dock is not None and coming == IN_3D:
            self._height = dock.height()
        elif dock is not None and self._height:
            later(self, partial(self._regain, self._height), SETTLED_MS)
            self._height = 0

    def _regain(self, height: int, *, lowered: bool = False) -> None:
        dock = None if self._app.closed else dock_of(self)
        if dock is None:
            return
        window = self._app.viewer.window._qt_window
        if lowered:
            window.resizeDocks([dock], [height], Qt.Orientation.Vertical)
            return
        for other in window.findChildren(QDockWidget):
            other.setMinimumHeight(50)  # napari's own; Qt had raised it and never lowers it
        later(self, partial(self._regain, height, lowered=True), SETTLED_MS)

    def _on_mode_clicked(self, mode: str, _: bool = False) -> None:
        self.modes.toggle(mode)

    def _on_mode_changed(self, present: str) -> None:
        for mode in EXPLAINED:
            self.buttons[mode].setChecked(mode == present)
        if self.orthogonal is not None:
            self.orthogonal.redraw()

    # ---- orthogonal views ------------------------------------------------------------------
    @property
    def orthogonal_shown(self) -> bool:
        """Whether the orthogonal views are open (in front or behind another tab)."""
        dock = None if self.orthogonal is None else dock_of(self.orthogonal)
        return dock is not None and not dock.isHidden()

    def _on_orthogonal_clicked(self, _: bool = False) -> None:
        self.toggle_orthogonal()

    def toggle_orthogonal(self) -> None:
        """Open the orthogonal views beside the canvas, or close them."""
        if self.orthogonal is not None and self.orthogonal_shown:
            dock = dock_of(self.orthogonal)
            assert dock is not None
            dock.close()
        elif self._app.viewer.dims.ndim < 3:
            self._app.say(NEEDS_3D)
        else:
            self._open_orthogonal()
        self._check_orthogonal()

    def _open_orthogonal(self) -> None:
        if self.orthogonal is None:
            self.orthogonal = OrthogonalViews(self._app, lambda: self.modes.hidden_input)
            self.orthogonal.shown_or_hidden.connect(self._check_soon)
            self._app.on_close.append(self._forget_orthogonal)
        dock = dock_of(self.orthogonal)
        if dock is None:  # the first time, or after its cross was clicked
            dock = self._app.viewer.window.add_dock_widget(
                self.orthogonal, name=DOCK, area="right", tabify=True
            )
        dock.show()
        dock.raise_()

    def _check_soon(self) -> None:
        later(self, self._check_orthogonal)

    def _check_orthogonal(self) -> None:
        if not self._app.closed:
            self.buttons[ORTHOGONAL].setChecked(self.orthogonal_shown)

    def _forget_orthogonal(self) -> None:
        with suppress(RuntimeError):  # most go with the window
            if self.orthogonal is not None and self.orthogonal.parent() is None:
                self.orthogonal.deleteLater()
