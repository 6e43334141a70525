"""ENTRY: tables, figures and report of a study, from its records; nothing here trains. python -m ecg_tl.tables"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ecg_tl import command_line
from ecg_tl.asked import read_asked
from ecg_tl.beside_paper import Published, published_beside
from ecg_tl.bundle import bundle_folder
from ecg_tl.cohorts import Cohort, cohort_of, table1
from ecg_tl.comparisons import Comparison, compare, table4
from ecg_tl.config import TablesConfig
from ecg_tl.curve_tables import needed, table5, table6
from ecg_tl.drawings import draw_latent_map, draw_study
from ecg_tl.failures import failure_of
from ecg_tl.findings import findings
from ecg_tl.identity import read_config
from ecg_tl.records import Cell, missing_cells, run_folder
from ecg_tl.rendering import Table, to_markdown, write_table
from ecg_tl.report import Contents, write_report
from ecg_tl.reproduce import prepare_command, pretrain_command, train_commands
from ecg_tl.results import Results, read_results
from ecg_tl.rhythm_tables import table7
from ecg_tl.store import Store, open_store
from ecg_tl.study_comparison import table8
from ecg_tl.study_report import every_cell, made_of, provenance_notes
from ecg_tl.trial_columns import MISSING, PROTOCOLS, has_index
from ecg_tl.trial_tables import table2, table3
from ecg_tl.trials import cell_name, read_trials, trials_of

PAIRED_BY_NUMBER = "Pairs are trials of one seed; whether they share a training draw, the file of trials does not say."


def main(config: TablesConfig) -> None:
    """Make the tables, figures and report of a study, tables of any trials, or of two studies; print their paths."""
    outputs, names = Path(config.outputs), config.study.split(",")
    folder = outputs / names[0] / "tables"
    if config.trials:
        paths = _write(trial_tables(read_trials(Path(config.trials)), [PAIRED_BY_NUMBER]), folder)
    elif len(names) == 2:
        first, second = (read_results(outputs / name) for name in names)
        table = table8(first, second)
        paths = write_table(table, folder, f"table8_{names[1]}")
        print(to_markdown(table))
    else:
        paths = _write_study(outputs / names[0], folder, outputs, config.target_f1)
    for path in paths:
        print(path)


@dataclass
class Surroundings:
    """What the runs of a study were made from, as far as it is still at hand.

    encoders: folders of the bundles of transfer; lost: what is gone, and what is therefore left out.
    """

    stores: dict[str, Store] = field(default_factory=dict)
    encoders: dict[Path, dict[str, Any]] = field(default_factory=dict)
    cohorts: dict[str, Cohort] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> list[Store]:
        """The stores that runs were trained and tested on."""
        return [store for store in self.stores.values() if store.labelled]


def _write_study(study_folder: Path, folder: Path, outputs: Path, target_f1: float | None) -> list[Path]:
    results = read_results(study_folder)
    around = _surroundings(results)
    unfinished = _unfinished(results)
    synthetic = any(cohort.source.startswith("synthetic") for cohort in around.cohorts.values())
    notes = [cohort.note for cohort in around.cohorts.values() if cohort.note and cohort.rhythm is not None]
    caveats = ["Synthetic data: says nothing of patients."] if synthetic else []
    caveats += provenance_notes(results.records)
    note = "synthetic data" if synthetic else ""
    published = published_beside(
        results.records,
        {store.content_sha256: str(store.source.get("format", "")) for store in around.labelled},
        {store.lead for store in around.labelled},
    )
    found = _compared(results)
    tables = study_tables(results, found, around.cohorts, [*caveats, *notes], published, target_f1)
    paths = _write(tables, folder)
    drawings = draw_study(results, folder, around.encoders, note)
    for encoder in around.encoders:
        for store in around.labelled:
            try:
                drawings.append(draw_latent_map(encoder, store, outputs / "features", folder, note))
            except (OSError, ValueError) as error:
                around.lost.append(f"no figure 9: {error}")
    paths += sorted(path for drawing in drawings for path in folder.glob(f"{drawing.path.name}.*"))
    contents = Contents(
        study=study_folder.name,
        findings=findings(results, found, target_f1, [*caveats, *notes]),
        made_of=made_of(results, {str(place): bundle for place, bundle in around.encoders.items()}),
        tables=list(tables.values()),
        drawings=drawings,
        unfinished=[(cell_name(cell), why) for cell, why in unfinished.items()],
        commands=_commands(results, around, list(unfinished), study_folder.name, target_f1),
        cells=every_cell(results),
    )
    paths.append(write_report(contents, folder / "report.html"))
    for cell, why in unfinished.items():
        print(f"{MISSING if why == MISSING else 'failed'}: {cell_name(cell)}")
    for line in around.lost:
        print(line)
    return paths


def _unfinished(results: Results) -> dict[Cell, str]:
    """Name the cells without a record that were asked for or that the grid wants, and why each is not there."""
    done = {record.cell for record in results.records}
    wanted = dict.fromkeys([*read_asked(results.folder), *missing_cells(done)])
    return {cell: failure_of(run_folder(results.folder, cell)) or MISSING for cell in wanted if cell not in done}


def _compared(results: Results) -> dict[str, list[Comparison]]:
    trials = trials_of(results.records)
    return {measure: compare(trials, results.predictions, measure) for measure in PROTOCOLS}


def trial_tables(
    trials: pd.DataFrame, notes: Sequence[str] = (), published: Published | None = None
) -> dict[str, Table]:
    """Make tables 2, 3 and 4 of any trials, each where they have what it needs: an index, two inits to compare."""
    tables = {"table2": table2(trials, notes, published)}
    if has_index(trials).any():
        tables["table3"] = table3(trials, notes, published)
    if found := compare(trials, {}, "best_f1"):
        tables["table4"] = table4({"best_f1": found}, trials["split_seed"].nunique(), notes)
    return tables


def study_tables(
    results: Results,
    found: Mapping[str, Sequence[Comparison]],
    cohorts: Mapping[str, Cohort],
    notes: Sequence[str],
    published: Published,
    target_f1: float | None,
) -> dict[str, Table]:
    """Make every table of a study; one that lacks what it is about (no store, no index, no comparison) is left out."""
    tables = {"table1": table1(cohorts)} if cohorts else {}
    tables |= trial_tables(trials_of(results.records), notes, published)
    if any(found.values()):
        tables["table4"] = table4(found, len({record.split_seed for record in results.records}), notes)
    tables["table5"] = table5(results, notes)
    if needed(results, target_f1):
        tables["table6"] = table6(results, target_f1, notes)
    tables["table7"] = table7(results, notes)
    return tables


def _write(tables: Mapping[str, Table], folder: Path) -> list[Path]:
    return [path for name, table in tables.items() for path in write_table(table, folder, name)]


def _surroundings(results: Results) -> Surroundings:
    """Find the stores and the encoders that the runs and their encoders were made from, and say which are gone."""
    around = Surroundings()
    wanted = {Path(config["data"]["path"]): "Labelled set" for config in results.configs.values()}
    named = {results.configs[record.cell]["encoder"] for record in results.records if record.encoder_sha256}
    for encoder in sorted(bundle_folder(name) if name else results.folder / "encoder" for name in named):
        try:
            around.encoders[encoder] = json.loads((encoder / "bundle.json").read_text(encoding="utf-8"))
            if not (encoder / "config.yaml").is_file():
                around.lost.append(f"table 1 is without the corpus: {encoder.name} comes without it")
                continue
            wanted[Path(read_config(encoder / "config.yaml")["corpus"]["path"])] = "Corpus"
        except (OSError, ValueError, KeyError) as error:
            around.lost.append(f"table 1 is without the corpus: {error}")
    for path, name in sorted(wanted.items(), key=lambda item: (item[1], item[0])):
        try:
            store = open_store(path)
        except (OSError, ValueError) as error:
            around.lost.append(f"table 1 is without {name.lower()}: {error}")
            continue
        around.stores[str(path)] = store
        around.cohorts[name if list(wanted.values()).count(name) == 1 else f"{name} {path.stem}"] = cohort_of(store)
    return around


def _commands(
    results: Results, around: Surroundings, missing: Sequence[Cell], study: str, target_f1: float | None
) -> list[str]:
    """Spell out how to make the study again, from stores that are described where they cannot be made here."""
    lines = [prepare_command(path, store.source) for path, store in around.stores.items()]
    for encoder in around.encoders:
        if not (encoder / "config.yaml").is_file():  # not pretrained here
            continue
        try:
            resolved = read_config(encoder / "config.yaml")
        except ValueError as error:
            lines.append(f"# {encoder}: {error}")
            continue
        lines.append(pretrain_command(resolved, command_line.defaults("pretrain")))
    lines += train_commands(results.configs, command_line.defaults("train"), missing)
    lines.append(f"python -m ecg_tl.tables study={study}" + (f" target_f1={target_f1}" if target_f1 else ""))
    return lines


if __name__ == "__main__":
    command_line.run("tables", main, joined=("study",))
