import io
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume, read_labels, write_image
from napari_unet_mic.errors import BadInput
from napari_unet_mic.jobs.worker import (
    CaseRequest,
    PredictionEvent,
    PredictionRequest,
    PredictionWorker,
    array_request,
    request_from_json,
    request_json,
)
from napari_unet_mic.jobs.worker_child import Server

CHILD = """
import json, sys, time
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "cancel":
        if name != "deaf":
            print(json.dumps({"kind": "cancelled"}), flush=True)
        continue
    name = request["model"]
    print("a library's chatter", flush=True)
    print(json.dumps({"kind": "started", "message": f"{name} on the CPU", "new": 1}), flush=True)
    if name == "dies":
        sys.stderr.write("RuntimeError: out of memory\\n")
        sys.exit(3)
    if name in ("slow", "deaf"):
        continue
    print(json.dumps({"kind": "case_done", "file": request["cases"][0]["out"]}), flush=True)
    print(json.dumps({"kind": "done"}), flush=True)
"""


class Heard(list[PredictionEvent]):
    """Collects events and lets a test wait for one."""

    def until(self, kind: str, seconds: float = 60.0) -> PredictionEvent:
        deadline = time.monotonic() + seconds
        while True:
            for event in list(self):
                if event.kind == kind:
                    return event
            assert time.monotonic() < deadline, f"no {kind} in {list(self)}"
            time.sleep(0.01)


@pytest.fixture
def worker() -> Any:
    made = PredictionWorker([sys.executable, "-c", CHILD])
    yield made
    made.close()


def request(model: str = "m") -> PredictionRequest:
    case = CaseRequest("liver_1", "out/liver_1.nii.gz", images=("a.nii.gz", "b.nii.gz"))
    return PredictionRequest(model, (case,), folds=(0, "all"))


def test_requests_come_back_from_json(tmp_path: Path) -> None:
    array = array_request("x", np.zeros((1, 2, 3, 4)), np.eye(4), tmp_path)
    for made in (request(), PredictionRequest("m", (array,), mirroring=True)):
        assert request_from_json(json.loads(json.dumps(request_json(made)))) == made


def test_the_child_stays_warm_between_requests(worker: PredictionWorker) -> None:
    first, second = Heard(), Heard()
    worker.predict(request(), first.append)
    first.until("done")
    assert [e.kind for e in first] == ["started", "case_done", "done"]
    process = worker._process
    worker.predict(request(), second.append)
    assert second.until("case_done").file == "out/liver_1.nii.gz"
    second.until("done")
    assert worker._process is process
    assert not worker.busy


def test_one_request_at_a_time(worker: PredictionWorker) -> None:
    heard = Heard()
    worker.predict(request("slow"), heard.append)
    with pytest.raises(RuntimeError, match="still at work"):
        worker.predict(request(), heard.append)
    worker.cancel()
    heard.until("cancelled")
    assert worker.alive


def test_a_deaf_child_is_ended_and_started_anew(worker: PredictionWorker) -> None:
    heard, after = Heard(), Heard()
    worker.predict(request("deaf"), heard.append)
    heard.until("started")
    worker.cancel(grace=0.1)
    assert "ended by" in heard.until("failed").message or sys.platform == "win32"
    worker.predict(request(), after.append)
    after.until("done")


def test_a_dead_child_says_why(worker: PredictionWorker) -> None:
    heard = Heard()
    worker.predict(request("dies"), heard.append)
    message = heard.until("failed").message
    assert "exit code 3" in message
    assert "out of memory" in message


def test_closing_ends_the_child(worker: PredictionWorker) -> None:
    heard = Heard()
    worker.predict(request(), heard.append)
    heard.until("done")
    worker.close()
    assert not worker.alive
    worker.close()


class Fake:
    """A predictor that labels what is brighter than 1, one plane a tile."""

    sentences = ("Computing on nothing at all.",)
    opened = 0

    def __init__(self, wait: Callable[[], None] = lambda: None) -> None:
        self.wait = wait

    def predict(self, image: Volume, **hooks: Any) -> Any:
        for plane in range(3):
            self.wait()
            if hooks["should_stop"]():
                from napari_unet_mic.errors import Cancelled

                raise Cancelled("the prediction")
            hooks["progress"](plane + 1, 3)
        shares = np.zeros((2, *image.shape)) if hooks["probabilities"] else None
        labels = (image.array[0] > 1).astype(np.uint8)
        return SimpleNamespace(labels=labels, probabilities=shares, seconds={"network": 0.5})


def serve(lines: list[dict[str, Any]], open_predictor: Any) -> list[PredictionEvent]:
    answers = io.StringIO()
    requests = io.StringIO("not json\n" + "".join(json.dumps(line) + "\n" for line in lines))
    server = Server(requests, answers, open_predictor=open_predictor)
    server._closed = SimpleNamespace(is_set=lambda: False, set=lambda: None)  # type: ignore[assignment]
    server.serve()
    return [PredictionEvent.from_line(line) for line in answers.getvalue().splitlines()]


def message(made: PredictionRequest, number: int = 1) -> dict[str, Any]:
    return {"do": "predict", "number": number, **request_json(made)}


def test_a_file_and_an_array_are_predicted_onto_their_own_grids(tmp_path: Path) -> None:
    array = np.zeros((1, 2, 3, 4), np.float32)
    array[0, 1, 2, 3] = 5
    like = Volume.from_array(array, spacing_mm=(3.0, 1.0, 0.5))
    write_image(tmp_path / "in.nii.gz", array, like)
    from_file = CaseRequest("f", str(tmp_path / "f.nii.gz"), images=(str(tmp_path / "in.nii.gz"),))
    from_array = array_request("a", array, like.affine, tmp_path)
    opened: list[PredictionRequest] = []

    def open_once(made: PredictionRequest) -> Fake:
        opened.append(made)
        return Fake()

    made = PredictionRequest("model", (from_file, from_array), probabilities=True)
    events = serve([message(made), message(made, 2)], open_once)
    kinds = [event.kind for event in events]
    assert kinds.count("done") == 2
    assert kinds.count("case_done") == 4
    assert len(opened) == 1  # the model stayed loaded
    done = next(event for event in events if event.kind == "case_done")
    assert (done.case, done.case_number, done.cases) == ("f", 0, 2)
    assert done.seconds == {"network": 0.5}
    labels = read_labels(tmp_path / "f.nii.gz")
    assert np.argwhere(labels.array).tolist() == [[1, 2, 3]]
    assert labels.spacing_mm == pytest.approx((3.0, 1.0, 0.5))
    assert np.load(from_array.out).sum() == 1
    assert np.load(tmp_path / "a_labels_probabilities.npy").shape == (2, 2, 3, 4)
    with np.load(tmp_path / "f.npz") as kept:  # beside a file, as the command keeps them
        assert kept["probabilities"].shape == (2, 2, 3, 4)


def test_an_error_is_a_failed_event_and_the_next_request_is_served(tmp_path: Path) -> None:
    def refuse(made: PredictionRequest) -> Fake:
        if made.model == "bad":
            raise BadInput("bad", expected="a model", got="nothing", advice="choose another")
        return Fake()

    made = PredictionRequest("bad", ())
    events = serve([message(made), message(PredictionRequest("good", ()), 2)], refuse)
    assert [e.kind for e in events] == ["failed", "started", "done"]
    assert "expected a model" in events[0].message


def test_of_several_cases_a_bad_one_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    good = array_request("good", np.zeros((1, 2, 3, 4), np.float32), np.eye(4), tmp_path)
    bad = CaseRequest("bad", str(tmp_path / "bad.nii.gz"), images=(str(tmp_path / "no.nii.gz"),))
    events = serve([message(PredictionRequest("m", (bad, good)))], lambda _: Fake())
    told = [(event.kind, event.case) for event in events if event.kind != "progress"]
    assert told == [("started", ""), ("case_failed", "bad"), ("case_done", "good"), ("done", "")]
    assert "no.nii.gz" in events[1].message
    assert not (tmp_path / "bad.nii.gz").exists()


def test_a_cancel_is_heard_while_the_network_works(tmp_path: Path) -> None:
    heard_cancel = threading.Event()
    case = array_request("a", np.zeros((1, 2, 3, 4), np.float32), np.eye(4), tmp_path)

    class Stream(io.StringIO):
        def __iter__(self) -> Any:
            yield json.dumps(message(PredictionRequest("m", (case,))))
            yield json.dumps({"do": "cancel", "number": 1})
            heard_cancel.set()
            time.sleep(0.2)

    answers = io.StringIO()
    Server(
        Stream(),
        answers,
        open_predictor=lambda _: Fake(lambda: _wait(heard_cancel)),  # type: ignore[arg-type,return-value]
    ).serve()
    kinds = [PredictionEvent.from_line(line).kind for line in answers.getvalue().splitlines()]
    assert kinds[-1] == "cancelled"


def _wait(event: threading.Event) -> None:
    event.wait(30)
