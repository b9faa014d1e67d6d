import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_unet_mic.errors import RunLocked
from napari_unet_mic.training.lock import Holder, RunLock, creation_token, is_locked

HOLD = """
import os, sys, time
from pathlib import Path
from napari_unet_mic.training.lock import RunLock
lock = RunLock(Path(sys.argv[1]), Path("run"))
lock.acquire()
if sys.argv[2] == "fork":
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
else:
    print("held", flush=True)
time.sleep(60)
"""


def holder(file: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), how], stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_lock_is_taken_once(tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    assert not is_locked(file)
    with RunLock(file, tmp_path):
        assert is_locked(file)
        with pytest.raises(RunLocked, match="already working on this run"):
            RunLock(file, tmp_path).acquire(wait_s=0)
        assert is_locked(file)
    assert not is_locked(file)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    process = holder(file, "plain")
    try:
        assert said(process) == "held"
        assert is_locked(file)
        with pytest.raises(RunLocked):
            RunLock(file, tmp_path).acquire(wait_s=0)
    finally:
        process.kill()
        process.communicate()
    assert not is_locked(file)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_does_not_keep_a_killed_trainers_lock(tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    process = holder(file, "fork")
    worker = int(said(process))
    try:
        assert is_locked(file)
        process.kill()
        process.wait()
        os.kill(worker, 0)  # the worker lives on
        assert not is_locked(file)
        with RunLock(file, tmp_path):
            assert is_locked(file)
    finally:
        os.kill(worker, signal.SIGKILL)
        process.communicate()


def test_a_process_is_known_by_its_creation() -> None:
    me = Holder.this_process()
    assert me.is_alive
    assert not Holder(me.host, me.pid, "another creation").is_alive
    assert not Holder("another-host", me.pid, me.created).is_alive


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 30
    while creation_token(process.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert creation_token(process.pid) is None
    process.wait()
