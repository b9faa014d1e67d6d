import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unet_mic.data.volume import Volume, read_image, read_labels, write_image
from napari_unet_mic.errors import (
    BadCheckpoint,
    BadInput,
    Cancelled,
    ChannelMismatch,
    NotYet,
    StageMismatch,
)
from napari_unet_mic.inference import precision
from napari_unet_mic.inference.inputs import InputCase, case_name, find_inputs
from napari_unet_mic.inference.memory import estimate
from napari_unet_mic.inference.predictor import CaseEvent, Predictor, predict_files
from napari_unet_mic.preprocessing.pipeline import properties_of

MakeModel = Callable[..., Path]

OBLIQUE = np.array([[-0.9, 0.2, 0, 5], [0.2, 0.9, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1]])


def image_of(shape: tuple[int, ...] = (1, 9, 20, 17), seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return Volume.from_array(values, affine=OBLIQUE)


def open_cpu(model: Path, **options: object) -> Predictor:
    return Predictor.open(model, device="cpu", precision="float32", **options)  # type: ignore[arg-type]


def test_image_is_predicted_on_its_own_grid_and_choices_are_said(make_model: MakeModel) -> None:
    predictor = open_cpu(make_model())
    assert (predictor.n_channels, predictor.n_classes, predictor.mirror_axes) == (1, 3, ())
    said = " ".join(predictor.sentences)
    for words in ("3d_fullres, fold 0", "CPU", "float32", "Mirroring is off: on a CPU", "8 times"):
        assert words in said
    done: list[tuple[int, int]] = []
    found = predictor.predict(
        image_of(), probabilities=True, progress=lambda a, b: done.append((a, b))
    )
    assert found.labels.shape == (9, 20, 17)
    assert found.probabilities is not None
    assert np.array_equal(found.probabilities.argmax(0), found.labels)
    assert set(found.seconds) == {"prepare", "network", "export"}
    assert done[-1][0] == done[-1][1]


def test_folds_and_mirror_images_are_averaged_as_logits(make_model: MakeModel) -> None:
    model = make_model(n_folds=2)
    data = torch.from_numpy(image_of().array)
    one, two = (open_cpu(model, folds=[fold]).logits(data) for fold in (0, 1))
    predictor = open_cpu(model)
    assert predictor.folds == (0, 1)
    for _ in range(2):  # the weights of the folds stay apart
        assert torch.allclose(predictor.logits(data), (one + two) / 2, atol=1e-6)
    mirrored = open_cpu(model, folds=["0"], mirroring=True)
    assert mirrored.mirror_axes == (0, 1, 2)
    assert not torch.allclose(mirrored.logits(data), one, atol=1e-3)


def test_two_dimensional_network_predicts_every_slice(make_model: MakeModel) -> None:
    predictor = open_cpu(make_model("2d"), mirroring=True)
    volume = image_of()
    logits = predictor.logits(torch.from_numpy(volume.array))
    alone = predictor.logits(torch.from_numpy(volume.array[:, 4:5]))
    assert torch.allclose(logits[:, 4:5], alone, atol=1e-5)


def test_other_channel_count_is_refused(make_model: MakeModel) -> None:
    predictor = open_cpu(make_model())
    with pytest.raises(ChannelMismatch, match=r"expected 1 channel, .*got 2"):
        predictor.predict(image_of((2, 9, 20, 17)))


def test_plan_of_another_model_is_refused(make_model: MakeModel) -> None:
    model = make_model()
    raw = json.loads((model / "plans.json").read_text())
    arguments = raw["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    arguments["n_stages"] = 4
    for key in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage"):
        arguments[key].append(arguments[key][-1])
    arguments["n_conv_per_stage_decoder"].append(2)
    (model / "plans.json").write_text(json.dumps(raw))
    with pytest.raises(StageMismatch, match=r"4 stages = 3 poolings \+ 1.*stage 3 .*missing"):
        open_cpu(model)


def test_missing_fold_and_cascade_are_refused(make_model: MakeModel) -> None:
    model = make_model()
    with pytest.raises(BadCheckpoint, match="fold 4, got final in fold_0"):
        open_cpu(model, folds=[4])
    raw = json.loads((model / "plans.json").read_text())
    raw["configurations"]["3d_fullres"]["previous_stage"] = "2d"
    (model / "plans.json").write_text(json.dumps(raw))
    with pytest.raises(NotYet, match="cascade"):
        open_cpu(model)


def write_cases(folder: Path, n: int) -> list[InputCase]:
    for index in range(n):
        volume = image_of(seed=index)
        write_image(folder / f"case_{index}.nii.gz", volume.array, volume)
    return find_inputs(folder, 1)


@pytest.mark.parametrize("overlap", [False, True])
def test_bad_case_is_reported_and_the_others_go_on(
    make_model: MakeModel, tmp_path: Path, overlap: bool
) -> None:
    cases = write_cases(tmp_path / "in", 2)
    broken = tmp_path / "in" / "broken.nii.gz"
    broken.write_bytes(cases[0].files[0].read_bytes()[:300])
    two = image_of((2, 9, 20, 17))
    write_image(tmp_path / "in" / "wide.nii.gz", two.array, two)
    events: list[CaseEvent] = []
    said: list[str] = []
    summary = predict_files(
        open_cpu(make_model()),
        find_inputs(tmp_path / "in", 1),
        tmp_path / "out",
        events.append,
        report=said.append,
        overlap=overlap,
    )
    assert [(e.name, e.kind) for e in events] == [
        ("broken", "failed"),
        ("case_0", "done"),
        ("case_1", "done"),
        ("wide", "failed"),
    ]
    assert "broken.nii.gz" in summary.failed["broken"]
    assert any("expected 1 channel," in sentence for sentence in said)
    assert str(summary) == "2 cases predicted, 2 failed (broken, wide)"
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "case_0.nii.gz",
        "case_1.nii.gz",
    ]
    source, written = read_image(cases[0].files), read_labels(tmp_path / "out" / "case_0.nii.gz")
    assert np.array_equal(source.affine, written.affine)
    assert source.header["sform_code"] == written.header["sform_code"]


def test_cases_overlap_without_changing_anything(make_model: MakeModel, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "in", 4)
    predictor = open_cpu(make_model())
    for name, overlap in (("a", False), ("b", True)):
        summary = predict_files(predictor, cases, tmp_path / name, overlap=overlap)
        assert [event.name for event in summary.events] == [case.name for case in cases]
    for case in cases:
        one, two = ((tmp_path / n / f"{case.name}.nii.gz").read_bytes() for n in "ab")
        assert one == two
    with pytest.raises(Cancelled):
        predict_files(predictor, cases, tmp_path / "c", None, lambda: True, overlap=True)
    assert not list((tmp_path / "c").iterdir())


def test_memory_is_said_and_kept_within_what_is_allowed(make_model: MakeModel) -> None:
    image = image_of((1, 40, 90, 90))
    said: list[str] = []
    free = open_cpu(make_model())
    whole = free.predict(image, say=said.append).labels
    assert "GB of memory at the peak" in said[0]
    properties = properties_of(image, free.model.plan, free.configuration)
    needed = estimate(free.configuration, **free._sizes(image, properties, False)).peak
    tight = Predictor.open(
        free.model.folder, device="cpu", precision="float32", memory_gb=(needed - 1) / 1e9
    )
    assert tight.prepare(image).sums == np.float16
    assert (tight.predict(image).labels != whole).mean() < 0.01
    hopeless = Predictor.open(free.model.folder, device="cpu", memory_gb=0.1)
    with pytest.raises(BadInput, match=r"at most 0\.1 GB .*allow more memory"):
        hopeless.predict(image)


def test_type_that_errs_is_given_up(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    said: list[str] = []
    good = Predictor.open(make_model(), device="cpu")
    assert good.precision == torch.bfloat16
    monkeypatch.setattr(precision, "_MOST_DIFFERING", -1.0)
    monkeypatch.setattr(precision, "max", lambda *_: -1, raising=False)
    good.predict(image_of(), say=said.append)
    assert good.precision == torch.float32
    assert "bfloat16 differs from float32" in said[-1]


def test_restart_goes_on_after_a_cancel(make_model: MakeModel, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "in", 3)
    predictor = open_cpu(make_model())
    out = tmp_path / "out"
    events: list[CaseEvent] = []
    with pytest.raises(Cancelled):
        predict_files(predictor, cases, out, events.append, lambda: len(events) == 1)
    assert [file.name for file in out.iterdir()] == ["case_0.nii.gz"]
    summary = predict_files(predictor, cases, out)
    assert [event.kind for event in summary.events] == ["skipped", "done", "done"]
    again = predict_files(predictor, cases, out, probabilities=True)
    assert [event.kind for event in again.events] == ["done"] * 3
    shares = np.load(out / "case_1.npz")["probabilities"]
    labels = read_labels(out / "case_1.nii.gz").array
    assert np.array_equal(shares.argmax(0), labels)


def check_case(shared: Path, kind: str, case: str, *, probabilities: bool = False) -> None:
    """One reference case: labels within 0.1 % of nnU-Net's foreground, probabilities 5e-3.

    nnU-Net sums in float16: where two classes are that close, it decides by rounding.
    """
    reference = shared / "reference" / "nnunet_v2_hippocampus"
    (model,) = reference.glob("nnUNetTrainer*")
    image = read_image(shared / "data" / "Task04_Hippocampus" / "imagesTr" / f"{case}.nii.gz")
    predictor = open_cpu(model, mirroring=kind == "mirrored")
    found = predictor.predict(image, probabilities=probabilities)
    folder = reference / "predictions" / kind
    expected = read_labels(folder / f"{case}.nii.gz").array
    union = ((found.labels > 0) | (expected > 0)).sum()
    assert (found.labels != expected).sum() <= 0.001 * union
    if probabilities:
        assert found.probabilities is not None
        shares = np.load(folder / f"{case}_probabilities.npz")["probabilities"]
        assert np.abs(found.probabilities - shares).max() < 5e-3


def test_single_tile_prediction_is_nnunets(shared: Path) -> None:
    check_case(shared, "plain", "hippocampus_099")


def test_prediction_of_two_tiles_is_nnunets(shared: Path) -> None:
    check_case(shared, "plain", "hippocampus_020")


def test_mirrored_prediction_and_probabilities_are_nnunets(shared: Path) -> None:
    check_case(shared, "mirrored", "hippocampus_036", probabilities=True)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["plain", "mirrored"])
def test_all_reference_predictions_are_nnunets(shared: Path, kind: str) -> None:
    folder = shared / "reference" / "nnunet_v2_hippocampus" / "predictions" / kind
    for file in sorted(folder.glob("*.nii.gz")):
        check_case(shared, kind, case_name(file))
