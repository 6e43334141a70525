"""Own recordings as plain numbers, CSV or NPY, labelled or not: what `plain_samples` reads, and what it is said to be.

Such files do not say what they hold, so whoever has made them does: rate, unit and lead.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ecg_tl.sources import Exclusion, Recording, Signal
from ecg_tl.sources.files import provenance
from ecg_tl.sources.plain_samples import RecordingFiles, RecordingRows, Samples
from ecg_tl.sources.record_tables import Table, age_and_sex, find_table, read_table
from ecg_tl.sources.units import MV_OF_UNIT, doubt_of_unit

_LOOKED_AT = 200
_LOOKED_AT_S = 10.0


class PlainFiles:
    """CSV or NPY files of one lead: a folder of recordings, or one table of windows, labelled or not.

    path: the folder or the table, as `plain_samples` says. rate_hz, unit (mV, uV or V) and lead have to be given.
    labels: a CSV `record,rhythm[,patient,age,sex]`, as a path or a name beside the recordings, makes the source
    labelled; patients: a CSV `record,patient[,age,sex]`, is for unlabelled ones. Without either a recording is a
    patient. column: counted from 1, of the files in a folder. trust_unit: leave out the check that amplitudes are those
    of an ECG. one_recording: path is no table but a file as those in a folder. row_s: seconds that a table's rows have
    at least.
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
        if unit is None or unit.casefold() not in MV_OF_UNIT:
            raise ValueError(f"source.unit: say mV, uV or V; {path} does not, and {unit} is none of them")
        if not lead:
            raise ValueError(f"source.lead: say which lead it is, like II; {path} does not")
        if labels is not None and patients is not None:
            raise ValueError(f"source.patients={patients}: source.labels says whose a recording is; leave one out")
        if column is not None and column < 1:
            raise ValueError(f"source.column={column}: columns count from 1; raise it")
        self.path, self.rate_hz, self.unit, self.lead, self.column = Path(path), rate_hz, unit, lead, column
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such folder or file; set source.path to the recordings")
        named, folder = labels or patients, self.path if self.path.is_dir() else self.path.parent
        self.table_path = None if named is None else find_table(folder, Path(named))
        self._table: Table = {}
        if self.table_path is not None:
            key = "patient" if labels is None else "rhythm"
            optional = tuple(name for name in ("patient", "age", "sex") if name != key)
            self._table = read_table(self.table_path, ("record", key), optional)
        by_file = one_recording or self.path.is_dir()
        if column is not None and not by_file:
            raise ValueError(f"source.column={column}: {path} is a table of a row a recording; leave source.column out")
        self._reader = RecordingFiles(self.path, lead, column, self.table_path) if by_file else RecordingRows(self.path)
        if isinstance(self._reader, RecordingRows) and self._reader.length < int(row_s * rate_hz):
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

    def _read_mv(self, name: str) -> np.ndarray | str:
        """Read a recording, (T,) float32 millivolts, or say why it cannot be."""
        samples = self._reader.read(name)
        return samples if isinstance(samples, str) else self._stretch_mv(samples, 0, samples.count)

    def _stretch_mv(self, samples: Samples, first: int, last: int) -> np.ndarray:
        stretch = np.asarray(samples.stretch(first, last), dtype=np.float32)
        return np.asarray(stretch * np.float32(MV_OF_UNIT[self.unit.casefold()]), dtype=np.float32)

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
