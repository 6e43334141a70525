"""PTB-XL as PhysioNet gives it: `ptbxl_database.csv`, `scp_statements.csv`, and WFDB files of 500 or 100 Hz."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.files import provenance
from ecg_tl.sources.record_tables import Table
from ecg_tl.sources.wfdb_signals import read_records

DATABASE, STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
FILE_COLUMN = {500: "filename_hr", 100: "filename_lr"}
SEX_OF_CODE = {"0": "male", "1": "female"}


class Ptbxl:
    """Labelled 12-lead records, several of some patients, with PTB-XL's own rhythm statements as rhythms.

    records_hz: 500 or 100, which of the two sets of files. The rhythms are all that scp_statements.csv marks as
    such, in its order, however few the records at hand show. Of two statements the one rarer in the whole table
    counts; the likelihood beside it is not looked at, as PTB-XL writes 0 for rhythms whatever they are. It also
    writes 300 for ages above 89: unknown here. FileNotFoundError if a table or all files are missing; ValueError
    if a table is not what it should be or, when read, if no record has the lead.
    """

    format = "ptbxl"

    def __init__(self, path: Path, records_hz: int = 500, lead: str = "II") -> None:
        if records_hz not in FILE_COLUMN:
            raise ValueError(f"records_hz={records_hz}: PTB-XL has no such files; choose 500 or 100")
        self.path, self.records_hz, self.lead = Path(path), records_hz, lead
        self.rhythms: tuple[str, ...] = _rhythm_statements(self.path / STATEMENTS)
        columns = ("ecg_id", "patient_id", "age", "sex", "scp_codes", *FILE_COLUMN.values())
        rows = _read_rows(self.path / DATABASE, columns)
        stated = [_stated(self.path / DATABASE, row, self.rhythms) for row in rows]
        counts = Counter(rhythm for rhythms in stated for rhythm in rhythms)
        self._n_two_statements = sum(len(rhythms) > 1 for rhythms in stated)
        self._headers: dict[str, Path] = {}
        self._table: Table = {}
        for row, rhythms in zip(rows, stated, strict=True):
            header = self.path / row[FILE_COLUMN[records_hz]]
            if header.name in self._headers:
                raise ValueError(f"{self.path / DATABASE}: {header.name} is there twice; keep one of its rows")
            self._headers[header.name] = header
            self._table[header.name] = {
                "patient": _number(row["patient_id"]),
                "rhythm": min(rhythms, key=lambda rhythm: (counts[rhythm], rhythm), default=""),
                "age": row["age"],
                "sex": SEX_OF_CODE.get(_number(row["sex"]), "unknown"),
            }
        self._found = {name: header for name, header in self._headers.items() if all(map(Path.is_file, _files(header)))}
        if not self._found:
            other_hz = 100 if records_hz == 500 else 500
            others = sum(all(map(Path.is_file, _files(self.path / row[FILE_COLUMN[other_hz]]))) for row in rows)
            remedy = f"{others} are there at {other_hz} Hz: set records_hz={other_hz}" if others else "add the files"
            raise FileNotFoundError(f"{self.path}: none of {len(rows)} records at {records_hz} Hz is there; {remedy}")

    def __len__(self) -> int:
        return len(self._headers)

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield the records by patient, then those that are not there or have no rhythm."""
        stated = {name: header for name, header in self._found.items() if self._table[name]["rhythm"]}
        yield from read_records(self.path, stated, self._table, self.lead)
        for name in sorted(self._headers.keys() - stated.keys()):
            rhythm = self._table[name]["rhythm"]
            yield Exclusion(name, "no file" if rhythm else "no rhythm statement", rhythm or None)

    def provenance(self) -> dict[str, Any]:
        """Say format, files and checksum, over the tables and the files of this rate, and how labels were made."""
        files = [file for header in self._found.values() for file in _files(header)]
        return {
            **provenance(self.format, self.path, [self.path / DATABASE, self.path / STATEMENTS, *files]),
            "records_hz": self.records_hz,
            "two_rhythm_statements": self._n_two_statements,
            "class_set": len(self.rhythms),
            "rhythms": list(self.rhythms),
            "note": f"PTB-XL's own {len(self.rhythms)} rhythm statements: not the data set of the paper",
        }


def _files(header: Path) -> list[Path]:
    return [header.with_name(f"{header.name}{suffix}") for suffix in (".hea", ".dat")]


def _number(text: str) -> str:
    """Write 15709.0 as 15709, which the table has for want of whole numbers that may be missing."""
    return text.removesuffix(".0")


def _read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read the named columns of a CSV as stripped text, row by row."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table; set source.path to the folder of PTB-XL")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{path}: not a CSV table in UTF-8 ({str(error).splitlines()[0]})") from error
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(f"{path}: no column {missing[0]!r}; get the table as PTB-XL has it")
    rows = table[list(columns)].to_dict("records")
    return [{str(name): str(entry).strip() for name, entry in row.items()} for row in rows]


def _rhythm_statements(path: Path) -> tuple[str, ...]:
    """Read which statements are rhythms; the table's first column, of their codes, has no name."""
    rows = _read_rows(path, ("Unnamed: 0", "rhythm"))
    rhythms = tuple(row["Unnamed: 0"] for row in rows if _number(row["rhythm"]) == "1")
    if not rhythms:
        raise ValueError(f"{path}: marks none of {len(rows)} statements as rhythm; get the table as published")
    return rhythms


def _stated(path: Path, row: dict[str, str], rhythms: tuple[str, ...]) -> list[str]:
    """Take the rhythms out of a row's scp_codes, which is a dict as Python writes it: {'NORM': 100.0, 'SR': 0.0}."""
    try:
        codes = ast.literal_eval(row["scp_codes"])
    except (ValueError, SyntaxError):
        codes = None
    if not isinstance(codes, dict):
        raise ValueError(
            f"{path}: ecg_id {row['ecg_id']}: scp_codes={row['scp_codes'][:40]!r} is no dict; mend the row"
        )
    return [code for code in codes if code in rhythms]
