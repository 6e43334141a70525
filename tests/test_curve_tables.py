import numpy as np
import pytest

from ecg_tl.curve_tables import collapse_counts, curve_measures, needed, table5, table6
from ecg_tl.learning_curve import majority_f1
from ecg_tl.records import Cell
from ecg_tl.results import read_results
from tests.fabricate_study import SUPPORT, study

LOST = Cell("random", 0.25, 2)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s") / "s"
    return read_results(study(folder, missing={Cell("image", 1.0, 0)}, collapsed={LOST}))


def test_measures_follow_from_the_curves_on_disk(results):
    measures = curve_measures(results).set_index(["init", "fraction", "seed", "split_seed"])
    assert len(measures) == 17
    for cell, curve in results.curves.items():
        row = measures.loc[tuple(cell)]
        assert row["area"] == pytest.approx((curve[0] / 2 + curve[1:-1].sum() + curve[-1] / 2) / 5)
        assert row["largest_drop"] == pytest.approx(max(0, *(curve[:-1] - curve[1:])))
        assert row["epochs_to_95"] == (1 if cell == LOST else 4)
        assert row["collapsed"] == (cell == LOST)
        assert row["majority_f1"] == pytest.approx(majority_f1(SUPPORT))


def test_collapse_can_be_told_from_scarcity(results):
    assert collapse_counts(results) == {("random", 0.25): 1}
    table = table5(results)
    rows = {(block.heading, row[0]): row for block in table.blocks for row in block.rows}
    assert rows["25 % of the training records", "random"][-1] == "1"
    assert rows["100 % of the training records", "random"][-1] == "0"
    assert rows["100 % of the training records", "image (random weights)"][1] == "2 of 3"
    assert f"{majority_f1(SUPPORT):.3f}" in "\n".join(table.notes)
    assert "describe the runs that are there" in "\n".join(table.notes)


def test_labels_needed_for_what_random_reaches_with_all(results):
    (target, answers), _ = needed(results, None).values()
    best = {key: np.mean([r.best_f1 for r in results.of(*key)]) for key in (("random", 1.0), ("transfer", 0.25))}
    assert target == pytest.approx(best["random", 1.0])
    assert answers["random"].n_labels == pytest.approx(140)
    assert best["transfer", 0.25] > target
    assert answers["transfer"] == (35, "at most")
    # image lacks a cell at 100 %, so 25 % is all there is of it
    assert answers["image"].flag in ("at most", "never")
    table = table6(results)
    assert {row[0]: row[1] for row in table.rows}["transfer"] == "≤ 35"
    assert "the mean that random reaches with 100 %" in table.notes[0]


def test_an_f1_that_none_reaches_is_said(results):
    table = table6(results, 0.999)
    assert {row[1] for row in table.rows} == {"not reached"}
    assert table.notes[0] == "F1 asked for: 0.999."


def test_without_random_there_must_be_a_target(tmp_path):
    results = read_results(study(tmp_path / "s", ("transfer",), (1.0,), (0,)))
    with pytest.raises(ValueError, match=r"no complete column of init=random.*give target_f1="):
        table6(results)
    assert [row[0] for row in table6(results, 0.5).rows] == ["transfer"]
