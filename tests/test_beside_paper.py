import dataclasses
import math

import pytest

from ecg_tl.beside_paper import Published, published_beside
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS
from ecg_tl.trial_tables import table2, table3
from ecg_tl.trials import trials_of
from tests.test_records import record_of

ELEVEN = list(RHYTHM_COUNTS)
SHAOXING = {"d" * 64: "shaoxing_figshare"}


def records(**changes):
    made = [
        record_of(init, 1.0, seed, rhythms=ELEVEN, best_f1=f1, selected_f1=f1, lci=1.4, weights=weights)
        for init, f1, weights in (("random", 0.846, None), ("image", 0.7, "imagenet"), ("transfer", 0.9, None))
        for seed in range(2)
    ]
    return [dataclasses.replace(record, **changes) for record in made]


def row(table, name):
    return next(row for row in table.rows if row[0] == name)[1:]


def test_the_papers_own_classes_recordings_and_lead_are_compared():
    published = published_beside(records(), SHAOXING, {"II"})
    table = table2(trials_of(records()), (), published)
    assert row(table, "Paper, mean ± SD") == ("0.844 ± 0.004", "0.811 ± 0.005", "0.857 ± 0.004")
    # 0.846 lies within 2 SD of 0.8436, 0.7 and 0.9 do not of theirs.
    assert row(table, "Ours − paper") == ("+0.002", "-0.111", "+0.043")
    assert row(table, "Within 2 SD of the paper") == ("yes", "no", "no")
    assert row(table3(trials_of(records()), (), published), "Ours − paper") == ("+0.029", "–", "-0.040")


@pytest.mark.parametrize(
    ("changes", "formats", "leads", "reason"),
    [
        ({}, {"d" * 64: "synthetic"}, {"II"}, "synthetic data"),
        ({}, {"d" * 64: "wfdb"}, {"II"}, "other recordings"),
        ({}, {}, {"II"}, "recordings not at hand"),
        ({"rhythms": ELEVEN[:10]}, SHAOXING, {"II"}, "not the paper's 11 classes"),
        ({}, SHAOXING, {"V1"}, "lead V1, the paper has II"),
    ],
)
def test_what_is_not_comparable_says_why_and_is_given_no_figure(changes, formats, leads, reason):
    made = records(**changes)
    table = table2(trials_of(made), (), published_beside(made, formats, leads))
    assert set(row(table, "Paper, mean ± SD")) == {f"– ({reason})"}
    assert not [each for each in table.rows if each[0] == "Ours − paper"]
    assert f"not comparable here ({reason})" in "\n".join(table.notes)


def test_random_weights_bar_their_own_column_alone():
    made = [dataclasses.replace(r, weights="random") if r.init == "image" else r for r in records()]
    table = table2(trials_of(made), (), published_beside(made, SHAOXING, {"II"}))
    assert row(table, "Paper, mean ± SD")[1] == "– (random weights)"
    assert row(table, "Within 2 SD of the paper") == ("yes", "–", "no")


def test_what_the_paper_has_not_is_said():
    published = Published()
    assert published.beside("frozen", 1.0, "best_f1").theirs == "not in the paper"
    assert published.beside("random", 0.05, "best_f1").theirs == "not in the paper"
    assert published.beside("image", 1.0, "lci").theirs == "not in the paper"
    assert published.beside("random", 1.0, "lci").difference(math.nan) == "–"
