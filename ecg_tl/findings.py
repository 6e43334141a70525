"""What a study says, in sentences: how far inits are apart, by which protocol, and how sure one can be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ecg_tl.comparisons import VERSUS, Comparison
from ecg_tl.curve_tables import BASELINE, collapse_counts, needed
from ecg_tl.results import Results
from ecg_tl.trial_columns import REFERENCE
from ecg_tl.trial_tables import format_p
from ecg_tl.trials import percent

QUESTIONS = ((REFERENCE, BASELINE), (REFERENCE, "image"), ("frozen", "frozen_random"))
"""Which of two inits is ahead is told for these; table 4 has the others."""
SURE = 0.05
FEWEST = 3
"""Pairs, or splits, from which on it is said whether inits are told apart: two agree by chance too often."""
LEVEL = 0.0005
"""A gap that three decimals print as nothing."""


def findings(
    results: Results, found: Mapping[str, Sequence[Comparison]], target_f1: float | None, caveats: Sequence[str]
) -> list[str]:
    """Say what a study found: each question at each fraction, labels saved, collapse, and then the caveats.

    found: by measure, as from compare. The epoch chosen out of bag leads, since the other flatters.
    """
    best = {(c.init, c.against, c.fraction): c for c in found.get("best_f1", ())}
    sentences = [
        _told(honest, best.get((honest.init, honest.against, honest.fraction)))
        for honest in found.get("selected_f1", ())
        if (honest.init, honest.against) in QUESTIONS
    ]
    return [*sentences, *_labels(results, target_f1), *_collapse(results), *caveats]


def _told(honest: Comparison, best: Comparison | None) -> str:
    where = f"At {percent(honest.fraction)} of the training records"
    gap = honest.difference
    ours, theirs = honest.label.split(VERSUS)
    if math.isnan(gap.value):
        return f"{where} {honest.label} cannot be compared: no pair of runs is complete."
    if abs(gap.value) < LEVEL:
        return f"{where} {ours} and {theirs} are level over {honest.n_pairs} pairs."
    ahead, behind = (ours, theirs) if gap.value > 0 else (theirs, ours)
    text = f"{where} {ahead} is ahead of {behind} by {abs(gap.value):.3f} F1"
    if math.isnan(gap.low) or honest.over_draws.n < FEWEST:
        return f"{text} in {honest.n_pairs} pair{'s' if honest.n_pairs > 1 else ''}: too few to say how sure that is."
    sign = 1 if gap.value > 0 else -1
    low, high = sorted((sign * gap.low, sign * gap.high))
    verdict = "told apart" if honest.p_paired < SURE else "not told apart"
    text += (
        f" (epoch chosen out of bag; 95 % CI {low:.3f} to {high:.3f} over {honest.n_pairs} pairs, Holm-adjusted p "
        f"{format_p(honest.p_paired)}): {verdict} over the draws"
    )
    if not math.isnan(honest.over_records.low):
        low, high = sorted((sign * honest.over_records.low, sign * honest.over_records.high))
        text += f"; with other test patients drawn too, {low:.3f} to {high:.3f}"
    if best is not None and (best.p_paired < SURE) != (honest.p_paired < SURE):
        other = "would tell them apart" if best.p_paired < SURE else "would not tell them apart"
        text += f". The paper's protocol {other} (p {format_p(best.p_paired)})"
    return text + "."


def _labels(results: Results, target_f1: float | None) -> list[str]:
    answers = needed(results, target_f1)
    if "selected_f1" not in answers:
        return []
    target, per_init = answers["selected_f1"]
    if REFERENCE not in per_init or BASELINE not in per_init:
        return []
    n_labels, flag = per_init[REFERENCE]
    base = per_init[BASELINE]
    largest = max(record.fraction for record in results.records)
    if target_f1 is None and (lost := collapse_counts(results)[BASELINE, largest]):
        return [
            f"How many labels {REFERENCE} needs for the F1 of {BASELINE} is not told: {lost} of "
            f"{len(results.of(BASELINE, largest))} {BASELINE} runs at {percent(largest)} collapsed."
        ]
    if math.isnan(n_labels):
        return [f"{REFERENCE} does not reach an F1 of {target:.3f} (epoch chosen out of bag) at any fraction."]
    most = "at most " if flag else ""
    than = (
        f", {BASELINE} {'at most ' if base.flag else ''}{base.n_labels:,.0f}" if not math.isnan(base.n_labels) else ""
    )
    return [f"For an F1 of {target:.3f} (chosen out of bag) {REFERENCE} needs {most}{n_labels:,.0f} labels{than}."]


def _collapse(results: Results) -> list[str]:
    counts = collapse_counts(results)
    if not counts:
        return []
    named = [
        f"{counts[init, fraction]} of {len(results.of(init, fraction))} {init} runs at {percent(fraction)}"
        for init, fraction in sorted(counts, key=lambda key: (-key[1], key[0]))
    ]
    return [
        f"Collapsed: {', '.join(named)}. They never passed the majority answer: their low F1 is training that failed, "
        "which scarce labels alone do not explain."
    ]
