"""What is known of records beside their signals: CSV tables of rhythms and patients, and a person's age and sex."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd

from ecg_tl.sources import Sex

SEX_WORDS: dict[str, Sex] = {"m": "male", "male": "male", "f": "female", "female": "female"}

Table = dict[str, dict[str, str]]
"""A CSV by record and column, as text."""


def find_table(folder: Path, table: Path) -> Path:
    """Find a table that is named by its path or, if there is nothing, by its name in a folder. FileNotFoundError."""
    for candidate in (table, folder / table):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"{folder / table}: no such table, nor {table}; name one with the records in it")


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
