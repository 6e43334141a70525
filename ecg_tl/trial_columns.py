"""Trials laid out in columns, one for each init at each fraction, and what mean and interval each has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_tl.statistics import FEWEST_FOR_BCA, Interval, bca_mean
from ecg_tl.trials import in_order, init_label

MISSING = "missing"
REFERENCE = "transfer"

PROTOCOLS = {
    "best_f1": "Best epoch on the test set, as in the paper",
    "selected_f1": "Epoch chosen on out-of-bag records",
}
_BOOTSTRAP_SEED = 0


class Column(NamedTuple):
    """One init at one fraction: a value a trial (NaN where there is none) and what is to be said of it."""

    fraction: float
    init: str
    label: str
    trials: list[tuple[int, int]]
    """Split and seed of each."""
    values: np.ndarray
    states: list[str]
    """"" or "missing" or the flag of a learning curve."""

    @property
    def counted(self) -> np.ndarray:
        """The values that a mean may be taken over: none that is flagged infinite, or has no index."""
        return self.values[np.isfinite(self.values)]

    @property
    def n_missing(self) -> int:
        """How many cells are not there."""
        return self.states.count(MISSING)


def columns_of(trials: pd.DataFrame, measure: str) -> list[Column]:
    """Lay trials out as the smallest full grid around them, fractions falling, inits in the paper's order."""
    cells = trials.set_index(["init", "fraction", "split_seed", "seed"])
    if repeated := cells.index[cells.index.duplicated()].tolist():
        raise ValueError(f"trials: {repeated[0]} is given twice; give each init, fraction, split and seed once")
    draws = [(split, seed) for split in sorted(set(trials["split_seed"])) for seed in sorted(set(trials["seed"]))]
    columns = []
    for fraction in sorted(set(trials["fraction"]), reverse=True):
        for init in in_order(trials["init"]):
            column = cells.reindex([(init, fraction, *draw) for draw in draws])
            values = column[measure].to_numpy(np.float64)
            flags = column["lci_flag"].fillna("").tolist() if measure == "lci" else [""] * len(draws)
            states = [flag or (MISSING if math.isnan(value) else "") for flag, value in zip(flags, values, strict=True)]
            label = init_label(init, trials.loc[trials["init"] == init, "weights"])
            columns.append(Column(float(fraction), init, label, draws, values, states))
    return columns


def has_index(trials: pd.DataFrame) -> pd.Series:
    """Say for each trial whether a learning curve index, or the reason why there is none, is known."""
    return trials["lci"].notna() | (trials["lci_flag"] != "")


def mean_interval(column: Column) -> Interval:
    """Mean of a column with its BCa bootstrap interval, no bounds where a cell is missing.

    With several splits the means of the splits are what is drawn again, since trials of one split share a test set.
    """
    if column.n_missing:
        return Interval(math.nan, math.nan, math.nan)
    return bca_mean(_units(column)[1], np.random.default_rng(_BOOTSTRAP_SEED))


def why_no_interval(columns: Sequence[Column]) -> str:
    """Say what leaves columns without the bounds of `mean_interval`, each reason once; "" where all have them."""
    reasons = []
    for column in columns:
        if not math.isnan(mean_interval(column).low):
            continue
        kind, values = _units(column)
        few = f"fewer than {FEWEST_FOR_BCA} {kind} in the mean" if len(values) < FEWEST_FOR_BCA else "no spread"
        reasons.append("a missing cell" if column.n_missing else few)
    return " or ".join(sorted(set(reasons), key=reasons.index))


def _units(column: Column) -> tuple[str, np.ndarray]:
    """Say what is drawn again, runs or splits, and give the value of each."""
    splits = np.array([split for split, _ in column.trials])[np.isfinite(column.values)]
    values = column.counted
    if len(names := np.unique(splits)) > 1:
        return "splits", np.array([values[splits == name].mean() for name in names])
    return "runs", values
