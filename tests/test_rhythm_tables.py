import pytest
from sklearn.metrics import f1_score

from ecg_tl.results import read_results
from ecg_tl.rhythm_tables import support, table7
from tests.fabricate_study import RHYTHMS, SUPPORT, study


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_results(study(tmp_path_factory.mktemp("s") / "s", ("random", "transfer"), (1.0,), (0, 1)))


def test_every_rhythm_has_its_f1_of_both_epochs_and_rare_ones_are_marked(results):
    table = table7(results)
    assert [row[:2] for row in table.blocks[0].rows] == [
        ("SR", "20"),
        ("SB", "12"),
        ("AFIB†", "3"),
        ("Macro", "35"),
        ("Weighted", "35"),
    ]
    assert any("fewer than 5 test records" in note for note in table.notes)
    numbers = table.numbers.set_index(["measure", "rhythm", "init", "run"])["value"]
    for run, cell in enumerate(cell for cell in results.predictions if cell.init == "transfer"):
        frame = results.predictions[cell]
        for measure, column in (("best_f1", "best"), ("selected_f1", "selected")):
            each = f1_score(frame["rhythm"], frame[column], average=None, labels=RHYTHMS)
            for name, value in zip(RHYTHMS, each, strict=True):
                assert numbers[measure, name, "transfer", run] == pytest.approx(value)
            macro = f1_score(frame["rhythm"], frame[column], average="macro")
            assert numbers[measure, "macro", "transfer", run] == pytest.approx(macro)


def test_support_is_counted_for_each_split(tmp_path):
    results = read_results(study(tmp_path / "s", ("random",), (1.0,), (0,), splits=(0, 1)))
    assert support(results) == {name: [n, n] for name, n in zip(RHYTHMS, SUPPORT, strict=True)}
