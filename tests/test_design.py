"""The design's picture of the rooms and the tree are alike."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def test_every_module_stands_in_the_picture_and_the_other_way_round() -> None:
    text = (REPOSITORY / "docs" / "design.md").read_text(encoding="utf-8")
    picture = text.split("```")[1]
    drawn, room = set(), ""
    for line in picture.splitlines():
        if folder := re.fullmatch(r"  (\w+)/", line):
            room = folder[1] + "/"
        elif module := re.match(r" {4}(\w+\.py) ", line):
            drawn.add(room + module[1])
    package = REPOSITORY / "napari_unet_mic"
    there = {
        file.relative_to(package).as_posix()
        for file in package.glob("*/*.py")
        if file.name != "__init__.py"
    }
    assert drawn == there
