import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.stats.multitest import multipletests

from ecg_tl.comparisons import compare, table4
from ecg_tl.records import Cell
from ecg_tl.results import predictions_by_split, read_results
from ecg_tl.trials import published_trials, trials_of
from tests.fabricate_study import RHYTHMS, study


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    inits = ("random", "transfer", "frozen", "frozen_random")
    folder = tmp_path_factory.mktemp("s")
    return read_results(study(folder / "s", inits, missing={Cell("random", 0.25, 1)}))


def values(results, init, fraction, measure):
    return {r.seed: getattr(r, measure) for r in results.of(init, fraction)}


@pytest.mark.parametrize("measure", ["best_f1", "selected_f1"])
def test_pairs_are_scipys_on_the_draws_that_both_have(results, measure):
    found = {
        (c.init, c.against, c.fraction): c for c in compare(trials_of(results.records), results.predictions, measure)
    }
    assert list(found)[:4] == [
        ("transfer", "random", 1.0),
        ("transfer", "frozen_random", 1.0),
        ("transfer", "frozen", 1.0),
        ("frozen", "frozen_random", 1.0),
    ]
    for (init, against, fraction), comparison in found.items():
        ours, theirs = (values(results, each, fraction, measure) for each in (init, against))
        shared = sorted(ours.keys() & theirs.keys())
        expected = stats.ttest_rel([ours[s] for s in shared], [theirs[s] for s in shared])
        assert comparison.n_pairs == len(shared)
        assert (comparison.over_draws.t, comparison.over_draws.p) == pytest.approx(
            (expected.statistic, expected.pvalue)
        )
        if len(shared) == 3:
            unpaired = stats.ttest_ind(list(ours.values()), list(theirs.values()), equal_var=False)
            assert comparison.welch.p == pytest.approx(unpaired.pvalue)
        else:
            assert math.isnan(comparison.welch.p)
            assert math.isnan(comparison.effect.value)
    p = [c.over_draws.p for c in found.values()]
    assert [c.p_paired for c in found.values()] == pytest.approx(multipletests(p, method="holm")[1])


def test_predictions_give_back_the_f1_of_the_records_and_the_difference(results):
    cells = [Cell("transfer", 1.0, seed) for seed in range(3)]
    (made,) = predictions_by_split(results.predictions, cells, "selected_f1", RHYTHMS)
    f1 = [f1_score(made.rhythm, said, average="weighted") for said in made.predicted]
    assert f1 == pytest.approx(list(values(results, "transfer", 1.0, "selected_f1").values()))
    comparison = compare(trials_of(results.records), results.predictions, "selected_f1")[0]
    assert comparison.over_records.value == pytest.approx(comparison.difference.value)
    assert comparison.over_records.low < comparison.difference.value < comparison.over_records.high


def test_runs_of_other_test_records_are_refused(results):
    predictions = dict(results.predictions)
    cell = Cell("transfer", 1.0, 1)
    predictions[cell] = predictions[cell].assign(record=lambda frame: frame["record"] + "x")
    with pytest.raises(ValueError, match="init=transfer fraction=1 seed=1: tested on other records than"):
        predictions_by_split(predictions, [Cell("transfer", 1.0, 0), cell], "best_f1", RHYTHMS)


def test_several_splits_are_a_factor(tmp_path):
    results = read_results(study(tmp_path / "s", ("random", "transfer"), (1.0,), splits=(0, 1, 2)))
    (comparison,) = compare(trials_of(results.records), results.predictions, "best_f1")
    gaps = [
        np.mean(
            [
                a.best_f1 - b.best_f1
                for a, b in zip(results.of("transfer", 1.0), results.of("random", 1.0), strict=True)
                if a.split_seed == split
            ]
        )
        for split in range(3)
    ]
    assert (comparison.n_pairs, comparison.over_draws.n) == (9, 3)
    assert comparison.over_draws.p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    table = table4({"best_f1": [comparison]}, 3)
    assert table.rows[0][1] == "9, 3 splits"
    assert "Split is a factor here: 3 splits" in "\n".join(table.notes)


def test_the_table_stands_both_protocols_together_and_says_what_is_missing(results):
    trials = trials_of(results.records)
    found = {measure: compare(trials, results.predictions, measure) for measure in ("best_f1", "selected_f1")}
    table = table4(found, 1, ["Made up."])
    assert [block.heading for block in table.blocks] == [
        "Best epoch on the test set, as in the paper",
        "Epoch chosen on out-of-bag records",
    ]
    row = next(row for row in table.rows if row[0] == "25 %: transfer − random")
    assert row[1] == "2 of 3"
    assert row[6:9] == ("–", "–", "–")
    assert "Made up." in table.notes
    assert any("pairs are the draws that both have" in note for note in table.notes)
    assert any("no independent samples of the world" in note for note in table.notes)
    numbers = table.numbers.set_index(["measure", "fraction", "init", "against", "statistic"])["value"]
    assert numbers["best_f1", 1.0, "transfer", "random", "difference"] == found["best_f1"][0].difference.value


def test_the_papers_trials_can_be_compared_without_predictions():
    (first, *_), published = compare(published_trials(), {}, "best_f1"), published_trials()
    assert (first.init, first.against, first.n_pairs) == ("transfer", "random", 10)
    wide = published[published["fraction"] == 1.0].pivot(index="seed", columns="init", values="best_f1")
    assert first.difference.value == pytest.approx((wide["transfer"] - wide["random"]).mean())
    assert first.effect.value == pytest.approx(3.15, abs=0.3)
    assert math.isnan(first.over_records.low)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="no two inits to compare"):
        table4({"best_f1": []}, 1)
