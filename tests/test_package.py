"""What a person gets when installing: the manifest in wheel, sdist and editable install."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

ASK_NPE2 = """
import sys
sys.path.insert(0, sys.argv[1])
from npe2 import PluginManager, PluginManifest
from importlib.metadata import distribution
manifest = PluginManifest.from_distribution("napari-unet-mic")
manager = PluginManager()
manager.register(manifest)
for command in manifest.contributions.commands:
    module, name = command.python_name.split(":")
    assert module.startswith("napari_unet_mic.")
print(manifest.display_name)
print(" | ".join(sorted(w.display_name for w in manifest.contributions.widgets)))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built without a network from the environment's own hatchling."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, REPOSITORY],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_sdist_carries_manifest_and_licence(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"napari.yaml", "napari_unet_mic/napari.yaml", "LICENSE", "README.md"} <= names


def test_npe2_reads_the_manifest_of_the_wheel(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", ASK_NPE2, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    title, widgets = done.stdout.splitlines()
    assert title == "U-Net MIC"
    for panel in ("Workbench", "Dataset", "Plan and train", "Predict", "Error inspector"):
        assert panel in widgets


def test_editable_install_finds_the_manifest() -> None:
    top = REPOSITORY / "napari.yaml"
    inside = REPOSITORY / "napari_unet_mic" / "napari.yaml"
    assert top.read_text() == inside.read_text()
    from importlib.metadata import distribution

    entry_points = distribution("napari-unet-mic").entry_points
    (manifest,) = [entry for entry in entry_points if entry.group == "napari.manifest"]
    assert manifest.value == "napari_unet_mic:napari.yaml"


def test_every_command_of_the_manifest_exists() -> None:
    pytest.importorskip("napari")
    import importlib

    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(REPOSITORY / "napari.yaml")
    commands = manifest.contributions.commands
    assert commands
    for command in commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(importlib.import_module(module), name)), command.id
