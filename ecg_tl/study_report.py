"""What a study's report tells beside its tables and figures: what was run, on what, and every cell of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ecg_tl.cohorts import PAPER_RHYTHMS, classes_note
from ecg_tl.records import RunRecord, fraction_name, run_name
from ecg_tl.resampling import f1_interval
from ecg_tl.results import Results, predictions_by_split
from ecg_tl.trial_columns import REFERENCE
from ecg_tl.trial_tables import format_interval


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
        "precision": {record.precision for record in records},
    }
    for split in sorted({record.split_seed for record in records}):
        shared[f"n_test of split {split}"] = {record.n_test for record in records if record.split_seed == split}
    for name, values in shared.items():
        if len(values) > 1:
            told = ", ".join(sorted(str(value)[:12] for value in values))
            notes.append(f"Not one experiment: {name} differs between cells ({told}); run the older cells again.")
    if seen := sum(bool(record.test_rows_in_corpus) for record in records):
        notes.append(f"In {seen} cells the encoder was pretrained on test records; their F1 flatters it.")
    if unknown := sum(bool(record.encoder_sha256) and record.test_rows_in_corpus is None for record in records):
        notes.append(
            f"In {unknown} cells it was not checked whether the encoder has seen test records, since its corpus was "
            "not at hand; if it has, their F1 flatters it."
        )
    return notes


def made_of(results: Results, encoders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """List the facts of a study: data, split, encoder, settings, machine, versions, each as it stands in the records.

    encoders: description of each bundle, by its place.
    """
    records, configs = results.records, list(results.configs.values())
    facts = {
        "Cells": f"{len(records)} finished; inits {_all(r.init for r in records)}; fractions "
        f"{_all(fraction_name(r.fraction) for r in records)}; seeds {_all(sorted({r.seed for r in records}))}; splits "
        f"{_all(sorted({r.split_seed for r in records}))}",
        "Labelled data": _all(
            f"{config['data']['path']}, content SHA-256 {record.data_sha256}"
            for config, record in zip(configs, records, strict=True)
        ),
        "Rhythms": _all(", ".join(record.rhythms) for record in records),
        "Records": f"{_all(r.n_train for r in records)} drawn to train, {_all(r.n_test for r in records)} to test on",
    }
    for place, bundle in encoders.items():
        facts[f"Encoder {place}"] = (
            f"{bundle['n_train']:,} windows to train and {bundle['n_test']:,} of other patients held out, lead "
            f"{bundle['lead']}; squared error {bundle['test_sse']:.0f} a window (2,048 for giving back nothing); "
            f"{bundle['epochs']} epochs; weights SHA-256 {bundle['model_sha256']}; corpus content SHA-256 "
            f"{bundle['corpus_sha256']}"
        )
    facts |= {
        "Network": _all(_pairs(config["model"]) for config in configs),
        "Training": _all(
            f"Adam, learning rate {config['learning_rate']:g}, batches of {config['batch_size']}, {config['epochs']} "
            f"epochs" + (", every rhythm in each draw" if config["every_rhythm"] else "")
            for config in configs
        ),
        "Borrowed weights": _all(record.weights for record in records if record.weights) or "none",
        "Precision": _all(record.precision for record in records),
        "Machine": _all(record.device for record in records),
        "Time": f"{sum(record.seconds for record in records) / 60:.1f} min in all cells",
        "Versions": _all(_pairs(record.versions) for record in records),
    }
    return facts


def every_cell(results: Results) -> list[dict[str, str]]:
    """Make one row a run: results, the interval of its own F1 over test patients, and what it can be traced to."""
    rows = []
    for record in results.records:
        split = predictions_by_split(results.predictions, [record.cell], "selected_f1", results.rhythms)
        own = f1_interval(split, np.random.default_rng(0))
        rows.append(
            {
                "Cell": run_name(record.cell),
                "Best F1": f"{record.best_f1:.3f}",
                "Epoch": str(record.best_epoch),
                "Selected F1": f"{record.selected_f1:.3f}",
                "95 % CI over test patients": format_interval(own),
                "Epoch chosen": str(record.selected_epoch),
                "Macro F1": f"{record.selected_macro_f1:.3f}",
                "LCI": record.lci_flag or f"{record.lci:.3f}",
                "Trained on": str(record.n_train),
                "Seconds": f"{record.seconds:.0f}",
                "Config": record.config_sha256[:12],
                "Data": record.data_sha256[:12],
                "Encoder": (record.encoder_sha256 or "–")[:12],
            }
        )
    return rows


def _all(values: Iterable[object]) -> str:
    """Join what differs, in the order of its first appearance."""
    return " / ".join(dict.fromkeys(str(value) for value in values))


def _pairs(entries: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in entries.items())
