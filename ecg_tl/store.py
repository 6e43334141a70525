"""The prepared HDF5, one row a window: written whole or not at all, checked when opened, memory-mapped."""

from __future__ import annotations

import hashlib
import json
import math
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import h5py
import numpy as np

from ecg_tl.sources import Sex
from ecg_tl.waveform import RATE_HZ

FORMAT = "ecg_tl.store"
VERSION = 1
MV_PER_UNIT = 0.001
SEXES: tuple[Sex, ...] = ("unknown", "male", "female")
"""In the order of the store's indices."""

_BLOCK_ROWS = 4096
_COLUMNS = ("patient", "record", "start_s", "age", "sex")
_ATTRIBUTES = ("rate_hz", "lead", "unit", "rhythms", "filter", "source", "content_sha256")
_AGAIN = "remove it and run python -m ecg_tl.prepare again"


@dataclass(frozen=True, eq=False)
class Store:
    """A prepared store, open for reading.

    ecg: (N, L) int16, read from the file as it is used; patient, record: (N,) str; start_s: (N,) float64;
    rhythm: (N,) uint8, index into rhythms, None if unlabelled; age: (N,) float32 years, NaN unknown; sex:
    (N,) uint8, index into SEXES; excluded: (record, reason) of what was left out.
    """

    path: Path
    ecg: np.ndarray
    mv_per_unit: float
    rate_hz: float
    lead: str
    rhythms: tuple[str, ...]
    filter: dict[str, Any]
    source: dict[str, Any]
    content_sha256: str
    patient: np.ndarray
    record: np.ndarray
    start_s: np.ndarray
    rhythm: np.ndarray | None
    age: np.ndarray
    sex: np.ndarray
    excluded: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.ecg)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled memory map is a copy of the data; a worker process opens the file instead.
        return open_store, (self.path,)

    @property
    def length(self) -> int:
        """Samples in a row."""
        return int(self.ecg.shape[1])

    @property
    def labelled(self) -> bool:
        """Whether every row has a rhythm."""
        return self.rhythm is not None

    def ecg_mv(self, rows: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """Read rows in millivolts: (..., L) float32, (L,) for one index."""
        return np.asarray(self.ecg[rows], dtype=np.float32) * np.float32(self.mv_per_unit)


def to_units(ecg_mv: np.ndarray) -> np.ndarray:
    """Turn millivolts, any shape, into the whole units that a store holds, as float64."""
    return np.rint(ecg_mv.astype(np.float64) / MV_PER_UNIT)


class StoreWriter:
    """Write a store row by row; the file appears under its name when the block ends well, and not otherwise.

    length: samples a row, at RATE_HZ. Samples wait in a hidden file beside the target, since a contiguous
    data set must know its size. ValueError at the end of the block if no row was appended, with the count of
    every reason. An existing file is replaced.
    """

    def __init__(
        self,
        path: Path,
        length: int,
        lead: str,
        rhythms: Sequence[str],
        source_provenance: dict[str, Any],
        filter_description: dict[str, Any],
    ) -> None:
        self.path = Path(path)
        self.length = length
        self.lead = lead
        self.rhythms = tuple(rhythms)
        self.source_provenance = source_provenance
        self.filter_description = filter_description
        self.excluded: list[tuple[str, str]] = []
        self._columns: dict[str, Any] = {name: [] for name in (*_COLUMNS, "rhythm")}
        # Every row has its own start: millions of floats take four times as much in a list.
        self._columns["start_s"] = array("d")
        self._digest = hashlib.sha256()
        self._spool_path = self.path.with_name(f".{self.path.name}.{os.getpid()}.rows")
        self._partial_path = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        self._spool: BinaryIO | None = None

    def __len__(self) -> int:
        return len(self._columns["patient"])

    def __enter__(self) -> StoreWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._spool = self._spool_path.open("w+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._spool is not None
        try:
            if kind is None:
                if not len(self):
                    raise ValueError(f"{self.path}: no row to store; left out: {self._reasons()}; check the source")
                self._write(self._spool)
                self._partial_path.replace(self.path)
        finally:
            self._spool.close()
            self._spool_path.unlink(missing_ok=True)
            self._partial_path.unlink(missing_ok=True)

    def append(
        self,
        ecg_mv: np.ndarray,
        patient: str,
        record: str,
        start_s: float | Sequence[float] | np.ndarray,
        rhythm: str | None = None,
        age: float = math.nan,
        sex: Sex = "unknown",
    ) -> None:
        """Add rows of one recording, in millivolts: (L,) with its start_s, or (n, L) with (n,) of them.

        ValueError for another length, a value that int16 microvolts cannot hold, or a rhythm that is not
        among the store's.
        """
        assert self._spool is not None, "append outside the with block"
        rows_mv, starts_s = np.atleast_2d(ecg_mv), np.atleast_1d(np.asarray(start_s, dtype=np.float64))
        if rows_mv.ndim != 2 or rows_mv.shape[1] != self.length or len(starts_s) != len(rows_mv):
            raise ValueError(
                f"{record}: rows {np.shape(ecg_mv)} with {len(starts_s)} starts do not fit a store of "
                f"(n, {self.length}); cut them to length"
            )
        if (rhythm is None) != (not self.rhythms) or (rhythm is not None and rhythm not in self.rhythms):
            raise ValueError(f"{record}: rhythm {rhythm!r} is not among the store's {list(self.rhythms)}")
        units = to_units(rows_mv)
        if not (np.abs(units) <= np.iinfo(np.int16).max).all():
            raise ValueError(f"{record}: a sample is missing or beyond +-32.767 mV; screen the row first")
        block = units.astype("<i2").tobytes()
        self._spool.write(block)
        self._digest.update(block)
        row = {"patient": patient, "record": record, "age": age, "sex": SEXES.index(sex)}
        if rhythm is not None:
            row["rhythm"] = self.rhythms.index(rhythm)
        for name, value in row.items():
            self._columns[name].extend([value] * len(rows_mv))
        self._columns["start_s"].extend(starts_s.tolist())

    def exclude(self, record: str, reason: str) -> None:
        """Note what was left out, and why."""
        self.excluded.append((record, reason))

    def _reasons(self) -> str:
        counts = Counter(reason for _, reason in self.excluded).most_common()
        return ", ".join(f"{count} {reason}" for reason, count in counts) or "nothing"

    def _write(self, spool: BinaryIO) -> None:
        count, columns, text = len(self), self._columns, h5py.string_dtype()
        _digest_columns(self._digest, columns["patient"], columns["rhythm"])
        with h5py.File(self._partial_path, "w") as file:
            ecg = file.create_dataset("ecg", (count, self.length), "<i2")
            ecg.attrs["mv_per_unit"] = MV_PER_UNIT
            spool.seek(0)
            for start in range(0, count, _BLOCK_ROWS):
                stop = min(start + _BLOCK_ROWS, count)
                block = spool.read((stop - start) * self.length * 2)
                ecg[start:stop] = np.frombuffer(block, "<i2").reshape(stop - start, self.length)
            for name, dtype in zip(_COLUMNS, (text, text, "<f8", "<f4", "u1"), strict=True):
                column = file.create_dataset(name, (count,), dtype)
                for start in range(0, count, _BLOCK_ROWS):
                    values = columns[name][start : start + _BLOCK_ROWS]
                    column[start : start + len(values)] = np.array(values, dtype=object if dtype is text else dtype)
            if self.rhythms:
                file.create_dataset("rhythm", data=np.array(columns["rhythm"], dtype="u1"))
            for position, name in enumerate(("record", "reason")):
                noted = np.array([entry[position] for entry in self.excluded], dtype=object)
                file.create_dataset(f"excluded/{name}", data=noted, dtype=text)
            file.attrs.update(
                format=FORMAT,
                version=VERSION,
                rate_hz=RATE_HZ,
                lead=self.lead,
                unit="mV",
                filter=json.dumps(self.filter_description),
                source=json.dumps(self.source_provenance),
                content_sha256=self._digest.hexdigest(),
            )
            file.attrs.create("rhythms", np.array(self.rhythms, dtype=object), dtype=text)


def open_store(path: Path) -> Store:
    """Open a prepared store, checking everything but the samples themselves (`verify_content` does those).

    FileNotFoundError if there is no such file. ValueError in one line for a file that is damaged, is
    something else, has another version or rate, or contradicts itself.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such store; name one that is there, or make it: python -m ecg_tl.prepare source=NAME "
            f"source.path=RECORDINGS out={path}"
        )
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path}: not an HDF5 file, or cut short ({error}); name a store that python -m ecg_tl.prepare wrote"
        ) from error
    with file:
        _check_layout(path, file)
        try:
            return _read(path, file)
        except (OSError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: a damaged store ({error}); {_AGAIN}") from error


def _check_layout(path: Path, file: h5py.File) -> None:
    attributes = file.attrs
    if attributes.get("format") != FORMAT:
        raise ValueError(f"{path}: HDF5, but not a prepared store; python -m ecg_tl.prepare makes one")
    if attributes.get("version") != VERSION:
        version = attributes.get("version")
        raise ValueError(f"{path}: store version {version}, and this program reads {VERSION}; {_AGAIN}")
    if missing := [name for name in _ATTRIBUTES if name not in attributes]:
        raise ValueError(f"{path}: no attribute {missing[0]!r}; {_AGAIN}")
    if attributes["rate_hz"] != RATE_HZ or attributes["unit"] != "mV":
        found = f"{attributes['rate_hz']} Hz in {attributes['unit']}"
        raise ValueError(f"{path}: {found}, and a store has {RATE_HZ:g} Hz in mV; {_AGAIN}")
    columns = (*_COLUMNS, "rhythm") if len(attributes["rhythms"]) else _COLUMNS
    if missing := [name for name in ("ecg", *columns, "excluded/record", "excluded/reason") if name not in file]:
        raise ValueError(f"{path}: no data set /{missing[0]}; {_AGAIN}")
    ecg = file["ecg"]
    if ecg.ndim != 2 or ecg.dtype != np.dtype("<i2") or ecg.id.get_offset() is None or "mv_per_unit" not in ecg.attrs:
        raise ValueError(f"{path}: /ecg is {ecg.dtype} {ecg.shape}, not contiguous int16 rows with a unit; {_AGAIN}")
    for name in columns:
        if file[name].shape != ecg.shape[:1]:
            raise ValueError(f"{path}: /{name} has shape {file[name].shape} beside {len(ecg)} rows of /ecg; {_AGAIN}")
    if file["excluded/record"].shape != file["excluded/reason"].shape:
        raise ValueError(f"{path}: /excluded/record and /excluded/reason differ in length; {_AGAIN}")


def _read(path: Path, file: h5py.File) -> Store:
    rhythms, ecg, attributes = tuple(file.attrs["rhythms"]), file["ecg"], file.attrs
    rhythm = file["rhythm"][:] if rhythms else None
    if rhythm is not None and rhythm.max() >= len(rhythms):
        raise ValueError(f"{path}: rhythm index {rhythm.max()} with only {len(rhythms)} rhythms; {_AGAIN}")
    excluded = zip(file["excluded/record"].asstr()[:], file["excluded/reason"].asstr()[:], strict=True)
    return Store(
        path=path,
        ecg=np.memmap(path, dtype="<i2", mode="r", offset=ecg.id.get_offset(), shape=ecg.shape),
        mv_per_unit=float(ecg.attrs["mv_per_unit"]),
        rate_hz=float(attributes["rate_hz"]),
        lead=str(attributes["lead"]),
        rhythms=rhythms,
        filter=json.loads(attributes["filter"]),
        source=json.loads(attributes["source"]),
        content_sha256=str(attributes["content_sha256"]),
        patient=_read_text(file["patient"]),
        record=_read_text(file["record"]),
        start_s=file["start_s"][:],
        rhythm=rhythm,
        age=file["age"][:],
        sex=file["sex"][:],
        excluded=list(excluded),
    )


def _read_text(column: h5py.Dataset) -> np.ndarray:
    """Read a column of text, (N,) str, without ever holding more than a block of it as Python strings."""
    blocks = [column.asstr()[start : start + _BLOCK_ROWS].astype(str) for start in range(0, len(column), _BLOCK_ROWS)]
    text = np.empty(len(column), dtype=max((block.dtype for block in blocks), key=lambda dtype: dtype.itemsize))
    while blocks:
        block = blocks.pop()
        text[len(blocks) * _BLOCK_ROWS :][: len(block)] = block
    return text


def verify_content(store: Store) -> None:
    """Read every sample once and compare with content_sha256. ValueError if the file has changed since.

    The checksum is SHA-256 over /ecg (little-endian int16, row after row), then every patient's name in the
    order of the rows, each in UTF-8 and ended by a zero byte, then in a labelled store /rhythm, a byte a row.
    """
    digest = hashlib.sha256()
    for start in range(0, len(store), _BLOCK_ROWS):
        digest.update(np.ascontiguousarray(store.ecg[start : start + _BLOCK_ROWS]).tobytes())
    _digest_columns(digest, store.patient, () if store.rhythm is None else store.rhythm)
    if digest.hexdigest() != store.content_sha256:
        raise ValueError(f"{store.path}: its content does not match its checksum (changed or damaged); {_AGAIN}")


def _digest_columns(digest: hashlib._Hash, patients: Iterable[str], rhythm: Iterable[int]) -> None:
    for patient in patients:
        digest.update(patient.encode() + b"\0")
    digest.update(bytes(rhythm))
