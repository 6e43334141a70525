"""Tables 5 and 6: how a study's runs learned, and how many labels a given F1 takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecg_tl.learning_curve import (
    COLLAPSE_MARGIN,
    LabelsNeeded,
    area_under_curve,
    collapsed,
    epochs_to,
    labels_needed,
    largest_drop,
    majority_f1,
)
from ecg_tl.rendering import Block, Row, Table
from ecg_tl.results import Results
from ecg_tl.statistics import mean_sd
from ecg_tl.trial_columns import MISSING, PROTOCOLS, columns_of
from ecg_tl.trials import percent, trials_of

BASELINE = "random"
"""The init whose F1 with all labels is what the others are asked to reach."""


def curve_measures(results: Results) -> pd.DataFrame:
    """Measure each run's curve of test F1: one row a cell.

    Columns: init, fraction, seed, split_seed, area, epochs_to_95, largest_drop, majority_f1, collapsed.
    """
    rows = [
        (
            *record.cell,
            area_under_curve(results.curves[record.cell]),
            epochs_to(results.curves[record.cell]),
            largest_drop(results.curves[record.cell]),
            majority_f1(record.support_per_rhythm),
            collapsed(results.curves[record.cell], record.support_per_rhythm),
        )
        for record in results.records
    ]
    return pd.DataFrame(
        rows,
        columns=[
            *("init", "fraction", "seed", "split_seed"),
            *("area", "epochs_to_95", "largest_drop", "majority_f1", "collapsed"),
        ],
    )


def table5(results: Results, notes: Sequence[str] = ()) -> Table:
    """How runs learned: index, area, epochs to 95 % of the best, largest drop, and how many learned nothing."""
    measures = curve_measures(results)
    columns = columns_of(trials_of(results.records), "lci")
    blocks, incomplete = [], False
    for fraction in dict.fromkeys(column.fraction for column in columns):
        rows: list[Row] = []
        for column in (column for column in columns if column.fraction == fraction):
            runs = measures[(measures["init"] == column.init) & (measures["fraction"] == fraction)]
            if runs.empty:
                rows.append((column.label, f"0 of {len(column.trials)}", *["–"] * 5))
                continue
            n_runs, n_asked = len(runs), len(column.trials)
            incomplete |= n_runs < n_asked
            rows.append(
                (
                    column.label,
                    f"{n_runs}" if n_runs == n_asked else f"{n_runs} of {n_asked}",
                    _mean_text(column.counted, 2)
                    + (f" (n={len(column.counted)})" if len(column.counted) < n_runs else ""),
                    _mean_text(runs["area"], 3),
                    _mean_text(runs["epochs_to_95"], 1),
                    f"{runs['largest_drop'].mean():.3f} ({runs['largest_drop'].max():.3f})",
                    f"{runs['collapsed'].sum()}",
                )
            )
        blocks.append(Block(f"{percent(fraction)} of the training records", tuple(rows)))
    told = ", ".join(f"{value:.3f}" for value in sorted(set(measures["majority_f1"].round(3))))
    said = [
        "Mean ± SD (ddof=0) over runs; LCI where it is finite. Area: mean height of the curve of test F1 between the "
        "first and the last epoch. Epochs: until the curve comes to 95 % of its best. Largest drop from one epoch "
        "to the next: mean over runs (worst run).",
        f"Collapsed: runs whose best test F1 never passes the majority answer's ({told}) by more than "
        f"{COLLAPSE_MARGIN}; they learned nothing, whatever their label count.",
    ]
    if incomplete:
        said.append("Columns with missing cells describe the runs that are there.")
    return Table(
        5,
        "How the runs learned",
        (("Init",), ("Runs",), ("LCI",), ("Area",), ("Epochs to 95 %",), ("Largest drop (worst)",), ("Collapsed",)),
        tuple(blocks),
        (*said, *notes),
        measures.melt(["init", "fraction", "seed", "split_seed"], var_name="statistic"),
    )


def _mean_text(values: Sequence[float] | pd.Series | np.ndarray, digits: int) -> str:
    if not len(values):
        return "–"
    mean, sd = mean_sd(values)
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


def needed(results: Results, target_f1: float | None) -> dict[str, tuple[float, dict[str, LabelsNeeded]]]:
    """Say, by protocol, which F1 is asked for and how many labels each init needs for it.

    target_f1 None asks for the mean that random reaches at the largest fraction; a protocol without that column is left
    out. Only complete columns count, as in table 2.
    """
    trials = trials_of(results.records)
    answers = {}
    for measure in PROTOCOLS:
        columns = [c for c in columns_of(trials, measure) if not c.n_missing]
        target = target_f1
        if target is None:
            baseline = [column for column in columns if column.init == BASELINE]
            if not baseline:
                continue
            target = float(baseline[0].counted.mean())
        per_init = {}
        for init in dict.fromkeys(column.init for column in columns):
            of_init = [column for column in columns if column.init == init]
            labels = [float(np.mean([r.n_train for r in results.of(init, column.fraction)])) for column in of_init]
            per_init[init] = labels_needed(labels, [float(column.counted.mean()) for column in of_init], target)
        answers[measure] = (target, per_init)
    return answers


def table6(results: Results, target_f1: float | None = None, notes: Sequence[str] = ()) -> Table:
    """How many labelled records each init needs for a given mean F1. ValueError if there is none to ask for."""
    answers = needed(results, target_f1)
    if not answers:
        raise ValueError(f"labels needed: no complete column of init={BASELINE} to take the F1 from; give target_f1=")
    labels = {column.init: column.label for column in columns_of(trials_of(results.records), "best_f1")}
    rows = [
        (label, *(_needed_text(per_init.get(init)) for _, per_init in answers.values()))
        for init, label in labels.items()
    ]
    numbers = [
        (measure, init, target, answer.n_labels, answer.flag)
        for measure, (target, per_init) in answers.items()
        for init, answer in per_init.items()
    ]
    largest = max(record.fraction for record in results.records)
    asked = (
        f"F1 asked for: the mean that {BASELINE} reaches with {percent(largest)} of the training records."
        if target_f1 is None
        else f"F1 asked for: {target_f1:g}."
    )
    return Table(
        6,
        "Labelled records needed for a given F1",
        (("", "Init"), *((PROTOCOLS[measure], f"F1 {target:.3f}") for measure, (target, _) in answers.items())),
        (Block("", tuple(rows)),),
        (
            asked,
            "Interpolated between the fractions that were run, straight on a logarithmic axis of labels, through the "
            "means; a record that a draw holds twice counts twice.",
            *notes,
        ),
        pd.DataFrame(numbers, columns=["measure", "init", "target_f1", "n_labels", "flag"]),
    )


def _needed_text(answer: LabelsNeeded | None) -> str:
    if answer is None:
        return MISSING
    if math.isnan(answer.n_labels):
        return "not reached"
    return f"≤ {answer.n_labels:,.0f}" if answer.flag else f"{answer.n_labels:,.0f}"


def collapse_counts(results: Results) -> Counter[tuple[str, float]]:
    """Count the runs of each init and fraction that learned nothing, where there are any."""
    measures = curve_measures(results)
    return Counter(
        (str(init), float(fraction))
        for init, fraction, lost in zip(measures["init"], measures["fraction"], measures["collapsed"], strict=True)
        if lost
    )
