"""Run records: what one cell of a study was and what came out, written once, read by everything after it."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ecg_tl.learning_curve import NEVER_FALLS


class Cell(NamedTuple):
    """One run of a study's grid: what it starts from, its share of the training records, its draw, its test set."""

    init: str
    fraction: float
    seed: int
    split_seed: int = 0


CURVE_COLUMNS = ("epoch", "train_loss", "test_loss", "test_f1", "learning_rate")
PREDICTION_COLUMNS = ("record", "patient", "rhythm", "best", "selected")


@dataclass(frozen=True)
class RunRecord:
    """One finished cell. F1 is weighted over the rhythms unless its name says otherwise; epochs count from 1.

    best_f1 is the maximum of test F1 over the epochs (paper's protocol), and macro_f1, f1_per_rhythm and confusion
    (rows true, columns predicted) belong to that epoch; selected_f1 is test F1 at the epoch that did best on the
    out-of-bag records, and so are its fellows. split_seed chose the test set. test_rows_in_corpus counts the test
    records that the encoder was pretrained on, None where there is no encoder or its corpus is not at hand. lci is None
    where the curve has no index, infinite where it never falls; lci_flag says so.
    """

    study: str
    init: str
    fraction: float
    seed: int
    split_seed: int
    status: str
    best_f1: float
    best_epoch: int
    lci: float | None
    lci_flag: str
    macro_f1: float
    rhythms: list[str]
    f1_per_rhythm: list[float]
    support_per_rhythm: list[int]
    confusion: list[list[int]]
    n_train: int
    n_test: int
    n_out_of_bag: int
    epochs: int
    selected_f1: float
    selected_epoch: int
    selected_macro_f1: float
    selected_f1_per_rhythm: list[float]
    selected_confusion: list[list[int]]
    encoder_sha256: str | None
    test_rows_in_corpus: int | None
    data_sha256: str
    config_sha256: str
    weights: str | None
    precision: str
    device: str
    seconds: float
    versions: dict[str, str]

    @property
    def cell(self) -> Cell:
        """The cell of the study's grid that this record fills."""
        return Cell(self.init, self.fraction, self.seed, self.split_seed)


def fraction_name(fraction: float) -> str:
    """Write a fraction as it compares and as its folder is called: 1, 0.5, 0.25."""
    return format(fraction, ".15g")


def run_name(cell: Cell) -> str:
    """Name one cell: INIT/FRACTION/SEED, or SEED-splitN where the split is another than 0."""
    draw = f"{cell.seed}-split{cell.split_seed}" if cell.split_seed else str(cell.seed)
    return f"{cell.init}/{fraction_name(cell.fraction)}/{draw}"


def run_folder(study_folder: Path, cell: Cell) -> Path:
    """Name the folder of one cell: runs/ and the cell's name."""
    return study_folder / "runs" / run_name(cell)


def write_record(record: RunRecord, folder: Path) -> Path:
    """Write folder/record.json whole or not at all. An infinite LCI is written as null beside its flag."""
    entries = asdict(record)
    entries["lci"] = None if record.lci is None or not math.isfinite(record.lci) else record.lci
    return write_whole(folder / "record.json", json.dumps(entries, indent=1, allow_nan=False) + "\n")


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all: under another name, renamed when complete. Makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a hidden folder beside `out` to fill; it becomes `out` when the block ends well, and is gone otherwise.

    ValueError if there is an `out` already.
    """
    if out.exists():
        raise ValueError(f"out={out} exists; remove it or choose another out")
    partial = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed, and had this number
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_record(path: Path) -> RunRecord:
    """Read one record.json. ValueError names the file and the missing or unknown entry."""
    try:
        entries: Any = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); remove the folder and run the cell again") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{path}: a {type(entries).__name__} is no record; remove the folder and run the cell again")
    known = {field.name for field in fields(RunRecord)}
    if missing := sorted(known - entries.keys()):
        raise ValueError(f"{path}: no entry {missing[0]!r}; written by another version? run the cell again")
    if unknown := sorted(entries.keys() - known):
        raise ValueError(f"{path}: unknown entry {unknown[0]!r}; written by another version? run the cell again")
    if entries["lci"] is None and entries["lci_flag"] == NEVER_FALLS:
        entries["lci"] = math.inf
    return RunRecord(**entries)


def read_records(study_folder: Path) -> list[RunRecord]:
    """Read every finished cell of a study, sorted by init, falling fraction and seed.

    FileNotFoundError names the folder and the command that fills it, ValueError two records of one cell.
    """
    runs = study_folder / "runs"
    records: list[RunRecord] = []
    paths: dict[Cell, Path] = {}
    for path in sorted(runs.glob("*/*/*/record.json")):
        record = read_record(path)
        if record.cell in paths:
            raise ValueError(f"{path}: fills the same cell as {paths[record.cell]}; remove one of the two folders")
        paths[record.cell] = path
        records.append(record)
    if not records:
        raise FileNotFoundError(f"{runs}: no finished run; python -m ecg_tl.train study={study_folder.name} makes one")
    return sorted(records, key=lambda record: _order(record.cell))


def _order(cell: Cell) -> tuple[Any, ...]:
    return cell.init, -cell.fraction, cell.split_seed, cell.seed


def read_curve(folder: Path) -> pd.DataFrame:
    """Read the curve.csv of one cell, one row an epoch, columns as CURVE_COLUMNS.

    ValueError names the file and the first column that is missing, or says that it has no epoch.
    """
    return _read_csv(folder / "curve.csv", CURVE_COLUMNS, "epoch")


def _read_csv(path: Path, columns: Sequence[str], row: str, **options: Any) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, **options)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path}: empty file; run the cell again") from error
    if missing := [column for column in columns if column not in table.columns]:
        raise ValueError(f"{path}: no column {missing[0]!r}; run the cell again")
    if table.empty:
        raise ValueError(f"{path}: no {row}; run the cell again")
    return table[list(columns)]


def read_predictions(folder: Path) -> pd.DataFrame:
    """Read the predictions.csv of one cell, one row a test record, columns as PREDICTION_COLUMNS.

    rhythm is the true one, best and selected what the network said at these epochs, all by name. ValueError names the
    file and the first column that is missing, or says that it has no record.
    """
    return _read_csv(folder / "predictions.csv", PREDICTION_COLUMNS, "record", dtype=str, keep_default_na=False)


def missing_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Name the cells that are not there in the smallest full grid around those that are."""
    present = set(cells)
    axes: list[Any] = [{cell[axis] for cell in present} for axis in range(len(Cell._fields))]
    grid = {Cell(*cell) for cell in itertools.product(*axes)}
    return sorted(grid - present, key=_order)
