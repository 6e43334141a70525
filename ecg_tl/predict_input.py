"""What predictions are made on: recordings in any of the formats that do or are made to say rate, unit and lead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ecg_tl.sliding import windows
from ecg_tl.sources import Exclusion, Signal, Unusable
from ecg_tl.sources.csv import PlainFiles
from ecg_tl.sources.plain_samples import holds_one_recording
from ecg_tl.sources.wfdb_signals import find_headers, open_signal
from ecg_tl.store import open_store, to_units
from ecg_tl.waveform import RATE_HZ, WINDOW, centre_window

_BLOCK_ROWS = 256


@dataclass(frozen=True)
class Window:
    """A stretch of a recording from start_s on: (2048,) in a store's units, or why it is unfit for a network."""

    record: str
    start_s: float
    ecg: np.ndarray | None
    unfit: str | None = None


@dataclass(frozen=True)
class Input:
    """So many recordings of one lead; windows(step) gives theirs, one recording after another, every step samples."""

    lead: str
    records: int
    windows: Callable[[int], Iterator[Window]]


@dataclass(frozen=True)
class Said:
    """What the user says of the recordings, None where nothing."""

    rate_hz: float | None = None
    unit: str | None = None
    lead: str | None = None
    column: int | None = None
    trust_unit: bool = False


def open_input(path: Path, said: Said, model_lead: str) -> Input:
    """Find out what `path` is: a WFDB record or folder of records, CSV or NPY likewise, or a prepared store.

    The lead is the one said, else, where files name theirs, the one that the model was trained on. Nothing is taken for
    granted: FileNotFoundError if there is nothing; ValueError if the lead is nowhere, if rate, unit or lead of plain
    numbers are not said, or if they are said of files that say them themselves.
    """
    if path.suffix.lower() in (".h5", ".hdf5"):
        _refuse_said(path, said)
        return _of_store(path, said, model_lead)
    header = path if path.suffix == ".hea" else Path(f"{path}.hea")
    if header.is_file():
        _refuse_said(path, said)
        signal = open_signal(header.with_suffix(""), said.lead or model_lead)
        return Input(signal.lead, 1, partial(_slide, [signal]))
    if not path.exists():
        raise FileNotFoundError(f"input={path}: no such record, folder or file")
    if path.is_dir() and next(path.rglob("*.hea"), None):
        _refuse_said(path, said)
        return _of_records(path, said.lead or model_lead)
    if path.is_dir() and not any(file.suffix.lower() in (".csv", ".npy") for file in path.iterdir()):
        raise FileNotFoundError(f"input={path}: a folder without recordings (.hea, .csv, .npy); name one that has some")
    if path.is_dir() or path.suffix.lower() in (".csv", ".npy"):
        return _of_plain_files(path, said)
    raise ValueError(f"input={path}: neither WFDB (NAME.hea) nor .csv, .npy or .h5, nor a folder of such files")


def _refuse_said(path: Path, said: Said) -> None:
    for key in ("rate_hz", "unit", "column"):
        if getattr(said, key) is not None:
            raise ValueError(f"{key}={getattr(said, key)}: {path} says that itself; leave {key} out")


def _of_records(folder: Path, lead: str) -> Input:
    """Open a folder's WFDB records; those that cannot be used are listed, unless none can be."""
    items: list[Signal | Exclusion] = []
    faults: list[Unusable] = []
    for name, path in find_headers(folder).items():
        try:
            items.append(open_signal(path, lead))
        except Unusable as fault:
            items.append(Exclusion(name, fault.reason))
            faults.append(fault)
    signal = next((item for item in items if isinstance(item, Signal)), None)
    if signal is None:
        raise ValueError(f"{folder}: none of {len(items)} records can be used; the first: {faults[0]}")
    return Input(signal.lead, len(items), partial(_slide, items, listed=True))


def _of_plain_files(path: Path, said: Said) -> Input:
    missing = [key for key in ("rate_hz", "unit", "lead") if getattr(said, key) is None]
    if missing:
        example = {"rate_hz": "500", "unit": "mV", "lead": "II"}[missing[0]]
        raise ValueError(f"{missing[0]}: {path} does not say it; give {missing[0]}={example}, or what is right")
    with _in_own_words():
        files = PlainFiles(
            path,
            rate_hz=said.rate_hz,
            unit=said.unit,
            lead=said.lead,
            column=said.column,
            trust_unit=said.trust_unit,
            one_recording=path.is_file() and holds_one_recording(path, said.lead or "", said.column),
            row_s=WINDOW / RATE_HZ,
        )
    if path.is_dir():
        return Input(files.lead, len(files), partial(_slide, _signals(files)))
    signals = list(_signals(files))
    if len(signals) == 1 and isinstance(signals[0], Exclusion):
        raise ValueError(f"{path}: cannot be used ({signals[0].reason}); mend it or name another")
    return Input(files.lead, len(files), partial(_slide, signals))


def _signals(files: PlainFiles) -> Iterator[Signal | Exclusion]:
    with _in_own_words():
        yield from files.signals()


@contextmanager
def _in_own_words() -> Iterator[None]:
    """Let what a source refuses name the keys of `predict`, not those of `prepare`."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        said = str(error).replace("source.path", "input")
        raise kind(re.sub(r"\bsource\.(?=(?:rate_hz|unit|lead|column|trust_unit)\b)", "", said)) from error


def _slide(signals: Iterable[Signal | Exclusion], step: int, listed: bool = False) -> Iterator[Window]:
    """Cut windows out of one recording after another; listed: one that cannot be read from some place on says so."""
    for signal in signals:
        if isinstance(signal, Exclusion):
            yield Window(signal.record, 0.0, None, signal.reason)
            continue
        start_s, unfit = 0.0, "too short"
        try:
            for cut in windows(signal, step):
                yield Window(signal.record, cut.start_s, None if cut.unfit else to_units(cut.ecg_mv), cut.unfit)
                start_s, unfit = cut.start_s + step / RATE_HZ, ""
        except Unusable as fault:
            if not listed:
                raise
            unfit = fault.reason
        if unfit:
            yield Window(signal.record, start_s, None, unfit)


def _of_store(path: Path, said: Said, model_lead: str) -> Input:
    store = open_store(path)
    wanted = said.lead or model_lead
    if store.lead.casefold() != wanted.casefold():
        raise ValueError(
            f"{path}: holds lead {store.lead}, and {wanted} was asked for; give lead={store.lead} if you mean it"
        )
    if store.length < WINDOW:
        raise ValueError(f"{path}: rows of {store.length} samples, and networks take {WINDOW}; prepare it again")

    def rows(step: int) -> Iterator[Window]:
        if step != WINDOW:
            raise ValueError(f"step_s: the rows of {path} are windows already; leave it out")
        offset_s = (store.length - WINDOW) // 2 / store.rate_hz
        for first in range(0, len(store), _BLOCK_ROWS):
            block = centre_window(store.ecg[first : first + _BLOCK_ROWS], WINDOW)
            for row, ecg in enumerate(block, first):
                yield Window(str(store.record[row]), float(store.start_s[row]) + offset_s, ecg)

    return Input(store.lead, len(np.unique(store.record)), rows)
