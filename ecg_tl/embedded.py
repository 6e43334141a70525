"""The embedded synthetic sets: made once for their size and seed, by one process, and used where no file is named."""

from __future__ import annotations

from pathlib import Path

from ecg_tl.locks import made_once
from ecg_tl.rows import write_rows
from ecg_tl.sources.synthetic import SyntheticIcu, SyntheticRecords
from ecg_tl.store import Store, open_store

RECORDING_S = 300.0
"""Length of an embedded ICU recording."""


def synthetic_records(folder: Path, records: int, seed: int) -> Store:
    """Open the labelled set of so many records in `folder`, making it first if it is not there."""
    path = folder / f"synthetic-{records}-seed{seed}.h5"

    def make() -> None:
        write_rows(SyntheticRecords(records, seed), path, lead="II", show_progress=True)

    return open_store(made_once(path, make))


def synthetic_icu(folder: Path, patients: int, windows_per_patient: int, seed: int) -> Store:
    """Open the ICU set of so many patients and windows of each in `folder`, making it first if it is not there."""
    path = folder / f"synthetic_icu-{patients}x{windows_per_patient}-seed{seed}.h5"

    def make() -> None:
        source = SyntheticIcu(patients, RECORDING_S, seed)
        write_rows(source, path, lead="II", windows_per_patient=windows_per_patient, seed=seed, show_progress=True)

    return open_store(made_once(path, make))
