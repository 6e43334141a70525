"""Means, spreads, effects and tests: pure functions on columns of trials, shape (trials,)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEWEST_FOR_BCA = 3
"""Of two values the bootstrap has but three means to draw from: too few for an interval's bounds."""


class MeanSD(NamedTuple):
    """Mean and standard deviation."""

    mean: float
    sd: float


class Interval(NamedTuple):
    """An estimate and the bounds of its confidence interval; NaN where there is none."""

    value: float
    low: float
    high: float


class Paired(NamedTuple):
    """A mean difference over pairs: its interval, the units it rests on, t, degrees of freedom and two-sided p."""

    difference: Interval
    n: int
    t: float
    df: float
    p: float


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


def holm(p: ArrayLike) -> np.ndarray:
    """Adjust the p-values of one family of tests so that any false finding among them has the chance named (Holm 1979).

    p: (tests,); NaN, a test that could not be made, stays NaN and does not count. Returns (tests,).
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return adjusted


def hedges_g(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Interval:
    """Say by how many pooled SDs the mean of `a` lies above that of `b`, corrected for small samples (Hedges 1981).

    a (trials_a,), b (trials_b,). The interval is the large-sample normal one with the small-sample variance. All NaN
    where there are fewer than two values in a column, or no spread. ValueError if a value is not finite.
    """
    a, b = _trials(a), _trials(b)
    n = a.size + b.size
    if min(a.size, b.size) < 2 or np.ptp(a) == np.ptp(b) == 0:
        return Interval(math.nan, math.nan, math.nan)
    pooled = math.sqrt((a.var(ddof=1) * (a.size - 1) + b.var(ddof=1) * (b.size - 1)) / (n - 2))
    g = (1 - 3 / (4 * n - 9)) * float(a.mean() - b.mean()) / pooled
    half = stats.norm.ppf((1 + confidence) / 2) * math.sqrt(n / (a.size * b.size) + g**2 / (2 * (n - 3.94)))
    return Interval(g, g - half, g + half)


def paired(differences: ArrayLike, blocks: ArrayLike | None = None, confidence: float = 0.95) -> Paired:
    """Test whether differences of pairs have mean 0, with Student's interval of the mean.

    differences: (pairs,), one value minus its partner of the same draw. blocks: (pairs,), the split that each pair was
    made on. Pairs of one split share a test set and are not independent, so with several splits the means of the
    splits are what is tested: in a balanced design the test of init against its interaction with split as a random
    factor. NaN where there are fewer than two units, or they do not differ. ValueError if a value is not finite.
    """
    units = _trials(differences)
    if blocks is not None and len(names := np.unique(np.asarray(blocks))) > 1:
        units = np.array([units[np.asarray(blocks) == name].mean() for name in names])
    mean = float(units.mean()) if units.size else math.nan
    if units.size < 2 or np.ptp(units) == 0:
        return Paired(Interval(mean, math.nan, math.nan), units.size, math.nan, math.nan, math.nan)
    result = stats.ttest_1samp(units, 0)
    bounds = result.confidence_interval(confidence)
    return Paired(
        Interval(mean, float(bounds.low), float(bounds.high)),
        units.size,
        float(result.statistic),
        float(result.df),
        float(result.pvalue),
    )


def bca_mean(
    values: ArrayLike, generator: np.random.Generator, confidence: float = 0.95, resamples: int = 9999
) -> Interval:
    """Give the mean of (trials,) with its bias-corrected and accelerated bootstrap interval (Efron 1987).

    The bounds are NaN for fewer than FEWEST_FOR_BCA values, or where there is no spread. ValueError if a value is not
    finite.
    """
    trials = _trials(values)
    mean = float(trials.mean()) if trials.size else math.nan
    if trials.size < FEWEST_FOR_BCA or np.ptp(trials) == 0:
        return Interval(mean, math.nan, math.nan)
    bounds = stats.bootstrap(
        (trials,), np.mean, n_resamples=resamples, confidence_level=confidence, method="BCa", rng=generator
    ).confidence_interval
    return Interval(mean, float(bounds.low), float(bounds.high))
