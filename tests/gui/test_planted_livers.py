"""Panel, lesions.csv and command say the same of the synthetic livers; what Predict wrote opens."""

from collections.abc import Callable
from pathlib import Path

import planted_livers as planted
import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.imperfect import imperfect_prediction
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.volume import read_labels, write_labels
from napari_unet_mic.evaluation.lesion import MATCHES, meets
from napari_unet_mic.evaluation.lesion_figures import figures_of, lesions_by_case
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.lesions_page import LesionsPage
from napari_unet_mic.gui.prediction_work import evaluate

Until = Callable[..., None]


def opened(app: App, until: Until, folder: Path) -> LesionsPage:
    app.viewer.window._qt_window.resize(1366, 768)
    app.viewer.window._qt_window.show()
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    panel.cases.open(folder)
    until(lambda: panel.cases.means_model.rowCount() > 0)
    panel.cases.parts.bring_forward("Lesions")
    page: LesionsPage = panel.cases.lesions
    assert not page.count.isVisibleTo(page)  # nothing is left to be looked for
    return page


def test_panel_file_and_command_agree_on_planted_tumours(
    app: App, until: Until, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = planted.write(tmp_path)
    reference, prediction = str(tmp_path / "labelsTr"), str(tmp_path / "p")
    words = ["evaluate", "--reference", reference, "--prediction", prediction]
    assert main([*words, "--tolerance-mm", "1", "-o", str(tmp_path / "e")]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    page = opened(app, until, tmp_path / "e")
    for match in MATCHES:
        page.match.setCurrentIndex(page.match.findData(match))
        found = sum(meets(match, one.iou) for one in expected)
        spurious = sum(one.kept > 0 and not meets(match, one.iou) for one in expected)
        spurious += len(planted.MADE_UP)
        counts = (found, len(expected) - found, spurious)
        said = "{} found · {} missed · {} spurious".format(*counts)
        until(lambda said=said: page.title.whole == said)
        line = [*MATCHES[match].split(), *map(str, counts)]
        assert line in [row[: len(line)] for row in printed]
        states = [one.state for _, one in page.shown]
        assert states.count("missed") == len(expected) - found


def test_what_predict_wrote_opens_with_its_lesions(app: App, until: Until, tmp_path: Path) -> None:
    dataset = open_dataset(write_liver(tmp_path / "d", 2, (16, 32, 32), n_test=2))
    names = tuple(case.name for case in dataset.test)
    for seed, name in enumerate(names):
        reference = read_labels(tmp_path / "d" / "labelsTr" / f"{name}.nii.gz")
        predicted = imperfect_prediction(reference, seed)
        write_labels(tmp_path / "p" / f"{name}.nii.gz", predicted.array, reference)
    found = evaluate(
        dataset,
        names,
        tmp_path / "p",
        tmp_path / "e",
        progress=lambda *_: None,
        should_stop=lambda: False,
    )
    figures = figures_of(lesions_by_case(found).values(), 2, "any")
    assert min(figures.found, figures.missed, figures.spurious) > 0
    page = opened(app, until, tmp_path / "e")
    until(lambda: page.title.whole == figures.words)
