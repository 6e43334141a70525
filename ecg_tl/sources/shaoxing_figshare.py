"""The Shaoxing (Chapman) database as figshare has it: Diagnostics.xlsx and one CSV of twelve leads a record."""

from __future__ import annotations

import codecs
import math
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from ecg_tl.sources import Exclusion, Recording, Sex
from ecg_tl.sources.files import provenance
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SAMPLES = 5000
TABLE = "Diagnostics.xlsx"
FOLDERS = ("ECGData", "ECGDataDenoised")

SYNONYMS = {"SA": "SI"}
"""Diagnostics.xlsx calls sinus irregularity SA; the database's own list of names calls it SI."""

BATCH = 32
"""Files that a process reads at a time."""

MOST_WORKERS = 8
"""Reading is no longer what takes the time with more."""

FEW_FILES = 1000
"""Fewer are read before other processes have started."""

_COLUMNS = {"filename": "FileName", "rhythm": "Rhythm", "patientage": "PatientAge", "gender": "Gender"}
_SEXES: dict[str, Sex] = {"MALE": "male", "FEMALE": "female"}
_MISSING = {b"", b"na", b"n/a", b"null", b"none"}
"""How a sample that is not there may be written, besides what float() reads as NaN."""


@dataclass(frozen=True)
class Diagnostics:
    """What Diagnostics.xlsx says, in its order: N records, their rhythm, age_years (N,) with NaN unknown, and sex."""

    record: tuple[str, ...]
    rhythm: tuple[str, ...]
    age_years: np.ndarray
    sex: tuple[Sex, ...]


class ShaoxingFigshare:
    """Ten-second lead II records at 500 Hz, one a patient, in the database's 11 rhythms.

    path: the folder of Diagnostics.xlsx, with the CSVs in ECGData, in ECGDataDenoised or beside the table; or
    that subfolder. workers: processes that read; None takes one a core, or none for few files. Each file is
    looked at for whether it is raw (a line of lead names comes first) or denoised (no such line).
    FileNotFoundError if CSVs or table are missing; ValueError if there are two sets of CSVs, or as
    `read_diagnostics`.
    """

    format = "shaoxing_figshare"
    rhythms = tuple(RHYTHM_COUNTS)
    rate_hz = 500.0

    def __init__(self, path: Path, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers={workers}: nobody would read; give 1 or more")
        self.path = Path(path)
        self.folder, self.table = _find_csvs(self.path), _find_table(self.path)
        self._files = {file.stem: file for file in _csvs(self.folder)}
        self.workers = workers or (_cores() if len(self._files) >= FEW_FILES else 1)
        diagnostics = read_diagnostics(self.table)
        people = zip(diagnostics.rhythm, diagnostics.age_years.tolist(), diagnostics.sex, strict=True)
        self._people = dict(zip(diagnostics.record, people, strict=True))

    def __len__(self) -> int:
        return len(self._files.keys() | self._people.keys())

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield the labelled records by name, then why the others cannot be used."""
        names = sorted(self._files.keys() & self._people.keys())
        signals = _read_in_order([self._files[name] for name in names], self.workers)
        for name, ecg_mv in zip(names, signals, strict=True):
            rhythm, age, sex = self._people[name]
            if isinstance(ecg_mv, str):
                yield Exclusion(name, ecg_mv, rhythm)
            else:
                yield Recording(ecg_mv, self.rate_hz, "II", name, name, rhythm, age, sex)
        for name in sorted(self._files.keys() - self._people.keys()):
            yield Exclusion(name, "no label")
        for name in sorted(self._people.keys() - self._files.keys()):
            yield Exclusion(name, "no file", self._people[name][0])

    def provenance(self) -> dict[str, Any]:
        """Say format, files and checksum over table and CSVs, how many classes, and which form the CSVs have."""
        stated = provenance(self.format, self.folder, [self.table, *self._files.values()])
        return stated | {"class_set": len(self.rhythms), "form": _form_of_all(self._files.values())}


def read_diagnostics(path: Path) -> Diagnostics:
    """Read Diagnostics.xlsx, whatever columns it has besides FileName, Rhythm, PatientAge and Gender.

    An age that is none, or outside 0 to 120, is unknown. ValueError names what is wrong: no such table, a
    column missing, a record twice or without name, a rhythm that is none of the 11.
    """
    try:
        table = pd.read_excel(path, dtype=str, keep_default_na=False)
    except (BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not an Excel table ({error}); copy it again") from error
    table.columns = table.columns.astype(str).str.strip().str.lower()
    if missing := [name for column, name in _COLUMNS.items() if column not in table.columns]:
        raise ValueError(f"{path}: no column {missing[0]!r} among {', '.join(table.columns)}; add it")
    people: dict[str, tuple[str, float, Sex]] = {}
    for number, entries in enumerate(table[list(_COLUMNS)].itertuples(index=False), start=2):
        name, rhythm, age, sex = (str(entry).strip() for entry in entries)
        if not (name or rhythm or age or sex):
            continue
        record = name.removesuffix(".csv")
        rhythm = SYNONYMS.get(rhythm.upper(), rhythm.upper())
        if not record:
            raise ValueError(f"{path}: row {number} has no FileName; give it one or remove the row")
        if record in people:
            raise ValueError(f"{path}: record {record!r} is there twice; keep one of its rows")
        if rhythm not in RHYTHM_COUNTS:
            known = ", ".join((*RHYTHM_COUNTS, *SYNONYMS))
            raise ValueError(f"{path}: record {record!r} has rhythm {rhythm!r}, none of {known}; correct it")
        people[record] = rhythm, _age_years(age), _SEXES.get(sex.upper(), "unknown")
    if not people:
        raise ValueError(f"{path}: has no row; copy it again")
    rhythms, ages, sexes = zip(*people.values(), strict=True)
    return Diagnostics(tuple(people), rhythms, np.array(ages, np.float32), sexes)


def read_lead_ii(path: Path) -> np.ndarray | str:
    """Read lead II of one CSV: (5000,) float32 millivolts, or why it cannot be used.

    Only this column is made into numbers. The reasons: "unreadable", "no lead II", "not 5000 rows", "nan",
    "all zero".
    """
    try:
        text = path.read_bytes().removeprefix(codecs.BOM_UTF8).rstrip()
    except OSError:
        return "unreadable"
    lines = text.splitlines()
    layout = _look_at(lines[0]) if lines else None
    if layout is None:
        return "unreadable"
    if layout.column is None:
        return "no lead II"
    rows = lines[1:] if layout.form == "raw" else lines
    if len(rows) != SAMPLES:
        return f"not {SAMPLES} rows"
    if text.count(b",") != len(lines) * (layout.columns - 1):
        return "unreadable"
    try:
        samples_uv = _numbers([row.split(b",", layout.column + 1)[layout.column] for row in rows])
    except (IndexError, ValueError):
        return "unreadable"
    with np.errstate(over="ignore"):
        ecg_mv = (samples_uv / 1000).astype(np.float32)
    if not np.isfinite(ecg_mv).all():
        return "nan"
    return ecg_mv if ecg_mv.any() else "all zero"


class _Layout(NamedTuple):
    form: Literal["raw", "denoised"]
    column: int | None
    columns: int


def _look_at(line: bytes) -> _Layout | None:
    """Tell from the first line whether it is lead names or samples, and where lead II is; None if it is neither."""
    fields = [field.strip(b" \t\"'").lower() for field in line.split(b",")]
    names = [lead.lower().encode() for lead in LEADS]
    if not set(names).isdisjoint(fields):
        return _Layout("raw", fields.index(b"ii") if b"ii" in fields else None, len(fields))
    try:
        _numbers(fields)
    except ValueError:
        return None
    return _Layout("denoised", LEADS.index("II"), len(fields)) if len(fields) == len(LEADS) else None


def _numbers(fields: Sequence[bytes]) -> np.ndarray:
    """Make fields into numbers, (N,) float64; ValueError if one is neither a number nor stands for none."""
    try:
        return np.array([float(field) for field in fields])
    except ValueError:
        return np.array([math.nan if field.strip().lower() in _MISSING else float(field) for field in fields])


def _form_of_all(files: Iterable[Path]) -> str:
    """Look at every file's first line: "raw", "denoised", "mixed", or "unknown" if none can be told."""
    forms = set()
    for path in files:
        with path.open("rb") as file:
            layout = _look_at(file.readline(1 << 16).removeprefix(codecs.BOM_UTF8).rstrip())
        if layout is not None:
            forms.add(layout.form)
    return "mixed" if len(forms) > 1 else next(iter(forms), "unknown")


def _read_in_order(paths: list[Path], workers: int) -> Iterator[np.ndarray | str]:
    """Read files in other processes, in their order, never more than a few batches ahead of who takes them."""
    batches = [paths[first : first + BATCH] for first in range(0, len(paths), BATCH)]
    workers = min(workers, len(batches))
    if workers <= 1:
        yield from map(read_lead_ii, paths)
        return
    # A fork would copy locks that threads of ours, torch's or the progress bar's, may hold.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_the_parent)
    try:
        pending: deque[Future[list[np.ndarray | str]]] = deque()
        for batch in batches:
            # Submitting may start a process.
            with _interrupts_for_the_parent_alone():
                pending.append(pool.submit(_read_batch, batch))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_batch(paths: list[Path]) -> list[np.ndarray | str]:
    return [read_lead_ii(path) for path in paths]


def _end_with_the_parent() -> None:
    """Keep no process behind when the parent is killed: the pool's own would wait for work for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_for_the_parent_alone() -> Iterator[None]:
    """Let processes that start here inherit a mask: Ctrl-C reaches them too, who would each print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _cores() -> int:
    """Count the cores that this process may use, as far as more of them make reading faster."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, MOST_WORKERS)


def _csvs(folder: Path) -> list[Path]:
    """List the CSVs of a folder, without the hidden companions that macOS leaves on foreign disks."""
    return sorted(path for path in folder.glob("*.csv") if not path.name.startswith("."))


def _find_csvs(path: Path) -> Path:
    folders = [folder for folder in (path, *(path / name for name in FOLDERS)) if _csvs(folder)]
    if not folders:
        raise FileNotFoundError(f"{path}: no CSV here or in {' or '.join(FOLDERS)}; set source.path to the records")
    if len(folders) > 1:
        both = " and ".join(map(str, folders))
        raise ValueError(f"{path}: records in {both}; set source.path to one of them")
    return folders[0]


def _find_table(path: Path) -> Path:
    path = path.absolute()
    for folder in (path, *path.parents[:2]):
        if (folder / TABLE).is_file():
            return folder / TABLE
    raise FileNotFoundError(f"{path / TABLE}: no such table, and none in the folders above; put it there")


def _age_years(text: str) -> float:
    try:
        age = float(text)
    except ValueError:
        return math.nan
    return age if 0 <= age <= 120 else math.nan
