"""Makes the images of the documentation from the real program: `make docs`.

Runs the demo when its folder is not there yet, opens napari on it in both themes, walks
every panel, and keeps the pictures that README.md and docs/ show. Needs a display
(`make docs` brings Xvfb where there is none).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from napari_unet_mic import demo

REPOSITORY = Path(__file__).resolve().parents[1]
KEPT = {
    "2-plan-and-train.png": "plan-and-train.png",
    "3-predict.png": "predict.png",
    "4-annotate.png": "annotate.png",
    "5-inspector.png": "inspector.png",
    "6-lesions.png": "lesions.png",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    neutral = Path(tempfile.gettempdir()) / "demo"  # the pictures show where it is
    parser.add_argument("--demo", type=Path, default=neutral)
    parser.add_argument("--images", type=Path, default=REPOSITORY / "docs" / "images")
    options = parser.parse_args()
    demo.walk(options.demo, report=print)
    options.images.mkdir(parents=True, exist_ok=True)
    for theme, suffix in (("dark", ""), ("light", "-light")):
        with tempfile.TemporaryDirectory() as folder:
            tour = [sys.executable, "-m", "napari_unet_mic.gui.tour", str(options.demo)]
            subprocess.run([*tour, "--screenshots", folder, "--theme", theme], check=True)
            for taken, kept in KEPT.items():
                if theme == "light" and kept not in ("inspector.png", "lesions.png"):
                    continue
                image = options.images / kept.replace(".png", f"{suffix}.png")
                image.write_bytes((Path(folder) / taken).read_bytes())
                print(image)


if __name__ == "__main__":
    main()
