"""A zip of a trained model in, a folder with its plans, dataset and checkpoints out.

nnU-Net's `nnUNetv2_export_model_to_zip` packs model folders as they lie on disk
(`DatasetXXX_Name/Trainer__Plans__configuration/…`). Only what predicting needs is unpacked,
and nothing whose name climbs out of the archive.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from napari_unet_mic.errors import BadCheckpoint, UnreadableFile

_NEEDED = re.compile(
    r"(?:^|/)(?:plans\.json|dataset\.json|dataset_fingerprint\.json"
    r"|fold_(?:\d+|all)/checkpoint_\w+\.pth)$"
)


def unpack_model(file: Path) -> Path:
    """Unpack a model's zip into a fresh temporary folder, which is the caller's to remove.

    Raises
    ------
    UnreadableFile
        No zip, or a damaged one.
    BadCheckpoint
        A name in it climbs out of the archive; nothing is unpacked.
    """
    folder = Path(tempfile.mkdtemp(prefix="unet-mic-model-"))
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            for name in names:
                _check_name(file, name)
            for name in filter(_NEEDED.search, names):
                target = folder / PurePosixPath(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 2**20)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UnreadableFile(
            file,
            expected="a zip of a trained model",
            got=f"one that cannot be unpacked ({error})",
            advice="export or download it again",
        ) from error
    except BadCheckpoint:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def model_inside(folder: Path) -> Path:
    """The one model folder at or below `folder` (a Dataset folder, or an unpacked zip).

    A folder that is a model, or holds none, is given back as it is.

    Raises
    ------
    BadCheckpoint
        There are several; the sentence names them.
    """
    if (folder / "plans.json").exists() or not folder.is_dir():
        return folder
    found = sorted(
        file.parent
        for pattern in ("*/plans.json", "*/*/plans.json")
        for file in folder.glob(pattern)
        if (file.parent / "dataset.json").exists() and any(file.parent.glob("fold_*"))
    )
    if len(found) > 1:
        raise BadCheckpoint(
            folder,
            expected="one model",
            got=f"{len(found)}: {', '.join(path.name for path in found)}",
            advice="give the folder of the one to use",
        )
    return found[0] if found else folder


def _check_name(file: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or ":" in name:
        raise BadCheckpoint(
            file,
            expected="names inside the archive",
            got=f"{name}, which climbs out of it",
            advice="nothing was unpacked; do not trust this file",
        )
