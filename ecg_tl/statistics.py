"""Means, spreads and tests: pure functions, each on the results of one column of trials, shape (trials,)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class MeanSD(NamedTuple):
    """Mean and standard deviation."""

    mean: float
    sd: float


class Welch(NamedTuple):
    """Welch's test: statistic (positive where the first mean is larger), degrees of freedom, two-sided p."""

    t: float
    df: float
    p: float


def _trials(values: ArrayLike) -> np.ndarray:
    trials = np.asarray(values, dtype=np.float64)
    if trials.ndim != 1:
        raise ValueError(f"values: shape {trials.shape} is not one column of trials; give shape (trials,)")
    if not np.isfinite(trials).all():
        n_bad = np.count_nonzero(~np.isfinite(trials))
        raise ValueError(f"values: {n_bad} of {trials.size} are not finite; leave them out and say so")
    return trials


def mean_sd(values: ArrayLike, ddof: int = 0) -> MeanSD:
    """Mean and SD of (trials,); ddof=0 is the population SD that the paper prints.

    The mean of nothing, and the SD of no more than ddof values, is NaN. ValueError if a value is not finite.
    """
    trials = _trials(values)
    return MeanSD(
        float(trials.mean()) if trials.size else math.nan,
        float(trials.std(ddof=ddof)) if trials.size > ddof else math.nan,
    )


def welch(a: ArrayLike, b: ArrayLike) -> Welch:
    """Test whether two columns of trials have the same mean, whatever their variances (Welch 1947).

    a (trials_a,), b (trials_b,). All NaN where there is nothing to test with: fewer than two values in a
    column, or no spread in either. ValueError if a value is not finite.
    """
    a, b = _trials(a), _trials(b)
    if min(a.size, b.size) < 2 or np.ptp(a) == np.ptp(b) == 0:
        return Welch(math.nan, math.nan, math.nan)
    summaries = (a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size)
    t, p = stats.ttest_ind_from_stats(*summaries, equal_var=False)
    error_a, error_b = a.var(ddof=1) / a.size, b.var(ddof=1) / b.size
    df = (error_a + error_b) ** 2 / (error_a**2 / (a.size - 1) + error_b**2 / (b.size - 1))
    return Welch(float(t), float(df), float(p))
