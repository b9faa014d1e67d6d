"""Where a labels layer may have changed: napari's events, told as places to look at.

A layer's events enter; hints leave: a box in which something probably changed (or None: it
could be anywhere), and how soon the whole layer should be looked at. A drag fires
`labels_update` with every move and `paint` once at its end; undo, redo and in-place changes
fire only `set_data`, exactly as a slider step does. So a hint is never proof of a change, and
no box is proof that there is none elsewhere: whoever gets hints looks at the voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_unet_mic.evaluation.confusion import Box

When = Literal["now", "soon", "later"]
OnHint = Callable[["Box | None", When], None]
QUIET_MODES = ("pan_zoom", "transform", "pick")


class ChangeWatch:
    """Listens to one labels layer until `stop`.

    Parameters
    ----------
    on_hint
        Called with (box or None, when). `now`: somebody edited the layer; `soon`: an edit
        is going on; `later`: most likely only another slice is shown.
    """

    def __init__(self, viewer: Viewer, layer: Labels, on_hint: OnHint) -> None:
        self._viewer = viewer
        self._layer = layer
        self._on_hint: OnHint = on_hint
        self._shown = self._view()
        self._connections = (
            (layer.events.labels_update, self._on_labels_update),
            (layer.events.paint, self._on_edited),
            (layer.events.data, self._on_edited),
            (layer.events.set_data, self._on_set_data),
        )
        for emitter, callback in self._connections:
            emitter.connect(callback)
        layer.mouse_drag_callbacks.append(self._on_drag)

    def stop(self) -> None:
        """Listen no more."""
        self._on_hint = lambda box, when: None  # a drag under way ends on its own
        for emitter, callback in self._connections:
            emitter.disconnect(callback)
        if self._on_drag in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.remove(self._on_drag)

    def _view(self) -> tuple[Any, ...]:
        dims = self._viewer.dims
        return dims.current_step, dims.order, dims.ndisplay

    def _on_labels_update(self, event: Any) -> None:
        self._on_hint(
            updated_box(self._viewer, self._layer, event.offset, event.data.shape), "soon"
        )

    def _on_edited(self, event: Any = None) -> None:
        self._on_hint(None, "now")

    def _on_set_data(self, event: Any = None) -> None:
        before, self._shown = self._shown, self._view()
        if before == self._shown:
            self._on_hint(displayed_box(self._viewer, self._layer), "now")
        else:
            self._on_hint(None, "later")

    def _on_drag(self, layer: Labels, event: Any) -> Iterator[None]:
        """See every move of a drag, whichever tool paints in it."""
        if layer.mode in QUIET_MODES:
            return
        self._on_hint(None, "soon")
        yield
        while event.type == "mouse_move":
            self._on_hint(None, "soon")
            yield
        self._on_hint(None, "now")


def displayed_box(viewer: Viewer, layer: Labels) -> Box | None:
    """Return the slice of a layer that is shown; None in 3-D, and where it is none."""
    if viewer.dims.ndisplay != 2 or layer.multiscale:
        return None
    box = [slice(None)] * layer.ndim
    for axis, index in _hidden_indices(viewer, layer).items():
        if not 0 <= index < layer.data.shape[axis]:
            return None
        box[axis] = slice(index, index + 1)
    return tuple(box)


def updated_box(
    viewer: Viewer, layer: Labels, offset: tuple[int, ...], size: tuple[int, ...]
) -> Box | None:
    """Return the box of an update of the shown voxels (along the displayed axes).

    An edit in more dimensions than are shown may reach along the hidden axes.
    """
    shown = _axes(viewer, layer, viewer.dims.displayed)
    if len(shown) != len(offset) or layer.multiscale:
        return None
    box = [slice(None)] * layer.ndim
    for axis, start, length in zip(shown, offset, size, strict=True):
        box[axis] = slice(max(0, int(start)), max(0, int(start)) + int(length))
    if layer.n_edit_dimensions <= len(shown):
        for axis, index in _hidden_indices(viewer, layer).items():
            box[axis] = slice(max(0, index), max(0, index) + 1)
    return tuple(box)


def leading_indices(viewer: Viewer, layer: Labels) -> tuple[int, ...]:
    """Return where a layer with more than three axes is looked at along the leading ones."""
    shape = layer.data.shape
    point = np.round(layer.world_to_data(viewer.dims.point)).astype(int)
    return tuple(
        int(np.clip(point[axis], 0, shape[axis] - 1)) for axis in range(max(0, len(shape) - 3))
    )


def slicing_axis(viewer: Viewer, layer: Labels) -> int:
    """Return which of a layer's last three axes the slider moves along (0 in 3-D and 2-D)."""
    spatial = range(max(0, layer.ndim - 3), layer.ndim)
    hidden = [a for a in _axes(viewer, layer, viewer.dims.not_displayed) if a in spatial]
    return hidden[0] - spatial.start if hidden and layer.ndim >= 3 else 0


def _hidden_indices(viewer: Viewer, layer: Labels) -> dict[int, int]:
    """Return the index shown along every axis that is not displayed."""
    point = np.round(layer.world_to_data(viewer.dims.point)).astype(int)
    return {axis: int(point[axis]) for axis in _axes(viewer, layer, viewer.dims.not_displayed)}


def _axes(viewer: Viewer, layer: Labels, axes: tuple[int, ...]) -> list[int]:
    """Turn axes of the viewer into those of a layer that has them."""
    offset = viewer.dims.ndim - layer.ndim
    return [axis - offset for axis in axes if axis >= offset]
