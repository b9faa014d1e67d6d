"""HD95, NSD and regions follow a moment later, and are never shown when they are old."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.evaluation import surface
from napari_unet_mic.evaluation.surface import surface_scores
from napari_unet_mic.gui import confidence, inspector_tables, later_figures, layers, region_table
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.later_figures import LaterFigures
from napari_unet_mic.gui.lit_voxels import LitCell
from napari_unet_mic.gui.tables import TableModel

SPACING = (3.0, 1.0, 1.5)
Until = Callable[..., None]


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Class 1 displaced, class 2 missed, class 3 in neither, class 4 right."""
    reference = np.zeros((8, 24, 24), np.uint8)
    reference[1:7, 4:16, 4:16] = 1
    reference[3, 6:9, 6:9] = 2
    reference[2:5, 18:22, 18:22] = 4
    prediction = np.where(reference == 2, 1, reference)
    prediction[1:7, 14:17, 4:16] = 1
    return reference, prediction


@pytest.fixture
def figures(app: App, until: Until) -> LaterFigures:
    for name, array in zip(("reference", "prediction"), maps(), strict=True):
        layer = app.viewer.add_labels(array, name=name, scale=SPACING)
        classes = {0: "outside", 1: "liver", 2: "cancer", 3: "vein", 4: "spleen"}
        layer.metadata[layers.KEY] = layers.Source(name, classes=classes)
    comparer = Comparer(app)
    figures = LaterFigures(app, comparer)
    comparer.choose(*app.viewer.layers)
    until(lambda: measured(app))
    return figures


def measured(app: App) -> bool:
    return app.state.surfaces is not None and not app.state.surfaces.pending


def asked(figures: LaterFigures, until: Until, *cell: int | None) -> tuple[Any, ...]:
    found: list[Any] = []
    until(lambda: figures.mistakes is not None)
    figures.ask(*cell, 0, lambda regions: found.append(regions))
    until(lambda: bool(found))
    return found[0].regions


def test_the_table_shows_what_the_core_measures(app: App, figures: LaterFigures) -> None:
    scores = surface_scores(*maps(), range(5), SPACING, tolerance_mm=1.0)
    assert app.state.surfaces.scores == scores
    model = inspector_tables.class_model()
    inspector_tables.show_classes(model, app.state.comparison, app.state.surfaces)
    at = [model.columns.index(name) for name in ("class", "HD95 mm", "NSD 1 mm", "note")]
    shown = [[model.text(row, column) for column in at] for row in range(5)]
    assert shown == [
        ["outside", "–", "–", ""],
        ["liver", f"{scores[1].hd95_mm:.1f}", f"{scores[1].nsd:.3f}", ""],
        ["cancer", "–", "0.000", "missed"],
        ["vein", "–", "–", "absent"],
        ["spleen", "0.0", "1.000", ""],
    ]


def test_an_old_number_is_never_shown_as_the_present_one(
    app: App, figures: LaterFigures, until: Until
) -> None:
    model: TableModel = inspector_tables.class_model()
    seen: list[list[str]] = []

    def show(*_: Any) -> None:
        inspector_tables.show_classes(model, app.state.comparison, app.state.surfaces)
        seen.append([model.text(row, model.columns.index("HD95 mm")) for row in range(5)])

    app.state.events.comparison.connect(show)
    app.state.events.surfaces.connect(show)
    prediction = app.viewer.layers["prediction"]
    prediction.data_setitem(tuple(np.array([i]) for i in (6, 20, 2)), 1)
    until(lambda: len(seen) > 0)
    until(lambda: measured(app))
    assert seen[0] == ["–", "…", "–", "–", "0.0"]  # the spleen was not touched
    assert "…" not in seen[-1]
    scores = surface_scores(
        *(layer.data for layer in app.viewer.layers), range(5), SPACING, tolerance_mm=1.0
    )
    assert app.state.surfaces.scores == scores


def test_only_touched_classes_are_measured_again(
    app: App, figures: LaterFigures, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[list[int]] = []
    each = surface.each_surface_score

    def counting(reference: Any, prediction: Any, values: Any, *args: Any, **options: Any) -> Any:
        asked_for.append(list(values))
        return each(reference, prediction, values, *args, **options)

    monkeypatch.setattr(surface, "each_surface_score", counting)
    prediction = app.viewer.layers["prediction"]
    prediction.data_setitem(tuple(np.array([i]) for i in (3, 7, 7)), 2)  # liver to cancer
    until(lambda: not measured(app))
    until(lambda: measured(app))
    assert asked_for == [[1, 2]]
    figures.set_tolerance(2.0)
    until(lambda: app.state.surfaces.tolerance_mm == 2.0 and measured(app))
    assert asked_for[1] == [1, 2, 3, 4]
    expected = surface_scores(
        *(layer.data for layer in app.viewer.layers), range(5), SPACING, tolerance_mm=2.0
    )
    assert app.state.surfaces.scores == expected


def test_a_stale_answer_is_dropped(
    app: App, figures: LaterFigures, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_figures, "QUIET_MS", 0)
    prediction = app.viewer.layers["prediction"]
    answers: list[Any] = []
    for value in (1, 2, 4, 0, 4):  # each change comes while the answers to the last are made
        before = app.state.comparison
        prediction.data_setitem(tuple(np.array([i]) for i in (6, 20, 2)), value)
        until(lambda before=before: app.state.comparison is not before)
        figures.ask(0, 4, 0, answers.append)
    until(lambda: measured(app))
    (spurious,) = asked(figures, until, 0, 4)
    assert (spurious.kind, spurious.point, spurious.voxels) == ("spurious lesion", (6, 20, 2), 1)
    assert all(one.regions in ((), (spurious,)) for one in answers)
    expected = surface_scores(
        *(layer.data for layer in app.viewer.layers), range(5), SPACING, tolerance_mm=1.0
    )
    assert app.state.surfaces.scores == expected


def test_the_tolerance_widens_the_rim(app: App, figures: LaterFigures, until: Until) -> None:
    prediction = app.viewer.layers["prediction"]
    prediction.data[1:7, 16:20, 4:16] = 1
    prediction.refresh()
    until(lambda: not measured(app))
    until(lambda: measured(app))
    assert [one.kind for one in asked(figures, until, 0, 1)] == ["inside", "rim"]
    figures.set_tolerance(4.0)
    until(lambda: measured(app))
    assert [one.kind for one in asked(figures, until, 0, 1)] == ["rim"]


def test_nothing_is_kept_when_nothing_is_compared(app: App, figures: LaterFigures) -> None:
    app.state.comparison = None
    assert app.state.surfaces is None
    assert figures.mistakes is None


def test_too_many_wrong_voxels_are_listed_anew_for_every_question(
    app: App, figures: LaterFigures, until: Until
) -> None:
    app.viewer.layers["prediction"].data = np.ones((8, 24, 24), np.uint8)
    until(lambda: not measured(app))
    until(lambda: measured(app))
    assert figures.mistakes is None
    found: list[Any] = []
    figures.mistakes_found.connect(lambda: figures.ask(4, 1, 0, found.append))
    figures.ask(4, 1, 0, found.append)
    until(lambda: bool(found))
    assert [(one.kind, one.voxels) for one in found[-1].regions] == [("missed lesion", 48)]


def test_the_time_point_in_sight_is_measured(app: App, until: Until) -> None:
    """The table counts all time points; regions, HD95 and NSD are those of the one shown."""
    reference, prediction = maps()
    series = np.stack([reference, reference]), np.stack([reference, prediction])
    comparer = Comparer(app)
    figures = LaterFigures(app, comparer)
    pair = [app.viewer.add_labels(one, scale=(60, *SPACING)) for one in series]
    app.viewer.dims.set_current_step(0, 0)
    comparer.choose(*pair)
    until(lambda: measured(app))
    assert app.state.comparison.spacing_mm == SPACING
    assert app.state.comparison.table.sum() == 2 * reference.size
    assert app.state.surfaces.of(1).hd95_mm == 0
    assert asked(figures, until, None, None) == ()
    app.viewer.dims.set_current_step(0, 1)
    until(lambda: not measured(app))
    until(lambda: measured(app))
    assert app.state.surfaces.scores == surface_scores(reference, prediction, (1, 2, 4), SPACING)
    missed = asked(figures, until, 2, 1)[0]
    assert missed.point == (1, 3, 7, 7)
    assert missed.box == (slice(1, 2), slice(3, 4), slice(6, 9), slice(6, 9))
    layers.go_to(app.viewer, pair[0], missed.point)
    assert app.viewer.dims.current_step[:2] == (1, 3)


@pytest.mark.parametrize("affine", ["as scanned", "turned"])
def test_confidence_comes_from_the_probabilities_beside_the_label(
    app: App,
    until: Until,
    tmp_path: Path,
    affine: str,
    write_nifti: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = {"as scanned": np.diag([-1.5, -1, 3, 1.0]), "turned": np.eye(4)[[2, 0, 1, 3]]}
    reference, prediction = maps()
    files = [
        write_nifti(f"{name}.nii.gz", array.T, turns[affine])
        for name, array in (("reference", reference), ("case_1", prediction))
    ]
    rng = np.random.default_rng(1)
    shares = rng.random((5, *reference.shape)).astype(np.float32)
    np.savez_compressed(tmp_path / "case_1.npz", probabilities=shares)
    made = [
        layers.labels_tuple(read_labels(file), name=role, role=role)
        for file, role in zip(files, ("reference", "prediction"), strict=True)
    ]
    pair = layers.add(app.viewer, made)
    comparer = Comparer(app)
    figures = LaterFigures(app, comparer)
    comparer.choose(*pair)

    def known() -> bool:
        return figures.mistakes is not None and figures.mistakes.errors.confidence is not None

    until(known)
    missed = asked(figures, until, 2, 1)[0]
    assert missed.confidence == pytest.approx(shares[2][reference == 2].mean(), abs=1e-3)
    model = region_table.region_model()
    region_table.show_regions(model, (missed,), LitCell(app, comparer, figures, (2, 1)), 0.005)
    assert model.columns[-1] == "confidence"
    assert model.text(0, 5) == f"{missed.confidence:.2f}"
    # correcting a voxel needs no second reading
    monkeypatch.setattr(confidence, "probabilities_at", None)
    z, y, x = missed.point
    pair[1].data_setitem(tuple(np.array([i]) for i in (z, y, x)), 2)
    until(lambda: not known())
    until(known)
    rest = asked(figures, until, 2, 1)
    assert sum(one.voxels for one in rest) == missed.voxels - 1


def test_without_probabilities_there_is_no_column(
    app: App, figures: LaterFigures, until: Until
) -> None:
    model = region_table.region_model()
    lit = LitCell(app, figures._comparer, figures, (None, None))
    region_table.show_regions(model, asked(figures, until, None, None), lit, 0.005)
    assert model.columns == ["#", "kind", "ml", "voxels", "slice"]
    assert model.tooltip_of is not None
    assert model.tooltip_of(0, 0).startswith("cancer taken for liver.")
