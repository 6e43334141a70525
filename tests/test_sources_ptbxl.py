"""PTB-XL folders with the holes and oddities of its tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg_tl.rows import write_rows
from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.ptbxl import Ptbxl
from tests.fabricate_physionet import STATEMENTS, lead_ii_mv, ptbxl_row, write_ptbxl


def recordings(source: Ptbxl) -> list[Recording]:
    return [item for item in source if isinstance(item, Recording)]


@pytest.mark.parametrize(("records_hz", "suffix"), [(500, "hr"), (100, "lr")])
def test_lead_ii_is_read_in_mv_at_either_rate(tmp_path: Path, records_hz: int, suffix: str) -> None:
    write_ptbxl(tmp_path, [ptbxl_row(1)], rates_hz=(500, 100))
    source = Ptbxl(tmp_path, records_hz)
    (recording,) = recordings(source)
    assert (recording.record, recording.patient, recording.lead) == (f"00001_{suffix}", "9001", "II")
    assert (recording.rhythm, recording.age, recording.sex, recording.rate_hz) == ("SR", 56, "male", records_hz)
    assert recording.ecg_mv == pytest.approx(lead_ii_mv(1, rate_hz=records_hz), abs=1e-6)
    said = source.provenance()
    assert (said["format"], said["files"], said["records_hz"]) == ("ptbxl", 4, records_hz)


def test_the_lead_is_chosen_by_name(tmp_path: Path) -> None:
    write_ptbxl(tmp_path, [ptbxl_row(1)])
    assert recordings(Ptbxl(tmp_path, lead="aVR"))[0].ecg_mv == pytest.approx(-lead_ii_mv(1), abs=1e-6)
    with pytest.raises(ValueError, match=rf"{tmp_path}: no record has lead V1, only AVR, I, II; set lead"):
        list(Ptbxl(tmp_path, lead="V1"))


def test_the_rhythms_are_all_that_ptbxl_has(tmp_path: Path) -> None:
    write_ptbxl(tmp_path, [ptbxl_row(1, "{'AFIB': 0.0}")])
    source = Ptbxl(tmp_path)
    assert source.rhythms == STATEMENTS
    assert (source.provenance()["class_set"], source.provenance()["rhythms"]) == (12, list(STATEMENTS))


def test_of_two_statements_the_one_rarer_in_the_table_counts(tmp_path: Path) -> None:
    rows = [
        ptbxl_row(1, "{'SR': 0.0, 'BIGU': 100.0}"),
        ptbxl_row(2, "{'STACH': 0.0, 'PACE': 0.0}"),
        ptbxl_row(3, "{'PACE': 0.0}"),
        ptbxl_row(4, "{'PACE': 0.0, 'NDT': 100.0}"),
        ptbxl_row(5),
    ]
    write_ptbxl(tmp_path, rows, without_files=(3, 4))
    source = Ptbxl(tmp_path)
    assert {item.record: item.rhythm for item in recordings(source)} == {
        "00001_hr": "BIGU",
        "00002_hr": "STACH",
        "00005_hr": "SR",
    }
    assert source.provenance()["two_rhythm_statements"] == 2


def test_no_statement_and_no_file_are_listed(tmp_path: Path) -> None:
    rows = [ptbxl_row(1), ptbxl_row(2, "{'NORM': 80.0}"), ptbxl_row(3, "{'AFIB': 0.0}"), ptbxl_row(4, "{}")]
    write_ptbxl(tmp_path, [*rows, ptbxl_row(5)], without_files=(3, 4))
    (tmp_path / "records500/00000/00005_hr.dat").unlink()
    source = Ptbxl(tmp_path)
    items = list(source)
    assert len(items) == len(source) == 5
    assert [(item.record, item.reason, item.rhythm) for item in items if isinstance(item, Exclusion)] == [
        ("00002_hr", "no rhythm statement", None),
        ("00003_hr", "no file", "AFIB"),
        ("00004_hr", "no rhythm statement", None),
        ("00005_hr", "no file", "SR"),
    ]


@pytest.mark.parametrize(
    ("age", "sex", "read"),
    [(89.0, 1, (89, "female")), (300.0, 0, (np.nan, "male")), ("", "", (np.nan, "unknown")), (3, 2, (3, "unknown"))],
)
def test_persons_are_read_as_ptbxl_codes_them(
    tmp_path: Path, age: float | str, sex: int | str, read: tuple[float, str]
) -> None:
    write_ptbxl(tmp_path, [ptbxl_row(1, age=age, sex=sex)])
    (recording,) = recordings(Ptbxl(tmp_path))
    assert recording.age == pytest.approx(read[0], nan_ok=True)
    assert recording.sex == read[1]


def test_recordings_of_a_patient_come_together(tmp_path: Path) -> None:
    patients = [13619.0, 8.0, 13619.0, 136.0, 8.0]
    write_ptbxl(tmp_path, [ptbxl_row(place + 1, patient_id=patient) for place, patient in enumerate(patients)])
    assert [(item.patient, item.record[:5]) for item in recordings(Ptbxl(tmp_path))] == [
        ("136", "00004"),
        ("13619", "00001"),
        ("13619", "00003"),
        ("8", "00002"),
        ("8", "00005"),
    ]


def test_files_of_the_other_rate_alone_are_pointed_at(tmp_path: Path) -> None:
    write_ptbxl(tmp_path, [ptbxl_row(1), ptbxl_row(2)], without_files=(2,))
    with pytest.raises(FileNotFoundError, match=r"none of 2 records at 100 Hz is there; 1 are .*set records_hz=500"):
        Ptbxl(tmp_path, 100)
    with pytest.raises(ValueError, match=r"records_hz=250: .*choose 500 or 100"):
        Ptbxl(tmp_path, 250)


def test_tables_that_are_not_what_they_should_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"scp_statements\.csv: no such table"):
        Ptbxl(tmp_path)
    write_ptbxl(tmp_path, [ptbxl_row(7, "__import__('os').getcwd()")])
    with pytest.raises(ValueError, match=r"ptbxl_database\.csv: ecg_id 7: scp_codes=.* is no dict"):
        Ptbxl(tmp_path)
    write_ptbxl(tmp_path, [ptbxl_row(7), ptbxl_row(7)])
    with pytest.raises(ValueError, match="00007_hr is there twice"):
        Ptbxl(tmp_path)
    database = tmp_path / "ptbxl_database.csv"
    database.write_text(database.read_text().replace("patient_id", "patient"))
    with pytest.raises(ValueError, match=r"ptbxl_database\.csv: no column 'patient_id'"):
        Ptbxl(tmp_path)


def test_records_become_a_store(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    rows = [
        ptbxl_row(1, patient_id=5.0),
        ptbxl_row(2, "{'AFLT': 0.0}", patient_id=4.0),
        ptbxl_row(3, "{'PACE': 0.0}", patient_id=5.0),
        ptbxl_row(4, "{'NORM': 100.0}"),
        ptbxl_row(5),
    ]
    write_ptbxl(raw, rows, without_files=(5,))
    store = write_rows(Ptbxl(raw), tmp_path / "out.h5", lead="II")
    assert (store.length, list(store.patient)) == (2500, ["4", "5", "5"])
    assert store.rhythm is not None
    assert [store.rhythms[index] for index in store.rhythm] == ["AFLT", "SR", "PACE"]
    assert sorted(store.excluded) == [("00004_hr", "no rhythm statement"), ("00005_hr", "no file")]
    assert store.source["excluded_per_rhythm"] == {"no file": {"SR": 1}}
    assert "PTB-XL's own" in store.source["note"]
