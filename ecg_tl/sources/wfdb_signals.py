"""WFDB records: which a folder has, and one lead out of headers, segments and gaps, whole or stretch by stretch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb

from ecg_tl.sources import Exclusion, Recording, Signal, Unusable
from ecg_tl.sources.record_tables import Table, age_and_sex
from ecg_tl.sources.units import MV_OF_UNIT


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
        what = "no WFDB header (*.hea) here" if folder.is_dir() else "no such folder"
        raise FileNotFoundError(f"{folder}: {what}; set source.path to the records")
    return headers


def header_lines(path: Path) -> list[str]:
    """Read the lines of a header that are neither empty nor comments."""
    lines = path.read_text(encoding="latin-1").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


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
        leads.update(header.leads)
        channel = header.channel(lead)
        if channel is not None:
            yield _read_channel(headers[name].name, header, channel, patients[name], row)
        else:
            yield Exclusion(name, f"no lead {lead}", row.get("rhythm"))
    if leads and lead.casefold() not in {each.casefold() for each in leads}:
        raise ValueError(f"{folder}: no record has lead {lead}, only {', '.join(sorted(leads))}; set lead")


@dataclass(frozen=True)
class _Part:
    """Frames of a record that lie in one file; path without .hea, None where nothing was recorded."""

    path: Path | None
    frames: int
    leads: list[str]


@dataclass(frozen=True)
class _Header:
    """What a header says: leads and their samples a frame, frames a second, how many (0 unsaid), in which files."""

    leads: list[str]
    per_frame: list[int]
    frames_hz: float
    frames: int
    parts: list[_Part]
    comments: list[str]

    def channel(self, lead: str) -> int | None:
        return next((index for index, each in enumerate(self.leads) if each.casefold() == lead.casefold()), None)


def _read_header(path: Path) -> _Header | None:
    # Nonsense in a header makes wfdb raise whatever it leads to, IndexError and TypeError too.
    try:
        header = wfdb.rdheader(str(path))
        if not isinstance(header, wfdb.MultiRecord):
            leads, frames = _lead_names(header), int(header.sig_len or 0)
            return _described(header, header, [_Part(path, frames, leads)])
        paths = [None if name == "~" else path.parent / name for name in header.seg_name]
        segments = [segment and wfdb.rdheader(str(segment)) for segment in paths]
        told = next(segment for segment in segments if segment)
        # The layout of a record whose segments differ in their leads comes first and has no samples.
        parts = [
            _Part(segment_path, int(frames), _lead_names(segment) if segment else [])
            for segment_path, segment, frames in zip(paths, segments, header.seg_len, strict=True)
            if frames
        ]
        return _described(header, told, parts)
    except Exception:
        return None


def _described(header: wfdb.Record | wfdb.MultiRecord, told: wfdb.Record, parts: list[_Part]) -> _Header:
    leads = _lead_names(told)
    per_frame = [int(count) for count in told.samps_per_frame or [1] * len(leads)]
    frames = sum(part.frames for part in parts)
    return _Header(leads, per_frame, float(header.fs or 0), frames, parts, header.comments or [])


def _lead_names(header: wfdb.Record) -> list[str]:
    return [str(name) for name in header.sig_name or []]


def _read_channel(name: str, header: _Header, channel: int, patient: str, row: dict[str, str]) -> Recording | Exclusion:
    rhythm, rate_hz = row.get("rhythm"), header.frames_hz * header.per_frame[channel]
    try:
        ecg_mv = _read_mv(header, channel)
    except _NoVoltage as reason:
        return Exclusion(name, str(reason), rhythm)
    except Exception:
        return Exclusion(name, "unreadable", rhythm)
    if not (ecg_mv.size and rate_hz > 0):
        return Exclusion(name, "unreadable", rhythm)
    age, sex = age_and_sex(row, header.comments)
    return Recording(ecg_mv, rate_hz, header.leads[channel], patient, name, rhythm, age, sex)


class _NoVoltage(Exception):
    pass


def _read_mv(header: _Header, channel: int, first: int = 0, last: int | None = None) -> np.ndarray:
    """Read frames first to last of a channel, all of them by default: (T,) float32 millivolts, NaN in gaps.

    Segments are read one by one: wfdb knows no unit where none of those asked for has the lead.
    """
    if len(header.parts) == 1 and header.parts[0].path:
        return _read_file_mv(header.parts[0].path, channel, header.per_frame[channel], first, last)
    lead, per_frame = header.leads[channel], header.per_frame[channel]
    pieces_mv, end = [np.empty(0, np.float32)], 0
    for part in header.parts:
        begin, end = end, end + part.frames
        part_first, part_last = max(first - begin, 0), min(part.frames, part.frames if last is None else last - begin)
        if part_first >= part_last:
            continue
        if part.path and lead in part.leads:
            place = part.leads.index(lead)
            pieces_mv.append(_read_file_mv(part.path, place, per_frame, part_first, part_last))
        else:
            pieces_mv.append(np.full((part_last - part_first) * per_frame, np.nan, np.float32))
    return np.concatenate(pieces_mv)


def _read_file_mv(path: Path, channel: int, per_frame: int, first: int, last: int | None) -> np.ndarray:
    """Read a channel of one file at its own rate: wfdb would average one that is faster than the record."""
    frames = {"sampfrom": first, "sampto": last}
    with np.errstate(all="ignore"):
        record = wfdb.rdrecord(str(path), channels=[channel], smooth_frames=False, return_res=32, **frames)
    unit = _unit(path, str(record.units[0]))
    if unit.casefold() not in MV_OF_UNIT:
        raise _NoVoltage(f"unit {unit}")
    if not _says_gain(path, channel):
        raise _NoVoltage("gain 0")
    if record.samps_per_frame[0] != per_frame:
        raise ValueError(f"{path} has {record.samps_per_frame[0]} samples a frame, the record {per_frame}")
    return np.asarray(record.e_p_signal[0] * np.float32(MV_OF_UNIT[unit.casefold()]), dtype=np.float32)


def open_signal(path: Path, lead: str) -> Signal:
    """Find a lead of a record by its name, to be read stretch by stretch; path without .hea.

    Unusable if the header cannot be read, says no rate or length, or has no such lead, and when read, if unit
    and gain say no voltage or the file ends early.
    """
    header = _read_header(path)
    if header is None or not (header.frames_hz > 0 and header.frames):
        message = f"{path}.hea: cannot be read, or says no rate or no length; mend it or take it out"
        raise Unusable(message, "unreadable")
    channel = header.channel(lead)
    if channel is None:
        message = f"{path}: no lead {lead}, only {', '.join(header.leads)}; set lead to one of them"
        raise Unusable(message, f"no lead {lead}")
    grain = header.per_frame[channel]

    def read_mv(first: int, last: int) -> np.ndarray:
        try:
            ecg_mv = _read_mv(header, channel, first // grain, -(-last // grain))
        except _NoVoltage as reason:
            message = f"{path}: {reason} of lead {lead} is no voltage; mend its header"
            raise Unusable(message, str(reason)) from reason
        except Exception as error:
            message = f"{path}: cannot be read from sample {first} to {last} ({error}); mend it"
            raise Unusable(message, "unreadable") from error
        return ecg_mv[: last - first]

    return Signal(path.name, header.leads[channel], header.frames_hz * grain, header.frames * grain, read_mv, grain)


def _says_gain(path: Path, channel: int) -> bool:
    """Tell whether a channel is calibrated: where its gain is 0 or left out wfdb assumes 200 a millivolt."""
    fields = header_lines(path.with_name(f"{path.name}.hea"))[1 + channel].split()
    gain = re.match(r"[+-]?[\d.]+(e[+-]?\d+)?", fields[2], re.IGNORECASE) if len(fields) > 2 else None
    return gain is not None and float(gain[0]) != 0


def _unit(path: Path, unit: str) -> str:
    """Give back the micro sign that wfdb drops with all that is not ASCII, taking microvolts for volts."""
    if unit in ("v", "V"):
        lines = header_lines(path.with_name(f"{path.name}.hea"))
        if any(re.search(r"/[^\x00-\x7f]+[vV]", line) for line in lines):
            return "uV"
    return unit
