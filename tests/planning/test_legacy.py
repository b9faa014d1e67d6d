"""nnU-Net v1 plans, and pickles that want more than to be read."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.errors import BadPlan, UnreadableFile
from napari_unet_mic.planning.legacy import is_v1, read_v1_plan
from napari_unet_mic.planning.pickled import read_pickle


def stage(**changes: Any) -> dict[str, Any]:
    return {
        "batch_size": 2,
        "num_pool_per_axis": [2, 3, 3],
        "patch_size": np.array([16, 64, 64]),
        "median_patient_size_in_voxels": np.array([20, 80, 80]),
        "current_spacing": np.array([3.0, 1.0, 1.0]),
        "original_spacing": np.array([3.0, 1.0, 1.0]),
        "do_dummy_2D_data_aug": np.bool_(True),
        "pool_op_kernel_sizes": [[1, 2, 2], [2, 2, 2], [2, 2, 2]],
        "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
        **changes,
    }


def v1_plan(**changes: Any) -> dict[str, Any]:
    return {
        "num_stages": 1,
        "num_modalities": 2,
        "modalities": {0: "CT", 1: "noNorm"},
        "normalization_schemes": OrderedDict([(0, "CT"), (1, "noNorm")]),
        "dataset_properties": {
            "intensityproperties": {
                0: {"mean": np.float64(9.5), "sd": 2.0, "mn": -3.0, "mx": 20.0, "median": 9.0}
            }
        },
        "num_classes": 2,
        "all_classes": [1, 2],
        "base_num_features": 32,
        "use_mask_for_norm": OrderedDict([(0, False), (1, True)]),
        "transpose_forward": [np.int64(0), 1, 2],
        "transpose_backward": [np.int64(0), 1, 2],
        "data_identifier": "nnUNetData_plans_v2.1",
        "conv_per_stage": 2,
        "plans_per_stage": {0: stage()},
        **changes,
    }


def written(folder: Path, content: Any, protocol: int = 3) -> Path:
    file = folder / "plans.pkl"
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    return file


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_n_poolings_make_n_plus_one_stages(tmp_path: Path, protocol: int) -> None:
    legacy = read_v1_plan(written(tmp_path, v1_plan(), protocol))
    one = legacy.plan.configuration("3d_fullres")
    assert one.architecture.n_stages == 4
    assert one.architecture.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert one.architecture.kernel_sizes[0] == (1, 3, 3)
    assert one.architecture.network_class == "Generic_UNet"
    assert one.is_v1
    with pytest.raises(BadPlan, match="nnU-Net v1, which normalises after resampling"):
        legacy.plan.check_preparable()
    assert one.patch_size == (16, 64, 64)
    assert one.normalization_schemes == ("CTNormalization", "NoNormalization")
    assert one.use_mask_for_norm == (False, True)
    assert (legacy.n_channels, legacy.n_classes) == (2, 3)
    assert legacy.plan.intensity["0"] == {
        "mean": 9.5,
        "std": 2.0,
        "min": -3.0,
        "max": 20.0,
        "median": 9.0,
    }


def test_two_stages_become_a_cascade(tmp_path: Path) -> None:
    coarse = stage(current_spacing=np.array([6.0, 2.0, 2.0]))
    plan = read_v1_plan(written(tmp_path, v1_plan(plans_per_stage={0: coarse, 1: stage()}))).plan
    assert list(plan.configurations) == ["3d_lowres", "3d_fullres", "3d_cascade_fullres"]
    assert plan.default_configuration == "3d_fullres"
    assert plan.configuration("3d_lowres").spacing == (6.0, 2.0, 2.0)
    assert plan.configuration("3d_cascade_fullres").previous_stage == "3d_lowres"


def test_two_dimensional_plans_drop_the_slice_axis(tmp_path: Path) -> None:
    flat = stage(
        patch_size=np.array([64, 64]),
        pool_op_kernel_sizes=[[2, 2]] * 5,
        conv_kernel_sizes=[[3, 3]] * 6,
    )
    one = read_v1_plan(written(tmp_path, v1_plan(plans_per_stage={0: flat}))).plan.configuration(
        "2d"
    )
    assert (one.spacing, one.median_image_size_in_voxels) == ((1.0, 1.0), (80.0, 80.0))
    assert one.architecture.features_per_stage == (32, 64, 128, 256, 480, 480)


def test_the_oldest_plans_only_count_poolings(tmp_path: Path) -> None:
    old = stage()
    del old["pool_op_kernel_sizes"], old["conv_kernel_sizes"]
    arch = (
        read_v1_plan(written(tmp_path, v1_plan(plans_per_stage={0: old})))
        .plan.configuration("3d_fullres")
        .architecture
    )
    assert arch.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 2, 2))
    assert arch.kernel_sizes == ((3, 3, 3),) * 4


def test_kernels_that_do_not_fit_the_poolings(tmp_path: Path) -> None:
    short = stage(conv_kernel_sizes=[[3, 3, 3]] * 3)
    with pytest.raises(BadPlan, match=r"4 stages = 3 poolings \+ 1"):
        read_v1_plan(written(tmp_path, v1_plan(plans_per_stage={0: short})))


class _Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "was run"
    bad = v1_plan(num_classes=_Runs(os.system, f"touch '{mark}'"))
    with pytest.raises(BadPlan, match=r"system.*nothing in it was run"):
        read_v1_plan(written(tmp_path, bad, protocol))
    assert not mark.exists()


@pytest.mark.parametrize(
    "thing",
    [
        _Runs(eval, "__import__('os').getpid()"),
        _Runs(exec, "1"),
        _Runs(getattr, "", "format"),
        _Runs(np.fromfile, "/etc/hostname"),
        _Runs(np.empty, (10**6,)),
        Path("x"),
        np.array([object()], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
        {1, 2}.__class__,
        print,
    ],
    ids=str,
)
def test_only_arrays_and_containers_are_built(tmp_path: Path, thing: Any) -> None:
    with pytest.raises(BadPlan):
        read_pickle(written(tmp_path, {"a": thing}))


def test_a_list_of_its_own_class_cannot_reach_numpy(tmp_path: Path) -> None:
    # cos\nsystem: the classic, by hand; and a huge array without its bytes
    classic = b"cos\nsystem\n(S'exit 3'\ntR."
    huge = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I999999999999\ntS'b'\ntR."
    for content in (classic, huge):
        file = tmp_path / "plans.pkl"
        file.write_bytes(content)
        with pytest.raises(BadPlan):
            read_pickle(file)


@pytest.mark.parametrize("name", ["_reconstruct", "scalar"])
def test_what_stands_for_numpy_cannot_be_changed(tmp_path: Path, name: str) -> None:
    # BUILD with a slot state would set attributes of whatever it is given
    content = f"cnumpy.core.multiarray\n{name}\n(N(dS'__doc__'\nS'x'\nstb.".encode()
    file = tmp_path / "plans.pkl"
    file.write_bytes(content)
    with pytest.raises(BadPlan):
        read_pickle(file)


def test_plain_values_survive(tmp_path: Path) -> None:
    content = {
        "a": OrderedDict([(0, True)]),
        "b": np.arange(6.0).reshape(2, 3),
        "c": np.float32(1.5),
        "d": ("x", None, [1, 2.5]),
        "e": np.array(["p", "qq"]),
    }
    found = read_pickle(written(tmp_path, content))
    assert found["a"] == content["a"]
    assert np.array_equal(found["b"], content["b"])
    assert found["c"] == np.float32(1.5)
    assert found["d"] == content["d"]
    assert found["e"].tolist() == ["p", "qq"]


@pytest.mark.parametrize("content", [b"", b"\x80\x03", b"not a pickle", b"\x80\x04\x95\xff"])
def test_damaged_pickles(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "plans.pkl"
    file.write_bytes(content)
    with pytest.raises(BadPlan, match="damaged or unusual"):
        read_v1_plan(file)


@pytest.mark.parametrize("content", [[1, 2], {"num_classes": 2}, 7])
def test_other_pickles_are_no_plans(tmp_path: Path, content: Any) -> None:
    with pytest.raises(BadPlan, match="nnU-Net v1 plans"):
        read_v1_plan(written(tmp_path, content))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        read_v1_plan(tmp_path / "gone.pkl")
    assert is_v1("plans.pkl")
    assert not is_v1("plans.json")


def test_real_v1_plans(shared: Path) -> None:
    folder = shared / "data" / "plans" / "v1_Task005_Prostate"
    legacy = read_v1_plan(folder / "nnUNetPlansv2.1_plans_3D.pkl")
    one = legacy.plan.configuration("3d_fullres")
    assert one.patch_size == (20, 320, 256)
    assert one.architecture.n_stages == 7
    assert (legacy.n_channels, legacy.n_classes) == (2, 3)
    assert legacy.plan.dataset_name == "Task005_Prostate"
    flat = read_v1_plan(folder / "nnUNetPlansv2.1_plans_2D.pkl").plan.configuration("2d")
    assert flat.spacing == pytest.approx((0.625, 0.625))
