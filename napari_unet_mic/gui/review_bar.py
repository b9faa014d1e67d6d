"""The decisions about a region, as buttons and keys: fixed, the label is wrong, accept, undo.

The region that is looked at enters. A decision leaves to the keeper; accepting writes the
prediction's classes into the reference layer, as one step of its own history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

from napari_unet_mic.annotation.review import Status
from napari_unet_mic.gui import later_work as work
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.later_figures import LaterFigures
from napari_unet_mic.gui.layer_events import slicing_axis
from napari_unet_mic.gui.review_keeper import ReviewKeeper

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.region import Region
    from napari_unet_mic.gui.app import App

Here = Callable[[], "tuple[Region, tuple[int | None, int | None]] | None"]
NOWHERE = "Go to a region of the table first: N walks through them"
BUTTONS: tuple[tuple[str, str, str, str], ...] = (
    (
        "fixed",
        "fixed",
        "F",
        "This region is done: what was to be corrected has been corrected. Again: open",
    ),
    (
        "label is wrong",
        "label is wrong",
        "L",
        "The prediction is right here and the label is to be corrected later. Again: open",
    ),
    (
        "accepted",
        "accept",
        "A",
        "Write the prediction's classes of this region into the reference layer (one step to "
        "undo, also with Ctrl+Z on that layer); its file stays as it is until you save",
    ),
)


class ReviewBar(QWidget):
    """Buttons and keys for the region that `here` returns, with its cell of the table."""

    def __init__(
        self,
        app: App,
        comparer: Comparer,
        figures: LaterFigures,
        keeper: ReviewKeeper,
        here: Here,
    ) -> None:
        super().__init__()
        self._app = app
        self._comparer = comparer
        self._figures = figures
        self._keeper = keeper
        self._here = here
        self.buttons: dict[str, QPushButton] = {}
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(3)
        for status, text, key, words in BUTTONS:
            act = self.accept if status == "accepted" else self._marker(status)
            line.addWidget(self._button(status, text, f"{words} (Shift+{key})", key, act))
        line.addWidget(
            self._button("undo", "↶", "Take the last decision back (Shift+U)", "U", self.undo)
        )
        self.buttons["undo"].setEnabled(False)
        keeper.changed.connect(self._on_changed)

    def _marker(self, status: Any) -> Callable[[], None]:
        return lambda: self.mark(status)

    def _button(
        self, name: str, text: str, words: str, key: str, act: Callable[[], None]
    ) -> QPushButton:
        button = self.buttons[name] = explained(QPushButton(text), words)
        button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        button.setMinimumWidth(24)
        button.clicked.connect(lambda _=False: act())
        self._app.viewer.bind_key(f"Shift-{key}", lambda _: act(), overwrite=True)
        return button

    def bind_in(self, panel: QWidget) -> None:
        """Let the keys act while the focus is in a panel, too."""
        acts = {
            "F": self._marker("fixed"),
            "L": self._marker("label is wrong"),
            "A": self.accept,
            "U": self.undo,
        }
        for key, act in acts.items():
            shortcut = QShortcut(QKeySequence(f"Shift+{key}"), panel)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    def _on_changed(self) -> None:
        self.buttons["undo"].setEnabled(self._keeper.can_undo)
        for status, _, key, words in BUTTONS:
            explained(self.buttons[status], f"{words} (Shift+{key}).\n{self._keeper.where}")

    # ---- decisions -------------------------------------------------------------------
    def mark(self, status: Status) -> None:
        """Mark the region that is looked at; open again what has that mark."""
        here = self._region()
        if here is not None:
            now = self._keeper.statuses([here[0]])[0]
            wanted = None if now == status else status
            self._keeper.mark(here[0], wanted)
            if self._keeper.statuses([here[0]])[0] == wanted:
                self._app.say(f"Region of {here[0].voxels} voxels: {wanted or 'open again'}")

    def undo(self) -> None:
        """Take the last decision back."""
        self._app.say(
            "Took the last decision back" if self._keeper.undo() else "There is nothing to undo"
        )

    def accept(self) -> None:
        """Write the prediction's classes of the region into the reference."""
        here, pair, maps = self._region(), self._comparer.layers, self._figures.maps()
        if here is None or pair is None or maps is None:
            return
        if not isinstance(pair[0].data, np.ndarray):
            self._app.say(f"{pair[0].name} cannot be painted on: copy it into a layer first")
            return
        region, cell = here
        self._app.in_thread(
            work.voxels_of,
            maps,
            self._figures.mistakes,
            self._figures.tolerance_mm,
            cell,
            slicing_axis(self._app.viewer, pair[0]),
            region,
            topic="accept",
            busy="Accepting the prediction",
            on_done=lambda answer: self._on_voxels(pair, region, *answer),
        )

    def _on_voxels(
        self, pair: tuple[Labels, Labels], region: Region, places: Any, values: Any
    ) -> None:
        if pair != self._comparer.layers:
            return
        reference = pair[0]
        before = np.array(reference.data[places])
        layers.write_voxels(reference, places, values)
        n = before.size
        self._app.say(f"Accepted the prediction in {n} voxel{'s' * (n != 1)} of {reference.name}")

        def take_back() -> None:
            """Write back what is still as it was accepted."""
            same = reference.data[places] == values
            if same.any() and reference in self._app.viewer.layers:
                layers.write_voxels(reference, tuple(axis[same] for axis in places), before[same])

        self._keeper.mark(region, "accepted", take_back)

    def _region(self) -> tuple[Region, tuple[int | None, int | None]] | None:
        here = self._here()
        if here is None or here[0].kind == "correct":
            self._app.say(NOWHERE if here is None else "Nothing is wrong there")
            return None
        return here
