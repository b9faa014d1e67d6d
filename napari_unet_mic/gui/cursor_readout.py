"""What lies under the cursor: values, class names, position in millimetres, voxel.

One line in napari's status bar, beside napari's own text: the intensities of the image's
channels, the class in the reference and in the prediction, the probability that is shown, where
that is in the patient
("R 12.3 A 4.0 S 120.5 mm": towards right, anterior, superior of the scanner's origin), and
the voxel's index in the file (i, j, k), as nibabel and ITK-SNAP count it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_unet_mic.gui import layers
from napari_unet_mic.gui.comparison import name_of
from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.orientation import knows_its_place
from napari_unet_mic.gui.probability_layer import probability_layer
from napari_unet_mic.gui.sampling import value_at, voxel_at

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_unet_mic.gui.app import App

MOST_CHANNELS = 4
READ_MS = 25
TOOLTIP = (
    "Under the cursor: the image's values, the class in reference and prediction, the position "
    "in millimetres (R or L, A or P, S or I: towards that side of the scanner's origin) and the "
    "voxel's index in the file (i j k)"
)


class CursorReadout(QLabel):
    """Keeps one line about the voxel under the cursor."""

    def __init__(self, app: App, pair: Callable[[], tuple[Labels | None, Labels | None]]) -> None:
        super().__init__()
        self._app = app
        self._pair = pair
        explained(self, TOOLTIP)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(READ_MS)
        self._timer.timeout.connect(self.read)
        app.viewer.cursor.events.position.connect(self._on_cursor_moved)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Never keep the window from becoming narrow."""
        return QSize(0, super().minimumSizeHint().height())

    def _on_cursor_moved(self, event: Any = None) -> None:
        if not self._app.closed and not self._timer.isActive():
            self._timer.start()

    def read_again(self) -> None:
        """Read once more where something is told: other layers may lie there now."""
        if self.text():
            self.read()

    def read(self) -> None:
        """Read what lies under the cursor now."""
        if self._app.closed:
            return
        viewer = self._app.viewer
        flat = viewer.dims.ndisplay == 2
        text = describe(viewer, viewer.cursor.position, self._pair()) if flat else ""
        if text != self.text():
            self.setText(text)


def describe(
    viewer: Viewer, world: Sequence[float], pair: tuple[Labels | None, Labels | None]
) -> str:
    """Return the line for a position of the viewer, "" where there is nothing."""
    chosen = [layer for layer in pair if layer is not None and layer in viewer.layers]
    like = chosen[0] if chosen else _topmost(viewer)
    if like is None:
        return ""
    voxel = voxel_at(like, world)
    if voxel is None:
        return ""
    parts = [f"{name} {_number(value)}" for name, value in _intensities(viewer, like, world)]
    for word, labels in zip(("true", "predicted"), pair, strict=True):
        if labels is not None and labels in viewer.layers:
            value = value_at(labels, world)
            named = "–" if value is None else name_of(int(value), layers.classes_of(labels))
            parts.append(f"{word} {named}")
    shares = probability_layer(viewer)
    if shares is not None and shares.visible and (value := value_at(shares, world)) is not None:
        parts.append(f"{shares.name} {value:.2f}")
    return "   ".join([*parts, *_position(viewer, like, world, voxel)])


def _topmost(viewer: Viewer) -> Layer | None:
    found = (one for one in reversed(viewer.layers) if isinstance(one, Image | Labels))
    return next((one for one in found if one.visible), None)


def _intensities(viewer: Viewer, like: Layer, world: Sequence[float]) -> list[tuple[str, Any]]:
    """Return (name, value) of the image's channels: all of a case, else the visible one's."""
    image = layers.shown_image(viewer, like)
    if image is None:
        return []
    source = layers.source_of(image)
    channels = [image]
    if source is not None and source.volume is not None and source.volume.n_channels > 1:
        every = [one for one in viewer.layers if layers.is_input(one)]
        mine = [(s.channel, one) for one in every if (s := layers.source_of(one))
                and s.volume is source.volume]  # fmt: skip
        channels = [one for _, one in sorted(mine, key=lambda pair: pair[0])][:MOST_CHANNELS]
    read = [(_channel_name(one), value_at(one, world)) for one in channels]
    return [(name, value) for name, value in read if value is not None]


def _channel_name(image: Image) -> str:
    source = layers.source_of(image)
    name = source.channel_name if source else ""
    return name if name and not name.startswith("channel ") else "value"


def _position(
    viewer: Viewer, like: Layer, world: Sequence[float], voxel: tuple[int, ...]
) -> list[str]:
    """Return the position in millimetres and the voxel, as far as the layer knows them."""
    source = layers.source_of(like)
    if source is None or source.display is None or not knows_its_place(like):
        units = dict.fromkeys(str(unit) for unit in like.units)
        place = " ".join(
            f"{axis} {value:.1f}"
            for axis, value in zip(viewer.dims.axis_labels, world, strict=True)
        )
        return [f"{place} {' '.join(units)}", f"voxel {' '.join(map(str, voxel))}"]
    index = like.world_to_data(world)[-3:]
    right, anterior, superior = (float(one) for one in source.display.to_world(index))
    ends = ((right, "LR"), (anterior, "PA"), (superior, "IS"))
    place = " ".join(f"{names[value >= 0]} {abs(value):.1f}" for value, names in ends)
    k, j, i = (int(one) for one in source.display.array_index(voxel[-3:]))
    return [f"{place} mm", f"voxel {i} {j} {k}"]


def _number(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_number(one) for one in value)
    return (f"{value:.4g}" if isinstance(value, float) else f"{value}").replace("-", "−")
