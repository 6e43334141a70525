"""Tables 2 and 3: the trials of a study, their means and spreads, and the tests between inits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_tl.rendering import Block, Row, Table
from ecg_tl.statistics import Welch, mean_sd, welch
from ecg_tl.trials import in_order, init_label, percent

MISSING = "missing"
REFERENCE = "transfer"

_BEST = "Best epoch on the test set, as in the paper"
_SELECTED = "Epoch chosen on out-of-bag records"
_LCI = "Learning curve index"


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


def table2(trials: pd.DataFrame, notes: Sequence[str] = ()) -> Table:
    """Best weighted F1 of each trial, means, SDs and Welch's p against transfer (paper, Table 2).

    trials: as from trials_of or read_trials. Where they have selected_f1, the same summary of it follows: the
    flattering protocol and the honest one stand together. ValueError if a cell is there twice.
    """
    best, selected = _columns(trials, "best_f1"), _columns(trials, "selected_f1")
    blocks, numbers, said = [Block("", _trial_rows(best))], [_numbers(best, "best_f1")], _notes(best)
    if trials["selected_f1"].notna().any():
        blocks += [Block(_BEST, _summary_rows(best)), Block(_SELECTED, _summary_rows(selected))]
        numbers.append(_numbers(selected, "selected_f1"))
        if (gaps := _named(selected, _is_missing)) != _named(best, _is_missing):
            said.append(f"Missing out-of-bag results: {gaps}.")
    else:
        blocks.append(Block("", _summary_rows(best)))
    return Table(
        2,
        "Weighted F1 on the test set in every trial",
        _header(best),
        tuple(blocks),
        (*said, *notes),
        pd.concat(numbers, ignore_index=True),
    )


def table3(trials: pd.DataFrame, notes: Sequence[str] = ()) -> Table:
    """Learning curve index of each trial, means, SDs and Welch's p against transfer (paper, Table 3).

    trials: as from trials_of or read_trials. An init without any index is left out and named. A curve without
    a finite index shows its flag instead, and the mean over the others says over how many. ValueError if a
    cell is there twice, or no trial has an index or a flag.
    """
    without = in_order(set(trials["init"]) - set(trials.loc[has_index(trials), "init"]))
    columns = _columns(trials[~trials["init"].isin(without)], "lci")
    if not columns:
        raise ValueError(f"trials: no {_LCI.lower()} in {len(trials)} trials; table 3 needs one")
    said = [f"No {_LCI.lower()} given: {', '.join(without)}."] if without else []
    if infinite := _named(columns, lambda state: state not in ("", MISSING, "never rises")):
        said.append(f"No finite index, left out of the mean: {infinite}.")
    if fallen := _named(columns, lambda state: state == "never rises"):
        said.append(f"Index 0 because the curve never rises, part of the mean: {fallen}.")
    return Table(
        3,
        "Learning curve index (LCI) on the test set in every trial",
        _header(columns),
        (Block("", _trial_rows(columns)), Block("", _summary_rows(columns))),
        (*_notes(columns), *said, *notes),
        _numbers(columns, "lci"),
    )


def format_p(p: float) -> str:
    """Print a p-value as the tables do: three decimals, < 0.001 below, a dash where there is none."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def has_index(trials: pd.DataFrame) -> pd.Series:
    """Say for each trial whether a learning curve index, or the reason why there is none, is known."""
    return trials["lci"].notna() | (trials["lci_flag"] != "")


def _columns(trials: pd.DataFrame, measure: str) -> list[Column]:
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


def _header(columns: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    return (("", _draw_heading(columns[0])), *((percent(column.fraction), column.label) for column in columns))


def _trial_rows(columns: Sequence[Column]) -> tuple[Row, ...]:
    names = _draw_names(columns[0])
    return tuple(
        (name, *(_trial(column.values[i], column.states[i]) for column in columns)) for i, name in enumerate(names)
    )


def _draw_heading(column: Column) -> str:
    return "Split/seed" if len({split for split, _ in column.trials}) > 1 else "Seed"


def _draw_names(column: Column) -> list[str]:
    """Name the trials by their seeds, with the split before them where there are several."""
    several = _draw_heading(column) != "Seed"
    return [f"{split}/{seed}" if several else str(seed) for split, seed in column.trials]


def _trial(value: float, state: str) -> str:
    return f"{value:.3f}" if math.isfinite(value) else state


def _summary_rows(columns: Sequence[Column]) -> tuple[Row, ...]:
    rows: list[Row] = [("Mean ± SD", *(_mean_text(column) for column in columns))]
    if any(column.init == REFERENCE for column in columns):
        tested = ("" if c.init == REFERENCE else format_p(_test(c, columns).p) for c in columns)
        rows.append((f"p against {REFERENCE}", *tested))
    return tuple(rows)


def _mean_text(column: Column) -> str:
    n_expected, n_counted = len(column.trials), len(column.counted)
    if column.n_missing:
        return f"– ({n_expected - column.n_missing} of {n_expected})"
    if not n_counted:
        return "– (n=0)"
    mean, sd = mean_sd(column.counted)
    return f"{mean:.3f} ± {sd:.3f}" + (f" (n={n_counted})" if n_counted < n_expected else "")


def _test(column: Column, columns: Sequence[Column]) -> Welch:
    """Test a column against transfer at the same fraction; NaN where either is incomplete."""
    reference = next(c for c in columns if c.init == REFERENCE and c.fraction == column.fraction)
    if column.n_missing or reference.n_missing:
        return Welch(math.nan, math.nan, math.nan)
    return welch(column.counted, reference.counted)


def _notes(columns: Sequence[Column]) -> list[str]:
    notes = ["SD: of the population (ddof=0)."]
    if any(column.init == REFERENCE for column in columns):
        notes.append(f"p: Welch's t-test against {REFERENCE}, two-sided, not adjusted for the number of tests.")
    if gaps := _named(columns, _is_missing):
        notes.append(f"Missing cells, their columns left without mean and p: {gaps}.")
    notes += [
        f"{label}: the borrowed network had random weights, so nothing here speaks of its pretraining."
        for label in dict.fromkeys(column.label for column in columns if column.label != column.init)
    ]
    return notes


def _is_missing(state: str) -> bool:
    return state == MISSING


def _named(columns: Sequence[Column], wanted: Callable[[str], bool]) -> str:
    """Name the cells whose state is wanted, with the state unless they are missing."""
    names = []
    for column in columns:
        for state in dict.fromkeys(filter(wanted, column.states)):
            found = zip(_draw_names(column), column.states, strict=True)
            seeds = [name for name, its_state in found if its_state == state]
            of_seeds = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
            told = "" if state == MISSING else f" ({state})"
            names.append(f"{column.init} at {percent(column.fraction)} {of_seeds}{told}")
    return "; ".join(names)


def _numbers(columns: Sequence[Column], measure: str) -> pd.DataFrame:
    """List a measure's unrounded trials, means, SDs and tests, one row a number."""
    rows: list[tuple[object, ...]] = []
    for column in columns:
        head = (measure, column.fraction, column.init, column.label)
        for (split, seed), value, state in zip(column.trials, column.values, column.states, strict=True):
            rows.append((*head, "trial", split, seed, value, state))
        mean, sd = mean_sd([] if column.n_missing else column.counted)
        summary = {"n": float(len(column.counted)), "mean": mean, "sd": sd}
        if column.init != REFERENCE and any(other.init == REFERENCE for other in columns):
            test = _test(column, columns)
            summary |= {"welch_t": test.t, "welch_df": test.df, "welch_p": test.p}
        rows += [(*head, statistic, pd.NA, pd.NA, value, "") for statistic, value in summary.items()]
    names = ["measure", "fraction", "init", "label", "statistic", "split_seed", "seed", "value", "state"]
    return pd.DataFrame(rows, columns=names).astype({"split_seed": "Int64", "seed": "Int64"})
