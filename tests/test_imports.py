"""Who may import whom, proved by importing in a process where the forbidden is absent."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "napari_unet_mic"
GUI_LIBRARIES = ("napari", "qtpy", "magicgui", "superqt", "pyqtgraph", "PySide6", "PyQt6", "vispy")
TORCH = ("torch", "monai", "torchvision")
# room -> rooms it may import (the room itself and errors always)
MAY_IMPORT = {
    "data": set(),
    "planning": {"data"},
    "preprocessing": {"data", "planning"},
    "network": {"data", "planning", "preprocessing"},
    "evaluation": {"data"},
    "annotation": {"data", "evaluation"},
    "inference": {"data", "planning", "preprocessing", "network"},
    "training": {
        "data",
        "planning",
        "preprocessing",
        "network",
        "inference",
        "evaluation",
    },
    "reporting": {
        "data",
        "planning",
        "preprocessing",
        "network",
        "inference",
        "evaluation",
        "training",
    },
    "jobs": {"data", "planning", "inference", "evaluation", "training"},
    "gui": {
        "data",
        "planning",
        "inference",
        "evaluation",
        "annotation",
        "reporting",
        "training",
        "jobs",
    },
}
WITHOUT_TORCH = [
    "data",
    "planning",
    "preprocessing",
    "evaluation",
    "annotation",
    "reporting",
]


def modules_of(room: str) -> list[str]:
    return sorted(
        f"napari_unet_mic.{room}.{file.stem}"
        for file in (PACKAGE / room).glob("*.py")
        if file.stem != "__init__"
    )


def import_with_forbidden(modules: list[str], forbidden: tuple[str, ...]) -> None:
    """Import the modules in a fresh process in which the forbidden ones cannot be imported."""
    code = (
        "import sys, importlib\n"
        f"for name in {forbidden!r}: sys.modules[name] = None\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_core_and_command_line_need_no_gui_library() -> None:
    rooms = [room for room in MAY_IMPORT if room != "gui"]
    modules = [name for room in rooms for name in modules_of(room)]
    import_with_forbidden([*modules, "napari_unet_mic.cli"], GUI_LIBRARIES)


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_room_needs_no_torch(room: str) -> None:
    import_with_forbidden(modules_of(room), TORCH)


def test_the_command_line_starts_without_torch() -> None:
    import_with_forbidden(["napari_unet_mic.cli"], TORCH)


def test_gui_needs_no_torch() -> None:
    pytest.importorskip("napari")
    import_with_forbidden(modules_of("gui"), TORCH)


def test_inference_needs_no_monai() -> None:
    import_with_forbidden([*modules_of("network"), *modules_of("inference")], ("monai",))


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_room_imports_only_its_neighbours(room: str) -> None:
    import ast

    for file in (PACKAGE / room).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                parts = name.split(".")
                if parts[0] != "napari_unet_mic" or len(parts) < 2 or parts[1] == "errors":
                    continue
                assert parts[1] in MAY_IMPORT[room] | {room}, f"{file.name} imports {name}"
            if room == "gui":
                for name in names:
                    if name.startswith("napari_unet_mic.training."):
                        place = name.split(".")[2]
                        assert place in {"events", "run", "settings", "presets"}, (
                            f"{file.name}: {name}"
                        )
                    if name.startswith("napari_unet_mic.inference"):
                        place = name.split(".")[2]
                        assert place in {"memory", "windows"}, f"{file.name}: {name}"
                    if name.startswith("napari_unet_mic.jobs."):
                        assert name.split(".")[2] in {"process", "worker"}, f"{file.name}: {name}"
