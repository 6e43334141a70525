"""Tables 2 and 3: the trials of a study, their means and spreads, and the tests between inits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd

from ecg_tl.beside_paper import Published
from ecg_tl.rendering import Block, Row, Table
from ecg_tl.statistics import Interval, Welch, holm, mean_sd, welch
from ecg_tl.trial_columns import (
    MISSING,
    PROTOCOLS,
    REFERENCE,
    Column,
    columns_of,
    has_index,
    mean_interval,
    why_no_interval,
)
from ecg_tl.trials import in_order, percent

ONE_WORLD = (
    "Repeats draw other training records but share the test set of their split: they are no independent samples of the "
    "world, and their SD and p say nothing of other patients."
)
_LCI = "Learning curve index"
_LCI_PROTOCOLS = {"lci": "Times the best F1, as in the paper", "selected_lci": "Times the F1 of the out-of-bag epoch"}


def table2(trials: pd.DataFrame, notes: Sequence[str] = (), published: Published | None = None) -> Table:
    """Best weighted F1 of each trial, means, SDs and Welch's p against transfer (paper, Table 2).

    trials: as from trials_of or read_trials. Where they have selected_f1, the same summary of it follows: the
    flattering protocol and the honest one stand together. published: what the paper prints, to stand beside, and where
    that cannot be compared. ValueError if a cell is there twice.
    """
    best, selected = columns_of(trials, "best_f1"), columns_of(trials, "selected_f1")
    both = {"best_f1": best, "selected_f1": selected} if trials["selected_f1"].notna().any() else {"best_f1": best}
    said = _notes(both)
    if (gaps := _named(selected, _is_missing)) != _named(best, _is_missing) and len(both) > 1:
        said.append(f"Missing out-of-bag results: {gaps}.")
    return _trials_table(2, "Weighted F1 on the test set in every trial", both, PROTOCOLS, [*said, *notes], published)


def table3(trials: pd.DataFrame, notes: Sequence[str] = (), published: Published | None = None) -> Table:
    """Learning curve index of each trial, means, SDs and Welch's p against transfer (paper, Table 3).

    trials: as from trials_of or read_trials. An init without any index is left out and named. A curve without
    a finite index shows its flag instead, and the mean over the others says over how many. published: as for table2.
    ValueError if a cell is there twice, or no trial has an index or a flag.
    """
    without = in_order(set(trials["init"]) - set(trials.loc[has_index(trials), "init"]))
    indexed = trials[~trials["init"].isin(without)]
    columns = columns_of(indexed, "lci")
    if not columns:
        raise ValueError(f"trials: no {_LCI.lower()} in {len(trials)} trials; table 3 needs one")
    both = {"lci": columns}
    if trials["selected_f1"].notna().any():
        scaled = indexed.assign(lci=indexed["lci"] * (indexed["selected_f1"] / indexed["best_f1"]))
        both["selected_lci"] = columns_of(scaled, "lci")
    said = [f"No {_LCI.lower()} given: {', '.join(without)}."] if without else []
    if infinite := _named(columns, lambda state: state not in ("", MISSING, "never rises")):
        said.append(f"No finite index, left out of the mean: {infinite}.")
    if fallen := _named(columns, lambda state: state == "never rises"):
        said.append(f"Index 0 because the curve never rises, part of the mean: {fallen}.")
    title = "Learning curve index (LCI) on the test set in every trial"
    return _trials_table(3, title, both, _LCI_PROTOCOLS, [*_notes(both), *said, *notes], published)


def _trials_table(
    number: int,
    title: str,
    measures: dict[str, list[Column]],
    headings: dict[str, str],
    notes: Sequence[str],
    published: Published | None,
) -> Table:
    """Lay out the trials of the first measure, then a summary of each, the paper's figures after the first."""
    first, columns = next(iter(measures.items()))
    blocks = [Block("", _trial_rows(columns))]
    for measure, its_columns in measures.items():
        blocks.append(Block(headings[measure] if len(measures) > 1 else "", _summary_rows(its_columns)))
        if measure == first and published is not None:
            blocks.append(Block(published.heading, _published_rows(columns, first, published)))
    return Table(
        number,
        title,
        (("", _draw_heading(columns[0])), *((percent(column.fraction), column.label) for column in columns)),
        tuple(blocks),
        (*notes, *(published.notes if published else ())),
        pd.concat([_numbers(its_columns, measure) for measure, its_columns in measures.items()], ignore_index=True),
    )


def _published_rows(columns: Sequence[Column], measure: str, published: Published) -> tuple[Row, ...]:
    beside = [published.beside(column.init, column.fraction, measure) for column in columns]
    rows: list[Row] = [("Paper, mean ± SD", *(text.theirs for text in beside))]
    means = [_mean(column) for column in columns]
    if any(text.mean is not None for text in beside):
        rows.append(("Ours − paper", *(t.difference(m) for t, m in zip(beside, means, strict=True))))
        rows.append(("Within 2 SD of the paper", *(t.within(m) for t, m in zip(beside, means, strict=True))))
    return tuple(rows)


def _mean(column: Column) -> float:
    return math.nan if column.n_missing else mean_sd(column.counted).mean


def format_p(p: float) -> str:
    """Print a p-value as the tables do: three decimals, < 0.001 below, a dash where there is none."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


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
    rows: list[Row] = [
        ("Mean ± SD", *(_mean_text(column) for column in columns)),
        ("95 % CI of the mean", *(format_interval(mean_interval(column)) for column in columns)),
    ]
    if any(column.init == REFERENCE for column in columns):
        tests = _tests(columns)
        for name, p in (("p", tests), ("Holm-adjusted p", dict(zip(tests, holm(list(tests.values())), strict=True)))):
            texts = ("" if c.init == REFERENCE else format_p(p[c.init, c.fraction]) for c in columns)
            rows.append((f"{name} against {REFERENCE}", *texts))
    return tuple(rows)


def format_interval(interval: Interval, digits: int = 3) -> str:
    """Print the bounds of an interval, a dash where there are none."""
    if math.isnan(interval.low):
        return "–"
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def _tests(columns: Sequence[Column]) -> dict[tuple[str, float], float]:
    """Welch's p against transfer of each other column, by init and fraction."""
    return {(c.init, c.fraction): _test(c, columns).p for c in columns if c.init != REFERENCE}


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


def _notes(measures: dict[str, list[Column]]) -> list[str]:
    columns = next(iter(measures.values()))
    notes = ["SD: of the population (ddof=0)."]
    if any(column.init == REFERENCE for column in columns):
        notes.append(
            f"p: Welch's t-test against {REFERENCE}, two-sided, as in the paper; Holm's adjustment is for the "
            f"{sum(column.init != REFERENCE for column in columns)} comparisons of one protocol."
        )
    notes.append("95 % CI of the mean: BCa bootstrap over the repeats.")
    if why := why_no_interval([column for its_columns in measures.values() for column in its_columns]):
        notes.append(f"A dash for the CI: {why}.")
    notes.append(ONE_WORLD)
    if len({split for column in columns for split, _ in column.trials}) > 1:
        notes.append(
            "Several splits: mean, SD and Welch's p pool their trials; the CI draws splits again, and table 4 treats "
            "the split as a factor."
        )
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
    compared = any(column.init == REFERENCE for column in columns)
    tests = _tests(columns) if compared else {}
    adjusted = dict(zip(tests, holm(list(tests.values())).tolist(), strict=True))
    for column in columns:
        head = (measure, column.fraction, column.init, column.label)
        for (split, seed), value, state in zip(column.trials, column.values, column.states, strict=True):
            rows.append((*head, "trial", split, seed, value, state))
        mean, sd = mean_sd([] if column.n_missing else column.counted)
        _, low, high = mean_interval(column)
        summary = {"n": float(len(column.counted)), "mean": mean, "sd": sd, "ci_low": low, "ci_high": high}
        if compared and column.init != REFERENCE:
            test = _test(column, columns)
            summary |= {"welch_t": test.t, "welch_df": test.df, "welch_p": test.p}
            summary["welch_p_holm"] = adjusted[column.init, column.fraction]
        rows += [(*head, statistic, pd.NA, pd.NA, value, "") for statistic, value in summary.items()]
    names = ["measure", "fraction", "init", "label", "statistic", "split_seed", "seed", "value", "state"]
    return pd.DataFrame(rows, columns=names).astype({"split_seed": "Int64", "seed": "Int64"})
