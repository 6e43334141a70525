"""Folders of WFDB records (PhysioNet's format): labelled ones with a table of rhythms, and long ICU ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.files import provenance
from ecg_tl.sources.record_tables import Table, find_table, read_table
from ecg_tl.sources.wfdb_signals import find_headers, header_lines, read_records

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
        self.labels = _only_table(self.path) if labels is None else find_table(self.path, Path(labels))
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
            yield Exclusion(name, "no file", self._table[name]["rhythm"] or None)

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
        self.patients = None if patients is None else find_table(self.path, Path(patients))
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


def _only_table(folder: Path) -> Path:
    """Find labels.csv, or else the only CSV of a folder."""
    tables, usual = sorted(folder.glob("*.csv")), folder / "labels.csv"
    if usual in tables:
        return usual
    if len(tables) != 1:
        raise FileNotFoundError(f"{usual}: no such table among {len(tables)} .csv there; name it by source.labels")
    return tables[0]


def _data_files(folder: Path, table: Path | None) -> set[Path]:
    """Find headers, the signals that they name, and the table."""
    present = {path for path in folder.rglob("*") if path.is_file()}
    files = {path for path in present if path.suffix == ".hea"}
    for header in tuple(files):
        files |= {header.parent / line.split()[0] for line in header_lines(header)[1:]} & present
    return files if table is None else files | {table}
