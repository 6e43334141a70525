"""Every expectation is worked by hand from LCI = mean rise / (mean fall + eps) * best F1."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from ecg_tl.learning_curve import (
    area_under_curve,
    changes,
    collapsed,
    epochs_to,
    labels_needed,
    largest_drop,
    learning_curve_index,
    majority_f1,
)


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


def test_area_epochs_and_drop_by_hand():
    curve = [0.2, 0.6, 0.3, 0.8, 0.78]
    # Trapezoids 0.4 + 0.45 + 0.55 + 0.79 over four steps.
    assert area_under_curve(curve) == pytest.approx(2.19 / 4)
    assert area_under_curve([0.5]) == 0.5
    # 95 % of 0.8 is 0.76, first reached in the fourth epoch; half of it in the second.
    assert (epochs_to(curve), epochs_to(curve, 0.5)) == (4, 2)
    assert largest_drop(curve) == pytest.approx(0.3)
    assert largest_drop([0.1, 0.2]) == largest_drop([0.1]) == 0


def test_the_majority_answer_is_sklearns():
    rhythm = [0] * 5 + [1] * 3 + [2] * 2
    expected = f1_score(rhythm, [0] * 10, average="weighted", zero_division=0)
    assert majority_f1([5, 3, 2]) == pytest.approx(expected)


def test_a_run_has_collapsed_that_never_passes_the_majority_answer_by_the_margin():
    base = majority_f1([5, 3, 2])  # 1/3
    assert collapsed([0.1, base + 0.0199], [5, 3, 2])
    assert not collapsed([0.1, base + 0.0201, 0.1], [5, 3, 2])


def test_labels_needed_are_interpolated_on_a_logarithmic_axis():
    # Half of the way from 0.6 at 100 labels to 0.8 at 400: the geometric mean.
    assert labels_needed([400, 100], [0.8, 0.6], 0.7) == (pytest.approx(200), "")
    assert labels_needed([100, 400], [0.6, 0.8], 0.8) == (pytest.approx(400), "")
    assert labels_needed([100, 400], [0.6, 0.8], 0.55) == (100, "at most")
    n_labels, flag = labels_needed([100, 400], [0.6, 0.8], 0.81)
    assert math.isnan(n_labels)
    assert flag == "never"
    # A dip later on does not take a crossing back.
    assert labels_needed([10, 100, 1000], [0.5, 0.7, 0.6], 0.6) == (pytest.approx(10**1.5), "")
