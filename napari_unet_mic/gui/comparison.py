"""Two labels layers compared in the background, and kept compared while somebody paints.

Two layers of the viewer enter, `state.comparison` leaves. The code array of the first full
count is a shadow of both layers: after any event that may mean a change the layers are
compared with it, in a thread, and only what differs is counted again. So the numbers are
right after strokes, fills, undo and replaced data alike, whatever events napari fires.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer

from napari_unet_mic.errors import BadInput, UnknownClass
from napari_unet_mic.evaluation.confusion import code_array, table_of_codes, update_codes
from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.gui import layer_grids, layers
from napari_unet_mic.gui.state import Comparison

if TYPE_CHECKING:
    from napari_unet_mic.gui.app import App

Array = npt.NDArray[Any]
LOOK_AGAIN_MS = 80


@dataclass(frozen=True, eq=False)
class Pair:
    """What a comparison needs to know of two layers; made on the GUI thread."""

    names: tuple[str, str]
    reference: Array
    prediction: Array
    classes: Mapping[int, str]
    spacing_mm: tuple[float, ...]
    ignore: int | None


def compare(pair: Pair) -> tuple[Comparison, npt.NDArray[np.int64]]:
    """Count a pair: the comparison, and the raw table over all code values.

    Classes that are declared or occur have a row; values between them that nobody uses
    have none.

    Raises
    ------
    BadInput
        When the maps hold numbered objects rather than classes.
    UnknownClass
        When a value is negative.
    """
    n_codes = 1 + max(
        _highest(pair.reference, pair.ignore),
        _highest(pair.prediction, None),
        *(pair.classes or [0]),
        1,
    )
    if n_codes > 255:
        raise BadInput(
            pair.names[0],
            expected="class maps with values up to 254",
            got=f"a value of {n_codes - 1}",
            advice="compare classes, not numbered objects",
        )
    codes = code_array(pair.reference, pair.prediction, n_codes, pair.ignore, names=pair.names)
    raw = table_of_codes(codes, n_codes)
    return described(pair, codes, raw), raw


def described(pair: Pair, codes: Array, raw: npt.NDArray[np.int64]) -> Comparison:
    """Return the comparison of a raw table: the rows people look at, with names and scores."""
    used = set(np.flatnonzero(raw.sum(axis=0) + raw.sum(axis=1)).tolist())
    values = tuple(sorted(used | set(pair.classes) | {0}))
    table = raw[np.ix_(values, values)]
    scores = tuple(
        replace(score, value=value) for score, value in zip(scores_of(table), values, strict=True)
    )
    return Comparison(
        reference_layer=pair.names[0],
        prediction_layer=pair.names[1],
        class_values=values,
        class_names=tuple(name_of(value, pair.classes) for value in values),
        table=table,
        scores=scores,
        spacing_mm=pair.spacing_mm,
        codes=codes,
        n_codes=len(raw),
        ignore=pair.ignore,
    )


def name_of(value: int, classes: Mapping[int, str]) -> str:
    """Return a class's name, or a plain one when nobody gave it any."""
    return classes.get(value, "background" if value == 0 else f"class {value}")


def _highest(labels: Array, ignore: int | None) -> int:
    if labels.size == 0:
        return 0
    highest = int(labels.max())
    if ignore is not None and highest == ignore:
        return int(labels.max(where=labels != ignore, initial=0))
    return highest


class Comparer(QObject):
    """Keeps `state.comparison` true for the chosen pair of layers."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._layers: tuple[Labels, Labels] | None = None
        self._pair: Pair | None = None
        self._raw: npt.NDArray[np.int64] | None = None
        self._disconnect: list[Callable[[], None]] = []
        self._looking = False
        self._again = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LOOK_AGAIN_MS)
        self._timer.timeout.connect(self._look)
        app.on_close.append(self._stop)
        self.on_failed: Callable[[BaseException], None] = app.show_error

    @property
    def layers(self) -> tuple[Labels, Labels] | None:
        """Reference and prediction layer under comparison."""
        return self._layers

    def choose(self, reference: Labels | None, prediction: Labels | None) -> None:
        """Compare two layers from now on (or none).

        Raises
        ------
        GridMismatch
            When they do not lie on one grid.
        """
        self._stop()
        if reference is None or prediction is None:
            return
        if reference is prediction:
            raise BadInput(
                reference.name,
                expected="two different layers",
                got="the same one twice",
                advice="choose another prediction",
            )
        displacement = layer_grids.check_comparable(reference, prediction)
        if displacement > 0.01:
            self._app.say(
                f"{prediction.name} lies {displacement:.2g} voxels beside {reference.name}; "
                "compared voxel by voxel"
            )
        self._layers = (reference, prediction)
        self._disconnect = [
            layers.on_labels_changed(layer, self._on_maybe_changed)
            for layer in (reference, prediction)
        ]
        self._count_all()

    def recount(self) -> None:
        """Count everything again, for example after class names changed."""
        if self._layers is not None:
            self._count_all()

    def _stop(self) -> None:
        for disconnect in self._disconnect:
            disconnect()
        self._disconnect, self._layers, self._pair, self._raw = [], None, None, None
        self._timer.stop()
        if not self._app.closed:
            self._app.state.comparison = None

    def _count_all(self) -> None:
        self._pair = self._pair_now()
        self._raw = None
        self._app.in_thread(
            compare,
            self._pair,
            topic="comparison",
            busy="Comparing…",
            on_done=self._on_compared,
            on_error=lambda error: self.on_failed(error),
        )

    def _pair_now(self) -> Pair:
        assert self._layers is not None
        reference, prediction = self._layers
        dataset = self._app.state.dataset
        ours = [layers.source_of(layer) for layer in self._layers]
        of_dataset = dataset is not None and any(
            source and source.role in ("reference", "prediction") for source in ours
        )
        classes = {**layers.classes_of(prediction), **layers.classes_of(reference)}
        ignore = layers.ignore_of(reference)
        if ignore is None and of_dataset and dataset is not None:
            ignore = dataset.ignore_value
        return Pair(
            names=(reference.name, prediction.name),
            reference=np.asarray(layers.array_of(reference)),
            prediction=np.asarray(layers.array_of(prediction)),
            classes=dict(sorted(classes.items())),
            spacing_mm=tuple(float(s) for s in reference.scale),
            ignore=ignore,
        )

    def _on_compared(self, answer: tuple[Comparison, npt.NDArray[np.int64]]) -> None:
        self._app.state.comparison, self._raw = answer
        if self._again:
            self._again = False
            self._timer.start()

    # ---- live ------------------------------------------------------------------------
    def _on_maybe_changed(self) -> None:
        if self._layers is not None and not self._timer.isActive():
            self._timer.start()

    def _look(self) -> None:
        """Compare the layers with the shadow, in a thread; one look at a time."""
        comparison = self._app.state.comparison
        if self._layers is None:
            return
        if self._looking or comparison is None or self._raw is None:
            self._again = True
            return
        pair = self._pair_now()
        if pair.reference.shape != comparison.codes.shape:
            self._count_all()
            return
        self._looking = True
        self._app.in_thread(
            update_codes,
            comparison.codes,
            pair.reference,
            pair.prediction,
            comparison.n_codes,
            pair.ignore,
            names=pair.names,
            on_done=lambda change: self._on_looked(comparison, pair, change),
            on_error=self._on_look_failed,
        )

    def _on_looked(self, comparison: Comparison, pair: Pair, change: npt.NDArray[Any]) -> None:
        self._looking = False
        if self._app.state.comparison is comparison and self._raw is not None and change.any():
            self._raw = self._raw + change
            self._app.state.comparison = described(pair, comparison.codes, self._raw)
        if self._again:
            self._again = False
            self._timer.start()

    def _on_look_failed(self, error: BaseException) -> None:
        self._looking = self._again = False
        if isinstance(error, UnknownClass) and self._layers is not None:
            self._count_all()  # a new class was painted
        else:
            self._app.show_error(error)


def suggested_pair(candidates: Sequence[Labels]) -> tuple[Labels, Labels] | None:
    """Return the likely (reference, prediction): by role, then by name, then by order."""
    references = [layer for layer in candidates if _says(layer, ("reference", "label", "gt"))]
    predictions = [layer for layer in candidates if _says(layer, ("prediction", "pred", "output"))]
    for reference in references:
        for prediction in [*predictions, *candidates]:
            if prediction is not reference and prediction.data.shape == reference.data.shape:
                return reference, prediction
    if references and predictions and references[0] is not predictions[0]:
        return references[0], predictions[0]  # the inspector says why they do not fit
    if len(candidates) >= 2:
        return candidates[0], candidates[1]
    return None


def _says(layer: Labels, words: tuple[str, ...]) -> bool:
    role = layers.role_of(layer)
    if role in ("reference", "prediction"):
        return role == words[0]
    return any(word in layer.name.lower() for word in words)
