"""Follows the previews of the run that is looked at: read in a thread, shown where wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import preview_layers
from napari_unet_mic.gui.preview_view import PreviewView
from napari_unet_mic.gui.previews import Preview, read_preview
from napari_unet_mic.gui.run_watch import RunStatus

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App


class PreviewControl:
    """Keeps the preview of one run in step with its file."""

    def __init__(self, app: App, view: PreviewView) -> None:
        self._app = app
        self._view = view
        self._shown: tuple[Path | None, float] = (None, 0.0)  # run, and when it was saved
        self._classes: dict[int, str] = {}

    def follow(self, status: RunStatus | None) -> None:
        """Read the newest preview of a run when it is another one than that shown."""
        saved = status.snapshot.preview if status is not None else None
        if status is None or saved is None:
            if self._shown[0] is not None:
                self._shown = (None, 0.0)
                self._view.show_preview(None)
            return
        if self._shown == (status.folder, saved.time):
            return
        self._shown = (status.folder, saved.time)
        self._classes = {0: "background", **status.snapshot.classes}
        words = f"{status.name} in epoch {saved.epoch + 1}"
        self._app.in_thread(
            read_preview,
            status.folder / "preview.npz",
            on_done=lambda preview: self._on_read(preview, words),
            on_error=self._on_unreadable,
            topic="preview",
        )

    def _on_read(self, preview: Preview, words: str) -> None:
        self._view.show_preview(preview, words)
        if self._view.in_viewer.isChecked():
            if preview_layers.has_preview(self._app.viewer):
                preview_layers.show_preview(self._app.viewer, preview, self._classes)
            else:  # the person removed the layers: the wish has gone with them
                self._view.in_viewer.setChecked(False)

    def _on_unreadable(self, error: BaseException) -> None:
        """Keep what is shown: a run's folder was moved, or the next preview will do."""
        if not isinstance(error, UNetMicError):
            self._app.show_error(error)

    def show_in_viewer(self, wanted: bool) -> None:
        """Show the preview as layers, or take them away."""
        viewer, preview = self._app.viewer, self._view.preview
        if not wanted:
            preview_layers.hide_preview(viewer)
        elif preview is not None:
            preview_layers.show_preview(viewer, preview, self._classes)
