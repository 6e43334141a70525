import numpy as np
import pytest
from scipy import stats

from ecg_tl.records import Cell
from ecg_tl.results import read_results
from ecg_tl.study_comparison import changed_settings, table8
from tests.fabricate_study import study


def test_shared_columns_are_compared_and_settings_told(tmp_path):
    first = read_results(study(tmp_path / "a", ("random", "transfer"), missing={Cell("random", 1.0, 0)}))
    second = read_results(
        study(
            tmp_path / "b",
            ("transfer", "random", "frozen"),
            (1.0,),
            range(4),
            settings={"model.width": 8},
            share_right=lambda cell: 0.6,
        )
    )
    assert changed_settings(first, second) == ["model.width: 16 -> 8"]
    table = table8(first, second)
    assert [row[0] for row in table.blocks[0].rows] == ["100 % random", "100 % transfer"]
    assert "(n=2)" in table.rows[0][1]
    ours, theirs = ([r.best_f1 for r in results.of("transfer", 1.0)] for results in (first, second))
    numbers = table.numbers.set_index(["measure", "init", "fraction", "study", "statistic"])["value"]
    key = ("best_f1", "transfer", 1.0)
    assert numbers[(*key, "b", "mean")] == pytest.approx(np.mean(theirs))
    assert numbers[(*key, "", "welch_p")] == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    assert numbers[(*key, "", "paired_p")] == pytest.approx(stats.ttest_rel(theirs[:3], ours).pvalue)


def test_other_data_is_not_paired(tmp_path):
    first = read_results(study(tmp_path / "a"))
    second = read_results(study(tmp_path / "b", data_sha256="e" * 64))
    table = table8(first, second)
    assert {row[-1] for row in table.rows} == {"–"}
    assert any("different data" in note for note in table.notes)
    assert changed_settings(first, second) == ["data: dddddddddddd -> eeeeeeeeeeee"]


def test_nothing_shared_is_refused(tmp_path):
    first, second = (read_results(study(tmp_path / init, (init,))) for init in ("random", "transfer"))
    with pytest.raises(ValueError, match="study=random,transfer: no init and fraction that both have"):
        table8(first, second)
