"""The ways to open an evaluation, and a second one to compare it with, as two menu buttons.

Clicks enter; folders and files leave, as requests in the person's words.
"""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton, QWidget

from napari_unet_mic.gui.forms import explained

OPEN, VERSUS = "Open…", "vs…"


class EvaluationMenu(QObject):
    """Two buttons for a header: `open_button` and `versus_button`.

    Signals
    -------
    place_chosen, second_chosen
        A folder or a summary.json to read.
    folders_chosen
        References and predictions to count.
    second_folder_chosen
        A folder of other predictions of the same cases, to count.
    second_dropped
        Nothing to compare with any more.
    """

    place_chosen = Signal(object)
    folders_chosen = Signal(object, object)
    second_chosen = Signal(object)
    second_folder_chosen = Signal(object)
    second_dropped = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._parent = parent
        self.start = Path.home()
        self.open_button = explained(
            QPushButton(OPEN),
            "Open a run, a model, an nnU-Net validation, a summary.json, or two folders of labels",
            "unet-mic evaluate … -o FOLDER",
        )
        self.open_button.setMenu(
            self._menu(
                ("Run, model or evaluation…", "A folder with summary.json, also of all its folds "
                 "(fold_0/validation, …): shown at once, no image is read", self._on_place),
                ("One summary.json…", "nnU-Net's file alone: figures without images",
                 self._on_file),
                ("References and predictions…", "Two folders of label files, compared now",
                 self._on_folders),
            )
        )  # fmt: skip
        self.versus_button = explained(
            QPushButton(VERSUS),
            "Compare these cases with a second evaluation: which got better, which got worse",
            "unet-mic evaluate --against",
        )
        self.versus_button.setMenu(
            self._menu(
                ("Another run or evaluation…", "A second folder with summary.json of the same "
                 "cases", self._on_second),
                ("Other predictions…", "A folder with other predictions of the same cases, "
                 "compared now", self._on_second_folder),
                ("Nothing", "Show the evaluation alone", self.second_dropped.emit),
            )
        )  # fmt: skip

    def _menu(self, *entries: tuple[str, str, object]) -> QMenu:
        menu = QMenu(self._parent)
        menu.setToolTipsVisible(True)
        for text, words, act in entries:
            menu.addAction(text, act).setToolTip(words)
        return menu

    def ask_folder(self, title: str) -> Path | None:
        """Ask for a folder; None when the person chose none."""
        chosen = QFileDialog.getExistingDirectory(self._parent, title, str(self.start))
        if not chosen:
            return None
        self.start = Path(chosen)
        return self.start

    def _on_place(self) -> None:
        folder = self.ask_folder("Open a run, a model or an evaluation")
        if folder is not None:
            self.place_chosen.emit(folder)

    def _on_file(self) -> None:
        file, _ = QFileDialog.getOpenFileName(
            self._parent, "Open a summary.json", str(self.start), "summary (*.json)"
        )
        if file:
            self.place_chosen.emit(Path(file))

    def _on_folders(self) -> None:
        references = self.ask_folder("First: the folder with the references")
        if references is None:
            return
        predictions = self.ask_folder("Second: the folder with the predictions")
        if predictions is not None:
            self.folders_chosen.emit(references, predictions)

    def _on_second(self) -> None:
        folder = self.ask_folder("Compare with another run or evaluation")
        if folder is not None:
            self.second_chosen.emit(folder)

    def _on_second_folder(self) -> None:
        folder = self.ask_folder("The folder with the other predictions")
        if folder is not None:
            self.second_folder_chosen.emit(folder)
