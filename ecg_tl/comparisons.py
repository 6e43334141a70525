"""Table 4: every init against transfer, by every honest way to compare them, under both protocols."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_tl.records import Cell
from ecg_tl.rendering import Block, Row, Table
from ecg_tl.resampling import f1_interval
from ecg_tl.results import predictions_by_split
from ecg_tl.statistics import Interval, Paired, Welch, hedges_g, holm, paired, welch
from ecg_tl.trial_columns import PROTOCOLS, REFERENCE, Column, columns_of
from ecg_tl.trial_tables import ONE_WORLD, format_p
from ecg_tl.trials import percent

VERSUS = " − "
NOTHING = Interval(math.nan, math.nan, math.nan)


class Comparison(NamedTuple):
    """One init minus another at one fraction, under one protocol.

    over_draws: pairs of the same draw, or the splits' means where there are several splits. over_records: the same
    difference with runs and test patients drawn again. Adjusted p-values are Holm's over the protocol's comparisons.
    """

    measure: str
    fraction: float
    init: str
    against: str
    label: str
    n_pairs: int
    n_expected: int
    over_draws: Paired
    p_paired: float
    welch: Welch
    p_welch: float
    effect: Interval
    over_records: Interval

    @property
    def difference(self) -> Interval:
        """Mean difference in F1 with its interval over draws."""
        return self.over_draws.difference


def compare(trials: pd.DataFrame, predictions: Mapping[Cell, pd.DataFrame], measure: str) -> list[Comparison]:
    """Compare transfer with every other init, and a frozen pretrained encoder with a frozen random one.

    trials: as from trials_of; predictions: of their cells, those that are there. Welch and the effect want complete
    columns; pairs are the draws that both have. Rows go by falling fraction.
    """
    generator = np.random.default_rng(0)
    found = []
    columns = {(column.init, column.fraction): column for column in columns_of(trials, measure)}
    inits = list(dict.fromkeys(init for init, _ in columns))
    pairs = [(REFERENCE, init) for init in inits if init != REFERENCE] if REFERENCE in inits else []
    pairs += [("frozen", "frozen_random")] if {"frozen", "frozen_random"} <= set(inits) else []
    for fraction in dict.fromkeys(fraction for _, fraction in columns):
        for init, against in pairs:
            ours, theirs = columns[init, fraction], columns[against, fraction]
            shared = np.isfinite(ours.values) & np.isfinite(theirs.values)
            splits = np.array([split for split, _ in ours.trials])[shared]
            whole = not ours.n_missing and not theirs.n_missing
            found.append(
                Comparison(
                    measure,
                    fraction,
                    init,
                    against,
                    f"{ours.label}{VERSUS}{theirs.label}",
                    int(shared.sum()),
                    len(ours.trials),
                    paired((ours.values - theirs.values)[shared], splits),
                    math.nan,
                    welch(ours.counted, theirs.counted) if whole else Welch(math.nan, math.nan, math.nan),
                    math.nan,
                    hedges_g(ours.counted, theirs.counted) if whole else NOTHING,
                    _over_records(ours, theirs, shared, predictions, measure, generator),
                )
            )
    p_paired = holm([each.over_draws.p for each in found])
    p_welch = holm([each.welch.p for each in found])
    return [
        each._replace(p_paired=float(first), p_welch=float(second))
        for each, first, second in zip(found, p_paired, p_welch, strict=True)
    ]


def _over_records(
    ours: Column,
    theirs: Column,
    shared: np.ndarray,
    predictions: Mapping[Cell, pd.DataFrame],
    measure: str,
    generator: np.random.Generator,
) -> Interval:
    draws = [draw for draw, both in zip(ours.trials, shared, strict=True) if both]
    sides = [[Cell(column.init, column.fraction, seed, split) for split, seed in draws] for column in (ours, theirs)]
    if not draws or not all(cell in predictions for cells in sides for cell in cells):
        return NOTHING
    rhythms = sorted({name for frame in predictions.values() for name in pd.unique(frame["rhythm"])})
    made = [predictions_by_split(predictions, cells, measure, rhythms) for cells in sides]
    return f1_interval(made[0], generator, against=made[1])


def table4(found: Mapping[str, Sequence[Comparison]], n_splits: int, notes: Sequence[str] = ()) -> Table:
    """Lay out comparisons, a block for each protocol and a row for each pair of inits at each fraction.

    found: by measure, as from compare. ValueError if there is none.
    """
    if not any(found.values()):
        raise ValueError(
            "comparisons: no two inits to compare; table 4 needs transfer and another, or both frozen ones"
        )
    blocks = tuple(
        Block(PROTOCOLS[measure], tuple(_row(comparison, n_splits) for comparison in comparisons))
        for measure, comparisons in found.items()
        if comparisons
    )
    units = "splits (each the mean of its pairs)" if n_splits > 1 else "pairs"
    said = [
        f"Difference: first minus second in weighted F1, over {units} of one training draw; Student's 95 % CI and p.",
        "Welch's p takes both columns as independent, as the paper does. Hedges' g: difference in pooled SDs, 95 % CI.",
        "Holm: adjusted for all comparisons of the same protocol and test.",
        "Test patients too: 95 % CI of the same difference when runs and test patients are both drawn again "
        "(nested bootstrap); it says what another test set might have shown.",
        ONE_WORLD,
    ]
    if n_splits > 1:
        said.append(f"Split is a factor here: {n_splits} splits, and their means are the units.")
    every = [comparison for comparisons in found.values() for comparison in comparisons]
    if any(comparison.n_pairs < comparison.n_expected for comparison in every):
        said.append("Where cells are missing, pairs are the draws that both have, and Welch's p and g are left out.")
    return Table(4, "Comparisons between inits", _HEADER, blocks, (*said, *notes), _numbers(every))


_HEADER = (
    ("", "Comparison"),
    ("", "Pairs"),
    ("Paired", "Difference"),
    ("Paired", "95 % CI"),
    ("Paired", "p"),
    ("Paired", "Holm"),
    ("Unpaired", "Welch p"),
    ("Unpaired", "Holm"),
    ("Unpaired", "Hedges' g (95 % CI)"),
    ("Test patients too", "95 % CI"),
)


def _row(comparison: Comparison, n_splits: int) -> Row:
    c = comparison
    pairs = f"{c.n_pairs}" if c.n_pairs == c.n_expected else f"{c.n_pairs} of {c.n_expected}"
    return (
        f"{percent(c.fraction)}: {c.label}",
        pairs + (f", {c.over_draws.n} splits" if n_splits > 1 else ""),
        "–" if math.isnan(c.difference.value) else f"{c.difference.value:+.3f}",
        _signed(c.difference),
        format_p(c.over_draws.p),
        format_p(c.p_paired),
        format_p(c.welch.p),
        format_p(c.p_welch),
        "–" if math.isnan(c.effect.value) else f"{c.effect.value:+.2f} ({_signed(c.effect, 2)})",
        _signed(c.over_records),
    )


def _signed(interval: Interval, digits: int = 3) -> str:
    if math.isnan(interval.low):
        return "–"
    return f"{interval.low:+.{digits}f} to {interval.high:+.{digits}f}"


def _numbers(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    for c in comparisons:
        values = {
            "n_pairs": c.n_pairs,
            "n_units": c.over_draws.n,
            "difference": c.difference.value,
            "ci_low": c.difference.low,
            "ci_high": c.difference.high,
            "t": c.over_draws.t,
            "df": c.over_draws.df,
            "p": c.over_draws.p,
            "p_holm": c.p_paired,
            "welch_t": c.welch.t,
            "welch_df": c.welch.df,
            "welch_p": c.welch.p,
            "welch_p_holm": c.p_welch,
            "hedges_g": c.effect.value,
            "hedges_g_low": c.effect.low,
            "hedges_g_high": c.effect.high,
            "nested_low": c.over_records.low,
            "nested_high": c.over_records.high,
        }
        rows += [(c.measure, c.fraction, c.init, c.against, name, value) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["measure", "fraction", "init", "against", "statistic", "value"])
