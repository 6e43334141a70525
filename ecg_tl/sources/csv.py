"""Own recordings as plain numbers, CSV or NPY: a folder of one file a recording, or one table of a row a window.

Such files do not say what they hold, so whoever has made them does: rate, unit and lead. A CSV is separated by
semicolons, tabs or commas, whichever its first line has, with points in its decimals; its first line is a header if
there is anything in it that is no number. An empty cell is a missing sample. A cell of other text makes the recording
unreadable.

folder     NAME.csv or NAME.npy, (T,) or (T, columns), is the recording NAME. Of several columns the one counts that
           the header calls by the lead's name, or the one that `column` says.
table      a CSV or NPY file, (N, L). A CSV column with the header `record` names the rows; else they are
           numbered from 0.

An NPY is read where it is asked for, a CSV whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ecg_tl.sources import Exclusion, Recording, Signal
from ecg_tl.sources.files import provenance
from ecg_tl.sources.record_tables import Table, age_and_sex, read_table
from ecg_tl.sources.units import MV_PER_UNIT, doubt_of_unit

_LOOKED_AT = 200
_LOOKED_AT_S = 10.0
_ROWS_AT_ONCE = 1024
_SUFFIXES = (".csv", ".npy")


class PlainFiles:
    """CSV or NPY files of one lead: a folder of recordings, or one table of windows, labelled or not.

    path: the folder or the table, as this module says. rate_hz, unit (mV, uV or V) and lead have to be given. labels:
    a CSV `record,rhythm[,patient,age,sex]`, as a path or a name beside the recordings, makes the source labelled;
    patients: a CSV `record,patient[,age,sex]`, is for unlabelled ones. Without either a recording is a patient.
    column: counted from 1, of the files in a folder. trust_unit: leave out the check that amplitudes are those of an
    ECG. one_recording: path is no table but a file as those in a folder. row_s: seconds that a table's rows have at
    least.
    FileNotFoundError if path or table is missing; ValueError naming what was not said, or if nothing can be made of
    the files, or if the median peak-to-peak of up to 200 recordings is none of an ECG.
    """

    format = "csv"

    def __init__(
        self,
        path: Path,
        *,
        rate_hz: float | None = None,
        unit: str | None = None,
        lead: str | None = None,
        labels: Path | None = None,
        patients: Path | None = None,
        column: int | None = None,
        trust_unit: bool = False,
        one_recording: bool = False,
        row_s: float = 0.0,
    ) -> None:
        if rate_hz is None or not rate_hz > 0:
            raise ValueError(
                f"source.rate_hz: say how many samples a second; {path} does not, and {rate_hz} is no rate"
            )
        if unit is None or unit.casefold() not in MV_PER_UNIT:
            raise ValueError(f"source.unit: say mV, uV or V; {path} does not, and {unit} is none of them")
        if not lead:
            raise ValueError(f"source.lead: say which lead it is, like II; {path} does not")
        if labels is not None and patients is not None:
            raise ValueError(f"source.patients={patients}: source.labels says whose a recording is; leave one out")
        if column is not None and column < 1:
            raise ValueError(f"source.column={column}: columns count from 1; raise it")
        self.path, self.rate_hz, self.unit, self.lead, self.column = Path(path), rate_hz, unit, lead, column
        self.table_path = self._find_table(labels or patients)
        self._table: Table = {}
        if self.table_path is not None:
            key = "patient" if labels is None else "rhythm"
            optional = tuple(name for name in ("patient", "age", "sex") if name != key)
            self._table = read_table(self.table_path, ("record", key), optional)
        by_file = one_recording or self.path.is_dir()
        if column is not None and not by_file:
            raise ValueError(f"source.column={column}: {path} is a table of a row a recording; leave source.column out")
        self._reader = _Folder(self.path, lead, column, self.table_path) if by_file else _Rows(self.path)
        if isinstance(self._reader, _Rows) and self._reader.length < int(row_s * rate_hz):
            raise ValueError(
                f"{path}: taken for a table, whose rows of {self._reader.length} samples are shorter than {row_s:g} s; "
                "if it is one recording, say which column is the lead with source.column=1, or 2 ..."
            )
        self._recordings = self._reader.names
        known = [self._table[name]["rhythm"] for name in self._recordings if name in self._table] if labels else []
        self.rhythms: tuple[str, ...] = tuple(sorted({rhythm for rhythm in known if rhythm}))
        if labels is not None and not self.rhythms:
            raise ValueError(f"{self.table_path}: labels none of the {len(self._recordings)} recordings in {self.path}")
        if not trust_unit:
            self._check_amplitude()

    def __len__(self) -> int:
        return len(set(self._recordings) | self._table.keys())

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield the recordings by patient, then what has no label or no file."""
        usable = [name for name in self._recordings if not self.rhythms or self._table.get(name, {}).get("rhythm")]
        place: dict[str, int] = {}
        for name in usable:
            place.setdefault(self._patient(name), len(place))
        for name in sorted(usable, key=lambda name: place[self._patient(name)]):
            row = self._table.get(name, {})
            ecg_mv, rhythm = self._read_mv(name), row.get("rhythm")
            if isinstance(ecg_mv, str):
                yield Exclusion(name, ecg_mv, rhythm)
                continue
            age, sex = age_and_sex(row, [])
            yield Recording(ecg_mv, self.rate_hz, self.lead, self._patient(name), name, rhythm, age, sex)
        for name in self._recordings:
            if self.rhythms and not self._table.get(name, {}).get("rhythm"):
                yield Exclusion(name, "no label")
        for name in sorted(self._table.keys() - set(self._recordings)):
            yield Exclusion(name, "no file", self._table[name].get("rhythm") or None)

    def signals(self) -> Iterator[Signal | Exclusion]:
        """Yield the recordings in the order of their names, to be read stretch by stretch, or why there is none."""
        for name in self._recordings:
            samples = self._reader.read(name)
            if isinstance(samples, str):
                yield Exclusion(name, samples)
            else:
                yield Signal(name, self.lead, self.rate_hz, samples.count, partial(self._stretch_mv, samples))

    def provenance(self) -> dict[str, Any]:
        """Say format, files and checksum, and what the files were said to hold."""
        folder = self.path if self.path.is_dir() else self.path.parent
        files = [*self._reader.files, *([] if self.table_path is None else [self.table_path])]
        said = {"rate_hz": self.rate_hz, "unit": self.unit, "lead": self.lead}
        return provenance(self.format, folder, files) | {"said": said}

    def _patient(self, name: str) -> str:
        return self._table.get(name, {}).get("patient") or name

    def _find_table(self, table: Path | None) -> Path | None:
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such folder or file; set source.path to the recordings")
        if table is None:
            return None
        folder = self.path if self.path.is_dir() else self.path.parent
        for candidate in (folder / table, Path(table)):
            if candidate.is_file():
                return candidate
        raise FileNotFoundError(f"{folder / table}: no such table; name one with the records in it")

    def _read_mv(self, name: str) -> np.ndarray | str:
        """Read a recording, (T,) float32 millivolts, or say why it cannot be."""
        samples = self._reader.read(name)
        return samples if isinstance(samples, str) else self._stretch_mv(samples, 0, samples.count)

    def _stretch_mv(self, samples: _Samples, first: int, last: int) -> np.ndarray:
        stretch = np.asarray(samples.stretch(first, last), dtype=np.float32)
        return np.asarray(stretch * np.float32(MV_PER_UNIT[self.unit.casefold()]), dtype=np.float32)

    def _check_amplitude(self) -> None:
        names = list(self._recordings)
        swings_mv = []
        for index in np.unique(np.linspace(0, len(names) - 1, min(len(names), _LOOKED_AT)).astype(int)):
            samples = self._reader.read(names[index])
            if isinstance(samples, str):
                continue
            middle, half = samples.count // 2, round(_LOOKED_AT_S / 2 * self.rate_hz)
            stretch_mv = self._stretch_mv(samples, max(0, middle - half), min(samples.count, middle + half))
            stretch_mv = stretch_mv[np.isfinite(stretch_mv)]
            if stretch_mv.size and np.ptp(stretch_mv) > 0:
                swings_mv.append(np.ptp(stretch_mv))
        if swings_mv and (doubt := doubt_of_unit(swings_mv)):
            raise ValueError(
                f"{self.path}: {doubt}; set source.unit or, if {self.unit} is right, source.trust_unit=true"
            )


def holds_one_recording(path: Path, lead: str, column: int | None = None) -> bool:
    """Tell a file of one recording from a table of rows: it has one column, or a header that names the lead.

    A file of which a column is to be read holds one too, unless its header names records or it is wider than long.
    ValueError if an NPY cannot be read.
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
class _Samples:
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


class _Folder:
    """A folder of one file a recording, or one such file, each read when it is asked for."""

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

    def read(self, name: str) -> _Samples | str:
        """Find a recording's samples, or say why they cannot be read."""
        path = self._paths[name]
        try:
            return self._of_array(path) if path.suffix.lower() == ".npy" else self._of_csv(path)
        except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError):
            return "unreadable"

    def _of_array(self, path: Path) -> _Samples | str:
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
        return _Samples(shape[0], lambda first, last: numbers[slice(first, last), *rest])

    def _of_csv(self, path: Path) -> _Samples | str:
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
        return _Samples(numbers.size, lambda first, last: numbers[first:last])

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


class _Rows:
    """A table of a row a recording: an NPY stays in its file, a CSV is held in memory."""

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

    def read(self, name: str) -> _Samples | str:
        """Find a row's samples, or say why they cannot be read."""
        place = self._place[name]
        if place in self._unreadable:
            return "unreadable"
        return _Samples(self.length, lambda first, last: self._rows[place, first:last])

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
