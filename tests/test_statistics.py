import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests

from ecg_tl.statistics import bca_mean, hedges_g, holm, mean_sd, paired, welch


def test_mean_and_both_sds_by_hand():
    # Deviations -3 -1 -1 -1 0 0 2 4: squares sum to 32; 32/8 = 4, 32/7 = 4.571.
    values = [2, 4, 4, 4, 5, 5, 7, 9]
    assert mean_sd(values) == (5.0, 2.0)
    assert mean_sd(values, ddof=1).sd == pytest.approx(math.sqrt(32 / 7))


def test_too_few_values_for_a_mean_or_sd_give_nan_quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(map(math.isnan, mean_sd([])))
        assert mean_sd([3.0]) == (3.0, 0.0)
        assert math.isnan(mean_sd([3.0], ddof=1).sd)


@pytest.mark.parametrize("sizes", [(10, 10), (2, 2), (3, 25), (10, 4)])
def test_welch_is_scipys(sizes):
    generator = np.random.default_rng(sum(sizes))
    a, b = generator.normal(0.8, 0.01, sizes[0]), generator.normal(0.81, 0.05, sizes[1])
    expected = stats.ttest_ind(a, b, equal_var=False)
    ours = welch(a, b)
    assert ours.t == pytest.approx(expected.statistic, rel=1e-10)
    assert ours.df == pytest.approx(expected.df, rel=1e-10)
    assert ours.p == pytest.approx(expected.pvalue, rel=1e-10)


def test_welch_by_hand():
    # Means 2 and 4, variances 1 and 4, three values each: t = -2 / sqrt(1/3 + 4/3) = -1.549,
    # df = (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 50/17.
    ours = welch([1, 2, 3], [2, 4, 6])
    assert ours.t == pytest.approx(-2 / math.sqrt(5 / 3))
    assert ours.df == pytest.approx(50 / 17)


def test_one_column_without_spread_still_tests():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = welch([0.1] * 5, [0.2, 0.3, 0.25])
    assert ours.df == pytest.approx(2)
    assert 0 < ours.p < 0.05


@pytest.mark.parametrize(("a", "b"), [([0.5], [0.4, 0.6]), ([], []), ([0.1] * 4, [0.1] * 4), ([0.1] * 4, [0.2] * 4)])
def test_nothing_to_test_with_is_nan_without_warning(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(map(math.isnan, welch(a, b)))


@pytest.mark.parametrize("values", [[0.1, math.nan], [math.inf, 1.0]])
def test_values_that_are_not_finite_are_refused(values):
    with pytest.raises(ValueError, match="1 of 2 are not finite"):
        mean_sd(values)
    with pytest.raises(ValueError, match="1 of 2 are not finite"):
        welch(values, [0.1, 0.2])


def test_a_matrix_is_refused():
    with pytest.raises(ValueError, match="not one column of trials"):
        mean_sd([[1.0, 2.0]])


def test_holm_by_hand():
    # Sorted 0.01 0.02 0.03 0.04 times 4 3 2 1 = 0.04 0.06 0.06 0.04; none may be below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([]).tolist() == []


def test_holm_is_statsmodels_and_leaves_out_tests_that_could_not_be_made():
    p = np.random.default_rng(0).uniform(0, 0.2, 12)
    expected = multipletests(p, method="holm")[1]
    assert holm(p) == pytest.approx(expected, rel=1e-12)
    gaps = np.insert(p, [0, 5], math.nan)
    assert holm(gaps)[[0, 6]].tolist() == pytest.approx([math.nan] * 2, nan_ok=True)
    assert holm(gaps)[np.isfinite(gaps)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sizes", [(10, 10), (3, 7)])
def test_hedges_g_is_statsmodels(sizes):
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.85, 0.01, sizes[0]), generator.normal(0.84, 0.02, sizes[1])
    g, variance = effectsize_smd(a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size)
    ours = hedges_g(a, b)
    assert ours.value == pytest.approx(g, rel=1e-10)
    assert (ours.low, ours.high) == pytest.approx(
        (g - 1.959964 * variance**0.5, g + 1.959964 * variance**0.5), rel=1e-6
    )
    assert hedges_g(b, a).value == pytest.approx(-g)


def test_hedges_g_by_hand():
    # Means 2 and 4, pooled variance (1 + 4) / 2, d = -2 / sqrt(2.5), correction 1 - 3 / (4 * 6 - 9) = 0.8.
    assert hedges_g([1, 2, 3], [2, 4, 6]).value == pytest.approx(-0.8 * 2 / math.sqrt(2.5))
    assert all(map(math.isnan, hedges_g([1], [2, 3])))
    assert all(map(math.isnan, hedges_g([1, 1], [2, 2])))


def test_paired_is_scipys_on_one_split():
    generator = np.random.default_rng(2)
    a, b = generator.normal(0.8, 0.02, 10), generator.normal(0.79, 0.02, 10)
    expected = stats.ttest_rel(a, b)
    bounds = expected.confidence_interval()
    for blocks in (None, [3] * 10):
        ours = paired(a - b, blocks)
        assert (ours.n, ours.df) == (10, 9)
        assert (ours.t, ours.p) == pytest.approx((expected.statistic, expected.pvalue))
        assert ours.difference == pytest.approx(((a - b).mean(), bounds.low, bounds.high))


def test_paired_over_several_splits_tests_init_against_its_interaction_with_split():
    generator = np.random.default_rng(3)
    rows = [
        (init, split, seed, 0.8 + 0.02 * init + 0.01 * split + generator.normal(0, 0.01))
        for init in (0, 1)
        for split in range(4)
        for seed in range(5)
    ]
    frame = pd.DataFrame(rows, columns=["init", "split", "seed", "f1"])
    table = anova_lm(ols("f1 ~ C(init) * C(split)", frame).fit())
    f = table.loc["C(init)", "mean_sq"] / table.loc["C(init):C(split)", "mean_sq"]
    wide = frame.pivot(index=["split", "seed"], columns="init", values="f1")
    ours = paired((wide[1] - wide[0]).to_numpy(), wide.index.get_level_values("split").to_numpy())
    assert (ours.n, ours.df) == (4, 3)
    assert ours.t**2 == pytest.approx(f)
    assert ours.p == pytest.approx(stats.f.sf(f, 1, 3))


def test_pairs_that_cannot_be_tested_have_a_mean_alone():
    for differences in ([0.5], [0.5, 0.5]):
        ours = paired(differences)
        assert ours.difference.value == 0.5
        assert all(map(math.isnan, (*ours.difference[1:], ours.t, ours.df, ours.p)))
    assert math.isnan(paired([]).difference.value)


def test_bca_is_efrons_formula():
    values = np.random.default_rng(4).exponential(1, 12)
    generator = np.random.default_rng(5)
    means = generator.choice(values, (100_000, 12)).mean(axis=1)
    bias = stats.norm.ppf((means < values.mean()).mean())
    left_out = (values.sum() - values) / 11
    deviation = left_out.mean() - left_out
    acceleration = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    shifted = bias + stats.norm.ppf([0.025, 0.975])
    expected = np.quantile(means, stats.norm.cdf(bias + shifted / (1 - acceleration * shifted)))
    ours = bca_mean(values, np.random.default_rng(6))
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(expected), abs=0.03)
    assert abs(expected - np.quantile(means, [0.025, 0.975])).max() > 0.05  # the plain percentile bounds would not pass
    assert bca_mean(values, np.random.default_rng(6)) == ours


@pytest.mark.parametrize("values", [[], [0.5], [0.4, 0.6], [0.5] * 5])
def test_bca_of_too_little_has_no_bounds(values):
    ours = bca_mean(values, np.random.default_rng(0))
    assert math.isnan(ours.low)
    assert math.isnan(ours.high)
    assert ours.value == pytest.approx(np.mean(values) if values else math.nan, nan_ok=True)
