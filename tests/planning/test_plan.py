"""Reading, refusing and writing plans."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_unet_mic.errors import BadPlan, UnreadableFile
from napari_unet_mic.planning.plan import plan_of, read_plan, write_plan

NAN = float("nan")
Edit = Callable[[dict[str, Any]], Any]


def fullres(raw: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = raw["configurations"]["3d_fullres"]
    return found


def network(raw: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = fullres(raw)["architecture"]["arch_kwargs"]
    return found


def test_what_is_written_is_what_was_read(tmp_path: Path, raw: dict[str, Any]) -> None:
    raw["somebody's own"] = {"kept": [1, 2.5, None]}
    file = tmp_path / "plans.json"
    write_plan(file, plan_of(raw))
    assert read_plan(file).to_json() == raw
    assert [path.name for path in tmp_path.iterdir()] == ["plans.json"]


def test_to_json_is_a_copy(raw: dict[str, Any]) -> None:
    plan = plan_of(raw)
    plan.to_json()["configurations"].clear()
    assert plan.to_json()["configurations"]


def test_configuration_fields(raw: dict[str, Any]) -> None:
    one = plan_of(raw).configuration("3d_fullres")
    assert one.patch_size == (128, 128, 128)
    assert one.spacing == (1.0, 0.767578125, 0.767578125)
    assert one.normalization_schemes == ("CTNormalization",)
    assert one.use_mask_for_norm == (False,)
    assert one.batch_dice is True
    assert (one.ndim, one.n_channels, one.is_v1) == (3, 1, False)
    assert one.resampling_fn_data_kwargs["order"] == 3
    assert one.resampling_fn_probabilities_kwargs["order"] == 1
    assert one.architecture.network_class == "PlainConvUNet"
    assert one.architecture.strides[0] == (1, 1, 1)
    assert (one.architecture.n_stages, one.architecture.n_poolings) == (6, 5)


def test_inheritance_chain(raw: dict[str, Any]) -> None:
    raw["configurations"]["bs4"] = {"inherits_from": "3d_fullres", "batch_size": 4}
    raw["configurations"]["bs4_small"] = {"inherits_from": "bs4", "patch_size": [64, 64, 64]}
    one = plan_of(raw).configuration("bs4_small")
    assert (one.batch_size, one.patch_size) == (4, (64, 64, 64))
    assert one.spacing == (1.0, 0.767578125, 0.767578125)


def test_transposed_plans_name_their_axes(raw: dict[str, Any]) -> None:
    raw["transpose_forward"], raw["transpose_backward"] = [2, 0, 1], [1, 2, 0]
    plan = plan_of(raw)
    assert plan.configuration("3d_fullres").axis_names == "xzy"
    assert plan.configuration("2d").axis_names == "zy"


def test_unknown_configuration_names_those_there_are(raw: dict[str, Any]) -> None:
    with pytest.raises(BadPlan, match="2d, 3d_lowres, 3d_fullres, 3d_cascade_fullres"):
        plan_of(raw).configuration("4d")


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_early_v2_has_no_architecture_block(raw: dict[str, Any], residual: bool) -> None:
    del raw["configurations"]["3d_cascade_fullres"]
    for one in raw["configurations"].values():
        arch = one.pop("architecture")["arch_kwargs"]
        one["UNet_class_name"] = "ResidualEncoderUNet" if residual else "PlainConvUNet"
        one["UNet_base_num_features"] = 32
        one["unet_max_num_features"] = 320
        one["n_conv_per_stage_encoder"] = [2] * arch["n_stages"]
        one["n_conv_per_stage_decoder"] = arch["n_conv_per_stage_decoder"]
        one["num_pool_per_axis"] = [arch["n_stages"] - 1] * len(one["patch_size"])
        one["pool_op_kernel_sizes"] = arch["strides"]
        one["conv_kernel_sizes"] = arch["kernel_sizes"]
    raw["foreground_intensity_properties_by_modality"] = raw.pop(
        "foreground_intensity_properties_per_channel"
    )
    plan = plan_of(raw)
    arch = plan.configuration("3d_fullres").architecture
    assert arch.features_per_stage == (32, 64, 128, 256, 320, 320)
    assert arch.blocks_per_stage == (2, 2, 2, 2, 2, 2)
    assert arch.is_residual is residual
    assert arch.norm_op_kwargs == {"eps": 1e-5, "affine": True}
    assert plan.intensity["0"]["mean"] == 1.0


def test_one_number_stands_for_all_stages(raw: dict[str, Any]) -> None:
    network(raw).update(kernel_sizes=3, n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    arch = plan_of(raw).configuration("3d_fullres").architecture
    assert arch.kernel_sizes == ((3, 3, 3),) * 6
    assert arch.n_conv_per_stage_decoder == (2,) * 5


REFUSED: list[tuple[str, Edit, str]] = [
    ("missing patch", lambda r: fullres(r).pop("patch_size"), "patch_size"),
    ("missing batch", lambda r: fullres(r).pop("batch_size"), "batch_size"),
    ("batch as text", lambda r: fullres(r).update(batch_size="2"), "batch_size as a whole"),
    ("no configurations", lambda r: r.update(configurations={}), "at least one configuration"),
    ("missing transpose", lambda r: r.pop("transpose_forward"), "transpose_forward"),
    ("no permutation", lambda r: r.update(transpose_forward=[0, 0, 2]), "order of the axes"),
    (
        "missing intensities",
        lambda r: r.pop("foreground_intensity_properties_per_channel"),
        "foreground_intensity",
    ),
    (
        "2-D spacing of a 3-D patch",
        lambda r: fullres(r).update(spacing=[1.0, 1.0]),
        "spacing of 3",
    ),
    ("spacing that is no number", lambda r: fullres(r).update(spacing=[1, NAN, 1]), "list of num"),
    ("next stage", lambda r: fullres(r).update(next_stage=5), "next_stage as a name"),
    ("negative spacing", lambda r: fullres(r).update(spacing=[1, -1, 1]), "spacing of 3 positive"),
    ("unknown scheme", lambda r: fullres(r).update(normalization_schemes=["X"]), "RGBTo01"),
    (
        "masks for another number of channels",
        lambda r: fullres(r).update(use_mask_for_norm=[False, True]),
        "use_mask_for_norm with 1",
    ),
    (
        "unknown resampling",
        lambda r: fullres(r).update(resampling_fn_data="os.system"),
        "resample_data_or_seg_to_shape",
    ),
    ("unknown reader", lambda r: r.update(image_reader_writer="Evil"), "SimpleITKIO"),
    (
        "unknown preprocessor",
        lambda r: fullres(r).update(preprocessor_name="Mine"),
        "DefaultPreprocessor",
    ),
    ("unknown convolution", lambda r: network(r).update(conv_op="os.system"), "Conv3d"),
    (
        "2-D convolution in 3-D",
        lambda r: network(r).update(conv_op="torch.nn.modules.conv.Conv2d"),
        "Conv3d",
    ),
    ("unknown norm", lambda r: network(r).update(norm_op="x.BatchNorm3d"), "InstanceNorm3d"),
    ("unknown activation", lambda r: network(r).update(nonlin="torch.nn.GELU"), "LeakyReLU"),
    (
        "unknown norm argument",
        lambda r: network(r).update(norm_op_kwargs={"momentum": 1}),
        "eps and affine",
    ),
    ("activation as text", lambda r: network(r).update(nonlin_kwargs="x"), "negative_slope"),
    ("dropout", lambda r: network(r).update(dropout_op="torch.nn.Dropout3d"), "dropout_op None"),
    ("unknown argument", lambda r: network(r).update(attention=True), "attention = True"),
    ("missing kernels", lambda r: network(r).pop("kernel_sizes"), "kernel_sizes"),
    (
        "kernel of two axes",
        lambda r: network(r)["kernel_sizes"].__setitem__(0, [3, 3]),
        "3 numbers",
    ),
    (
        "inherits from nothing",
        lambda r: r["configurations"]["3d_cascade_fullres"].update(inherits_from="gone"),
        "the configuration gone that 3d_cascade_fullres inherits from",
    ),
    (
        "circle",
        lambda r: fullres(r).update(inherits_from="3d_cascade_fullres"),
        "circle",
    ),
]


@pytest.mark.parametrize(
    ("edit", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_damaged_plans_are_refused(raw: dict[str, Any], edit: Edit, words: str) -> None:
    edit(raw)
    with pytest.raises(BadPlan, match=words):
        plan_of(raw)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda a: a.update(n_stages=5), "5 stages = 4 poolings"),
        (lambda a: a.update(n_stages=7), r"7 stages = 6 poolings \+ 1"),
        (lambda a: a["strides"].pop(), "stage 5 .* is missing"),
        (lambda a: a["strides"].pop(0), "without the leading 1s, so stage 0 is missing"),
        (lambda a: a["kernel_sizes"].pop(), "entries in kernel_sizes"),
        (lambda a: a["features_per_stage"].pop(), "entries in features_per_stage"),
        (lambda a: a["n_conv_per_stage_decoder"].append(2), "entries in n_conv_per_stage_decoder"),
        (lambda a: a["strides"].__setitem__(0, [2, 2, 2]), "stride 1 at stage 0"),
    ],
)
def test_stages_that_do_not_add_up_name_the_missing_one(
    raw: dict[str, Any], edit: Edit, words: str
) -> None:
    edit(network(raw))
    with pytest.raises(BadPlan, match=words):
        plan_of(raw)


def test_the_first_mistake_is_told_in_full(raw: dict[str, Any]) -> None:
    """A pooling list without the leading ones, as v1 has it, under a v2 plan."""
    network(raw)["strides"].pop(0)
    with pytest.raises(BadPlan, match=r"6 stages = 5 poolings \+ 1.* got 5 without the leading"):
        plan_of(raw)


def test_an_unknown_network_is_refused_when_it_is_asked_for(raw: dict[str, Any]) -> None:
    fullres(raw)["architecture"]["network_class_name"] = "os.system"
    plan = plan_of(raw)
    assert plan.configuration("2d").architecture.network_class == "PlainConvUNet"
    for ask in (plan.configuration, plan.configurations.__getitem__):
        with pytest.raises(BadPlan, match="nothing was imported"):
            ask("3d_fullres")


def test_a_plan_of_unknown_networks_only_is_refused(raw: dict[str, Any]) -> None:
    for one in raw["configurations"].values():
        if "architecture" in one:
            one["architecture"]["network_class_name"] = "mednext.MedNeXt"
    with pytest.raises(BadPlan, match=r"mednext\.MedNeXt"):
        plan_of(raw)


def test_reader_with_another_axis_order(raw: dict[str, Any]) -> None:
    plan_of(raw).check_preparable()
    raw["image_reader_writer"] = "NibabelIOWithReorient"
    with pytest.raises(BadPlan, match="NibabelIOWithReorient"):
        plan_of(raw).check_preparable()


@pytest.mark.parametrize("content", ['{"a": ', "[1, 2]", '"text"', "", "null"])
def test_damaged_files(tmp_path: Path, content: str) -> None:
    file = tmp_path / "plans.json"
    file.write_text(content)
    with pytest.raises(BadPlan, match=r"plans\.json"):
        read_plan(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"gone\.json"):
        read_plan(tmp_path / "gone.json")


def test_published_plans_are_read(shared: Path) -> None:
    files = sorted((shared / "data" / "plans").glob("*/Dataset*/plans.json"))
    assert len(files) == 6
    for file in files:
        plan = read_plan(file)
        for name in plan.configurations:
            assert plan.configuration(name).architecture.n_stages in (6, 7, 8)
        assert plan.to_json() == json.loads(file.read_text())
