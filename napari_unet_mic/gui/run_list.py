"""The list of a workspace's runs: name, state, epochs done, best IoU per class, time left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.run_watch import RunStatus
from napari_unet_mic.gui.run_words import duration

STATE_SIGNS = {
    "new": "○",
    "running": "●",
    "paused": "‖",
    "stopped": "■",
    "finished": "✓",
    "failed": "✗",
    "lost its process": "?",
}
ROW_HEIGHT = 20
BEST = 3
MOST_CLASSES = 3  # with more of them their mean is shown
COLUMN_TIPS = (
    "Name of the run and of its folder",
    "What the run does now",
    "Epochs done, of how many",
    "Best IoU of each class on the validation patches so far",
    "How long the epochs that are left will take",
)


class RunList(QTreeWidget):
    """The runs of the workspace; several chosen at once (Ctrl) are overlaid in the curves."""

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderLabels(["run", "state", "epochs", "best IoU", "left"])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, tip in enumerate(COLUMN_TIPS):
            self.headerItem().setToolTip(column, tip)
        self.setMinimumHeight(header.sizeHint().height() + 3 * ROW_HEIGHT + 4)
        explained(
            self,
            "The runs of this workspace. Click one to see its curves; with Ctrl several, the "
            "others are drawn dashed",
        )

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for three rows; more room is welcome."""
        return QSize(super().sizeHint().width(), self.minimumHeight())

    def show_runs(self, statuses: Sequence[RunStatus], current: Path | None) -> None:
        """Update the rows in place, so that the selection stays."""
        self.blockSignals(True)
        while self.topLevelItemCount() > len(statuses):
            self.takeTopLevelItem(self.topLevelItemCount() - 1)
        chosen = self.chosen() | ({current} if current else set())
        for row, status in enumerate(statuses):
            item = self.topLevelItem(row)
            if item is None:
                item = QTreeWidgetItem(self)
                item.setSizeHint(0, QSize(0, ROW_HEIGHT))
            for column, text in enumerate(_cells(status)):
                if item.text(column) != text:
                    item.setText(column, text)
                    item.setToolTip(column, _tip(column, status, text))
            item.setData(0, Qt.ItemDataRole.UserRole, status.folder)
            item.setSelected(status.folder in chosen)
        self.blockSignals(False)

    def choose(self, folder: Path) -> None:
        """Select one run only."""
        self.blockSignals(True)
        for row in range(self.topLevelItemCount()):
            item = self.topLevelItem(row)
            item.setSelected(item.data(0, Qt.ItemDataRole.UserRole) == folder)
        self.blockSignals(False)

    def chosen(self) -> set[Path]:
        """Return the folders of the selected runs."""
        return {item.data(0, Qt.ItemDataRole.UserRole) for item in self.selectedItems()}

    def newest_chosen(self) -> Path | None:
        """Return the run that was clicked last, if it is selected."""
        item = self.currentItem()
        if item is None or not item.isSelected():
            item = next(iter(self.selectedItems()), None)
        return item.data(0, Qt.ItemDataRole.UserRole) if item is not None else None


def _cells(status: RunStatus) -> tuple[str, ...]:
    shot = status.snapshot
    epochs = f"{shot.epochs_done}/{shot.epochs or status.settings.epochs}"
    left = ""
    if status.alive and shot.seconds_left is not None:
        left = duration(shot.seconds_left)
    sign = STATE_SIGNS[status.state]
    return status.name, f"{sign} {status.state}", epochs, _best(status), left


def _best(status: RunStatus) -> str:
    shot = status.snapshot
    if len(shot.classes) > MOST_CLASSES:
        if not shot.best_iou:
            return "–"
        return f"{_short(sum(shot.best_iou.values()) / len(shot.best_iou))} mean"
    best = shot.best_iou
    return " / ".join(_short(best[value]) if value in best else "–" for value in shot.classes)


def _short(number: float) -> str:
    return f"{number:.3f}".removeprefix("0")


def _tip(column: int, status: RunStatus, text: str) -> str:
    shot = status.snapshot
    if column == BEST:
        known = {v: f"{best:.3f}" for v, best in shot.best_iou.items()}
        lines = [f"{name}: {known.get(v, '–')}" for v, name in shot.classes.items()]
        return "\n".join(lines) or text
    return status.sentence or text
