"""The architecture drawn."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.picture import PAGE_HEIGHT, WIDTH, draw
from napari_unet_mic.planning.plan import plan_of
from napari_unet_mic.planning.topology import NetworkFacts, describe


@pytest.fixture
def six_stages(raw: dict[str, Any]) -> NetworkFacts:
    return describe(plan_of(raw).configuration("3d_fullres"), 1, 3)


@pytest.fixture
def eight_stages(raw: dict[str, Any]) -> NetworkFacts:
    return describe(plan_of(raw).configuration("2d"), 1, 3)


def words_of(file: Path) -> list[str]:
    return [text.text or "" for text in ET.parse(file).iter("{http://www.w3.org/2000/svg}text")]


def test_svg_shows_every_stage(tmp_path: Path, six_stages: NetworkFacts) -> None:
    file = tmp_path / "network.svg"
    assert draw(six_stages, file) == [file]
    words = words_of(file)
    assert [word for word in words if word.startswith("stage ")] == [
        f"stage {i}: {n}×{n}×{n}" for i, n in enumerate((128, 64, 32, 16, 8, 4))
    ]
    assert words.count("output") == 5
    assert any("6 stages = 5 poolings + 1" in word for word in words)


def test_tall_networks_are_split_over_pages(tmp_path: Path, eight_stages: NetworkFacts) -> None:
    files = draw(eight_stages, tmp_path / "network.svg")
    assert [file.name for file in files] == ["network-1.svg", "network-2.svg"]
    stages = [re.findall(r"stage (\d):", " ".join(words_of(file))) for file in files]
    assert stages == [["0", "1", "2", "3"], ["4", "5", "6", "7"]]
    for file in files:
        root = ET.parse(file).getroot()
        assert float(root.attrib["height"]) <= PAGE_HEIGHT
        assert float(root.attrib["width"]) == WIDTH


def test_png(tmp_path: Path, six_stages: NetworkFacts) -> None:
    image = pytest.importorskip("PIL.Image")
    (file,) = draw(six_stages, tmp_path / "network.png")
    with image.open(file) as picture:
        assert picture.width == 2 * WIDTH
        assert len(picture.convert("RGB").getcolors(2**24)) > 20
    assert [path.name for path in tmp_path.iterdir()] == ["network.png"]


def test_png_without_pillow_says_what_to_do(
    tmp_path: Path, six_stages: NetworkFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(BadInput, match=r"write an \.svg"):
        draw(six_stages, tmp_path / "network.png")
    assert list(tmp_path.iterdir()) == []


def test_other_endings_are_refused(tmp_path: Path, six_stages: NetworkFacts) -> None:
    with pytest.raises(BadInput, match=r"\.svg or \.png"):
        draw(six_stages, tmp_path / "network.pdf")
