"""ENTRY: a study's tables and figures from its records; nothing here trains. python -m ecg_tl.tables study=NAME"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ecg_tl import command_line
from ecg_tl.cohorts import PAPER_RHYTHMS, Cohort, classes_note, cohort_of, table1
from ecg_tl.config import TablesConfig
from ecg_tl.figures import figure3, figure5
from ecg_tl.identity import read_config
from ecg_tl.records import RunRecord, missing_cells, read_curve, read_records, run_folder
from ecg_tl.rendering import write_table
from ecg_tl.store import open_store
from ecg_tl.trial_tables import REFERENCE, has_index, table2, table3
from ecg_tl.trials import cell_name, read_trials, trials_of


def main(config: TablesConfig) -> None:
    """Make tables 1 to 3 and figures 3 to 5 of a study, or tables 2 and 3 of any trials, and print their paths."""
    study_folder = Path(config.outputs) / config.study
    folder = study_folder / "tables"
    if config.trials:
        paths = write_tables(read_trials(Path(config.trials)), folder)
    else:
        paths = _write_study(study_folder, folder)
    for path in paths:
        print(path)


def _write_study(study_folder: Path, folder: Path) -> list[Path]:
    records = read_records(study_folder)
    configs = [read_config(_folder_of(record, study_folder) / "config.yaml") for record in records]
    encoders = {
        Path(resolved["encoder"] or study_folder / "encoder")
        for record, resolved in zip(records, configs, strict=True)
        if record.init == REFERENCE
    }
    cohorts, lost = _cohorts({resolved["data"]["path"] for resolved in configs}, encoders)
    synthetic = any(cohort.source.startswith("synthetic") for cohort in cohorts.values())
    notes = [cohort.note for cohort in cohorts.values() if cohort.note and cohort.rhythm is not None]
    notes += ["Synthetic data: says nothing of patients."] if synthetic else []
    paths = write_tables(trials_of(records), folder, cohorts, [*provenance_notes(records), *notes])
    note = "synthetic data" if synthetic else ""
    paths += figure3(folder / "figure3")
    for drawn in sorted(path for encoder in encoders for path in encoder.glob("figure4.*")):
        paths.append(Path(shutil.copyfile(drawn, folder / drawn.name)))
    paths += figure5(
        {record.cell: read_curve(_folder_of(record, study_folder))["test_f1"].to_numpy() for record in records},
        folder / "figure5",
        {record.init: {record.weights} for record in records},
        note,
    )
    missing = [cell_name(cell) for cell in missing_cells(record.cell for record in records)]
    for line in [*(f"missing: {name}" for name in missing), *lost]:
        print(line)
    return paths


def _folder_of(record: RunRecord, study_folder: Path) -> Path:
    return run_folder(study_folder, record.cell)


def _cohorts(data_paths: set[str], encoders: set[Path]) -> tuple[dict[str, Cohort], list[str]]:
    """Describe the stores that the runs and their encoders were made from, and say which are gone."""
    wanted = {Path(path): "Labelled set" for path in data_paths}
    lost = []
    for encoder in sorted(encoders):
        try:
            wanted[Path(read_config(encoder / "config.yaml")["corpus"]["path"])] = "Corpus"
        except (ValueError, KeyError) as error:
            lost.append(f"table 1 is without the corpus: {error}")
    cohorts = {}
    for path, name in sorted(wanted.items(), key=lambda item: (item[1], item[0])):
        try:
            store = open_store(path)
        except (OSError, ValueError) as error:
            lost.append(f"table 1 is without {name.lower()}: {error}")
            continue
        cohorts[name if list(wanted.values()).count(name) == 1 else f"{name} {path.stem}"] = cohort_of(store)
    return cohorts, lost


def provenance_notes(records: Sequence[RunRecord]) -> list[str]:
    """Say what a reader must know of how the cells were made: classes unlike the paper's, mixed settings."""
    notes = []
    for rhythms in sorted({tuple(record.rhythms) for record in records}):
        if len(rhythms) != PAPER_RHYTHMS:
            notes.append(f"{classes_note(len(rhythms))} Classes here: {', '.join(rhythms)}.")
    shared: dict[str, set[object]] = {
        "data_sha256": {record.data_sha256 for record in records},
        "encoder_sha256": {record.encoder_sha256 for record in records if record.init == REFERENCE},
        "epochs": {record.epochs for record in records},
        "n_test": {record.n_test for record in records},
    }
    for name, values in shared.items():
        if len(values) > 1:
            told = ", ".join(sorted(str(value)[:12] for value in values))
            notes.append(f"Not one experiment: {name} differs between cells ({told}); run the older cells again.")
    return notes


def write_tables(
    trials: pd.DataFrame, folder: Path, cohorts: Mapping[str, Cohort] | None = None, notes: Sequence[str] = ()
) -> list[Path]:
    """Write tables 2 and 3 of the trials, and table 1 where cohorts are given, as Markdown, CSV and LaTeX.

    notes go under tables 2 and 3. Table 3 is left out if no trial has an index. Returns the paths written.
    """
    tables = {"table1": table1(cohorts)} if cohorts else {}
    tables["table2"] = table2(trials, notes)
    if has_index(trials).any():
        tables["table3"] = table3(trials, notes)
    return [path for name, table in tables.items() for path in write_table(table, folder, name)]


if __name__ == "__main__":
    command_line.run("tables", main)
