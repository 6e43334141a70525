"""Tiny recordings in every raw format, and tiny stores: synthetic, the same on every call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wfdb

from ecg_tl.sources import Sex
from ecg_tl.store import SEXES, Store, StoreWriter, open_store
from ecg_tl.waveform import FILTER, RATE_HZ, WINDOW


def ecg_mv(
    random: np.random.Generator,
    seconds: float,
    rate_hz: float = RATE_HZ,
    beats_per_minute: float = 70.0,
    t_wave_mv: float = 0.3,
) -> np.ndarray:
    """Draw (round(seconds * rate_hz),) float32 millivolts: beats, T waves, noise."""
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    intervals_s = 60 / beats_per_minute * random.uniform(0.95, 1.05, round(seconds * beats_per_minute / 50) + 3)
    onsets_s = intervals_s.cumsum() - intervals_s[0] * random.uniform(1, 2)
    since_s = times_s - onsets_s[np.searchsorted(onsets_s, times_s, side="right") - 1]
    beat_mv = np.exp(-(((since_s - 0.08) / 0.02) ** 2)) + t_wave_mv * np.exp(-(((since_s - 0.28) / 0.04) ** 2))
    return (beat_mv + random.normal(0, 0.02, times_s.size)).astype(np.float32)


def rhythm_ecg_mv(random: np.random.Generator, index: int, seconds: float, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Draw an ECG whose rate and T wave tell which rhythm of a label set it is."""
    return ecg_mv(random, seconds, rate_hz, beats_per_minute=50 + 40 * index, t_wave_mv=0.4 - 0.4 * index)


def _person(random: np.random.Generator) -> tuple[float, Sex]:
    return float(random.integers(20, 90)), SEXES[random.integers(1, 3)]


def labelled_store(
    path: Path,
    records: int = 60,
    rhythms: Sequence[str] = ("SR", "SB", "AFIB"),
    seed: int = 0,
    length: int = 2500,
) -> Store:
    """Write a labelled store: one row a record and patient, rhythms in turn."""
    random = np.random.default_rng(seed)
    source = {"format": "fabricated", "files": records, "checksum": "0" * 64}
    with StoreWriter(path, length, "II", rhythms, source, FILTER) as writer:
        for number in range(records):
            index = number % len(rhythms)
            row_mv = rhythm_ecg_mv(random, index, length / RATE_HZ)
            age, sex = _person(random)
            writer.append(row_mv, f"P{number:04d}", f"R{number:04d}", 0.0, rhythms[index], age, sex)
        writer.exclude("R9999", "flat")
    return open_store(path)


def icu_store(path: Path, patients: int = 10, windows_per_patient: int = 8, seed: int = 0) -> Store:
    """Write an unlabelled store: consecutive windows of WINDOW samples, every patient with their own rate."""
    random = np.random.default_rng(seed)
    source = {"format": "fabricated", "files": patients, "checksum": "0" * 64}
    with StoreWriter(path, WINDOW, "II", (), source, FILTER) as writer:
        for number in range(patients):
            seconds = windows_per_patient * WINDOW / RATE_HZ
            long_mv = ecg_mv(random, seconds, beats_per_minute=random.uniform(45, 150))
            starts_s = np.arange(windows_per_patient) * WINDOW / RATE_HZ
            age, sex = _person(random)
            rows_mv = long_mv.reshape(windows_per_patient, WINDOW)
            writer.append(rows_mv, f"P{number:04d}", f"R{number:04d}", starts_s, age=age, sex=sex)
    return open_store(path)


def write_wfdb(
    folder: Path,
    name: str,
    leads_mv: dict[str, np.ndarray],
    rate_hz: float,
    comments: Sequence[str] = (),
    unit: str = "mV",
    units_per_mv: int = 1000,
) -> Path:
    """Write one record of int16 microvolts, NaN as WFDB has it; the header claims units_per_mv and unit."""
    folder.mkdir(parents=True, exist_ok=True)
    signals_mv = np.stack(list(leads_mv.values()), axis=1).astype(np.float64)
    units = np.where(np.isnan(signals_mv), -32768, np.rint(signals_mv * 1000)).astype(np.int64)
    wfdb.wrsamp(
        name,
        fs=rate_hz,
        units=[unit] * len(leads_mv),
        sig_name=list(leads_mv),
        d_signal=units,
        fmt=["16"] * len(leads_mv),
        adc_gain=[units_per_mv] * len(leads_mv),
        baseline=[0] * len(leads_mv),
        comments=list(comments),
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


def wfdb_records(
    folder: Path,
    records: int = 6,
    rhythms: Sequence[str] = ("SR", "SB"),
    seconds: float = 12.0,
    rate_hz: float = 300.0,
    lead: str = "II",
    seed: int = 0,
) -> Path:
    """Write labelled records R000 ... of leads I and `lead`, and labels.csv; give back the folder."""
    random = np.random.default_rng(seed)
    rows = ["record,rhythm,patient,age,sex"]
    for number in range(records):
        index = number % len(rhythms)
        signal_mv = rhythm_ecg_mv(random, index, seconds, rate_hz)
        write_wfdb(folder, f"R{number:03d}", {"I": 0.5 * signal_mv, lead: signal_mv}, rate_hz)
        age, sex = _person(random)
        rows.append(f"R{number:03d},{rhythms[index]},P{number:03d},{age:g},{sex}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def wfdb_icu(
    folder: Path,
    records: int = 3,
    seconds: float = 60.0,
    rate_hz: float = 125.0,
    lead: str = "II",
    seed: int = 0,
) -> Path:
    """Write long records L000 ... of leads V and `lead`, a patient each; give back the folder."""
    random = np.random.default_rng(seed)
    for number in range(records):
        signal_mv = ecg_mv(random, seconds, rate_hz, beats_per_minute=random.uniform(45, 150))
        age, sex = _person(random)
        comments = (f"Age: {age:g}", f"Sex: {sex.capitalize()}")
        write_wfdb(folder, f"L{number:03d}", {"V": -signal_mv, lead: signal_mv}, rate_hz, comments)
    return folder
