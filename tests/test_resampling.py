import numpy as np
import pytest
from sklearn.metrics import f1_score

from ecg_tl.resampling import Predictions, f1_interval, weighted_f1


def made_up(n_records=60, n_runs=3, right=0.7, seed=0, patients=None):
    generator = np.random.default_rng(seed)
    rhythm = generator.choice(3, n_records, p=[0.6, 0.3, 0.1])
    wrong = (rhythm + generator.integers(1, 3, (n_runs, n_records))) % 3
    predicted = np.where(generator.uniform(size=wrong.shape) < right, rhythm, wrong)
    return Predictions(rhythm, np.arange(n_records) if patients is None else patients, predicted)


def test_weighted_f1_is_sklearns_under_any_weighting():
    generator = np.random.default_rng(0)
    rhythm, predicted = generator.integers(0, 4, 50), generator.integers(1, 5, 50)
    weight = generator.multinomial(50, np.full(50, 1 / 50), size=4)
    expected = [f1_score(rhythm, predicted, average="weighted", sample_weight=row, zero_division=0) for row in weight]
    assert weighted_f1(rhythm, predicted, weight) == pytest.approx(expected)


def test_the_interval_of_one_run_is_that_of_a_plain_bootstrap_over_patients():
    patients = np.arange(60) // 2
    one = made_up(n_runs=1, patients=patients)
    generator = np.random.default_rng(1)
    f1 = []
    for _ in range(500):
        drawn = generator.integers(0, 30, 30)
        rows = np.concatenate([np.flatnonzero(patients == patient) for patient in drawn])
        f1.append(f1_score(one.rhythm[rows], one.predicted[0][rows], average="weighted", zero_division=0))
    ours = f1_interval([one], np.random.default_rng(2), resamples=4000)
    assert ours.value == pytest.approx(f1_score(one.rhythm, one.predicted[0], average="weighted"))
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(f1, [0.025, 0.975])), abs=0.03)


def test_patients_of_many_records_make_the_interval_wider():
    single = made_up(n_records=80, n_runs=1)
    copied = Predictions(
        np.repeat(single.rhythm, 4), np.repeat(np.arange(80), 4), np.repeat(single.predicted, 4, axis=1)
    )
    apart = Predictions(copied.rhythm, np.arange(320), copied.predicted)
    widths = {
        name: np.diff(f1_interval([one], np.random.default_rng(0))[1:]).item()
        for name, one in (("single", single), ("copied", copied), ("apart", apart))
    }
    assert widths["copied"] == pytest.approx(widths["single"])
    assert widths["apart"] < 0.7 * widths["copied"]


def test_runs_that_differ_widen_the_interval_beyond_the_records():
    good, bad = made_up(n_runs=1, right=0.95, seed=1).predicted, made_up(n_runs=1, right=0.3, seed=1).predicted
    base = made_up(n_runs=1, seed=1)
    mixed = Predictions(base.rhythm, base.patient, np.concatenate([good, bad]))
    alone = [f1_interval([Predictions(base.rhythm, base.patient, p)], np.random.default_rng(0)) for p in (good, bad)]
    both = f1_interval([mixed], np.random.default_rng(0))
    assert both.value == pytest.approx((alone[0].value + alone[1].value) / 2)
    assert both.high - both.low > max(each.high - each.low for each in alone)


def test_a_difference_is_paired_in_runs_and_records():
    a, b = made_up(right=0.9, seed=2), made_up(right=0.8, seed=2)
    same = f1_interval([a], np.random.default_rng(0), against=[a])
    assert tuple(same) == (0, 0, 0)
    ours, mirrored = (f1_interval([x], np.random.default_rng(0), against=[y]) for x, y in ((a, b), (b, a)))
    assert ours.value == pytest.approx(
        f1_interval([a], np.random.default_rng(0)).value - f1_interval([b], np.random.default_rng(0)).value
    )
    assert mirrored == pytest.approx((-ours.value, -ours.high, -ours.low))


def test_splits_are_drawn_again_too():
    high, low = made_up(right=0.95, seed=3), made_up(right=0.5, seed=4)
    two = f1_interval([high, low], np.random.default_rng(0))
    ends = [f1_interval([each], np.random.default_rng(0)).value for each in (high, low)]
    assert two.value == pytest.approx(np.mean(ends))
    assert two.low < ends[1] + 0.1
    assert two.high > ends[0] - 0.1


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match=r"predicted \(3, 60\), rhythm \(59,\)"):
        Predictions(np.zeros(59), np.zeros(59), np.zeros((3, 60)))
    with pytest.raises(ValueError, match="give pairs of the same draws"):
        f1_interval([made_up(n_runs=2)], np.random.default_rng(0), against=[made_up(n_runs=3)])
