import pytest
import torch

from napari_unet_mic.errors import BadInput
from napari_unet_mic.inference import precision
from napari_unet_mic.inference.allocator import tune
from napari_unet_mic.inference.precision import choose_device, choose_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


def test_a_gpu_is_preferred_and_the_choice_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "available_devices", lambda: ("cuda:0", "mps", "cpu"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    assert choose_device("auto") == (
        GPU,
        "Computing on the GPU cuda:0 (Some GPU): the first GPU found.",
    )
    assert choose_device("cuda")[0] == GPU
    assert choose_device("cpu")[0] == CPU


def test_without_a_gpu_the_cpu_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "available_devices", lambda: ("cpu",))
    device, sentence = choose_device()
    assert device == CPU
    assert "no GPU" in sentence
    with pytest.raises(BadInput, match="device cuda:1: expected one of cpu"):
        choose_device("cuda:1")


def test_automatic_precision_is_what_the_device_is_fast_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    assert choose_precision("auto", CPU)[0] == torch.float32
    assert choose_precision("auto", GPU)[0] == torch.float16
    assert choose_precision("bfloat16", CPU)[0] == torch.bfloat16
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    assert choose_precision("auto", CPU)[0] == torch.bfloat16


@pytest.mark.parametrize("name", ["float16", "float64"])
def test_precision_that_the_cpu_does_not_offer_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=f"got {name} on cpu"):
        choose_precision(name, CPU)


def test_allocator_is_tuned_or_left_alone() -> None:
    assert tune() in (True, False)
