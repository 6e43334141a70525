"""A table, and how it is written as Markdown, CSV and LaTeX: the same table gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

from ecg_tl.records import write_whole

Row = tuple[str, ...]

_LATEX = {
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
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
}


@dataclass(frozen=True)
class Block:
    """Rows that belong together under a heading, which may be empty."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A table as it is printed, and the unrounded numbers behind it.

    columns: one tuple a column, from the outermost level of the header to the innermost, all of one length.
    rows: as many cells as columns. numbers: long form, one row a number, written as the CSV file.
    """

    number: int
    title: str
    columns: tuple[tuple[str, ...], ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    numbers: pd.DataFrame

    def __post_init__(self) -> None:
        levels = {len(column) for column in self.columns}
        assert len(levels) == 1, f"{self.title}: header levels {levels}"
        assert all(len(row) == len(self.columns) for row in self.rows), f"{self.title}: a row of another length"

    @property
    def rows(self) -> list[Row]:
        """All rows in order, without the headings."""
        return [row for block in self.blocks for row in block.rows]


def to_markdown(table: Table) -> str:
    """Write a table as Markdown: title, pipe table with the header's levels joined, notes as a list."""
    width = len(table.columns)
    lines = [f"**Table {table.number}.** {_cell_of_markdown(table.title)}", ""]
    lines.append(_markdown_row(" ".join(level for level in column if level) for column in table.columns))
    lines.append(_markdown_row([":---"] + ["---:"] * (width - 1)))
    for block in table.blocks:
        if block.heading:
            lines.append(_markdown_row([f"*{block.heading}*"] + [""] * (width - 1)))
        lines += [_markdown_row(row) for row in block.rows]
    if table.notes:
        lines += ["", *(f"- {note}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Iterator[str] | Row | list[str]) -> str:
    return "| " + " | ".join(_cell_of_markdown(cell) for cell in cells) + " |"


def _cell_of_markdown(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def to_csv(table: Table) -> str:
    """Write a table's unrounded numbers as CSV, one row a number."""
    return table.numbers.to_csv(index=False, lineterminator="\n")


def to_latex(table: Table) -> str:
    r"""Write a table as LaTeX: a table environment with caption and notes around a booktabs tabular.

    A document that reads it needs \usepackage{booktabs,graphicx}; a table too wide is scaled to the line.
    """
    width = len(table.columns)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{latex_escape(table.title)}}}",
        r"\smallskip",
        r"\small",
        r"\setlength{\tabcolsep}{4pt}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"\toprule",
        *_latex_header(table.columns),
    ]
    for block in table.blocks:
        lines.append(r"\midrule")
        if block.heading:
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{latex_escape(block.heading)}}}}} \\")
        lines += [_latex_row(row) for row in block.rows]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if table.notes:
        lines += ["", r"\medskip", r"\begin{minipage}{\linewidth}", r"\footnotesize"]
        lines += [rf"{latex_escape(note)}\par" for note in table.notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def latex_escape(text: str) -> str:
    """Escape every character that LaTeX reads as a command, and spell the signs that its fonts may lack."""
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_row(cells: Row) -> str:
    return " & ".join(latex_escape(cell) for cell in cells) + r" \\"


def _latex_header(columns: tuple[tuple[str, ...], ...]) -> list[str]:
    lines = []
    levels = len(columns[0])
    for level in range(levels - 1):
        cells, rules, first = [], [], 1
        for name, group in groupby(column[: level + 1] for column in columns):
            span = len(list(group))
            if name[-1]:
                cells.append(rf"\multicolumn{{{span}}}{{c}}{{{latex_escape(name[-1])}}}")
                rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
            else:
                cells += [""] * span
            first += span
        lines += [" & ".join(cells) + r" \\", " ".join(rules)]
    return [*lines, _latex_row(tuple(column[-1] for column in columns))]


def write_table(table: Table, folder: Path, name: str) -> list[Path]:
    """Write folder/name.md, .csv and .tex, each whole or not at all; returns their paths in that order."""
    forms = {"md": to_markdown(table), "csv": to_csv(table), "tex": to_latex(table)}
    return [write_whole(folder / f"{name}.{ending}", text) for ending, text in forms.items()]
