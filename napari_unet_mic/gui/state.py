"""What is open in one viewer: dataset, workspace, plan, run, case, comparison.

Panels read and listen; only `app.App` and the panels' controllers write. There is no Qt
here: every field announces its changes through ``state.events.<field>`` (psygnal), always
emitted on the thread that assigned it, which must be the GUI thread.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from psygnal import SignalGroupDescriptor

if TYPE_CHECKING:
    from napari_unet_mic.data.dataset import Case, Dataset
    from napari_unet_mic.data.volume import Volume
    from napari_unet_mic.data.workspace import Workspace
    from napari_unet_mic.evaluation.overlap import ClassScore
    from napari_unet_mic.evaluation.results import SurfaceScore
    from napari_unet_mic.planning.plan import Plan


@dataclass(frozen=True, eq=False)
class OpenCase:
    """A case whose image and reference have been read."""

    case: Case
    image: Volume = field(repr=False)
    reference: Volume | None = field(repr=False)

    @property
    def name(self) -> str:
        """The case's name, which also begins the names of its layers."""
        return self.case.name


@dataclass(frozen=True, eq=False)
class Comparison:
    """One reference layer against one prediction layer.

    `table` is (K, K) int64: rows true class, columns predicted class, cells voxels; row and
    column r stand for ``class_values[r]``. `codes` holds ``true * n_codes + predicted`` (class
    values) of every voxel, along the layers' own axes; it is brought up to date in place.
    """

    reference_layer: str
    prediction_layer: str
    class_values: tuple[int, ...]
    class_names: tuple[str, ...]
    table: npt.NDArray[np.int64]
    scores: tuple[ClassScore, ...]
    spacing_mm: tuple[float, ...]
    codes: npt.NDArray[Any] = field(repr=False)
    n_codes: int
    ignore: int | None = None

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres; a leading time axis has no part in it."""
        return math.prod(self.spacing_mm[-3:]) / 1000.0

    def code(self, true_row: int, predicted_column: int) -> int:
        """Return the code of a cell of the table."""
        true, predicted = self.class_values[true_row], self.class_values[predicted_column]
        return true * self.n_codes + predicted


@dataclass(frozen=True, eq=False)
class Surfaces:
    """HD95 and NSD of the comparison's classes; classes in `pending` are being measured."""

    tolerance_mm: float
    scores: Mapping[int, SurfaceScore]
    pending: frozenset[int]

    def of(self, value: int) -> SurfaceScore | None:
        """Return a class's figures; None while they are not known."""
        return None if value in self.pending else self.scores.get(value)


@dataclass(frozen=True, eq=False)
class Difference:
    """A second prediction layer beside the first, against one reference layer.

    `table` is (K, 4) int64: rows true class (row r stands for ``class_values[r]``), columns as
    `napari_unet_mic.evaluation.difference.STATES`. `codes` holds ``4 * true + state`` (class
    values) of every voxel, along the layers' own axes; it is brought up to date in place.
    """

    second_layer: str
    class_values: tuple[int, ...]
    class_names: tuple[str, ...]
    table: npt.NDArray[np.int64]
    spacing_mm: tuple[float, ...]
    codes: npt.NDArray[Any] = field(repr=False)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres; a leading time axis has no part in it."""
        return math.prod(self.spacing_mm[-3:]) / 1000.0


@dataclass(eq=False)
class State:
    """Everything the panels of one viewer share.

    Attributes
    ----------
    dataset, workspace, plan, configuration, run_folder
        What training and prediction work with.
    case
        The case shown in the viewer.
    reference_layer, prediction_layer
        Names of the labels layers under comparison; "" when none is chosen.
    comparison
        The newest complete comparison of these two layers.
    surfaces
        Its HD95 and NSD, which follow a moment later.
    difference
        What a second prediction fixed and broke, when one is chosen.
    busy, message
        What is going on, and the last thing that was said; "" when there is nothing to say.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor(
        equality_operators=dict.fromkeys(
            ("dataset", "workspace", "plan", "case", "comparison", "surfaces", "difference"),
            operator.is_,
        )
    )

    dataset: Dataset | None = None
    workspace: Workspace | None = None
    plan: Plan | None = None
    configuration: str = ""
    run_folder: Path | None = None
    case: OpenCase | None = None
    reference_layer: str = ""
    prediction_layer: str = ""
    comparison: Comparison | None = None
    surfaces: Surfaces | None = None
    difference: Difference | None = None
    busy: str = ""
    message: str = ""

    def class_names(self) -> dict[int, str]:
        """Class value -> name of the open dataset, or just the background."""
        return dict(self.dataset.classes) if self.dataset else {0: "background"}
