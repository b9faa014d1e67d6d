import gc
import zipfile
from pathlib import Path

import pytest

from napari_unet_mic.errors import BadCheckpoint, UnreadableFile
from napari_unet_mic.network.archive import unpack_model
from napari_unet_mic.network.checkpoint import ModelFolder

MODEL = "Dataset999_Tiny/nnUNetTrainer__nnUNetPlans__3d_fullres"


def pack(file: Path, **names: str) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return file


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A zip as nnU-Net exports it, with more in it than predicting needs."""
    plans = Path(__file__).with_name("tiny_plans.json").read_text()
    content = {
        f"{MODEL}/plans.json": plans,
        f"{MODEL}/dataset.json": '{"channel_names": {"0": "CT"}, "labels": {"b": 0, "o": 1}}',
        f"{MODEL}/fold_0/checkpoint_final.pth": "weights",
        f"{MODEL}/fold_0/validation/case.nii.gz": "label map",
        f"{MODEL}/postprocessing.pkl": "pickle",
    }
    return pack(tmp_path / "model.zip", **content)


def test_exported_model_opens_and_its_unpacked_folder_goes_with_it(exported: Path) -> None:
    model = ModelFolder.open(exported)
    assert model.configuration_name == "3d_fullres"
    assert model.folds() == (0,)
    names = {file.name for file in model.folder.rglob("*") if file.is_file()}
    assert names == {"plans.json", "dataset.json", "checkpoint_final.pth"}
    unpacked = model.folder
    del model
    gc.collect()
    assert not unpacked.exists()


@pytest.mark.parametrize(
    "name",
    ["../fold_0/checkpoint_final.pth", "/plans.json", "a/..\\..\\plans.json", "C:/plans.json"],
)
def test_name_that_climbs_out_is_refused(tmp_path: Path, name: str) -> None:
    file = pack(tmp_path / "model.zip", **{"plans.json": "{}", name: "{}"})
    with pytest.raises(BadCheckpoint, match="climbs out of it; nothing was unpacked"):
        unpack_model(file)
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


def test_zip_without_a_model_and_damaged_zip_are_sentences(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"plans\.json"):
        ModelFolder.open(pack(tmp_path / "photos.zip", **{"photo.jpg": "x"}))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(exported.read_bytes()[:-100])
    with pytest.raises(UnreadableFile, match="cannot be unpacked"):
        ModelFolder.open(cut)
