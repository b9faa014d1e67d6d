"""An environment of its own for nnU-Net, beside the project's: the oracle of these scripts.

    python benchmarks/nnunet_environment.py FOLDER

Makes a virtual environment with nnunetv2 and the torch that runs here (about 2 GB; a second
call finds it ready) and prints its Python. Next to a torch without CUDA, torchvision misses
two operators and fails to import; nnU-Net needs it only to exist, so they are declared just
before the import, in every process of that environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

NNUNET = "nnunetv2==2.8.1"
SHIM = '''"""Declares the operators that torchvision misses beside a torch without CUDA."""
import sys
from importlib.abc import MetaPathFinder


class Declare(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            for operator in ("nms", "qnms"):
                try:
                    torch.library.define(
                        f"torchvision::{operator}",
                        "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                    )
                except RuntimeError:  # this torchvision has it
                    pass
        return None


sys.meta_path.insert(0, Declare())
'''


def nnunet_python(folder: Path) -> Path:
    """Make the environment in `folder` where it is missing, and return its Python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / ".ready"
    if not ready.exists():
        print(f"{folder}: installing {NNUNET} (about 2 GB)", file=sys.stderr)
        if not python.exists():
            venv.create(folder, with_pip=True)
        torch = version("torch").partition("+")[0]
        words = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([python, *words, NNUNET, f"torch=={torch}"], check=True)
        shim(python)
        ready.touch()
    return python


def shim(python: Path) -> None:
    """Put the declaration of the missing operators into an environment's start."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    packages = Path(done.stdout.strip())
    (packages / "declare_torchvision.py").write_text(SHIM)
    (packages / "declare_torchvision.pth").write_text("import declare_torchvision\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    print(nnunet_python(parser.parse_args().folder.absolute()))


if __name__ == "__main__":
    main()
