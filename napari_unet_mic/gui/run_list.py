"""The list of a workspace's runs: name, state, epochs done, best IoU per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.run_watch import RunStatus

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


class RunList(QTreeWidget):
    """The runs of the workspace; several chosen at once (Ctrl) are overlaid in the curves."""

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderLabels(["run", "state", "epochs", "best IoU"])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
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
                    item.setToolTip(column, status.sentence or text)
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


def _cells(status: RunStatus) -> tuple[str, str, str, str]:
    shot = status.snapshot
    best = " / ".join(
        f"{shot.best_iou[value]:.3f}".lstrip("0") if value in shot.best_iou else "–"
        for value in shot.classes
    )
    epochs = f"{shot.epochs_done}/{shot.epochs or status.settings.epochs}"
    return status.name, f"{STATE_SIGNS[status.state]} {status.state}", epochs, best
