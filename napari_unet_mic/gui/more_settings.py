"""The settings of a run that most people leave alone: batch, patch, augmentation, lesions.

What the plan leaves to choose comes in (`fitting.Room`), a dictionary of `RunSettings` fields
goes out. A field that stands as the plan or nnU-Net's recipe has it leaves as the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.commands import option_of
from napari_unet_mic.gui.fitting import MOST_BATCH, Room
from napari_unet_mic.gui.forms import explained, guard_wheel, short_combo, short_spin
from napari_unet_mic.gui.settings_words import (
    AUGMENTATIONS,
    PRECISIONS,
    USUAL,
    changes,
    values_of,
)

NO_PLAN = "The plan decides, once there is one"


class MoreSettings(QWidget):
    """The form.

    Signals
    -------
    changed ()
        Some field has another value.
    small_lesions_wanted ()
        The preset for small lesions shall be filled in; `apply` takes its values.
    """

    changed = Signal()
    small_lesions_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._room: Room | None = None
        self._classes: dict[int, str] = {}
        self._make_presets()
        self._make_sizes()
        self._make_learning()
        self._make_lesions()
        self.memory = QLabel()
        self.memory.setWordWrap(True)
        explained(
            self.memory,
            "What the plan expects the network to take while it trains with this batch and "
            "patch, and what the chosen device has",
        )
        self._lay_out()
        self._offer_classes({})
        self.show_room(None, {})

    # ---- the fields ----------------------------------------------------------------------
    def _make_presets(self) -> None:
        self.recipe = explained(
            QPushButton("nnU-Net's recipe"), "Put every setting back to what nnU-Net does"
        )
        self.recipe.clicked.connect(lambda: self.apply(values_of(USUAL)))
        self.small_lesions = explained(
            QPushButton("small lesions"),
            "Look at small lesions more often: patches are centred on lesions, each lesion as "
            "often as every other however small it is, and more of every batch holds one. You "
            "see every field it changes; compare with nnU-Net's recipe, it is no sure gain",
        )
        self.small_lesions.clicked.connect(self.small_lesions_wanted)

    def _make_sizes(self) -> None:
        self.batch = self._spin(
            "batch_size", 1, MOST_BATCH, 2, "How many patches the network sees in one step"
        )
        tip = (
            "Voxels of a patch along {}: a multiple of what the network's strides need. Larger "
            "patches show more of their surroundings and take more memory"
        )
        self.patch = tuple(
            self._spin("patch_size", 1, 4096, 1, tip.format(axis)) for axis in ("z", "y", "x")
        )
        for axis in self.patch:
            axis.setMinimumWidth(62)

    def _make_learning(self) -> None:
        self.early = self._spin(
            "early_stopping_epochs",
            0,
            100_000,
            0,
            "End when the moving average of the Dice on validation patches has not become "
            "better for so many epochs",
        )
        self.early.setSpecialValueText("never")
        self.early.setSuffix(" epochs")
        self.augmentation = self._combo(
            "augmentation",
            AUGMENTATIONS,
            "How training patches are varied: nnU-Net's whole recipe; light (mirrored, small "
            "changes of intensity, nothing that moves a voxel); or not at all",
        )
        self.precision = self._combo(
            "precision",
            PRECISIONS,
            "Number type of the computation: automatic takes the fastest that the device does "
            "natively (mixed precision)",
        )
        self._make_rate()

    def _make_rate(self) -> None:
        self.rate = short_spin(QDoubleSpinBox(), 0, 10, 0)
        self.rate.setDecimals(5)
        self.rate.setRange(0.00001, 9.99)
        self.rate.setSingleStep(0.001)
        self.rate.setValue(USUAL.learning_rate)
        explained(
            self.rate,
            "How large the first steps are; it falls to zero over the epochs. nnU-Net's is 0.01",
            option_of("learning_rate"),
        )
        self.rate.setMinimumWidth(70)
        self.rate.valueChanged.connect(self._on_changed)
        self.warm_up = self._spin(
            "warm_up_iterations",
            0,
            1_000_000,
            0,
            "Let the learning rate rise over so many steps at the start; nnU-Net does not",
        )
        self.warm_up.setSpecialValueText("none")
        self.warm_up.setSuffix(" steps")
        self.seed = self._spin("seed", 0, 2_000_000_000, 0, "The same seed gives the same run")

    def _make_lesions(self) -> None:
        self.foreground = self._spin(
            "foreground_oversampling",
            0,
            100,
            33,
            "Share of every batch whose patches must hold a class; nnU-Net's is 33 %. More of "
            "it lets rare, small lesions be seen more often",
        )
        self.foreground.setSuffix(" %")
        self.focus = short_combo(QComboBox())
        explained(
            self.focus,
            "Centre those patches on the lesions (connected components) of one class, each as "
            "often as every other however small; 'any class' centres on any voxel, as nnU-Net",
            option_of("focus_class"),
        )
        self.focus.currentIndexChanged.connect(self._on_changed)
        self.weights = explained(
            QLineEdit(),
            "How much a voxel of each class counts in the cross entropy: one number a class, "
            "the background first; empty counts all alike",
            option_of("class_weights"),
        )
        self.weights.textChanged.connect(self._on_changed)
        guard_wheel(self.rate, self.focus)

    def _spin(self, field: str, low: int, high: int, value: int, words: str) -> QSpinBox:
        spin = explained(short_spin(QSpinBox(), low, high, value), words, option_of(field))
        spin.setMinimumWidth(70)
        spin.valueChanged.connect(self._on_changed)
        guard_wheel(spin)
        return spin

    def _combo(self, field: str, words: Mapping[str, str], tip: str) -> QComboBox:
        combo = explained(short_combo(QComboBox()), tip, option_of(field))
        for value, text in words.items():
            combo.addItem(text, value)
        combo.currentIndexChanged.connect(self._on_changed)
        guard_wheel(combo)
        return combo

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 2)
        grid.setVerticalSpacing(4)
        grid.setHorizontalSpacing(4)
        grid.setColumnStretch(1, 3)
        grid.setColumnStretch(3, 3)
        presets, patch = QHBoxLayout(), QHBoxLayout()
        patch.setSpacing(3)
        presets.addWidget(self.recipe)
        presets.addWidget(self.small_lesions)
        presets.addStretch(1)
        for words, spin in zip(("Patch", "×", "×"), self.patch, strict=True):
            patch.addWidget(QLabel(words))
            patch.addWidget(spin, 1)
        grid.addWidget(QLabel("Preset"), 0, 0)
        grid.addLayout(presets, 0, 1, 1, 3)
        grid.addLayout(patch, 1, 0, 1, 4)
        rows = (
            ("Batch", self.batch, "Stop early", self.early),
            ("Augment", self.augmentation, "Precision", self.precision),
            ("Rate", self.rate, "Warm-up", self.warm_up),
            ("Foreground", self.foreground, "Centre on", self.focus),
            ("Weights", self.weights, "Seed", self.seed),
        )
        for number, (left, one, right, other) in enumerate(rows, start=2):
            grid.addWidget(QLabel(left), number, 0)
            grid.addWidget(one, number, 1)
            grid.addWidget(QLabel(right), number, 2)
            grid.addWidget(other, number, 3)
        grid.addWidget(self.memory, 7, 0, 1, 4)

    # ---- what the plan allows --------------------------------------------------------------
    def show_room(self, room: Room | None, classes: Mapping[int, str]) -> None:
        """Bound batch and patch by a plan and a device; None: there is no plan yet."""
        own = None if self._room is None else self._own_sizes()
        if room is None or self._room is None or _is_other_plan(room, self._room):
            own = None  # sizes that were chosen for another plan
        self._room = room
        for spin in (self.batch, *self.patch):
            spin.setEnabled(room is not None)
        if dict(classes) != self._classes:
            self._offer_classes(dict(classes))
        if room is None:
            self.memory.setText(NO_PLAN)
            return
        with QSignalBlocker(self):
            self._bound_patch(room)
            self._set_sizes(*(own or (None, None)))
        self._on_changed()

    def _bound_patch(self, room: Room) -> None:
        for spin, step, size in zip(self.patch, room.steps, room.patch_size, strict=True):
            spin.setRange(step, max(size, step * (4096 // step)))
            spin.setSingleStep(step)
        self.patch[0].setEnabled(not room.is_flat)

    def _set_sizes(self, batch: int | None, patch: tuple[int, ...] | None) -> None:
        room = self._room
        if room is None:
            return
        for spin, size in zip(self.patch, patch or room.patch_size, strict=True):
            spin.setValue(size)
        self.batch.setMaximum(MOST_BATCH)
        self.batch.setValue(batch or room.batch_size)

    def _offer_classes(self, classes: dict[int, str]) -> None:
        self._classes = classes
        chosen = self.focus.currentData()
        with QSignalBlocker(self.focus):
            self.focus.clear()
            self.focus.addItem("any class", None)
            for value, name in classes.items():
                if value != 0:
                    self.focus.addItem(name, value)
            self.focus.setCurrentIndex(max(0, self.focus.findData(chosen)))
        self.weights.setPlaceholderText(" ".join(["equal:", *classes.values()]))

    def _on_changed(self) -> None:
        room, patch = self._room, self._patch_shown
        if room is not None:
            refusal = room.refusal(1, patch)
            if not refusal:
                self.batch.setMaximum(max(room.largest_batch(patch), room.batch_size))
                refusal = room.refusal(self.batch.value(), patch)
            words = refusal or room.sentence(self.batch.value(), patch)
            self.memory.setText(f"⚠ {words}" if refusal else words)
        self.changed.emit()

    @property
    def _patch_shown(self) -> tuple[int, int, int]:
        z, y, x = (spin.value() for spin in self.patch)
        return z, y, x

    # ---- values ----------------------------------------------------------------------------
    @property
    def refusal(self) -> str:
        """Why no run can start with these settings; "" when one can."""
        room = self._room
        if room is None:
            return ""
        uneven = [
            f"{axis} must be a multiple of {step}"
            for axis, step, n in zip("zyx", room.steps, self._patch_shown, strict=True)
            if n % step
        ]
        if uneven:
            return f"Patch {'×'.join(map(str, self._patch_shown))}: {', '.join(uneven)}"
        return room.refusal(self.batch.value(), self._patch_shown)

    def values(self) -> dict[str, Any]:
        """Return the `RunSettings` fields of this form.

        Raises
        ------
        BadInput
            When the class weights are no numbers, or not one a class.
        """
        batch_size, patch_size = self._own_sizes()
        return {
            "batch_size": batch_size,
            "patch_size": patch_size,
            "early_stopping_epochs": self.early.value() or None,
            "augmentation": self.augmentation.currentData(),
            "precision": self.precision.currentData(),
            "learning_rate": round(self.rate.value(), 6),
            "warm_up_iterations": self.warm_up.value(),
            "foreground_oversampling": self.foreground.value() / 100,
            "focus_class": self.focus.currentData(),
            "class_weights": self._weights(),
            "seed": self.seed.value(),
        }

    def _own_sizes(self) -> tuple[int | None, tuple[int, int, int] | None]:
        """Return batch and patch; None for those that are the plan's."""
        room = self._room
        if room is None:
            return None, None
        batch = self.batch.value()
        return (
            None if batch == room.batch_size else batch,
            None if self._patch_shown == room.patch_size else self._patch_shown,
        )

    def _weights(self) -> tuple[float, ...] | None:
        text = self.weights.text().replace(",", " ").split()
        if not text:
            return None
        try:
            weights = tuple(float(word) for word in text)
        except ValueError:
            weights = ()
        if len(weights) != len(self._classes or weights) or not weights:
            names = " ".join(self._classes.values())
            raise BadInput(
                "class weights",
                expected=f"one number for each of {names}" if names else "numbers",
                got=self.weights.text(),
                advice="separate them by spaces, the background first",
            )
        return weights

    def apply(self, values: Mapping[str, Any]) -> None:
        """Fill in fields; those that are not named stay as they are."""
        with QSignalBlocker(self):
            if "batch_size" in values or "patch_size" in values:
                self._set_sizes(values.get("batch_size"), values.get("patch_size"))
            for field, set_value in self._setters.items():
                if field in values:
                    set_value(values[field])
        self._on_changed()

    @property
    def _setters(self) -> dict[str, Any]:
        def choose(combo: QComboBox) -> Any:
            return lambda value: combo.setCurrentIndex(max(0, combo.findData(value)))

        return {
            "early_stopping_epochs": lambda n: self.early.setValue(n or 0),
            "augmentation": choose(self.augmentation),
            "precision": choose(self.precision),
            "learning_rate": self.rate.setValue,
            "warm_up_iterations": self.warm_up.setValue,
            "foreground_oversampling": lambda share: self.foreground.setValue(round(100 * share)),
            "focus_class": choose(self.focus),
            "class_weights": lambda w: self.weights.setText(" ".join(f"{n:g}" for n in w or ())),
            "seed": self.seed.setValue,
        }

    @property
    def gist(self) -> str:
        """What differs from nnU-Net's recipe, in a few words."""
        try:
            return changes(self.values())
        except BadInput:
            return "class weights?"


def _is_other_plan(one: Room, other: Room) -> bool:
    mine = (one.configuration.name, one.patch_size, one.batch_size, one.steps)
    return mine != (other.configuration.name, other.patch_size, other.batch_size, other.steps)
