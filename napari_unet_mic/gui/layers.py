"""The layers of a case: made, told apart, compared; and the view to any voxel.

A layer of ours shows `Display.view` of a volume's array: painting writes through into the
array, scale and translate are positive millimetres along (Superior, Posterior, Left). What
it came from stays in ``layer.metadata["unet_mic"]`` as a `Source`. `*_tuple` functions build
napari layer tuples and may run in any thread; all others belong to the GUI thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from napari_unet_mic.data.volume import Display, Volume, display_of
from napari_unet_mic.gui.colours import CLEAR, RGBA, layer_colours
from napari_unet_mic.gui.windows import CT_RANGE, CT_WINDOW, window_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

Array = npt.NDArray[Any]
LayerTuple = tuple[Array, dict[str, Any], str]
KEY = "unet_mic"
EDITED = "unet_mic_edited"
ERRORS = "errors"
PROBABILITY = "probability"
PLACE = ("scale", "translate", "axis_labels", "units")
HELPER = "helper"  # repeats another layer: never offered, never saved


@dataclass(frozen=True, eq=False)
class Source:
    """What a layer of ours shows; kept in its metadata."""

    role: str  # "image", "reference", "prediction", "labels", or one of the three above
    case: str = ""
    volume: Volume | None = None
    display: Display | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    channel: int = 0
    ignore: int | None = None  # the value whose voxels are in no table
    channel_name: str = ""


# ---- layer tuples (any thread) ---------------------------------------------------------
def image_tuples(
    volume: Volume, *, case: str = "", channel_names: Sequence[str] = ()
) -> list[LayerTuple]:
    """Return one image layer per channel of a volume (C, Z, Y, X), last channel lowest."""
    display = display_of(volume)
    tuples: list[LayerTuple] = []
    for channel in reversed(range(volume.n_channels)):
        array = volume.array[channel] if not volume.is_labels else volume.array
        many = volume.n_channels > 1
        label = channel_names[channel] if channel < len(channel_names) else f"channel {channel}"
        parts = [case or (volume.file.name if volume.file else "image"), label if many else ""]
        options = _placed(
            display, Source("image", case, volume, display, channel=channel, channel_name=label)
        )
        options["name"] = " ".join(part for part in (parts[0], parts[1] or "image") if part)
        options["contrast_limits"] = window_of(array, label)
        options["colormap"] = "gray"
        options["visible"] = channel == 0
        tuples.append((display.view(array), options, "image"))
    return tuples


def labels_tuple(
    volume: Volume,
    *,
    name: str,
    role: str = "labels",
    case: str = "",
    classes: Mapping[int, str] | None = None,
    ignore: int | None = None,
) -> LayerTuple:
    """Return a labels layer of a volume (Z, Y, X) in the class colours, names in the status bar."""
    if not volume.array.flags.writeable:
        volume = Volume(volume.array.copy(), volume.affine, volume.header, volume.file)
    display = display_of(volume)
    names = dict(classes) if classes else {}
    options = _placed(display, Source(role, case, volume, display, names, ignore=ignore))
    options["name"] = name
    options["opacity"] = 0.6
    options["colormap"] = class_colormap(names or range(256))
    if names:
        options["features"] = {"index": list(names), "class": list(names.values())}
    return display.view(volume.array), options, "labels"


def class_colormap(values: Any) -> DirectLabelColormap:
    """Return the fixed class colours as napari's colormap."""
    return DirectLabelColormap(color_dict=layer_colours(values))


def _placed(display: Display, source: Source) -> dict[str, Any]:
    return {
        "scale": display.scale,
        "translate": display.translate,
        "axis_labels": display.axis_labels,
        "units": ("mm",) * 3,
        "metadata": {KEY: source},
    }


# ---- layers and where they came from ---------------------------------------------------
def source_of(layer: Layer) -> Source | None:
    """Return what a layer of ours shows, or None for a layer from elsewhere."""
    source = layer.metadata.get(KEY)
    return source if isinstance(source, Source) else None


def labels_layers(viewer: Viewer) -> list[Labels]:
    """Return the labels layers that can be compared, top one first (no errors, no helpers)."""
    found = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return [layer for layer in reversed(found) if role_of(layer) not in (ERRORS, HELPER)]


def is_input(layer: Layer) -> bool:
    """Return whether a layer is an image that somebody opened (none of ours about it)."""
    return isinstance(layer, Image) and role_of(layer) not in (HELPER, PROBABILITY)


def shown_image(viewer: Viewer, like: Layer) -> Image | None:
    """Return the image that lies under a layer: visible ones first, then of the same case."""
    source = source_of(like)
    case = source.case if source else ""
    found = [layer for layer in reversed(viewer.layers) if is_input(layer)]
    found = [layer for layer in found if layer.ndim == like.ndim]

    def rank(image: Layer) -> tuple[bool, bool]:
        its = source_of(image)
        return bool(case) and (its is None or its.case != case), not image.visible

    return min(found, key=rank, default=None)


def role_of(layer: Layer) -> str:
    """Return the layer's role, or "" for a layer from elsewhere."""
    source = source_of(layer)
    return source.role if source else ""


def classes_of(layer: Layer) -> Mapping[int, str]:
    """Return value -> name as far as the layer knows it."""
    source = source_of(layer)
    return source.classes if source else {}


def ignore_of(layer: Layer) -> int | None:
    """Return the value whose voxels are in no table, as far as the layer knows one."""
    source = source_of(layer)
    return source.ignore if source else None


def file_of(layer: Layer) -> Path | None:
    """Return the file a layer was read from, when that is known."""
    source = source_of(layer)
    return source.volume.file if source and source.volume else None


def array_of(layer: Labels) -> Any:
    """Return a layer's voxels at full resolution: an array, or what gives arrays when indexed."""
    return layer.data[0] if layer.multiscale else layer.data


def spacing_mm_of(layer: Layer) -> tuple[float, ...]:
    """Return the voxel size along the last three axes; a unit that is no length counts as mm."""
    sizes = []
    for scale, unit in zip(layer.scale, layer.units, strict=True):
        length = unit.is_compatible_with("mm")
        sizes.append(abs(float(scale)) * (float((1 * unit).to("mm").magnitude) if length else 1.0))
    return tuple(sizes[-3:])


def layer_named(viewer: Viewer, name: str) -> Layer | None:
    """Return the layer of that name, or None."""
    return viewer.layers[name] if name and name in viewer.layers else None


def add(viewer: Viewer, tuples: Sequence[LayerTuple]) -> list[Layer]:
    """Add layer tuples on top and return the layers; edits of labels are remembered."""
    added = []
    for data, options, kind in tuples:
        layer = Layer.create(data, dict(options), kind)
        added.append(viewer.add_layer(layer))
        if isinstance(layer, Labels):
            watch_edits(layer)
        elif isinstance(layer, Image):
            low, high = layer.contrast_limits
            span = high - low
            wide = CT_RANGE if (low, high) == CT_WINDOW else (low - span, high + 2 * span)
            layer.contrast_limits_range = wide
    return added


def watch_edits(layer: Labels) -> None:
    """Remember in the layer's metadata that somebody painted (for questions before closing)."""

    layer.events.paint.connect(lambda: mark_edited(layer))
    layer.events.labels_update.connect(lambda: mark_edited(layer))
    mark_saved(layer)


def is_edited(layer: Layer) -> bool:
    """Return whether a labels layer was painted on since it was opened or saved."""
    return bool(layer.metadata.get(EDITED))


def mark_edited(layer: Layer) -> None:
    """Remember that a layer holds something that is on no disk."""
    layer.metadata[EDITED] = True


def mark_saved(layer: Layer) -> None:
    """Forget the edits of a layer: they are on disk."""
    layer.metadata[EDITED] = False


def show_case(viewer: Viewer, tuples: Sequence[LayerTuple]) -> list[str]:
    """Replace the layers of the case shown before; return the names of edited ones kept.

    The errors layer stays, empty and hidden, on the new case's grid: a new one takes longer.
    """
    kept, gone = [], []
    for layer in list(viewer.layers):
        source = source_of(layer)
        if source is None or not (source.case or source.role == ERRORS):
            continue
        if is_edited(layer):
            kept.append(layer.name)
            layer.visible = False
        elif source.role != ERRORS or not _emptied(layer, tuples):
            gone.append(layer)
    with viewer.layers.batched_update():  # napari cleans up once, not after every layer
        for layer in gone:
            viewer.layers.remove(layer)
    empty = len(viewer.layers) == 0
    added = add(viewer, tuples)
    errors = errors_layer(viewer)
    if errors is not None and added:
        viewer.layers.move(viewer.layers.index(errors), len(viewer.layers))
    if not empty and added:
        viewer.fit_to_view(layers=added)
    if added:
        middle = np.mean(added[0].extent.world, axis=0)
        go_to_world(viewer, middle, center=False)
    return kept


def show_pair(reference: Labels, prediction: Labels) -> None:
    """Draw the reference as a contour over the filled prediction."""
    reference.contour, reference.opacity = 1, 1.0
    prediction.contour, prediction.opacity = 0, 0.5
    for layer in (reference, prediction):
        if not layer.visible:  # or napari would take the tool out of the person's hand
            layer.visible = True


def write_voxels(layer: Labels, places: tuple[Array, ...], values: Array) -> None:
    """Write values into a layer's voxels, as one step that undo takes back."""
    with layer.block_history():
        layer.data_setitem(places, np.asarray(values).astype(layer.data.dtype))


# ---- the errors layer ------------------------------------------------------------------
def show_errors(viewer: Viewer, like: Labels, codes: Array, colours: Mapping[int, RGBA]) -> Labels:
    """Show voxels of the code array in these colours, all others clear; one layer, on top.

    `codes` lies along the axes of `like`. The layer is made once; after that its voxels and
    colours change (a few milliseconds).
    """
    shown: dict[int | None, RGBA] = {None: CLEAR, 0: CLEAR}
    shown.update((code, colour) for code, colour in colours.items())
    colormap = DirectLabelColormap(color_dict=shown)
    layer = errors_layer(viewer)
    place = {name: getattr(like, name) for name in PLACE}
    if layer is None or layer.ndim != codes.ndim:
        if layer is not None:
            viewer.layers.remove(layer)
        selected = list(viewer.layers.selection)
        layer = Labels(
            codes,
            name=ERRORS,
            **place,
            colormap=colormap,
            opacity=1.0,
            blending="translucent_no_depth",  # in 3-D seen through the organ around them
            metadata={KEY: Source(ERRORS)},
        )
        # napari 0.9.2 cannot tell the value under a cursor that never moved in 3-D
        over, viewer.mouse_over_canvas = viewer.mouse_over_canvas, False
        viewer.add_layer(layer)
        layer.editable = False
        viewer.layers.selection = selected
        viewer.mouse_over_canvas = over
        return layer
    _fill_errors(layer, codes, place)
    layer.colormap = colormap
    layer.visible = True
    return layer


def _fill_errors(layer: Labels, codes: Array, place: Mapping[str, Any]) -> None:
    """Give the errors layer other voxels, on the grid that they have."""
    if layer.data is not codes:
        layer.data = codes
        layer.editable = False
    for name in PLACE:
        if name == "units" or not np.array_equal(getattr(layer, name), place[name]):
            setattr(layer, name, place[name])


def _emptied(errors: Layer, tuples: Sequence[LayerTuple]) -> bool:
    """Hide the errors layer and put it, empty, on the grid of a new case; False if it has none."""
    grids = [(data.shape, options) for data, options, kind in tuples if kind == "labels"]
    if not isinstance(errors, Labels) or not grids or len(grids[0][0]) != errors.ndim:
        return False
    errors.visible = False
    shape, options = grids[0]
    _fill_errors(errors, np.broadcast_to(np.uint8(0), shape), options)
    return True


def errors_layer(viewer: Viewer) -> Labels | None:
    """Return the errors layer when there is one."""
    for layer in viewer.layers:
        if isinstance(layer, Labels) and role_of(layer) == ERRORS:
            return layer
    return None


def hide_errors(viewer: Viewer) -> None:
    """Hide the errors layer when there is one."""
    layer = errors_layer(viewer)
    if layer is not None:
        layer.visible = False


# ---- the view --------------------------------------------------------------------------
class _Arrivals:
    """Tells who follows the view (the crosshair) where it was sent: viewer, world position."""

    went = Signal(object, object)


ARRIVALS = _Arrivals()


def go_to(
    viewer: Viewer,
    layer: Layer,
    point: Sequence[float],
    box: tuple[slice, ...] | None = None,
) -> None:
    """Show the slice of a voxel of a layer and centre it; with `box`, zoom to that box."""
    world = np.asarray(layer.data_to_world(point), dtype=float)
    go_to_world(viewer, world)
    if box is None:
        return
    corners = np.array([[one.start - 0.5 for one in box], [one.stop - 0.5 for one in box]])
    low, high = sorted_rows(np.array([layer.data_to_world(corner) for corner in corners]))
    displayed = _displayed(viewer, len(world))
    extent = np.maximum((high - low)[displayed], 1e-6)
    if viewer.dims.ndisplay == 3:  # whichever way it is turned
        extent = np.full(3, np.linalg.norm(extent))
    canvas = np.asarray(viewer.canvas.viewbox_size(viewer.layers), dtype=float)
    most = min(40.0, float(canvas.min()) / 20.0)  # at least 20 mm stay in sight
    fit = 0.6 * float(np.min(canvas[-2:] / extent[-2:]))
    viewer.scene.camera.zoom = min(fit, most)
    viewer.scene.camera.center = tuple(((low + high) / 2)[displayed])


def go_to_world(viewer: Viewer, world: npt.NDArray[np.float64], *, center: bool = True) -> None:
    """Show the slice at a position in the viewer's millimetres, and centre it."""
    n = len(world)
    offset = viewer.dims.ndim - n
    hidden = [axis - offset for axis in viewer.dims.not_displayed if axis >= offset]
    viewer.dims.set_point([axis + offset for axis in hidden], [float(world[a]) for a in hidden])
    if center:
        viewer.scene.camera.center = tuple(float(world[a]) for a in _displayed(viewer, n))
        ARRIVALS.went.emit(viewer, world)


def _displayed(viewer: Viewer, n: int) -> list[int]:
    offset = viewer.dims.ndim - n
    return [axis - offset for axis in viewer.dims.displayed if axis >= offset]


def sorted_rows(corners: npt.NDArray[np.float64]) -> tuple[Array, Array]:
    """Return the lowest and the highest value of every column."""
    return corners.min(axis=0), corners.max(axis=0)
