"""Tables as Markdown and LaTeX. What is best is bold only among numbers of one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from training.measuring.summary import Figure

Best = Literal["low", "high", ""]
Protocol = frozenset[tuple[str, str]]
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "°": r"$^{\circ}$",
    "−": r"$-$",
    "×": r"$\times$",
    "σ": r"$\sigma$",
    "²": r"$^{2}$",
    "<": r"$<$",
    ">": r"$>$",
}


@dataclass(frozen=True)
class Cell:
    """One entry.

    Attributes:
        text: as shown.
        value: that compares; None never wins.
        tags: the protocol it was measured under.
    """

    text: str = "-"
    value: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def protocol(self) -> Protocol:
        """The tags, comparable: two numbers compare only where all of them agree."""
        return frozenset((key, str(value)) for key, value in self.tags.items())


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes:
        label: the method.
        cells: one per column.
        source: "ours", or where the numbers were published.
    """

    label: str
    cells: Sequence[Cell]
    source: str = "ours"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: for references, such as "table2".
        title: its caption.
        columns: heads of the columns after method and protocol.
        best: for each column whether the lowest or the highest value wins, "" for none.
        lines: its rows.
        notes: printed below.
        where: whether a last column tells source and protocol.
    """

    name: str
    title: str
    columns: Sequence[str]
    best: Sequence[Best]
    lines: Sequence[Line]
    notes: Sequence[str] = ()
    where: bool = True


def from_plain(content: Mapping[str, Any]) -> Table:
    """Return the table whose plain values (`dataclasses.asdict`) these are."""
    lines = [
        Line(line["label"], [Cell(**cell) for cell in line["cells"]], line["source"])
        for line in content["lines"]
    ]
    return Table(**{**content, "lines": lines})


def bold(table: Table) -> set[tuple[int, int]]:
    """Return (line, column) of the cells to print bold: the best of each protocol in each column.

    A protocol with a single number in the column, or with equal ones only, has no best one.
    """
    found = set()
    for column, best in enumerate(table.best):
        groups: dict[Protocol, list[tuple[float, int]]] = {}
        for number, line in enumerate(table.lines):
            cell = line.cells[column]
            if cell.value is not None and cell.tags and best:
                value = cell.value if best == "low" else -cell.value
                groups.setdefault(cell.protocol, []).append((value, number))
        for members in groups.values():
            least = min(members)[0]
            if max(members)[0] > least:
                found |= {(number, column) for value, number in members if value == least}
    return found


def protocol_of(line: Line) -> str:
    """Return the tags that all filled cells of a line share, as text."""
    shared = [set(cell.protocol) for cell in line.cells if cell.tags]
    if not shared:
        return ""
    common = set.intersection(*shared)
    first = next(cell.tags for cell in line.cells if cell.tags)
    return ", ".join(
        str(v) if k in ("dataset", "split") else f"{k}: {v}"
        for k, v in first.items()
        if (k, str(v)) in common and k != "cities"
    )


def markdown(table: Table) -> str:
    """Return a table for README or a terminal, with its title and notes."""
    notes = "".join(f"* {note}\n" for note in table.notes)
    return f"### {table.title}\n\n{piped(table)}\n\n{notes}".rstrip() + "\n"


def piped(table: Table) -> str:
    """Return a table's lines alone."""
    marked = bold(table)
    heads = ["", *table.columns, *(["source; protocol"] if table.where else [])]
    lines = [_piped(heads), "|---" * len(heads) + "|"]
    for number, line in enumerate(table.lines):
        cells = [
            f"**{cell.text}**" if (number, column) in marked else cell.text
            for column, cell in enumerate(line.cells)
        ]
        lines.append(_piped([line.label, *cells, *_where(table, line)]))
    return "\n".join(lines)


def _where(table: Table, line: Line) -> list[str]:
    parts = (line.source, protocol_of(line))
    return ["; ".join(part for part in parts if part)] if table.where else []


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def latex(table: Table) -> str:
    """Return a table environment; needs no package beside the standard ones."""
    marked = bold(table)
    rows = []
    for number, line in enumerate(table.lines):
        cells = [
            rf"\textbf{{{escaped(cell.text)}}}" if (number, column) in marked
            else escaped(cell.text)
            for column, cell in enumerate(line.cells)
        ]  # fmt: skip
        where = [escaped(text) for text in _where(table, line)]
        rows.append(" & ".join([escaped(line.label), *cells, *where]) + r" \\")
    last = ["source; protocol"] if table.where else []
    heads = " & ".join(["", *(escaped(c) for c in table.columns), *last])
    columns = "l" + "r" * len(table.columns) + ("p{6cm}" if table.where else "")
    notes = [rf"\par\smallskip {{\footnotesize {escaped(note)}}}" for note in table.notes]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escaped(table.title)}}}\label{{tab:{table.name.replace('_', '-')}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\hline",
            heads + r" \\",
            r"\hline",
            *rows,
            r"\hline",
            r"\end{tabular}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def shown(figure: Figure, digits: int = 2) -> str:
    """Return a figure: value, ± spread over seeds, [95 % interval]; one seed is said."""
    text = f"{figure.value:.{digits}f}"
    if figure.spread is not None:
        text += f" ± {figure.spread:.{digits}f}"
    if figure.low is not None and figure.high is not None:
        text += f" [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"
    return text


def small(value: float) -> str:
    """Return a probability: three digits and a power of ten."""
    digits, power = f"{value:.2e}".split("e")
    return f"{digits}e{int(power)}"
