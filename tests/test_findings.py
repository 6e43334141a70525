import numpy as np
import pytest

from ecg_tl.comparisons import compare
from ecg_tl.findings import findings
from ecg_tl.records import Cell
from ecg_tl.results import read_results
from ecg_tl.trials import trials_of
from tests.fabricate_study import study


def told(folder, **options):
    results = read_results(study(folder / "s", **options))
    trials = trials_of(results.records)
    found = {measure: compare(trials, results.predictions, measure) for measure in ("best_f1", "selected_f1")}
    return findings(results, found, None, ["Made up."]), found


def test_a_gap_that_is_sure_and_one_that_is_not(tmp_path):
    def share(cell):
        if cell.init == "transfer" and cell.fraction == 0.25:
            return 0.95
        return 0.5

    sentences, found = told(tmp_path, inits=("random", "transfer"), seeds=range(6), share_right=share)
    level, sure = (c for c in found["selected_f1"] if c.against == "random")
    assert sure.p_paired < 0.05 < level.p_paired
    assert sentences[0].startswith("At 100 % of the training records")
    assert "not told apart over the draws" in sentences[0]
    assert f"transfer is ahead of random by {sure.difference.value:.3f} F1" in sentences[1]
    assert f"95 % CI {sure.difference.low:.3f} to {sure.difference.high:.3f} over 6 pairs" in sentences[1]
    assert ": told apart over the draws" in sentences[1]
    assert sentences[-1] == "Made up."


def test_who_is_behind_is_said_with_bounds_of_the_same_direction(tmp_path):
    sentences, found = told(
        tmp_path,
        inits=("random", "transfer"),
        fractions=(1.0,),
        share_right=lambda cell: {"r": 0.9, "t": 0.4}[cell.init[0]],
    )
    gap = found["selected_f1"][0].difference
    assert gap.high < 0.1
    assert f"random is ahead of transfer by {-gap.value:.3f}" in sentences[0]
    assert f"95 % CI {-gap.high:.3f} to {-gap.low:.3f}" in sentences[0]


def test_collapse_is_told_from_scarcity_and_random_weights_are_said(tmp_path):
    sentences, _ = told(tmp_path, collapsed={Cell("random", 0.25, 0), Cell("random", 0.25, 1)})
    (collapse,) = (sentence for sentence in sentences if sentence.startswith("Collapsed"))
    assert "2 of 3 random runs at 25 %" in collapse
    assert any("image (random weights)" in sentence for sentence in sentences)
    assert any(sentence.startswith("For an F1 of") for sentence in sentences)


def test_one_pair_says_that_it_is_too_few(tmp_path):
    sentences, _ = told(tmp_path, inits=("random", "transfer"), fractions=(1.0,), seeds=(0,))
    assert "in 1 pair: too few to say how sure that is" in sentences[0]


def test_two_pairs_that_agree_by_chance_tell_nothing_apart(tmp_path):
    sentences, found = told(
        tmp_path,
        inits=("random", "transfer"),
        fractions=(1.0,),
        seeds=(0, 1),
        share_right=lambda cell: 0.9 if cell.init == "transfer" else 0.3,
    )
    assert np.isfinite(found["selected_f1"][0].difference.low)
    assert "in 2 pairs: too few to say how sure that is" in sentences[0]


def test_labels_are_not_counted_against_runs_that_learned_nothing(tmp_path):
    sentences, _ = told(tmp_path, collapsed={Cell("random", 1.0, 1)})
    assert not any(sentence.startswith("For an F1 of") for sentence in sentences)
    assert any("is not told: 1 of 3 random runs at 100 % collapsed" in sentence for sentence in sentences)


@pytest.mark.parametrize("inits", [("random",), ("image",)])
def test_a_study_without_comparisons_has_its_caveats(tmp_path, inits):
    assert told(tmp_path, inits=inits)[0] == ["Made up."]
