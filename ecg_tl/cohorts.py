"""Who was recorded: what a prepared store says of its patients and records, and Table 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_tl.rendering import Block, Table
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS
from ecg_tl.sources.shaoxing_figshare import read_diagnostics
from ecg_tl.statistics import mean_sd
from ecg_tl.store import SEXES, Store

PAPER_RHYTHMS = 11


@dataclass(frozen=True)
class Cohort:
    """What Table 1 needs of one prepared store, one row a window.

    patient (N,) str; age_years (N,), NaN unknown; sex (N,), 0 unknown 1 male 2 female; rhythm (N,) indices
    into rhythms, None where unlabelled; source names the recordings; note is what every table made of them must say.
    """

    patient: np.ndarray
    age_years: np.ndarray
    sex: np.ndarray
    rhythm: np.ndarray | None = None
    rhythms: tuple[str, ...] = ()
    source: str = ""
    note: str = ""


def cohort_of(store: Store) -> Cohort:
    """Take out of a prepared store what Table 1 needs."""
    source = f"{store.source.get('format', 'unknown format')}, lead {store.lead}"
    return Cohort(
        patient=store.patient,
        age_years=store.age,
        sex=store.sex,
        rhythm=store.rhythm,
        rhythms=store.rhythms,
        source=f"{source}, content {store.content_sha256[:12]}",
        note=str(store.source.get("note", "")),
    )


def cohort_of_diagnostics(path: Path) -> Cohort:
    """Take out of the Shaoxing database's Diagnostics.xlsx what Table 1 needs, without any waveform.

    One record a patient, in all 11 rhythms. ValueError as `read_diagnostics`.
    """
    diagnostics = read_diagnostics(path)
    rhythms = tuple(RHYTHM_COUNTS)
    return Cohort(
        patient=np.array(diagnostics.record),
        age_years=diagnostics.age_years,
        sex=np.array([SEXES.index(sex) for sex in diagnostics.sex]),
        rhythm=np.array([rhythms.index(rhythm) for rhythm in diagnostics.rhythm]),
        rhythms=rhythms,
        source=f"{path.name}, all records that it lists",
    )


def table1(cohorts: Mapping[str, Cohort]) -> Table:
    """Characteristics of the data sets, one column each, under the names they are given (paper, Table 1).

    Age and sex count each patient once. ValueError if a set has no window.
    """
    described = {name: _describe(name, cohort) for name, cohort in cohorts.items()}
    texts = {name: {label: text for label, text, _ in rows} for name, rows in described.items()}
    labels = list(dict.fromkeys(label for rows in texts.values() for label in rows))
    rows = [(label, *(texts[name].get(label, "–") for name in cohorts)) for label in labels]
    n_general = sum(not label.startswith("Rhythm") for label in labels)
    blocks = [Block("", tuple(rows[:n_general]))]
    if rows[n_general:]:
        blocks.append(Block("Labelled records, n (%)", tuple(rows[n_general:])))
    numbers = [
        (name, label.removesuffix(", n (%)"), statistic, value)
        for name, described_rows in described.items()
        for label, _, values in described_rows
        for statistic, value in values.items()
    ]
    notes = [f"{name}: {cohort.source}." for name, cohort in cohorts.items() if cohort.source]
    notes += [f"{name}: {cohort.note}" for name, cohort in cohorts.items() if cohort.note]
    notes.append("Age: mean ± SD over patients of known age, SD of the population (ddof=0).")
    for name, cohort in cohorts.items():
        present = 0 if cohort.rhythm is None else len(np.unique(cohort.rhythm))
        if cohort.rhythm is not None and present != PAPER_RHYTHMS:
            notes.append(f"{name}: {classes_note(present)}")
    return Table(
        1,
        "Characteristics of the data sets",
        (("Characteristic",), *((name,) for name in cohorts)),
        tuple(blocks),
        tuple(notes),
        pd.DataFrame(numbers, columns=["set", "characteristic", "statistic", "value"]),
    )


def classes_note(n: int) -> str:
    """Warn that a set has not the classes of the paper."""
    return f"{n} rhythm classes where the paper has {PAPER_RHYTHMS}: not comparable with its figures."


def _describe(name: str, cohort: Cohort) -> list[tuple[str, str, dict[str, float]]]:
    """Describe one data set: what is told, as text, and as numbers."""
    n_ecg = len(cohort.patient)
    if not n_ecg:
        raise ValueError(f"{name}: 0 windows; prepare the store again from recordings that pass the screen")
    patients, patient, ecgs = np.unique(cohort.patient, return_inverse=True, return_counts=True)
    n_patients = len(patients)
    ages = _mean_age_years(patient, cohort.age_years)
    is_male, is_female = (np.bincount(patient, cohort.sex == code) > 0 for code in (1, 2))
    sexes = is_male[is_male != is_female]
    n_male = int(sexes.sum())
    mean, sd = mean_sd(ages)
    rows: list[tuple[str, str, dict[str, float]]] = [
        ("Patients", f"{n_patients:,}", {"n": n_patients}),
        (
            "Age (yr)",
            (f"{mean:.1f} ± {sd:.1f}" if len(ages) else "–") + _unknown(n_patients - len(ages)),
            {"mean": mean, "sd": sd, "n_unknown": n_patients - len(ages)},
        ),
        (
            "Sex, male, n (%)",
            (_share(n_male, len(sexes)) if len(sexes) else "–") + _unknown(n_patients - len(sexes)),
            {"n": n_male, "n_known": len(sexes), "n_unknown": n_patients - len(sexes)},
        ),
        ("ECG data count", f"{n_ecg:,}", {"n": n_ecg}),
        (
            "ECGs per patient",
            f"{ecgs[0]:,}" if ecgs.min() == ecgs.max() else f"{ecgs.mean():.1f} ({ecgs.min():,} to {ecgs.max():,})",
            {"mean": float(ecgs.mean()), "min": int(ecgs.min()), "max": int(ecgs.max())},
        ),
    ]
    if cohort.rhythm is not None:
        counts = np.bincount(cohort.rhythm, minlength=len(cohort.rhythms))
        for rhythm, count in zip(cohort.rhythms, counts.tolist(), strict=True):
            rows.append((f"Rhythm {rhythm}", _share(count, n_ecg), {"n": count, "n_known": n_ecg}))
    return rows


def _share(n: int, n_known: int) -> str:
    return f"{n:,} ({100 * n / n_known:.1f})"


def _unknown(n: int) -> str:
    return f"; {n:,} unknown" if n else ""


def _mean_age_years(patient: np.ndarray, age_years: np.ndarray) -> np.ndarray:
    """Mean age of every patient whose age is known in some record. patient (N,) indices, age_years (N,)."""
    known = np.isfinite(age_years)
    n_known = np.bincount(patient[known])
    total = np.bincount(patient[known], age_years[known].astype(np.float64))
    return total[n_known > 0] / n_known[n_known > 0]
