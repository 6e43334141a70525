"""Tiny copies of PhysioNet's 12-lead databases: ecg-arrhythmia trees, Challenge 2021 folders, PTB-XL folders."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.fabricate import ecg_mv, write_wfdb

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

STATEMENTS = ("SR", "AFIB", "STACH", "SARRH", "SBRAD", "PACE", "SVARR", "BIGU", "AFLT", "SVTAC", "PSVT", "TRIGU")


def lead_ii_mv(number: int, seconds: float = 10.0, rate_hz: float = 500.0) -> np.ndarray:
    """Draw the lead II that the fabricated record of this number has, in whole microvolts."""
    return np.rint(ecg_mv(np.random.default_rng(number), seconds, rate_hz) * 1000) / 1000


def write_shaoxing(
    folder: Path,
    number: int,
    dx: str = "426177001",
    *,
    challenge: bool = False,
    age: str = "61",
    sex: str = "Female",
    unit: str = "mV",
    merged: str | None = None,
    header_name: str | None = None,
    leads: Sequence[str] = LEADS,
) -> Path:
    """Write one record as ecg-arrhythmia does, in its own folder, or flat as the Challenge does; give its header.

    Every lead but II is -II times its place, so that a channel mistaken for another shows. merged: "lost" runs
    the header's first two lines together as in JS01052, "spaced" as in JS23074. header_name: instead of JS00001.
    """
    name = f"JS{number:05d}"
    if not challenge:
        folder = folder / "WFDBRecords" / f"{number // 1000 + 1:02d}" / f"{number // 100:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    signal = np.rint(lead_ii_mv(number) * 1000).astype(np.int16)
    signals = np.stack([signal if lead == "II" else -signal * (place + 1) for place, lead in enumerate(leads)])
    write_mat(folder / f"{name}.mat", signals)
    fields = f"16x1+24 1000.0(0)/{unit}" if challenge else f"16+24 1000/{unit}"
    checksums = signals.sum(axis=1, dtype=np.int16)
    lines = [f"{header_name or name} {len(leads)} 500 {signals.shape[1]}"]
    for lead, first, checksum in zip(leads, signals[:, 0], checksums, strict=True):
        lines.append(f"{name}.mat {fields} 16 0 {first} {checksum} 0 {lead}")
    if merged == "lost":
        lines[:2] = [lines[0] + "00/" + lines[1].split("/")[1]]
    elif merged == "spaced":
        lines[:2] = [lines[0][1:] + " " + lines[1]]
    hash_mark = "# " if challenge else "#"
    comments = (f"Age: {age}", f"Sex: {sex}", f"Dx: {dx}", "Rx: Unknown", "Hx: Unknown", "Sx: Unknown")
    header = folder / f"{header_name or name}.hea"
    header.write_text("\n".join([*lines, *(hash_mark + comment for comment in comments), ""]))
    return header


def write_mat(path: Path, signals: np.ndarray) -> None:
    """Write (leads, T) int16 as MAT version 4, variable val."""
    head = struct.pack("<5i", 30, *signals.shape, 0, 4) + b"val\0"
    path.write_bytes(head + signals.astype("<i2").tobytes(order="F"))


def ptbxl_row(ecg_id: int, scp_codes: str = "{'NORM': 100.0, 'SR': 0.0}", **entries: Any) -> dict[str, Any]:
    """Give a row of ptbxl_database.csv: a patient of its own, who is 56 and male, unless entries say otherwise."""
    files = {
        f"filename_{suffix}": f"records{rate_hz}/00000/{ecg_id:05d}_{suffix}"
        for suffix, rate_hz in (("lr", 100), ("hr", 500))
    }
    usual = {"ecg_id": ecg_id, "patient_id": float(9000 + ecg_id), "age": 56.0, "sex": 0, "report": 'sinus, "normal"'}
    return usual | {"scp_codes": scp_codes} | files | entries


def write_ptbxl(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    *,
    rates_hz: Sequence[int] = (500,),
    without_files: Sequence[int] = (),
) -> Path:
    """Write the two tables of PTB-XL, and the files of its rows but those whose ecg_id is in without_files."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "ptbxl_database.csv", index=False)
    statements = pd.DataFrame(
        {"description": "", "diagnostic": [1.0, *[np.nan] * 12], "rhythm": [np.nan, *[1.0] * 12]},
        index=["NORM", *STATEMENTS],
    )
    statements.to_csv(folder / "scp_statements.csv")
    for row in rows:
        if row["ecg_id"] in without_files:
            continue
        for rate_hz in rates_hz:
            path = folder / row["filename_hr" if rate_hz == 500 else "filename_lr"]
            signal_mv = lead_ii_mv(row["ecg_id"], rate_hz=rate_hz)
            write_wfdb(path.parent, path.name, {"I": -2 * signal_mv, "II": signal_mv, "AVR": -signal_mv}, rate_hz)
    return folder
