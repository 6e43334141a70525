"""Table 7: the F1 of every rhythm, rare ones marked, under both protocols."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecg_tl.rendering import Block, Row, Table
from ecg_tl.results import Results
from ecg_tl.statistics import mean_sd
from ecg_tl.study_figures import FEW_RECORDS
from ecg_tl.trial_columns import PROTOCOLS, Column, columns_of
from ecg_tl.trials import percent, trials_of

_FIELDS = {
    "best_f1": ("f1_per_rhythm", "macro_f1", "best_f1"),
    "selected_f1": ("selected_f1_per_rhythm", "selected_macro_f1", "selected_f1"),
}


def support(results: Results) -> dict[str, list[int]]:
    """Test records of each rhythm, one number for each split that was run, the most frequent rhythm first."""
    of_split = {
        record.split_seed: dict(zip(record.rhythms, record.support_per_rhythm, strict=True))
        for record in results.records
    }
    counts = {name: [of_split[split].get(name, 0) for split in sorted(of_split)] for name in results.rhythms}
    return dict(sorted(counts.items(), key=lambda item: -sum(item[1])))


def table7(results: Results, notes: Sequence[str] = ()) -> Table:
    """F1 of every rhythm, macro and weighted, mean and SD over runs, a column for each init and fraction."""
    counts = support(results)
    columns = columns_of(trials_of(results.records), "best_f1")
    runs = [results.of(column.init, column.fraction) for column in columns]
    blocks, numbers = [], []
    for measure, (per_rhythm, macro, weighted) in _FIELDS.items():
        rows: list[Row] = []
        for name, n_test in counts.items():
            values = [
                [getattr(r, per_rhythm)[r.rhythms.index(name)] for r in of_column if name in r.rhythms]
                for of_column in runs
            ]
            mark = "†" if min(n_test) < FEW_RECORDS else ""
            rows.append((name + mark, _span(n_test), *(_text(each) for each in values)))
            numbers += _long(measure, name, columns, values)
        for label, field in (("Macro", macro), ("Weighted", weighted)):
            values = [[getattr(record, field) for record in of_column] for of_column in runs]
            rows.append((label, _span(list(np.sum(list(counts.values()), axis=0))), *(_text(each) for each in values)))
            numbers += _long(measure, label.lower(), columns, values)
        blocks.append(Block(PROTOCOLS[measure], tuple(rows)))
    said = ["Mean ± SD (ddof=0) over runs. A rhythm that is never predicted, or has no test record, counts as F1 0."]
    if any(min(n_test) < FEW_RECORDS for n_test in counts.values()):
        said.append(
            f"† fewer than {FEW_RECORDS} test records: one moves this F1 by a fifth and more; do not lean on it."
        )
    said.append(
        "Macro F1 gives every rhythm the same weight, and leaves out those that neither occur nor are predicted."
    )
    return Table(
        7,
        "F1 of every rhythm",
        (("", "Rhythm"), ("", "Test records"), *((percent(column.fraction), column.label) for column in columns)),
        tuple(blocks),
        (*said, *notes),
        pd.DataFrame(numbers, columns=["measure", "rhythm", "fraction", "init", "run", "value"]),
    )


def _span(n_test: Sequence[int]) -> str:
    low, high = min(n_test), max(n_test)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _text(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean, sd = mean_sd(values)
    return f"{mean:.3f} ± {sd:.3f}" if len(values) > 1 else f"{mean:.3f}"


def _long(
    measure: str, rhythm: str, columns: Sequence[Column], values: Sequence[Sequence[float]]
) -> list[tuple[object, ...]]:
    return [
        (measure, rhythm, column.fraction, column.init, run, value)
        for column, of_column in zip(columns, values, strict=True)
        for run, value in enumerate(of_column)
    ]
