"""Tiny copies of the Shaoxing database as figshare has it, sound or with any of its defects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ecg_tl.sources.shaoxing_figshare import LEADS, SAMPLES
from tests.fabricate import ecg_mv

Form = Literal["raw", "denoised"]


def microvolts(seed: int, samples: int = SAMPLES) -> np.ndarray:
    """Draw lead II of a record at 500 Hz: (samples,) whole microvolts."""
    return np.rint(1000 * ecg_mv(np.random.default_rng(seed), samples / 500, 500.0)).astype(np.int64)


def write_csv(
    path: Path,
    lead_ii_uv: np.ndarray | Sequence[str],
    form: Form = "raw",
    leads: Sequence[str] = LEADS,
    line_end: str = "\n",
) -> Path:
    """Write twelve leads whose II is given, (T,) microvolts or text; each other lead is 1000 times its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(leads)] if form == "raw" else []
    others = [str(1000 * number) for number in range(len(leads))]
    column = leads.index("II") if "II" in leads else 1
    before, after = ",".join([*others[:column], ""]), ",".join(["", *others[column + 1 :]])
    lines.extend(f"{before}{sample}{after}" for sample in lead_ii_uv)
    path.write_bytes("".join(line + line_end for line in lines).encode())
    return path


def write_diagnostics(folder: Path, rows: Sequence[dict[str, object]], name: str = "Diagnostics.xlsx") -> Path:
    """Write a table whose rows have FileName and Rhythm, and whatever else they are given."""
    folder.mkdir(parents=True, exist_ok=True)
    usual = {"Beat": "NONE", "PatientAge": "60", "Gender": "MALE", "VentricularRate": 70}
    pd.DataFrame([{"FileName": "", "Rhythm": ""} | usual | row for row in rows]).to_excel(folder / name, index=False)
    return folder / name


def figshare(
    folder: Path,
    records: dict[str, str],
    form: Form = "raw",
    subfolder: str = "ECGData",
    defects: dict[str, str] | None = None,
) -> Path:
    """Write table and CSVs of {record: rhythm}, some of them with a defect; give back the folder.

    Defects: "all zero", "nan", "short", "long", "garbage", "empty", "torn", "no file".
    """
    write_diagnostics(folder, [{"FileName": name, "Rhythm": rhythm} for name, rhythm in records.items()])
    for seed, name in enumerate(records):
        path, signal_uv = folder / subfolder / f"{name}.csv", microvolts(seed)
        match (defects or {}).get(name):
            case None:
                write_csv(path, signal_uv, form)
            case "all zero":
                write_csv(path, np.zeros(SAMPLES, np.int64), form)
            case "nan":
                write_csv(path, ["NaN", *map(str, signal_uv[1:])], form)
            case "short":
                write_csv(path, signal_uv[1:], form)
            case "long":
                write_csv(path, [*map(str, signal_uv), "0"], form)
            case "garbage":
                path.write_bytes(np.random.default_rng(seed).bytes(100_000))
            case "empty":
                path.write_bytes(b"")
            case "torn":
                write_csv(path, signal_uv, form)
                path.write_bytes(path.read_bytes()[:-20])
            case "no file":
                pass
            case defect:
                raise AssertionError(defect)
    return folder
