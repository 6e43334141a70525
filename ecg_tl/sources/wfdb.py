"""Folders of WFDB records (PhysioNet's format): labelled ones with a table of rhythms, and long ICU ones."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import wfdb

from ecg_tl.sources import Exclusion, Recording, Sex, Signal
from ecg_tl.sources.files import provenance

MV_PER_UNIT = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "nv": 1e-6}
SEX_WORDS: dict[str, Sex] = {"m": "male", "male": "male", "f": "female", "female": "female"}

Table = dict[str, dict[str, str]]
"""A CSV by record and column, as text."""

_PERSON = ("patient", "age", "sex")


class WfdbRecords:
    """Labelled records: a folder of WFDB files and a CSV table `record,rhythm[,patient,age,sex]`.

    labels: the table, as a path or a name in the folder; by default labels.csv, or the folder's only .csv.
    What it does not say of a person comes from the header. FileNotFoundError if headers or table are missing;
    ValueError if the table lacks a column or names a record twice, or, when read, if no record has the lead.
    """

    format = "wfdb"

    def __init__(self, path: Path, labels: Path | None = None, lead: str = "II") -> None:
        self.path, self.lead = Path(path), lead
        self._headers = find_headers(self.path)
        self.labels = _find_table(self.path, labels)
        self._table = read_table(self.labels, required=("record", "rhythm"), optional=_PERSON)
        self._labelled = {name: path for name, path in self._headers.items() if self._table.get(name, {}).get("rhythm")}
        self.rhythms: tuple[str, ...] = tuple(sorted({self._table[name]["rhythm"] for name in self._labelled}))
        if not self.rhythms:
            raise ValueError(f"{self.labels}: labels none of the {len(self._headers)} records in {self.path}")

    def __len__(self) -> int:
        return len(self._headers.keys() | self._table.keys())

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield the labelled records by patient, then why the others cannot be used."""
        yield from read_records(self.path, self._labelled, self._table, self.lead)
        for name in sorted(self._headers.keys() - self._labelled.keys()):
            yield Exclusion(name, "no label")
        for name in sorted(self._table.keys() - self._headers.keys()):
            yield Exclusion(name, "no file")

    def provenance(self) -> dict[str, Any]:
        """Say format, files and checksum, over headers, signals and table."""
        return provenance(self.format, self.path, _data_files(self.path, self.labels))


class WfdbIcu:
    """Long unlabelled records: a folder of WFDB files, by patient.

    patients: CSV table `record,patient[,age,sex]`, as a path or a name in the folder; without it a record is
    a patient. What it does not say of a person comes from the header. Errors as `WfdbRecords`.
    """

    format = "wfdb_icu"
    rhythms: tuple[str, ...] = ()

    def __init__(self, path: Path, lead: str = "II", patients: Path | None = None) -> None:
        self.path, self.lead = Path(path), lead
        self._headers = find_headers(self.path)
        self.patients = None if patients is None else _find_table(self.path, patients)
        self._table: Table = {}
        if self.patients is not None:
            self._table = read_table(self.patients, required=("record", "patient"), optional=("age", "sex"))

    def __len__(self) -> int:
        return len(self._headers.keys() | self._table.keys())

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield the records by patient, then what the table names and the folder lacks."""
        yield from read_records(self.path, self._headers, self._table, self.lead)
        for name in sorted(self._table.keys() - self._headers.keys()):
            yield Exclusion(name, "no file")

    def provenance(self) -> dict[str, Any]:
        """Say format, files and checksum, over headers, signals and table."""
        return provenance(self.format, self.path, _data_files(self.path, self.patients))


def find_headers(folder: Path) -> dict[str, Path]:
    """Find the records in a folder and below: name, and path without .hea; segments of others are left out.

    FileNotFoundError if there is none; ValueError if two have one name.
    """
    headers: dict[str, Path] = {}
    segments: set[Path] = set()
    for path in sorted(folder.rglob("*.hea")):
        if path.stem in headers:
            raise ValueError(f"{path}: the record {path.stem} is there twice; rename one")
        headers[path.stem] = path.with_name(path.stem)
        first, *rest = header_lines(path) or [""]
        if re.match(r"\S+/\d+\s", first):
            segments.update(path.parent / line.split()[0] for line in rest)
    headers = {name: path for name, path in headers.items() if path not in segments}
    if not headers:
        raise FileNotFoundError(f"{folder}: no WFDB header (*.hea) here; set source.path to the records")
    return headers


def header_lines(path: Path) -> list[str]:
    """Read the lines of a header that are neither empty nor comments."""
    lines = path.read_text(encoding="latin-1").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _find_table(folder: Path, table: Path | None) -> Path:
    candidates = [Path(table), folder / table] if table else [folder / "labels.csv"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tables = sorted(folder.glob("*.csv"))
    if table is None and len(tables) == 1:
        return tables[0]
    raise FileNotFoundError(f"{candidates[-1]}: no such table among {len(tables)} .csv there; name the table")


def read_table(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> Table:
    """Read the named columns of a CSV as stripped text, by record, whose folder and suffix are dropped."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{path}: not a CSV table in UTF-8 ({str(error).splitlines()[0]})") from error
    table.columns = table.columns.str.strip().str.lower()
    if missing := [name for name in required if name not in table.columns]:
        raise ValueError(f"{path}: no column {missing[0]!r} among {', '.join(table.columns)}; add it")
    rows: dict[str, dict[str, str]] = {}
    columns = [name for name in (*required, *optional) if name in table.columns]
    for entries in table[columns].to_dict("records"):
        row = {str(name): str(entry).strip() for name, entry in entries.items()}
        record = row["record"].rsplit("/")[-1].removesuffix(".hea")
        if record in rows:
            raise ValueError(f"{path}: record {record!r} is there twice; keep one of its rows")
        rows[record] = row
    return rows


def read_records(folder: Path, headers: dict[str, Path], table: Table, lead: str) -> Iterator[Recording | Exclusion]:
    """Read one lead of the records, one at a time, sorted by patient.

    headers: name, and path without .hea. table: what is known of a record beside its header, by name, out of
    patient (else the record's name), rhythm, age, sex. ValueError at the end if no record in the folder had the lead.
    """
    patients = {name: table.get(name, {}).get("patient") or name for name in headers}
    leads: set[str] = set()
    for name in sorted(headers, key=lambda name: (patients[name], name)):
        row = table.get(name, {})
        header = _read_header(headers[name])
        if header is None:
            yield Exclusion(name, "unreadable", row.get("rhythm"))
            continue
        names = _lead_names(header)
        leads.update(names)
        channels = [index for index, each in enumerate(names) if each.casefold() == lead.casefold()]
        if channels:
            channel = channels[0]
            yield _read_channel(headers[name], channel, names[channel], patients[name], row)
        else:
            yield Exclusion(name, f"no lead {lead}", row.get("rhythm"))
    if leads and lead.casefold() not in {each.casefold() for each in leads}:
        raise ValueError(f"{folder}: no record has lead {lead}, only {', '.join(sorted(leads))}; set lead")


def _read_header(path: Path) -> wfdb.Record | wfdb.MultiRecord | None:
    # Nonsense in a header makes wfdb raise whatever it leads to, IndexError and TypeError too.
    try:
        return wfdb.rdheader(str(path), rd_segments=True)
    except Exception:
        return None


def _lead_names(header: wfdb.Record | wfdb.MultiRecord) -> list[str]:
    names = header.get_sig_name() if isinstance(header, wfdb.MultiRecord) else header.sig_name
    return [str(name) for name in names or []]


def _read_channel(path: Path, channel: int, lead: str, patient: str, row: dict[str, str]) -> Recording | Exclusion:
    name, rhythm = path.name, row.get("rhythm")
    try:
        ecg_mv, rate_hz, comments = _read_mv(path, channel)
    except _UnknownUnit as unknown:
        return Exclusion(name, f"unit {unknown}", rhythm)
    except Exception:
        return Exclusion(name, "unreadable", rhythm)
    if not (ecg_mv.size and rate_hz > 0):
        return Exclusion(name, "unreadable", rhythm)
    age, sex = age_and_sex(row, comments)
    return Recording(ecg_mv, rate_hz, lead, patient, name, rhythm, age, sex)


class _UnknownUnit(Exception):
    pass


def _read_mv(path: Path, channel: int, **frames: int) -> tuple[np.ndarray, float, list[str]]:
    """Read a channel, (T,) float32 millivolts, with rate and comments; frames: wfdb's sampfrom and sampto.

    It is read at its own rate: wfdb would average a channel that is faster than the record.
    """
    with np.errstate(all="ignore"):
        record = wfdb.rdrecord(str(path), channels=[channel], smooth_frames=False, return_res=32, **frames)
    unit = _unit(path, str(record.units[0]))
    if unit.casefold() not in MV_PER_UNIT:
        raise _UnknownUnit(unit)
    ecg_mv = np.asarray(record.e_p_signal[0] * np.float32(MV_PER_UNIT[unit.casefold()]), dtype=np.float32)
    return ecg_mv, float(record.fs * record.samps_per_frame[0]), record.comments or []


def open_signal(path: Path, lead: str) -> Signal:
    """Find a lead of a record by its name, to be read stretch by stretch; path without .hea.

    ValueError if the header cannot be read, says no rate or length, or has no such lead, and when read, if the unit is
    no voltage.
    """
    header = _read_header(path)
    if header is None or not (header.fs and header.fs > 0 and header.sig_len):
        raise ValueError(f"{path}.hea: cannot be read, or says no rate or no length; mend it or take it out")
    names = _lead_names(header)
    channel = next((index for index, each in enumerate(names) if each.casefold() == lead.casefold()), None)
    if channel is None:
        raise ValueError(f"{path}: no lead {lead}, only {', '.join(names)}; set lead to one of them")
    segments = header.segments if isinstance(header, wfdb.MultiRecord) else [header]
    per_frame = next(segment.samps_per_frame for segment in segments if segment is not None)
    grain = int((per_frame or [1] * len(names))[channel])

    def read_mv(first: int, last: int) -> np.ndarray:
        try:
            ecg_mv, _, _ = _read_mv(path, channel, sampfrom=first // grain, sampto=-(-last // grain))
        except _UnknownUnit as unknown:
            raise ValueError(f"{path}: unit {unknown} of lead {lead} is no voltage; mend its header") from unknown
        except Exception as error:
            raise ValueError(f"{path}: cannot be read from sample {first} to {last} ({error}); mend it") from error
        return ecg_mv[: last - first]

    return Signal(path.name, names[channel], float(header.fs * grain), int(header.sig_len * grain), read_mv, grain)


def _unit(path: Path, unit: str) -> str:
    """Give back the micro sign that wfdb drops with all that is not ASCII, taking microvolts for volts."""
    if unit in ("v", "V"):
        lines = header_lines(path.with_name(f"{path.name}.hea"))
        if any(re.search(r"/[^\x00-\x7f]+[vV]", line) for line in lines):
            return "uV"
    return unit


def age_and_sex(row: dict[str, str], comments: list[str]) -> tuple[float, Sex]:
    """Take age and sex from the table, or the header: `Age: 85`, `Sex: Male`, or `69 M`."""
    text = "\n".join(comments)
    mit_bih = re.match(r"\s*(-?\d+)\s+([MF])\b", text)
    said_age = re.search(r"(?im)^\W*age\W*:\s*(\S+)", text)
    said_sex = re.search(r"(?im)^\W*sex\W*:\s*(\w+)", text)
    age_text = row.get("age") or (said_age and said_age[1]) or (mit_bih and mit_bih[1]) or ""
    sex_text = row.get("sex") or (said_sex and said_sex[1]) or (mit_bih and mit_bih[2]) or ""
    try:
        age = float(age_text)
    except ValueError:
        age = math.nan
    return age if 0 <= age <= 120 else math.nan, SEX_WORDS.get(sex_text.casefold(), "unknown")


def _data_files(folder: Path, table: Path | None) -> set[Path]:
    """Find headers, the signals that they name, and the table."""
    present = {path for path in folder.rglob("*") if path.is_file()}
    files = {path for path in present if path.suffix == ".hea"}
    for header in tuple(files):
        files |= {header.parent / line.split()[0] for line in header_lines(header)[1:]} & present
    return files if table is None else files | {table}
