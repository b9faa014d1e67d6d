import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_unet_mic.errors import RunLocked
from napari_unet_mic.jobs import process
from napari_unet_mic.jobs.process import Job, attach, ending, last_words, start
from napari_unet_mic.training import events
from napari_unet_mic.training.events import read_events
from napari_unet_mic.training.lock import creation_token
from napari_unet_mic.training.run import Run, RunSettings

TRAINER = """
import os, subprocess, sys, time
from napari_unet_mic.training import events
from napari_unet_mic.training.events import EventLog
from napari_unet_mic.training.run import Run
run = Run.open(sys.argv[1])
lock = run.take(os.environ["NAPARI_UNET_MIC_SESSION"])
log = EventLog(run.events_file)
log(events.RunStarted(run.session, "CPU", "2d", "0", 1, 1, 1, {0: "background"}))
how = sys.argv[2]
if how == "deaf":
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    (run.folder / "worker.txt").write_text(str(worker.pid))
while how == "deaf" or run.stop_requested(run.session) is None:
    time.sleep(0.02)
log(events.RunStopped("stop", 1))
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(RunSettings(dataset=str(tmp_path), workspace=str(tmp_path), name="a"))


def trainer(run: Run, how: str) -> list[str]:
    return [sys.executable, "-c", TRAINER, str(run.folder), how]


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_start_attach_and_stop(run: Run) -> None:
    job = start(run, command=trainer(run, "good"))
    until(lambda: attach(run) is not None)
    again = attach(Run.open(run.folder))
    assert again is not None
    assert again.pid == job.pid
    assert again.alive
    assert run.state() == "running"
    with pytest.raises(RunLocked):
        start(run, command=trainer(run, "good"))
    assert job.stop(grace=60) == 0
    assert not again.alive
    assert again.poll() is None  # an attached process' exit code is not known
    assert attach(run) is None
    assert run.state() == "stopped"


def test_a_process_that_does_not_listen_is_ended_with_its_children(run: Run) -> None:
    job = start(run, command=trainer(run, "deaf"))
    note = run.folder / "worker.txt"
    until(lambda: note.exists() and bool(note.read_text()))
    worker = int(note.read_text())
    code = job.stop(grace=0.2)
    assert code is not None
    assert code != 0
    until(lambda: creation_token(worker) is None)
    last = read_events(run.events_file)[0][-1]
    assert isinstance(last, events.RunFailed)
    assert last.exit_code == code
    assert run.state() == "failed"


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("print('starting'); raise SystemExit('no space left on device')", 1, "no space left"),
        ("raise SystemExit(3)", 3, "having printed nothing"),
    ],
    ids=["with-words", "silent"],
)
def test_a_child_that_dies_is_a_sentence(run: Run, program: str, code: int, words: str) -> None:
    job = start(run, command=[sys.executable, "-c", program])
    assert job.wait(60)
    assert job.poll() == code
    assert job.poll() == code  # said once
    (failed,) = read_events(run.events_file)[0]
    assert isinstance(failed, events.RunFailed)
    assert f"exit code {code}" in failed.message
    assert words in failed.message
    assert run.state() == "failed"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_child_names_the_signal(run: Run) -> None:
    job = start(run, command=[sys.executable, "-c", "import time; time.sleep(60)"])
    job.kill()
    assert job.wait(60)
    assert job.poll() == -9
    (failed,) = read_events(run.events_file)[0]
    assert isinstance(failed, events.RunFailed)
    assert "SIGKILL" in failed.message


def test_killing_spares_a_process_that_took_over_the_number(run: Run) -> None:
    from napari_unet_mic.training.lock import Holder

    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        host = Holder.this_process().host
        job = Job(run, "x", holder=Holder(host, other.pid, "created at another time"))
        assert not job.alive
        job.kill()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_the_last_words_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    assert last_words(log) == ""
    log.write_text("one\nprogress 1\rprogress 2\nMemoryError: 3 GB\n\n  \n")
    assert last_words(log) == "MemoryError: 3 GB"
    log.write_text("x" * 1000)
    assert len(last_words(log)) == 300


def test_endings() -> None:
    assert ending(1) == "with exit code 1"
    assert ending(-15) == "by signal SIGTERM"
    assert "out of memory" in ending(-9)


def test_the_watching_side_imports_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['monai'] = None\n"
        "import napari_unet_mic.jobs.process, napari_unet_mic.jobs.worker\n"
        "import napari_unet_mic.training.events, napari_unet_mic.training.run"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert process.SESSION_VARIABLE == "NAPARI_UNET_MIC_SESSION"


def test_a_second_start_is_refused_while_the_first_is_starting(run: Run) -> None:
    """Not when it has taken the lock and given it back: then it is ending."""
    waits = [sys.executable, "-c", "import time; time.sleep(60)"]
    job = start(run, command=waits)
    try:
        with pytest.raises(RunLocked, match="which is starting"):
            start(Run.open(run.folder), command=waits)
        run.take(job.session).release()
        again = start(run, command=waits)
        again.kill()
        again.wait(60)
    finally:
        job.kill()
        job.wait(60)
        job.poll()
