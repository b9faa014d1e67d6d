import sys

from napari_unet_mic.gui.devices import Device, DeviceCombo, ask_devices, devices_of

GPU = Device("cuda:0", "NVIDIA H200", 141 * 2**30, ("float32", "bfloat16"))
CPU = Device("cpu", "x86_64, 2 cores", 24 * 2**30)


def test_devices_of_the_info_command():
    record = {"name": "cpu", "title": "x86_64, 2 cores", "memory_bytes": 24 * 2**30}
    record["fast_types"] = []

    assert devices_of({"devices": [record]}) == (CPU,)
    assert devices_of({}) == ()


def test_a_child_answers_or_there_are_no_devices():
    line = 'print(\'{"devices": [{"name": "cpu", "title": "x"}]}\')'
    assert ask_devices([sys.executable, "-c", line]) == (Device("cpu", "x"),)

    assert ask_devices([sys.executable, "-c", "raise SystemExit(1)"]) == ()
    assert ask_devices(["no-such-program"]) == ()


def test_the_choice_stays_when_the_list_is_filled(qtbot):
    combo = DeviceCombo()
    qtbot.addWidget(combo)
    assert combo.device == "auto"
    assert combo.on_cpu

    combo.set_devices([GPU, CPU])
    assert combo.itemText(0) == "automatic (cuda:0)"
    assert combo.device == "auto"
    assert not combo.on_cpu

    combo.setCurrentIndex(combo.findData("cpu"))
    combo.set_devices([GPU, CPU])
    assert combo.device == "cpu"
    assert combo.on_cpu
