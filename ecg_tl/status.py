"""ENTRY: how far a study has come: its cells by state, time left, last errors. python -m ecg_tl.status study=NAME"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ecg_tl import command_line
from ecg_tl.asked import read_asked
from ecg_tl.config import StatusConfig
from ecg_tl.failures import failure_of
from ecg_tl.locks import is_held
from ecg_tl.records import Cell, fraction_name, read_record, run_folder, run_name

STATES = ("done", "running", "failed", "interrupted", "missing")


@dataclass(frozen=True)
class CellStatus:
    """One cell that was asked for, or that is there. seconds: what it took, if done; error: why it failed last."""

    cell: Cell
    state: str
    seconds: float | None = None
    error: str | None = None


def main(config: StatusConfig) -> None:
    """Print the status of a study as a table, or as JSON with every cell."""
    study_folder = Path(config.outputs) / config.study
    cells = status_of(study_folder)
    if not cells:
        raise FileNotFoundError(
            f"{study_folder}: no cell was asked of this study; python -m ecg_tl.train -m study={config.study} begins it"
        )
    if config.format == "json":
        print(json.dumps(_plain(config.study, cells), indent=1))
    else:
        _print_table(config.study, cells, study_folder)


def status_of(study_folder: Path) -> list[CellStatus]:
    """Tell the state of every cell that a sweep asked for or that has a folder.

    done: it has its record; running: a living process holds its lock; failed: its last attempt left an error;
    interrupted: it was begun, and the same command goes on with it; missing: it was not begun.
    """
    there = (_cell_of(path.parent) for path in study_folder.glob("runs/*/*/*/config.yaml"))
    found = {cell for cell in there if cell}
    order = sorted({*read_asked(study_folder), *found}, key=lambda cell: (cell.init, -cell.fraction, *cell[2:]))
    return [_status(cell, run_folder(study_folder, cell)) for cell in order]


def _cell_of(folder: Path) -> Cell | None:
    """Read a cell off its folder; None if it is called otherwise than a run is, as a copy that somebody kept."""
    seed, _, split_seed = folder.name.partition("-split")
    try:
        cell = Cell(folder.parent.parent.name, float(folder.parent.name), int(seed), int(split_seed or 0))
    except ValueError:
        return None
    return cell if run_name(cell) == "/".join(folder.parts[-3:]) else None


def _status(cell: Cell, folder: Path) -> CellStatus:
    if (folder / "record.json").is_file():
        return CellStatus(cell, "done", read_record(folder / "record.json").seconds)
    if is_held(folder):
        return CellStatus(cell, "running")
    if error := failure_of(folder):
        return CellStatus(cell, "failed", error=error)
    return CellStatus(cell, "interrupted" if (folder / "config.yaml").is_file() else "missing")


def seconds_left(cells: list[CellStatus]) -> float | None:
    """Estimate how long the cells that are not done will take by what those done took: of the same init and fraction
    where there are such, else of the same init, else of any. Cells that run now share the work.

    None if none is done. A cell that runs counts whole.
    """
    if not any(status.seconds for status in cells):
        return None
    total = sum(_expected_s(status.cell, cells) for status in cells if status.state != "done")
    return total / max(1, sum(status.state == "running" for status in cells))


def _expected_s(cell: Cell, cells: list[CellStatus]) -> float:
    for alike in (2, 1, 0):
        if took := [done.seconds for done in cells if done.seconds and done.cell[:alike] == cell[:alike]]:
            return statistics.fmean(took)
    raise AssertionError("seconds_left found a cell that is done")


def _counts(cells: list[CellStatus]) -> dict[str, int]:
    counted = Counter(status.state for status in cells)
    return {state: counted[state] for state in STATES}


def _plain(study: str, cells: list[CellStatus]) -> dict[str, Any]:
    left_s = seconds_left(cells)
    return {
        "study": study,
        **_counts(cells),
        "seconds_left": None if left_s is None else round(left_s, 1),
        "cells": [status.cell._asdict() | {k: v for k, v in asdict(status).items() if k != "cell"} for status in cells],
    }


def _print_table(study: str, cells: list[CellStatus], study_folder: Path) -> None:
    table = Table("init", "fraction", *STATES, title=f"study {study}", title_justify="left")
    groups = list(dict.fromkeys(status.cell[:2] for status in cells))
    for column in table.columns[1:]:
        column.justify = "right"
    for init, fraction in groups:
        counts = _counts([status for status in cells if status.cell[:2] == (init, fraction)])
        table.add_row(init, fraction_name(fraction), *(str(count or "") for count in counts.values()))
    table.add_section()
    table.add_row("all", "", *(str(count) for count in _counts(cells).values()))
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    left_s, running = seconds_left(cells), sum(status.state == "running" for status in cells)
    if left_s:
        at_a_time = f"{max(1, running)} at a time"
        console.print(f"about {_duration(left_s)} left, {at_a_time}")
    for status in cells:
        if status.error:
            folder = run_folder(study_folder, status.cell)
            console.print(f"{folder}/failed.txt: {status.error}", markup=False)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


if __name__ == "__main__":
    command_line.run("status", main)
