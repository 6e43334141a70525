import dataclasses
import json
import math
from pathlib import Path

import pandas as pd
import pytest

from ecg_tl.records import (
    CURVE_COLUMNS,
    PREDICTION_COLUMNS,
    Cell,
    RunRecord,
    fraction_name,
    missing_cells,
    read_curve,
    read_predictions,
    read_record,
    read_records,
    run_folder,
    write_record,
    write_whole,
)


def record_of(init="transfer", fraction=0.5, seed=0, **changes):
    record = RunRecord(
        study="s",
        init=init,
        fraction=fraction,
        seed=seed,
        split_seed=0,
        status="done",
        best_f1=0.8,
        best_epoch=3,
        lci=1.25,
        lci_flag="",
        macro_f1=0.7,
        rhythms=["SR", "AFIB"],
        f1_per_rhythm=[0.9, 0.5],
        support_per_rhythm=[8, 2],
        confusion=[[7, 1], [1, 1]],
        n_train=40,
        n_test=10,
        n_out_of_bag=10,
        test_rows_in_corpus=None,
        epochs=4,
        selected_f1=0.78,
        selected_epoch=4,
        selected_macro_f1=0.68,
        selected_f1_per_rhythm=[0.88, 0.48],
        selected_confusion=[[7, 1], [1, 1]],
        encoder_sha256=None,
        data_sha256="d" * 64,
        config_sha256="c" * 64,
        weights=None,
        precision="32-true",
        device="cpu",
        seconds=1.5,
        versions={"python": "3.12"},
    )
    return dataclasses.replace(record, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lci": math.inf, "lci_flag": "never falls"},
        {"lci": None, "lci_flag": "flat"},
        {"weights": "random"},
    ],
)
def test_a_record_comes_back_as_it_was_written(tmp_path, changes):
    record = record_of(**changes)
    assert read_record(write_record(record, tmp_path / "a" / "b")) == record


def test_an_infinite_lci_is_written_as_null(tmp_path):
    entries = json.loads(write_record(record_of(lci=math.inf, lci_flag="never falls"), tmp_path).read_text())
    assert entries["lci"] is None
    assert entries["lci_flag"] == "never falls"


def test_nothing_is_left_beside_a_record_or_of_a_failed_one(tmp_path):
    write_record(record_of(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    before = (tmp_path / "record.json").read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(record_of(best_f1=math.nan), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert (tmp_path / "record.json").read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "name"
    (target / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="name"):
        write_whole(target, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "a list is no record"),
        ("{}", "no entry 'best_epoch'"),
    ],
)
def test_what_is_no_record_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_record(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_entry_is_refused(tmp_path):
    path = write_record(record_of(), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "red"}))
    with pytest.raises(ValueError, match="unknown entry 'colour'"):
        read_record(path)


def test_records_are_read_in_order_and_half_finished_runs_are_not(tmp_path):
    study = tmp_path / "study"
    cells = [
        Cell("transfer", 0.25, 0),
        Cell("random", 0.5, 10),
        Cell("random", 0.5, 2, split_seed=1),
        Cell("random", 0.5, 2),
        Cell("random", 1.0, 3),
    ]
    for cell in cells:
        write_record(record_of(**cell._asdict()), run_folder(study, cell))
    (run_folder(study, Cell("random", 0.5, 7)) / "checkpoints").mkdir(parents=True)
    (run_folder(study, Cell("random", 0.5, 8))).mkdir(parents=True)
    (run_folder(study, Cell("random", 0.5, 8)) / ".record.json.99").write_text("{")
    assert [record.cell for record in read_records(study)] == [
        ("random", 1.0, 3, 0),
        ("random", 0.5, 2, 0),
        ("random", 0.5, 10, 0),
        ("random", 0.5, 2, 1),
        ("transfer", 0.25, 0, 0),
    ]


def test_a_cell_has_a_folder_of_its_own():
    assert run_folder(Path("s"), Cell("transfer", 0.25, 3)).as_posix() == "s/runs/transfer/0.25/3"
    assert run_folder(Path("s"), Cell("frozen", 1.0, 3, 2)).as_posix() == "s/runs/frozen/1/3-split2"


def test_predictions_are_read_as_names(tmp_path):
    (tmp_path / "predictions.csv").write_text(",".join(PREDICTION_COLUMNS) + "\n0012,007,SR,SR,NA\n")
    assert read_predictions(tmp_path).to_numpy().tolist() == [["0012", "007", "SR", "SR", "NA"]]
    (tmp_path / "predictions.csv").write_text("record,patient,rhythm,best\n")
    with pytest.raises(ValueError, match=r"predictions\.csv: no column 'selected'"):
        read_predictions(tmp_path)


def test_two_records_of_one_cell_are_refused(tmp_path):
    for folder in ("0.5", "0.50"):
        write_record(record_of(), tmp_path / "runs" / "transfer" / folder / "0")
    with pytest.raises(ValueError, match="fills the same cell as"):
        read_records(tmp_path)


def test_a_study_without_runs_says_which_command_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m ecg_tl\.train study=empty"):
        read_records(tmp_path / "empty")


@pytest.mark.parametrize(("fraction", "name"), [(1.0, "1"), (0.5, "0.5"), (0.25, "0.25"), (0.05, "0.05")])
def test_fractions_are_named_as_they_compare(fraction, name):
    assert fraction_name(fraction) == name


def test_a_curve_is_read_as_written(tmp_path):
    curve = pd.DataFrame([[1, 0.9, 1.0, 0.5, 0.005], [2, 0.7, 0.8, 0.625, 0.005]], columns=list(CURVE_COLUMNS))
    curve.to_csv(tmp_path / "curve.csv", index=False)
    pd.testing.assert_frame_equal(read_curve(tmp_path), curve)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("epoch,test_f1\n1,0.5\n", "no column 'train_loss'"),
        (",".join(CURVE_COLUMNS) + "\n", "no epoch"),
    ],
)
def test_a_broken_curve_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "curve.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_curve(tmp_path)
    assert "curve.csv" in str(error.value)


def test_missing_cells_are_those_of_the_full_grid():
    cells = [Cell("random", 1.0, 0), Cell("random", 0.5, 1), Cell("transfer", 1.0, 0)]
    assert missing_cells(cells) == [
        ("random", 1.0, 1, 0),
        ("random", 0.5, 0, 0),
        ("transfer", 1.0, 1, 0),
        ("transfer", 0.5, 0, 0),
        ("transfer", 0.5, 1, 0),
    ]
    assert missing_cells([Cell("random", 1.0, 0)]) == []
    assert missing_cells([]) == []
