import math
import warnings

import numpy as np
import pytest
from scipy import stats

from ecg_tl.statistics import mean_sd, welch


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
