from __future__ import annotations

import numpy as np
import pytest

from ecg_tl.splits import bootstrap, row_checksums, split_by_group, stratified_split, tie

RANDOM = np.random.default_rng(0)


def test_rows_that_share_a_patient_or_a_signal_are_tied_through_each_other() -> None:
    patient = np.array(["a", "a", "b", "c", "d"])
    signal = np.array(["1", "2", "2", "3", "4"])
    groups = tie(patient, signal)
    assert groups[0] == groups[1] == groups[2]
    assert len({groups[0], groups[3], groups[4]}) == 3


def test_checksums_tell_rows_apart_by_their_bytes() -> None:
    ecg = np.zeros((3, 4), dtype=np.int16)
    ecg[2, 3] = 1
    first, second, third = row_checksums(ecg)
    assert first == second != third


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides_and_every_row_on_one(seed: int) -> None:
    groups = RANDOM.integers(0, 40, 300)
    train, test = split_by_group(groups, 0.2, seed)
    assert sorted([*train, *test]) == list(range(300))
    assert not set(groups[train]) & set(groups[test])
    assert len(set(groups[test])) == round(0.2 * len(set(groups)))


def test_one_patient_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="1 patient: a split by patient needs at least 2"):
        split_by_group(np.zeros(9, dtype=int), 0.2, 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_stratified_split_keeps_groups_together_and_shares_alike(seed: int) -> None:
    rhythm = np.repeat([0, 1, 2, 3], [500, 200, 40, 5])
    groups = np.arange(745)
    groups[10:60:2] = groups[11:61:2]
    train, test = stratified_split(rhythm, groups, 0.2, seed)
    assert sorted([*train, *test]) == list(range(745))
    assert not set(groups[train]) & set(groups[test])
    assert np.bincount(rhythm[test]).tolist() == pytest.approx([100, 40, 8, 1], abs=1)


def test_a_group_counts_for_its_rarest_rhythm() -> None:
    rhythm = np.array([0] * 20 + [1, 1])
    groups = np.array([*range(20), 0, 1])
    train, test = stratified_split(rhythm, groups, 0.2, 0)
    assert set(rhythm[train]) == set(rhythm[test]) == {0, 1}


def test_a_rhythm_of_two_records_is_on_both_sides_and_of_one_in_training() -> None:
    rhythm = np.array([0] * 50 + [1, 1, 2])
    for seed in range(10):
        train, test = stratified_split(rhythm, np.arange(53), 0.2, seed)
        assert (rhythm[train] == 1).sum() == (rhythm[test] == 1).sum() == 1
        assert (rhythm[test] == 2).sum() == 0


def test_the_split_depends_on_its_seed_alone() -> None:
    rhythm, groups = RANDOM.integers(0, 3, 100), np.arange(100)
    first, again = (stratified_split(rhythm, groups, 0.2, 7)[1] for _ in range(2))
    other = stratified_split(rhythm, groups, 0.2, 8)[1]
    assert first.tolist() == again.tolist() != other.tolist()


def test_too_few_records_for_a_test_set() -> None:
    with pytest.raises(ValueError, match="too few for a test set"):
        stratified_split(np.array([0, 1]), np.arange(2), 0.2, 0)


@pytest.mark.parametrize(("fraction", "size"), [(1, 200), (0.5, 100), (0.25, 50), (0.013, 3)])
def test_a_draw_is_with_replacement_and_leaves_the_rest_out_of_bag(fraction: float, size: int) -> None:
    train, test = np.arange(100, 300), np.arange(50)
    draw = bootstrap(train, test, np.arange(300), fraction, seed=3)
    expected = train[np.random.default_rng(3).integers(0, 200, size)]
    assert draw.train.tolist() == expected.tolist()
    assert draw.test.tolist() == test.tolist()
    assert set(draw.out_of_bag) <= set(train) - set(draw.train)
    assert len(draw.out_of_bag) == len(set(draw.out_of_bag)) == min(50, 200 - len(set(draw.train)))


def test_nothing_of_a_patient_that_was_drawn_is_out_of_bag() -> None:
    patient = np.repeat(np.arange(40), 4)
    train, test = np.flatnonzero(patient >= 8), np.flatnonzero(patient < 8)
    for fraction, some in ((0.25, True), (1, False)):
        draw = bootstrap(train, test, patient, fraction, seed=0)
        left_out = set(range(8, 40)) - set(patient[draw.train])
        assert set(patient[draw.out_of_bag]) <= left_out
        assert bool(left_out) == bool(len(draw.out_of_bag)) == some


def test_a_draw_is_the_same_for_a_seed_and_another_for_another() -> None:
    sides = np.arange(100, 300), np.arange(50), np.arange(300)
    first, again, other = (bootstrap(*sides, 0.5, seed) for seed in (0, 0, 1))
    assert first.train.tolist() == again.train.tolist() != other.train.tolist()
    assert first.out_of_bag.tolist() == again.out_of_bag.tolist()


def test_a_draw_can_be_made_to_hold_each_rhythm_and_differs_by_no_more_than_that() -> None:
    train, test = np.arange(100, 200), np.arange(100)
    rhythm = np.array([0] * 190 + [1] * 6 + [2] * 3 + [3])
    for seed in range(20):
        sides = train, test, np.arange(200)
        plain, every = bootstrap(*sides, 0.1, seed), bootstrap(*sides, 0.1, seed, rhythm)
        assert set(rhythm[every.train]) == {0, 1, 2, 3}
        assert len(every.train) == len(plain.train) == 10
        missing = {0, 1, 2, 3} - set(rhythm[plain.train])
        assert (every.train != plain.train).sum() == len(missing)
        assert set(every.train) <= set(train)
        assert not set(every.out_of_bag) & set(every.train)


def test_a_draw_too_small_for_each_rhythm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"every_rhythm=true: 2 records drawn cannot hold 3 rhythms; raise fraction"):
        bootstrap(np.arange(20), np.arange(2), np.arange(20), 0.1, 0, np.arange(20) % 3)


def test_a_fraction_of_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fraction=0\.001: no record of 100 left"):
        bootstrap(np.arange(100), np.arange(5), np.arange(100), 0.001, 0)
