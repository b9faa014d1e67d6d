"""The findings of a dataset's check, gravest first: what is wrong, where, what to do.

Findings enter; the case of the one that was clicked leaves. The whole sentence of the chosen
one stands below the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from napari_unet_mic.data.finding_kinds import KINDS, SEVERITIES
from napari_unet_mic.gui.check_report import Reported
from napari_unet_mic.gui.colours import RGBA
from napari_unet_mic.gui.forms import LongSentence, explained
from napari_unet_mic.gui.tables import TableModel, TableView

COLUMNS = ("", "case", "kind", "what was found")
COLOURS: dict[str, RGBA] = {
    "error": (0.835, 0.369, 0.0, 1.0),
    "warning": (0.902, 0.624, 0.0, 1.0),
    "note": (0.337, 0.706, 0.914, 1.0),
}
"""Vermilion, orange and sky blue of Okabe and Ito; the word tells them apart as well."""
NOTHING = "Not checked yet: Check looks at every file and compares the cases with each other"
SOUND = "Nothing was found: every file is as it should be"


class FindingsView(QWidget):
    """The table of findings; `case_asked` carries the case to open."""

    case_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._findings: tuple[Reported, ...] = ()
        self.filter = explained(QLineEdit(), "Show only findings with this text in any column")
        self.filter.setPlaceholderText("filter findings")
        self.filter.setClearButtonEnabled(True)
        self.model = TableModel({"": lambda rank: SEVERITIES[int(rank)]})
        self.model.tooltips = {
            "": "How grave: errors make training or evaluation fail or go wrong, warnings should "
            "be looked at, notes are often harmless",
            "kind": "The finding's word, as in docs/findings.md",
            "what was found": "What was found; the whole sentence stands below",
        }
        self.model.tooltip_of = lambda row, _: self._tip(row)
        self.model.swatch_of = self._swatch
        self.table = TableView(self.model)
        self.table.setToolTip("Click a finding to open its case")
        self.table.cell_clicked.connect(self._on_clicked)
        self.filter.textChanged.connect(self.table.set_filter)
        self.sentence = LongSentence(
            NOTHING, "The chosen finding: where, what was expected, what came, advice"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.filter)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.sentence)

    @property
    def findings(self) -> tuple[Reported, ...]:
        """What is shown."""
        return self._findings

    def show_findings(self, findings: Sequence[Reported], *, checked: bool) -> None:
        """Show other findings.

        Parameters
        ----------
        checked
            Whether the whole check has been made (else this is a first glance).
        """
        self._findings = tuple(findings)
        ranks: dict[str, str] = {severity: str(rank) for rank, severity in enumerate(SEVERITIES)}
        self.model.set_rows(
            COLUMNS,
            [[ranks[f.severity], f.case or "dataset", f.kind, f.got] for f in self._findings],
        )
        if not findings:
            self.sentence.show_sentence(SOUND if checked else NOTHING)
        else:
            self.sentence.show_sentence("Click a finding to read it whole and to open its case")

    def _on_clicked(self, row: int, _: int) -> None:
        one = self._findings[row]
        self.sentence.show_sentence(one.message)
        if one.case:
            self.case_asked.emit(one.case)

    def _tip(self, row: int) -> str:
        one = self._findings[row]
        return f"{one.message}\n{KINDS[one.kind].meaning}" if one.kind in KINDS else one.message

    def _swatch(self, row: int, column: int) -> RGBA | None:
        return COLOURS[self._findings[row].severity] if column == 0 else None
