"""Tables as text, CSV and Markdown, for the clipboard.

Models enter, text leaves: as the table is shown (text, Markdown), or its values unrounded (CSV).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_unet_mic.gui.table_model import TableModel

Form = Callable[[TableModel], str]


def as_text(model: TableModel) -> str:
    """Return a table as it is shown, tabs between columns (pastes into a spreadsheet)."""
    return "\n".join("\t".join(line) for line in _lines(model))


def as_csv(model: TableModel) -> str:
    """Return a table's values, unrounded, as CSV."""
    frame = model.frame
    if model.row_headers:
        frame = frame.set_axis(model.row_headers[: len(frame)], axis=0)
    return frame.to_csv(index=bool(model.row_headers), lineterminator="\n")


def as_markdown(model: TableModel) -> str:
    """Return a table as it is shown, in Markdown, numbers to the right."""
    head, *body = _lines(model)
    n_text = 1 if model.row_headers else 0
    first = model.rows[0] if model.rows else []
    rule = ["---"] * n_text + ["---" if isinstance(v, str) else "---:" for v in first]
    lines = [head, rule or ["---"] * len(head), *body]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped)


FORMS: dict[str, Form] = {"as text": as_text, "as CSV": as_csv, "as Markdown": as_markdown}


def together(tables: Sequence[tuple[str, TableModel]], form: Form) -> str:
    """Return several tables one below the other, each under its title; empty ones are left out."""
    mark = "### {}\n\n" if form is as_markdown else "# {}\n" if form is as_csv else "{}\n"
    parts = [mark.format(title) + form(model).rstrip("\n") for title, model in tables if model.rows]
    return "\n\n".join(parts) + "\n"


def _lines(model: TableModel) -> list[list[str]]:
    columns = range(model.columnCount())
    lines = [list(model.columns)]
    lines += [[model.text(row, column) for column in columns] for row in range(model.rowCount())]
    if model.row_headers:
        heads = ["", *model.row_headers]
        lines = [[head, *line] for head, line in zip(heads, lines, strict=False)]
    return lines
