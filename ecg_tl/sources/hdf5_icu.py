"""Long unlabelled recordings of many ICU patients in one HDF5 file, of any size, read a patient at a time.

The file is laid out in one of two ways. Either every patient has a group, and every recording is a data set in it:

    /PATIENT/SEGMENT    (T,) any T, integers or floats
    /PATIENT            attributes age (years) and sex (male, female), both optional

or all rows lie in one table, each a recording, those of a patient best one after another:

    /ecg       (N, L) integers or floats          /patient   (N,) text or numbers
    /record    (N,) text, optional                /age (N,) years, /sex (N,) text, both optional

Attributes say what the samples are. One on a data set goes before one on its group, which goes before one on the file:

    rate_hz       samples a second; may be left out where `device` is one of DEVICE_RATE_HZ, and may not contradict it
    device        what recorded, optional
    lead          the name of the lead
    unit          of a sample: mV, uV or V
    mv_per_unit   mV = sample * mv_per_unit; integers need it unless they are uV. `unit` may then be left out, be
                  mV, or say the same
    missing       the integer that stands for no sample, optional; floats have NaN
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ecg_tl.sources import Exclusion, Recording, Sex
from ecg_tl.sources.record_tables import age_and_sex
from ecg_tl.sources.units import MV_OF_UNIT

DEVICE_RATE_HZ = {"nihon kohden": 250.0, "philips": 500.0}

PIECE_S = 600.0
"""A longer segment is read in pieces of this length: conditioning takes twenty times the memory of a piece."""

_BLOCK_ROWS = 256
_NAMES_AT_ONCE = 65536


@dataclass(frozen=True)
class Samples:
    """What the numbers in a data set are."""

    rate_hz: float
    lead: str
    mv_per_unit: float
    missing: int | None

    def to_mv(self, values: np.ndarray) -> np.ndarray:
        """Scale samples, (..., T) of any type, to float32 millivolts, NaN where missing."""
        ecg_mv = values.astype(np.float32) * np.float32(self.mv_per_unit)
        if self.missing is not None:
            ecg_mv[values == self.missing] = np.nan
        return ecg_mv


class Hdf5Icu:
    """Unlabelled recordings of one lead out of an HDF5 file, laid out as this module says.

    hours_per_patient: of a patient with more, at most so much is read, in pieces of PIECE_S evenly over the stay;
    None reads all, and then a patient's samples must fit in memory if windows are drawn at random. A segment
    longer than PIECE_S comes in pieces, named SEGMENT@SECONDS after their place in it. FileNotFoundError if there
    is no file; ValueError, before anything is read, if it is no whole HDF5 file, is laid out otherwise, leaves
    rate, lead or unit unsaid, contradicts itself, or has the lead nowhere.
    """

    format = "hdf5_icu"
    rhythms: tuple[str, ...] = ()

    def __init__(self, path: Path, lead: str = "II", hours_per_patient: float | None = 24.0) -> None:
        self.path, self.lead, self.hours_per_patient = Path(path), lead, hours_per_patient
        if hours_per_patient is not None and not hours_per_patient * 3600 >= PIECE_S:
            least = f"{PIECE_S / 3600:.3g}"
            raise ValueError(f"hours_per_patient={hours_per_patient:g}: at least {least}; raise hours_per_patient")
        with _reading(self.path) as file:
            self._flat = _is_flat(self.path, file)
            self._count = self._count_flat(file) if self._flat else self._count_grouped(file)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield by patient; a patient's recordings are read as they are asked for."""
        with _reading(self.path) as file:
            yield from self._flat_rows(file) if self._flat else self._segments(file)

    def provenance(self) -> dict[str, Any]:
        """Say format, files and checksum: SHA-256 of the file."""
        with self.path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        return {"format": self.format, "files": 1, "checksum": checksum}

    def _count_grouped(self, file: h5py.File) -> int:
        leads: set[str] = set()
        count = 0
        for patient in file:
            segments = _patient_segments(self.path, file, patient)
            leads.update(samples.lead for _, samples in segments)
            mine = [(segment, samples) for segment, samples in segments if self._is_lead(samples)]
            count += len(segments) - len(mine) + len(self._pieces(mine))
        self._check_leads(leads)
        return count

    def _segments(self, file: h5py.File) -> Iterator[Recording | Exclusion]:
        for patient in file:
            group = file[patient]
            age, sex = _person(group.attrs.get("age"), group.attrs.get("sex"))
            segments = _patient_segments(self.path, file, patient)
            for segment, samples in segments:
                if not self._is_lead(samples):
                    yield Exclusion(segment.name[1:], f"no lead {self.lead}")
            for segment, samples, start, stop in self._pieces([each for each in segments if self._is_lead(each[1])]):
                place = "" if (start, stop) == (0, segment.size) else f"@{start / samples.rate_hz:g}"
                ecg_mv = samples.to_mv(segment[start:stop])
                record = f"{segment.name[1:]}{place}"
                yield Recording(ecg_mv, samples.rate_hz, samples.lead, patient, record, None, age, sex)

    def _pieces(self, segments: list[tuple[h5py.Dataset, Samples]]) -> list[tuple[h5py.Dataset, Samples, int, int]]:
        """Cut a patient's segments into what is read: (data set, what it is, first sample, one after the last)."""
        pieces = []
        for segment, samples in segments:
            length = round(PIECE_S * samples.rate_hz)
            count = max(1, math.ceil(segment.size / length))
            bounds = [segment.size * index // count for index in range(count + 1)]
            pieces += [(segment, samples, *pair) for pair in pairwise(bounds)]
        ends_s = np.cumsum([(stop - start) / samples.rate_hz for _, samples, start, stop in pieces])
        if self.hours_per_patient is None or not pieces or ends_s[-1] <= self.hours_per_patient * 3600:
            return pieces
        count = int(self.hours_per_patient * 3600 / PIECE_S)
        middles_s = (np.arange(count) + 0.5) / count * ends_s[-1]
        return [pieces[index] for index in np.unique(np.searchsorted(ends_s, middles_s, side="right"))]

    def _count_flat(self, file: h5py.File) -> int:
        samples = _flat_samples(self.path, file)
        self._check_leads({samples.lead})
        return len(file["ecg"])

    def _flat_rows(self, file: h5py.File) -> Iterator[Recording]:
        ecg, samples = file["ecg"], _flat_samples(self.path, file)
        codes, patients = _patients_of_rows(file["patient"])
        columns = {name: _text_or_number(file[name]) for name in ("record", "age", "sex") if name in file}
        for start, stop in _blocks(np.argsort(codes, kind="stable")):
            rows_mv = samples.to_mv(ecg[start:stop])
            told = {name: column[start:stop] for name, column in columns.items()}
            for index in range(start, stop):
                patient = patients[codes[index]]
                row = {name: _plain(values[index - start]) for name, values in told.items()}
                record = str(row.get("record", f"{patient}/{index}"))
                age, sex = _person(row.get("age"), row.get("sex"))
                # A copy, or every row would keep its whole block in memory.
                row_mv = rows_mv[index - start].copy()
                yield Recording(row_mv, samples.rate_hz, samples.lead, patient, record, None, age, sex)

    def _is_lead(self, samples: Samples) -> bool:
        return samples.lead.casefold() == self.lead.casefold()

    def _check_leads(self, leads: set[str]) -> None:
        if not leads:
            raise ValueError(f"{self.path}: no recording in it; it needs a group a patient, or /ecg and /patient")
        if self.lead.casefold() not in {lead.casefold() for lead in leads}:
            raise ValueError(f"{self.path}: no record has lead {self.lead}, only {', '.join(sorted(leads))}; set lead")


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """Open the file, and say of what HDF5 cannot read in it that it is damaged."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; set source.path to an HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: not an HDF5 file, cut short or damaged ({error}); fetch it again") from error


def _is_flat(path: Path, file: h5py.File) -> bool:
    """Tell the layouts apart. ValueError if the columns of a flat one do not fit together."""
    if file.attrs.get("format") == "ecg_tl.store":
        raise ValueError(f"{path}: is a prepared store already, not raw recordings; use it as corpus.path")
    ecg = file.get("ecg")
    if not isinstance(ecg, h5py.Dataset):
        return False
    if ecg.ndim != 2 or not ecg.size:
        raise ValueError(f"{path}: /ecg has shape {ecg.shape}, not (rows, samples); reshape it")
    if "patient" not in file:
        raise ValueError(f"{path}: no data set /patient beside /ecg; say whose each row is")
    for name in ("patient", "record", "age", "sex"):
        if name in file and file[name].shape != ecg.shape[:1]:
            raise ValueError(f"{path}: /{name} has shape {file[name].shape} beside {len(ecg)} rows of /ecg; fill it")
    if "sex" in file and file["sex"].dtype.kind not in "OS":
        raise ValueError(f"{path}: /sex holds {file['sex'].dtype}; write male, female or unknown")
    return True


def _patient_segments(path: Path, file: h5py.File, patient: str) -> list[tuple[h5py.Dataset, Samples]]:
    """Look up a patient's data sets, without their samples, and what these are."""
    group = file[patient]
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{path}: /{patient} is no group; give every patient a group of data sets, or one table /ecg")
    inherited = dict(file.attrs) | dict(group.attrs)
    found = []
    for name, segment in group.items():
        if not isinstance(segment, h5py.Dataset) or segment.ndim != 1:
            raise ValueError(f"{path}: /{patient}/{name} is no data set of one dimension; a recording is (T,) samples")
        found.append((segment, _samples(path, segment, inherited | dict(segment.attrs))))
    return found


def _flat_samples(path: Path, file: h5py.File) -> Samples:
    return _samples(path, file["ecg"], dict(file.attrs) | dict(file["ecg"].attrs))


def _samples(path: Path, segment: h5py.Dataset, attributes: dict[str, Any]) -> Samples:
    """Find out what a data set's numbers are. ValueError naming it if that is unsaid or contradicts itself."""
    where = f"{path}: {segment.name}"
    attributes = {name: _plain(value) for name, value in attributes.items()}
    if segment.dtype.kind not in "iuf":
        raise ValueError(f"{where} holds {segment.dtype}, not numbers; write samples as integers or floats")
    if not (lead := str(attributes.get("lead", ""))):
        raise ValueError(f"{where} has no attribute lead, nor has its group or the file; name the lead")
    missing = attributes.get("missing")
    if missing is not None and (segment.dtype.kind == "f" or not isinstance(missing, int)):
        raise ValueError(f"{where}: missing={missing!r} is for integers, and an integer; floats have NaN")
    rate_hz = _rate_hz(where, attributes)
    return Samples(rate_hz, lead, _mv_per_unit(where, segment.dtype, attributes), missing)


def _rate_hz(where: str, attributes: dict[str, Any]) -> float:
    device = str(attributes.get("device", ""))
    known_hz = DEVICE_RATE_HZ.get(device.casefold())
    if "rate_hz" not in attributes:
        if known_hz is None:
            raise ValueError(f"{where} has no attribute rate_hz, nor has its group or the file; say samples a second")
        return known_hz
    rate_hz = _number(where, "rate_hz", attributes)
    if known_hz not in (None, rate_hz):
        raise ValueError(f"{where}: rate_hz={rate_hz:g} and device {device}, which has {known_hz:g} Hz; correct one")
    return rate_hz


def _mv_per_unit(where: str, dtype: np.dtype, attributes: dict[str, Any]) -> float:
    unit = str(attributes.get("unit", ""))
    unit_mv = MV_OF_UNIT.get(unit.replace("\u00b5", "u").replace("\u03bc", "u").casefold())
    if unit and unit_mv is None:
        raise ValueError(f"{where}: unit={unit!r} is no voltage known here; give mV, uV or V")
    if "mv_per_unit" in attributes:
        scale = _number(where, "mv_per_unit", attributes)
        if unit_mv not in (None, 1.0) and not math.isclose(scale, unit_mv or 0, rel_tol=1e-6):
            raise ValueError(f"{where}: unit={unit} and mv_per_unit={scale:g} contradict each other; leave one out")
        return scale
    if unit_mv is None:
        raise ValueError(f"{where} has no attribute unit, nor has its group or the file; give mV, uV or V")
    if dtype.kind != "f" and unit_mv >= 1:
        raise ValueError(f"{where} holds integers in {unit} and no attribute mv_per_unit; say the mV of one step")
    return unit_mv


def _number(where: str, name: str, attributes: dict[str, Any]) -> float:
    try:
        value = float(attributes[name])
    except (TypeError, ValueError):
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{where}: {name}={attributes[name]!r} is no positive number; correct it")
    return value


def _plain(value: Any) -> Any:
    """Make text or a number of what HDF5 gives: bytes, NumPy scalars, arrays of one element."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def _person(age: Any, sex: Any) -> tuple[float, Sex]:
    told = {"age": age, "sex": sex}
    return age_and_sex({name: str(_plain(value)) for name, value in told.items() if value is not None}, [])


def _text_or_number(column: h5py.Dataset) -> Any:
    return column.asstr() if h5py.check_string_dtype(column.dtype) else column


def _patients_of_rows(column: h5py.Dataset) -> tuple[np.ndarray, list[str]]:
    """Number the patients as they first appear: (N,) numbers of the rows, and the patients' names.

    The names are read a block at a time: as objects, those of millions of rows would take a gigabyte.
    """
    numbers: dict[str, int] = {}
    codes = np.empty(len(column), np.int32)
    names = _text_or_number(column)
    for start in range(0, len(codes), _NAMES_AT_ONCE):
        block = names[start : start + _NAMES_AT_ONCE]
        codes[start : start + len(block)] = [numbers.setdefault(str(name), len(numbers)) for name in block]
    return codes, list(numbers)


def _blocks(order: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut an order of rows into stretches that lie side by side in the file: first row, one after the last."""
    bounds = np.concatenate(([0], np.flatnonzero(np.diff(order) != 1) + 1, [order.size]))
    for place, end in pairwise(bounds):
        first, last = int(order[place]), int(order[end - 1])
        for start in range(first, last + 1, _BLOCK_ROWS):
            yield start, min(start + _BLOCK_ROWS, last + 1)
