import json
from pathlib import Path

import numpy as np
import pytest

from napari_unet_mic.data import files
from napari_unet_mic.data.files import read_json, write_json, write_whole
from napari_unet_mic.errors import UnreadableFile


def test_write_whole_replaces_and_keeps_the_ending(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.nii.gz"
    seen: list[Path] = []

    def write(temporary: Path) -> None:
        seen.append(temporary)
        temporary.write_text("whole")

    write_whole(target, write)
    assert target.read_text() == "whole"
    assert seen[0].name.endswith(".nii.gz")
    assert seen[0].name.startswith(".")
    assert list(target.parent.iterdir()) == [target]


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_whole(target, write)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_held_target_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [PermissionError("held"), PermissionError("held")]
    replace = Path.replace

    def held(self: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held)
    monkeypatch.setattr(files, "_REPLACE_WAIT_SECONDS", 0.0)
    write_whole(tmp_path / "a.txt", lambda path: path.write_text("x") and None)
    assert (tmp_path / "a.txt").read_text() == "x"


def test_json_round_trip_with_numpy_values(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"n": np.int64(3), "x": np.float32(0.5), "a": np.arange(2), "p": tmp_path})
    assert read_json(file) == {"n": 3, "x": 0.5, "a": [0, 1], "p": str(tmp_path)}
    assert json.loads(file.read_text())["n"] == 3


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "an empty file"),
        (POINTER, "git lfs pull"),
        (b'{"a": 1,\n  oops}', "line 2, column 3"),
        (b"\xff\xfe\x00", "not text"),
        (b"[" * 100_000, "JSON"),
    ],
    ids=["missing", "empty", "lfs-pointer", "not-json", "not-text", "nested"],
)
def test_unreadable_json_gives_one_sentence(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "dataset.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=words) as caught:
        read_json(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_json_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="a folder"):
        read_json(tmp_path)


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "a.json") == [1]
