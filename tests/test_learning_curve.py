"""Every expectation is worked by hand from LCI = mean rise / (mean fall + eps) * best F1."""

import math

import numpy as np
import pytest

from ecg_tl.learning_curve import changes, learning_curve_index


def test_mixed_curve_by_hand():
    # Changes +0.2, -0.1, +0.4, 0, -0.2: mean rise 0.3, mean fall 0.15, best 0.7 -> 0.3 / 0.15 * 0.7 = 1.4.
    index = learning_curve_index([0.2, 0.4, 0.3, 0.7, 0.7, 0.5])
    assert index.value == pytest.approx(1.4, rel=1e-12)
    assert index.flag == ""


def test_eps_is_added_to_the_mean_fall():
    # (0.3 / (0.15 + 0.05)) * 0.7 = 1.05
    assert learning_curve_index([0.2, 0.4, 0.3, 0.7, 0.7, 0.5], eps=0.05).value == pytest.approx(1.05)


def test_no_change_is_neither_rise_nor_fall():
    rises, falls = changes([0.5, 0.75, 0.75, 0.25])
    assert rises.tolist() == [0.25]
    assert falls.tolist() == [0.5]


@pytest.mark.parametrize(
    ("curve", "value", "flag"),
    [
        ([0.1, 0.2, 0.2, 0.9], math.inf, "never falls"),
        ([0.9, 0.5, 0.5, 0.1], 0.0, "never rises"),
        ([0.5, 0.5, 0.5], None, "flat"),
        ([0.0, 0.0], None, "flat"),
        ([0.5], None, "one epoch"),
        ([0.1, math.nan, 0.3], None, "not finite"),
        ([math.nan], None, "not finite"),
        ([0.1, math.inf, 0.3], None, "not finite"),
    ],
)
def test_curves_without_an_ordinary_index_are_flagged(curve, value, flag):
    assert learning_curve_index(curve) == (value, flag)


def test_steady_beats_erratic_at_the_same_best():
    steady = learning_curve_index([0.1, 0.5, 0.49, 0.8])
    erratic = learning_curve_index([0.1, 0.5, 0.2, 0.8])
    assert steady.value > erratic.value


def test_multiplying_a_curve_multiplies_its_index():
    curve = np.random.default_rng(0).uniform(0.1, 0.5, 40)
    assert learning_curve_index(2 * curve).value == pytest.approx(2 * learning_curve_index(curve).value)


@pytest.mark.parametrize("curve", [[], [[0.1, 0.2]], 0.5])
def test_what_is_no_curve_is_refused(curve):
    with pytest.raises(ValueError, match="is not a learning curve"):
        learning_curve_index(curve)
