"""The Shaoxing (Chapman) and Ningbo records as PhysioNet gives them: `ecg-arrhythmia`, or the Challenge 2021."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.files import provenance
from ecg_tl.sources.record_tables import Table
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS
from ecg_tl.sources.wfdb_signals import header_lines, read_records

LAST_SHAOXING = 10646
"""JS00001 to JS10646 are Shaoxing's records, later numbers Ningbo's."""

RHYTHM_OF_CODE: dict[str, str] = {
    "426177001": "SB",
    "426783006": "SR",
    "164889003": "AFIB",
    "427084000": "ST",
    "426761007": "SVT",
    "164890007": "AF",
    "427393009": "SI",
    "713422000": "AT",
    "251166008": "AVNRT",
    "233896004": "AVNRT",
    "233897008": "AVRT",
    "17366009": "SAAWR",
    "195101003": "SAAWR",
}
"""SNOMED CT to rhythm. Of two codes for one rhythm the first is in the records, the second in the names table."""

HOSPITAL_NOTES: dict[str, str] = {
    "shaoxing": "PhysioNet has about 10,247 of Shaoxing's 10,646 records and none of sinus irregularity (SI): "
    "10 rhythms, not comparable with figures over the 11 of the figshare copy",
    "ningbo": "Ningbo's records under Shaoxing's 11 rhythms: not the data set of the paper",
    "all": "Shaoxing's and Ningbo's records under Shaoxing's 11 rhythms: not the data set of the paper",
}

_RECORD_LINE = re.compile(r"\S+\s+(\d+)\s+(\d+)\s")
_END_OF_SIGNAL_LINE = re.compile(r"(?:-?\d+\s+){5}\S+\s*$")


@dataclass(frozen=True)
class _Entry:
    """A header as found: path, rhythms with the rarest first, leads declared (0 unknown), and whether it is sound."""

    header: Path
    rhythms: tuple[str, ...]
    n_leads: int
    sound: bool


class ShaoxingPhysionet:
    """Labelled 12-lead records of one hospital, one a patient: `JS00001.hea` and `.mat`, in folders or flat.

    hospital: shaoxing, ningbo or all. Of several rhythms a record bears, the one rarest in Shaoxing counts.
    The rhythms are declared, whatever the records at hand show: ten for shaoxing, without SI, eleven else.
    FileNotFoundError if no record is there; ValueError if none is of the hospital, one is there twice, or,
    when read, none has the lead.
    """

    format = "shaoxing_physionet"

    def __init__(self, path: Path, hospital: str = "shaoxing", lead: str = "II") -> None:
        if hospital not in HOSPITAL_NOTES:
            raise ValueError(f"hospital={hospital}: no such hospital; choose out of {', '.join(HOSPITAL_NOTES)}")
        self.path, self.hospital, self.lead = Path(path), hospital, lead
        self.rhythms: tuple[str, ...] = tuple(
            rhythm for rhythm in RHYTHM_COUNTS if not (hospital == "shaoxing" and rhythm == "SI")
        )
        headers, signals = (_numbered(self.path, suffix) for suffix in (".hea", ".mat"))
        self._signals = {_name(number): path for number, path in signals.items() if self._wanted(number)}
        self._entries = {
            _name(number): _entry(path, _name(number)) for number, path in headers.items() if self._wanted(number)
        }
        self._elsewhere = len(headers) - len(self._entries)
        if not headers:
            raise FileNotFoundError(f"{self.path}: no record JS*.hea here; set source.path to the records")
        if not self._entries:
            other = "ningbo" if hospital == "shaoxing" else "shaoxing"
            raise ValueError(
                f"{self.path}: none of the {len(headers)} records is of hospital={hospital}, "
                f"JS00001 to JS{LAST_SHAOXING} being Shaoxing's; set hospital={other}"
            )

    def __len__(self) -> int:
        return len(self._entries.keys() | self._signals.keys())

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield why some records cannot be used, then the others by number."""
        table: Table = {}
        headers: dict[str, Path] = {}
        with TemporaryDirectory() as scratch:
            for name, entry in self._entries.items():
                reason = self._unfit(name, entry)
                header = None if reason else self._sound_header(name, entry, Path(scratch))
                if header is None:
                    yield Exclusion(name, reason or "unreadable", entry.rhythms[0] if entry.rhythms else None)
                else:
                    headers[name], table[name] = header, {"rhythm": entry.rhythms[0]}
            for name in sorted(self._signals.keys() - self._entries.keys()):
                yield Exclusion(name, "no header")
            yield from read_records(self.path, headers, table, self.lead)

    def provenance(self) -> dict[str, Any]:
        """Say format, files and checksum, over this hospital's files, and what was found in its headers."""
        entries = self._entries.values()
        return {
            **provenance(self.format, self.path, [*(entry.header for entry in entries), *self._signals.values()]),
            "hospital": self.hospital,
            "records_of_other_hospitals": self._elsewhere,
            "defective_headers": sum(not entry.sound for entry in entries),
            "two_rhythm_codes": sum(len(entry.rhythms) > 1 for entry in entries),
            "class_set": len(self.rhythms),
            "rhythms": list(self.rhythms),
            "note": HOSPITAL_NOTES[self.hospital],
        }

    def _wanted(self, number: int) -> bool:
        return self.hospital in ("all", "shaoxing" if number <= LAST_SHAOXING else "ningbo")

    def _unfit(self, name: str, entry: _Entry) -> str | None:
        if not entry.rhythms:
            return "no rhythm code"
        if entry.rhythms[0] not in self.rhythms:
            return f"rhythm {entry.rhythms[0]} not expected"
        if name not in self._signals:
            return "no file"
        return None if _is_mat(self._signals[name], entry.n_leads) else "unreadable"

    def _sound_header(self, name: str, entry: _Entry, scratch: Path) -> Path | None:
        """Give the header to read, without .hea: a mended copy if it is not sound, None if it cannot be mended."""
        if entry.sound:
            return entry.header.with_suffix("")
        mended = _mend(entry.header, name)
        if mended is None:
            return None
        (scratch / f"{name}.hea").write_text(mended, encoding="latin-1")
        shutil.copyfile(self._signals[name], scratch / f"{name}.mat")
        return scratch / name


def _name(number: int) -> str:
    return f"JS{number:05d}"


def _numbered(folder: Path, suffix: str) -> dict[int, Path]:
    """Find JS00001 and so on by number; one file in the Challenge's copy has lost its J."""
    found: dict[int, Path] = {}
    for path in sorted(folder.rglob(f"*{suffix}")):
        if match := re.fullmatch(r"J?S(\d{5})", path.stem):
            number = int(match[1])
            if number in found:
                raise ValueError(f"{path}: the record {_name(number)} is there twice; keep one of its files")
            found[number] = path
    return dict(sorted(found.items()))


def _entry(path: Path, name: str) -> _Entry:
    """Take out of a header the rhythms of its Dx codes, and whether as many leads follow as it declares."""
    codes = re.findall(r"\d+", " ".join(re.findall(r"(?im)^#\s*dx\s*:(.*)$", path.read_text(encoding="latin-1"))))
    rhythms = sorted({RHYTHM_OF_CODE[code] for code in codes if code in RHYTHM_OF_CODE}, key=RHYTHM_COUNTS.__getitem__)
    first, *signals = header_lines(path) or [""]
    declared = _RECORD_LINE.match(first)
    n_leads = int(declared[1]) if declared else 0
    return _Entry(path, tuple(rhythms), n_leads, path.stem == name and 0 < n_leads == len(signals))


def _mend(path: Path, name: str) -> str | None:
    """Write a header anew in which record line and first signal line are run together, or None.

    JS01052 has lost what stood between them (`JS01052 12 500 500000/mV 16 0 15 31255 0 I`), JS23074 only the end of
    the line. Both keep the end of the signal line; its beginning is that of the next one, whose signal is in the
    same file at the same gain. Without the number of samples, which is damaged, the signal file tells it.
    """
    first, *signals = header_lines(path) or [""]
    declared, end = _RECORD_LINE.match(first), _END_OF_SIGNAL_LINE.search(first)
    if declared is None or not signals:
        return None
    if end:
        signals.insert(0, " ".join([*signals[0].split()[:3], end[0]]))
    if len(signals) != int(declared[1]):
        return None
    signals = [" ".join([f"{name}.mat", *line.split()[1:]]) for line in signals]
    comments = [line for line in path.read_text(encoding="latin-1").splitlines() if line.startswith("#")]
    return "\n".join([f"{name} {declared[1]} {declared[2]}", *signals, *comments, ""])


def _is_mat(path: Path, n_leads: int) -> bool:
    """Say whether 24 bytes of MAT version 4 header announce little-endian int16 `val` of so many leads."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24:
        return False
    kind, rows, _, imaginary, _ = struct.unpack("<5i", head[:20])
    return (kind, rows, imaginary, head[20:]) == (30, n_leads, 0, b"val\0")
