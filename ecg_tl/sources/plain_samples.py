"""Samples out of plain CSV and NPY files: a folder of one file a recording, or one table of a row a window.

A CSV is separated by semicolons, tabs or commas, whichever its first line has, with points in its decimals; its first
line is a header if there is anything in it that is no number. An empty cell is a missing sample. A cell of other text
makes the recording unreadable.

folder     NAME.csv or NAME.npy, (T,) or (T, columns), is the recording NAME. Of several columns the one counts that
           the header calls by the lead's name, or the one that `column` says.
table      a CSV or NPY file, (N, L). A CSV column with the header `record` names the rows; else they are
           numbered from 0.

An NPY is read where it is asked for, a CSV whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

_ROWS_AT_ONCE = 1024
_SUFFIXES = (".csv", ".npy")


def holds_one_recording(path: Path, lead: str, column: int | None = None) -> bool:
    """Tell a file of one recording from a table of rows: it has one column, or a header that names the lead.

    A file of which a column is to be read holds one too, unless its header names records or it is wider than long.
    ValueError if an NPY cannot be read, or a CSV is none in UTF-8.
    """
    if path.suffix.lower() == ".npy":
        try:
            shape = _Mapped(path).shape
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path}: not an NPY of numbers; save an array with numpy.save") from error
        return len(shape) == 1 or (len(shape) == 2 and (shape[1] == 1 or (column is not None and shape[1] <= shape[0])))
    try:
        _, first, header = _first_line(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a CSV in UTF-8; save it as one") from error
    named = {name.casefold() for name in first} if header else set()
    if column is None or "record" in named:
        return len(first) == 1 or lead.casefold() in named
    with path.open("rb") as file:
        return sum(1 for _ in islice(file, header, header + len(first))) == len(first)


@dataclass(frozen=True)
class Samples:
    """Numbers of a recording: how many, and stretch(first, last), those from first to last in their unit."""

    count: int
    stretch: Callable[[int, int], np.ndarray]


class _Mapped:
    """An array of numbers that stays in its NPY file. ValueError if it is none, OSError or EOFError if it is cut short.

    It is mapped anew for every stretch: what is read through a map counts as the process's own memory until it is
    dropped.
    """

    def __init__(self, path: Path) -> None:
        numbers = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(numbers, np.memmap):
            numbers.close()
            raise ValueError("several arrays in a zip")
        self.path, self.offset, self.dtype, self.shape = path, numbers.offset, numbers.dtype, numbers.shape
        self.by_column = bool(numbers.flags.fnc)

    def __getitem__(self, place: Any) -> np.ndarray:
        order: Literal["F", "C"] = "F" if self.by_column else "C"
        mapped = np.memmap(self.path, self.dtype, "r", offset=self.offset, shape=self.shape, order=order)
        return np.array(mapped[place])


class RecordingFiles:
    """A folder of one file a recording, or one such file, each read when it is asked for.

    lead: whose column counts where column (from 1, or None) does not say it. table: a CSV that is no recording.
    FileNotFoundError if there is no recording; ValueError if one is there twice or, when read, if neither column nor
    header says which column it is.
    """

    def __init__(self, folder: Path, lead: str, column: int | None, table: Path | None) -> None:
        self.lead, self.column = lead, column
        paths: dict[str, Path] = {}
        for path in [folder] if folder.is_file() else sorted(folder.iterdir()):
            if path.suffix.lower() not in _SUFFIXES or (table is not None and path.samefile(table)):
                continue
            if path.stem in paths:
                raise ValueError(f"{path}: the recording {path.stem} is there twice; rename one")
            paths[path.stem] = path
        if not paths:
            raise FileNotFoundError(f"{folder}: no recording (*.csv, *.npy) here; set source.path to the recordings")
        self._paths = paths
        self.names, self.files = list(paths), list(paths.values())

    def read(self, name: str) -> Samples | str:
        """Find a recording's samples, or say why they cannot be read."""
        path = self._paths[name]
        try:
            return self._of_array(path) if path.suffix.lower() == ".npy" else self._of_csv(path)
        except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError):
            return "unreadable"

    def _of_array(self, path: Path) -> Samples | str:
        try:
            numbers = _Mapped(path)
        except (ValueError, EOFError):
            return "unreadable"
        shape = numbers.shape
        if len(shape) not in (1, 2) or numbers.dtype.kind not in "iuf":
            return "unreadable"
        if 0 in shape:
            return "empty"
        column = self._choose(path, None, shape[1] if len(shape) == 2 else 1)
        if isinstance(column, str):
            return column
        rest = (column,) if len(shape) == 2 else ()
        return Samples(shape[0], lambda first, last: numbers[slice(first, last), *rest])

    def _of_csv(self, path: Path) -> Samples | str:
        separator, first, header = _first_line(path)
        column = self._choose(path, first if header else None, len(first))
        if isinstance(column, str):
            return column
        options: dict[str, Any] = {"sep": separator, "header": 0 if header else None}
        table = pd.read_csv(path, skip_blank_lines=False, low_memory=False, **options)
        values = table.iloc[:, column]
        if not _fits(table) or values.dtype.kind not in "iuf":
            return "unreadable"
        numbers = values.to_numpy(np.float32)
        return Samples(numbers.size, lambda first, last: numbers[first:last])

    def _choose(self, path: Path, header: list[str] | None, count: int) -> int | str:
        """Choose the lead's column, counted from 0, or say why there is none."""
        if self.column is not None:
            return self.column - 1 if self.column <= count else f"no column {self.column}"
        places = [index for index, name in enumerate(header or []) if name.casefold() == self.lead.casefold()]
        if places:
            return places[0]
        if count == 1:
            return 0
        if header is None:
            raise ValueError(f"source.column: say which of {count} is lead {self.lead}; {path} has no header that does")
        return f"no lead {self.lead}"


class RecordingRows:
    """A table of a row a recording, (N, length): an NPY stays in its file, a CSV is held in memory.

    ValueError if the file is no such table of numbers, or names two rows alike.
    """

    def __init__(self, path: Path) -> None:
        self.files = [path]
        if path.suffix.lower() not in _SUFFIXES:
            raise ValueError(f"{path}: neither a folder nor .csv nor .npy; set source.path to one of them")
        self._unreadable: set[int] = set()
        try:
            if path.suffix.lower() == ".npy":
                self._rows: np.ndarray | _Mapped = _Mapped(path)
                names: list[str] = []
            else:
                self._rows, names = self._load(path)
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path}: no table of numbers, a row a window ({str(error).splitlines()[0]})") from error
        shape = self._rows.shape
        if len(shape) != 2 or 0 in shape or self._rows.dtype.kind not in "iuf":
            raise ValueError(
                f"{path}: {self._rows.dtype} {shape} is no table (rows, samples); put recordings in a folder"
            )
        self.length = shape[1]
        self.names = names or [str(index) for index in range(shape[0])]
        self._place = {name: index for index, name in enumerate(self.names)}
        if len(self._place) < len(self.names):
            raise ValueError(
                f"{path}: {len(self.names) - len(self._place)} rows have a record's name again; rename them"
            )

    def read(self, name: str) -> Samples | str:
        """Find a row's samples, or say why they cannot be read."""
        place = self._place[name]
        if place in self._unreadable:
            return "unreadable"
        return Samples(self.length, lambda first, last: self._rows[place, first:last])

    def _load(self, path: Path) -> tuple[np.ndarray, list[str]]:
        """Read a CSV some rows at a time; cells of text become NaN and their rows unreadable."""
        separator, first, header = _first_line(path)
        blocks: list[np.ndarray] = []
        names: list[str] = []
        key = next((index for index, name in enumerate(first) if header and name.casefold() == "record"), None)
        options: dict[str, Any] = {"sep": separator, "header": 0 if header else None}
        if key is not None:
            options["converters"] = {key: str.strip}
        with pd.read_csv(path, low_memory=False, chunksize=_ROWS_AT_ONCE, **options) as chunks:
            for chunk in chunks:
                if not _fits(chunk):
                    raise ValueError("rows have more cells than the header")
                if key is not None:
                    names += chunk.pop(chunk.columns[key]).tolist()
                numbers = chunk.apply(pd.to_numeric, errors="coerce")
                bad = (numbers.isna() & chunk.notna()).any(axis=1).to_numpy()
                self._unreadable.update((np.flatnonzero(bad) + sum(map(len, blocks))).tolist())
                blocks.append(numbers.to_numpy(np.float32))
        return np.concatenate(blocks), names


def _fits(table: pd.DataFrame) -> bool:
    """Tell whether no row is longer than the header, as with decimal commas: pandas would take cells for an index."""
    return isinstance(table.index, pd.RangeIndex)


def _first_line(path: Path) -> tuple[str, list[str], bool]:
    """Look at a CSV's first line: what separates it, its cells, and whether it is a header."""
    with path.open(encoding="utf-8-sig") as file:
        line = file.readline().rstrip("\r\n")
    separator = next((mark for mark in (";", "\t", ",") if mark in line), ",")
    cells = [cell.strip().strip('"') for cell in line.split(separator)]
    return separator, cells, not all(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        return not cell or bool(float(cell) or True)
    except ValueError:
        return False
