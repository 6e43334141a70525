"""Trials: what the tables compare, one row a cell, whether from records, a CSV file or the paper."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import pandas as pd

from ecg_tl.learning_curve import NEVER_FALLS
from ecg_tl.records import Cell, RunRecord, fraction_name

INIT_ORDER = ("random", "image", "transfer", "frozen_random", "frozen")
CSV_COLUMNS = ("init", "fraction", "seed", "best_f1", "lci")
TRIAL_COLUMNS = ("init", "fraction", "seed", "split_seed", "best_f1", "lci", "lci_flag", "selected_f1", "weights")


def in_order(inits: Iterable[str]) -> list[str]:
    """Sort inits as the paper's tables have them, any other after those by name."""
    known = {init: place for place, init in enumerate(INIT_ORDER)}
    return sorted(set(inits), key=lambda init: (known.get(init, len(known)), init))


def init_label(init: str, weights: Iterable[str | None]) -> str:
    """Name an init's columns and lines; says so if any of its runs borrowed a network with random weights."""
    return f"{init} (random weights)" if "random" in set(weights) else init


def trials_of(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Make trials of run records: columns TRIAL_COLUMNS, one row a cell, in the order of the records.

    lci is NaN where there is no index and infinite where the curve never falls; weights is "" where none were
    borrowed. ValueError if two records fill one cell.
    """
    seen: set[Cell] = set()
    for record in records:
        if record.cell in seen:
            raise ValueError(f"study {record.study}: two records of {cell_name(record.cell)}; remove one")
        seen.add(record.cell)
    rows = [
        (
            *record.cell,
            record.best_f1,
            math.nan if record.lci is None else record.lci,
            record.lci_flag,
            record.selected_f1,
            record.weights or "",
        )
        for record in records
    ]
    return _frame(rows)


def read_trials(path: Path) -> pd.DataFrame:
    """Read trials of one split from a CSV file with the columns init, fraction, seed, best_f1, lci; lci may be empty.

    Returns the columns TRIAL_COLUMNS; selected_f1 is NaN. ValueError names the file, the line and what is
    wrong there: no such column, not a number, a fraction outside (0, 1], an F1 outside [0, 1], a cell given
    twice.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := [column for column in CSV_COLUMNS if column not in (reader.fieldnames or [])]:
            raise ValueError(f"{path}: line 1: no column {missing[0]!r}; the first line names {', '.join(CSV_COLUMNS)}")
        rows: list[tuple[object, ...]] = []
        line_of: dict[Cell, int] = {}
        for entry in reader:
            row = _parse(entry, f"{path}: line {reader.line_num}")
            cell = Cell(*row[:4])
            if cell in line_of:
                raise ValueError(
                    f"{path}: line {reader.line_num}: {cell_name(cell)} stands in line {line_of[cell]} too; "
                    "give each cell once"
                )
            line_of[cell] = reader.line_num
            rows.append(row)
    if not rows:
        raise ValueError(f"{path}: no trial; give one line for each init, fraction and seed")
    return _frame(rows)


def published_trials() -> pd.DataFrame:
    """Load the 90 trials that the paper prints, as columns TRIAL_COLUMNS.

    The paper's trial number is the seed; it gives no LCI for image. Source: tables 2 and 3 of Jang, Kim and
    Yoon, "Effectiveness of Transfer Learning for Deep Learning-Based Electrocardiogram Analysis", Healthcare
    Informatics Research 2021;27(1):19-28, doi 10.4258/hir.2021.27.1.19.
    """
    with resources.as_file(resources.files("ecg_tl") / "published" / "jang2021_trials.csv") as path:
        return read_trials(path)


def percent(fraction: float) -> str:
    """Write a fraction of the training records as tables and figures do: 100 %."""
    return f"{fraction * 100:g} %"


def cell_name(cell: Cell) -> str:
    """Name a cell as the command line does; of the split only where it is not the usual one."""
    split = f" split_seed={cell.split_seed}" if cell.split_seed else ""
    return f"init={cell.init} fraction={fraction_name(cell.fraction)} seed={cell.seed}{split}"


def _parse(entry: dict[str, str | None], where: str) -> tuple[str, float, int, int, float, float, str, float, str]:
    init = (entry["init"] or "").strip()
    if not init:
        raise ValueError(f"{where}: init is empty; name one, such as {', '.join(INIT_ORDER)}")
    fraction = _number(entry, "fraction", where)
    if not 0 < fraction <= 1:
        raise ValueError(f"{where}: fraction {fraction:g} is outside (0, 1]; write a quarter as 0.25")
    seed = _number(entry, "seed", where)
    if not (math.isfinite(seed) and seed >= 0 and seed == int(seed)):
        raise ValueError(f"{where}: seed {seed:g} is no whole number of 0 or more; number the trials")
    best_f1 = _number(entry, "best_f1", where)
    if not 0 <= best_f1 <= 1:
        raise ValueError(f"{where}: best_f1 {best_f1:g} is outside [0, 1]; write a share, not per cent")
    lci = _number(entry, "lci", where) if (entry["lci"] or "").strip() else math.nan
    if lci < 0:
        raise ValueError(f"{where}: lci {lci:g} is below 0; leave it empty where there is no index")
    return init, fraction, int(seed), 0, best_f1, lci, NEVER_FALLS if math.isinf(lci) else "", math.nan, ""


def _number(entry: dict[str, str | None], column: str, where: str) -> float:
    text = (entry[column] or "").strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: {column} {text!r} is not a number; write it with a decimal point") from None


def _frame(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
    numbers = dict.fromkeys(("fraction", "best_f1", "lci", "selected_f1"), "float64")
    return frame.astype({**numbers, "seed": "int64", "split_seed": "int64"})
