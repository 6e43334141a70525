"""Table 8: two studies side by side, and what was set otherwise in the second."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecg_tl.identity import settings_of
from ecg_tl.rendering import Block, Row, Table
from ecg_tl.results import Results
from ecg_tl.statistics import holm, mean_sd, paired, welch
from ecg_tl.trial_columns import PROTOCOLS, Column, columns_of
from ecg_tl.trial_tables import ONE_WORLD, format_p
from ecg_tl.trials import percent, trials_of


def table8(first: Results, second: Results, notes: Sequence[str] = ()) -> Table:
    """Compare two studies at every init and fraction that both have, under both protocols.

    Pairs are cells of the same seed and split, taken where both studies have the same data; else, and beside it,
    Welch's test of the two columns. ValueError if they share no init and fraction.
    """
    names = first.folder.name, second.folder.name
    trials = trials_of(first.records), trials_of(second.records)
    same_data = {r.data_sha256 for r in first.records} == {r.data_sha256 for r in second.records}
    blocks, numbers = [], []
    for measure, heading in PROTOCOLS.items():
        sides = [{(c.init, c.fraction): c for c in columns_of(each, measure)} for each in trials]
        shared = [key for key in sides[0] if key in sides[1]]
        if not shared:
            raise ValueError(f"study={','.join(names)}: no init and fraction that both have; nothing to compare")
        welches = [welch(sides[0][key].counted, sides[1][key].counted) for key in shared]
        adjusted = holm([test.p for test in welches])
        rows: list[Row] = []
        for key, test, p_holm in zip(shared, welches, adjusted, strict=True):
            a, b = sides[0][key], sides[1][key]
            differences = _differences(a, b)
            gap = paired(*differences) if same_data and len(differences[0]) else None
            rows.append(
                (
                    f"{percent(a.fraction)} {a.label}",
                    _summary(a),
                    _summary(b),
                    f"{b.counted.mean() - a.counted.mean():+.3f}" if len(a.counted) and len(b.counted) else "–",
                    format_p(test.p),
                    format_p(float(p_holm)),
                    format_p(gap.p) if gap else "–",
                )
            )
            values = {"welch_t": test.t, "welch_df": test.df, "welch_p": test.p, "welch_p_holm": float(p_holm)}
            values |= {"paired_difference": gap.difference.value, "paired_p": gap.p} if gap else {}
            for study, column in zip(names, (a, b), strict=True):
                mean, sd = mean_sd(column.counted)
                numbers += [(measure, *key, study, stat, v) for stat, v in (("mean", mean), ("sd", sd))]
            numbers += [(measure, *key, "", statistic, value) for statistic, value in values.items()]
        blocks.append(Block(heading, tuple(rows)))
    said = [
        "Mean ± SD (ddof=0); difference: second minus first. Welch's p, Holm-adjusted over a protocol's rows.",
        "Paired p: over cells of the same seed and split."
        if same_data
        else "No paired p: the studies were run on different data.",
        _settings_note(first, second),
        ONE_WORLD,
        *notes,
    ]
    header = ("Fraction and init", *names, "Difference", "Welch p", "Holm", "Paired p")
    return Table(
        8,
        f"{names[0]} against {names[1]}",
        tuple((name,) for name in header),
        tuple(blocks),
        tuple(said),
        pd.DataFrame(numbers, columns=["measure", "init", "fraction", "study", "statistic", "value"]),
    )


def changed_settings(first: Results, second: Results) -> list[str]:
    """List what is set otherwise in the second study, axes of the grid aside, as `epochs: 20 -> 150`."""
    sides = []
    for results in (first, second):
        of_study: dict[str, set[str]] = {}
        for config in results.configs.values():
            for key, value in settings_of(config).items():
                of_study.setdefault(key, set()).add(str(value))
        of_study["data"] = {record.data_sha256[:12] for record in results.records}
        of_study["encoder"] = {record.encoder_sha256[:12] for record in results.records if record.encoder_sha256}
        sides.append(of_study)
    axes = {"init.name", "init.weights", "fraction", "seed", "split_seed"}
    return [
        f"{key}: {_set(sides[0].get(key))} -> {_set(sides[1].get(key))}"
        for key in sorted((sides[0].keys() | sides[1].keys()) - axes)
        if sides[0].get(key) != sides[1].get(key)
    ]


def _set(values: set[str] | None) -> str:
    return "/".join(sorted(values)) if values else "none"


def _settings_note(first: Results, second: Results) -> str:
    changed = changed_settings(first, second)
    return (
        f"Set otherwise in the second: {'; '.join(changed)}." if changed else "Set alike in all but the study's name."
    )


def _differences(a: Column, b: Column) -> tuple[np.ndarray, np.ndarray]:
    """Second minus first at each split and seed that both have, and the splits. Both (pairs,)."""
    theirs = dict(zip(b.trials, b.values, strict=True))
    pairs = [
        (theirs[draw] - value, draw[0])
        for draw, value in zip(a.trials, a.values, strict=True)
        if math.isfinite(value) and math.isfinite(theirs.get(draw, math.nan))
    ]
    return np.array([gap for gap, _ in pairs]), np.array([split for _, split in pairs])


def _summary(column: Column) -> str:
    if not len(column.counted):
        return "–"
    mean, sd = mean_sd(column.counted)
    return f"{mean:.3f} ± {sd:.3f} (n={len(column.counted)})"
