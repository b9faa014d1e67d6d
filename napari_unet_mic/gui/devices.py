"""The devices of this machine, asked from a child process: torch never enters napari.

``unet-mic info --json`` is run once per session, when a panel with a `DeviceCombo` is first
seen; until it answers there is "automatic", which is right for most.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QWidget

from napari_unet_mic.gui.forms import explained, short_combo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """One device: its name for ``--device``, its title, its memory, native element types."""

    name: str
    title: str
    memory_bytes: int | None = None
    fast_types: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What to show in a list."""
        memory = f", {self.memory_bytes / 2**30:.0f} GB" if self.memory_bytes else ""
        return f"{self.name}: {self.title}{memory}"

    @property
    def is_cpu(self) -> bool:
        """Whether this is the processor rather than a graphics card."""
        return self.name == "cpu"


def devices_of(facts: dict[str, Any]) -> tuple[Device, ...]:
    """Return the devices that ``unet-mic info --json`` lists, the automatic choice first."""
    return tuple(
        Device(d["name"], d["title"], d.get("memory_bytes"), tuple(d.get("fast_types", ())))
        for d in facts.get("devices", ())
    )


def ask_devices(command: Sequence[str] | None = None) -> tuple[Device, ...]:
    """Ask a child process for the devices; () when it does not answer (the log says why)."""
    words = list(command or [sys.executable, "-m", "napari_unet_mic", "info", "--json"])
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NO_WINDOW
    try:
        answer = subprocess.run(
            words, capture_output=True, text=True, timeout=120, check=True, **options
        )
        return devices_of(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        log.warning("could not ask for the devices: %s", error)
        return ()


class _Answer(QObject):
    """Asks once, in a thread, and tells everybody who wants to know on the GUI thread."""

    answered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.devices: tuple[Device, ...] | None = None
        self._thread: threading.Thread | None = None
        self.answered.connect(self._on_answered, Qt.ConnectionType.QueuedConnection)

    def ask(self) -> None:
        """Begin to ask, unless that was done before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="devices", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        devices = ask_devices()
        try:
            self.answered.emit(devices)
        except RuntimeError:
            log.debug("the application ended before the devices were known")

    def _on_answered(self, devices: tuple[Device, ...]) -> None:
        self.devices = devices


_answers: list[_Answer] = []


def _answer() -> _Answer:
    if not _answers:
        _answers.append(_Answer())
    return _answers[0]


class DeviceCombo(QComboBox):
    """Chooses a device; fills itself when first seen. `device` is the word for ``--device``.

    Signals
    -------
    filled ()
        The devices are known now.
    """

    filled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._devices: tuple[Device, ...] = ()
        short_combo(self, 9)
        self.addItem("automatic", "auto")
        explained(
            self,
            "What computes: a graphics card where there is one, else the processor",
            "--device auto|cpu|cuda|mps",
        )

    @property
    def device(self) -> str:
        """The chosen device, "auto" when the machine shall choose."""
        return str(self.currentData())

    @property
    def on_cpu(self) -> bool:
        """Whether the choice means the processor (as far as is known)."""
        if self.device == "auto":
            return not self._devices or self._devices[0].is_cpu
        return self.device == "cpu"

    @property
    def memory_bytes(self) -> int | None:
        """Memory of the chosen device, None when it is not known."""
        chosen = [one for one in self._devices if self.device in ("auto", one.name)]
        return chosen[0].memory_bytes if chosen else None

    def set_devices(self, devices: Sequence[Device]) -> None:
        """List the devices; the choice stays when it is still there."""
        chosen = self.device
        self._devices = tuple(devices)
        self.clear()
        first = f" ({devices[0].name})" if devices else ""
        self.addItem(f"automatic{first}", "auto")
        for device in devices:
            self.addItem(device.words, device.name)
        self.setCurrentIndex(max(0, self.findData(chosen)))
        self.filled.emit()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Ask for the devices when somebody looks for the first time."""
        super().showEvent(event)
        if self._devices:
            return
        answer = _answer()
        if answer.devices is not None:
            self.set_devices(answer.devices)
        else:
            answer.answered.connect(self.set_devices)
            answer.ask()
