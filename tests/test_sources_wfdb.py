"""WFDB folders as they come: several leads, odd units, tables with holes, headers and signals cut short."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.wfdb import WfdbIcu, WfdbRecords
from ecg_tl.sources.wfdb_signals import find_headers, open_signal
from tests.fabricate import ecg_mv, wfdb_icu, wfdb_records, write_wfdb


def signal_mv(seed: int = 0, seconds: float = 4.0) -> np.ndarray:
    return ecg_mv(np.random.default_rng(seed), seconds, 250.0)


def one(source: WfdbIcu | WfdbRecords) -> Recording:
    (item,) = source
    assert isinstance(item, Recording), item
    return item


def left_out(source: WfdbIcu | WfdbRecords) -> dict[str, str]:
    items = list(source)
    assert len(items) == len(source)
    return {item.record: item.reason for item in items if isinstance(item, Exclusion)}


def test_labelled_records_come_with_their_rhythm_and_person(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "deeper"
    write_wfdb(folder, "b", {"I": -signal_mv(1), "ii": signal_mv(1)}, 250)
    write_wfdb(folder, "a", {"II": signal_mv(0)}, 250, comments=["Age: 40", "Sex: Male"])
    (tmp_path / "raw" / "labels.csv").write_text(
        "\ufeffRecord, rhythm ,age,sex,patient\nb,SB,61,F,Z\nx/a,SR,unknown,?,Y\n", encoding="utf-8"
    )
    source = WfdbRecords(tmp_path / "raw", lead="II")
    first, second = source
    assert source.rhythms == ("SB", "SR")
    assert isinstance(first, Recording)
    assert isinstance(second, Recording)
    assert (first.record, first.patient, first.rhythm, first.sex, first.lead) == (
        "a",
        "Y",
        "SR",
        "unknown",
        "II",
    )
    assert np.isnan(first.age)
    assert (second.record, second.patient, second.rhythm, second.age, second.sex) == (
        "b",
        "Z",
        "SB",
        61,
        "female",
    )
    assert second.lead == "ii"
    assert second.ecg_mv == pytest.approx(signal_mv(1), abs=0.00051)
    assert (second.ecg_mv.dtype, second.rate_hz) == (np.float32, 250.0)


def test_records_and_table_that_disagree_are_listed(tmp_path: Path) -> None:
    wfdb_records(tmp_path, records=4)
    table = tmp_path / "labels.csv"
    table.write_text("record,rhythm\nR000,SR\nR001,\nR009,VT\n")
    source = WfdbRecords(tmp_path)
    assert left_out(source) == {"R001": "no label", "R002": "no label", "R003": "no label", "R009": "no file"}
    assert [item.rhythm for item in source if isinstance(item, Exclusion)] == [None, None, None, "VT"]
    assert source.rhythms == ("SR",)
    assert [item.patient for item in source if isinstance(item, Recording)] == ["R000"]


def test_a_folder_that_is_not_there_is_told_from_one_without_records(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none: no such folder; set source\.path"):
        find_headers(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no WFDB header \(\*\.hea\) here"):
        find_headers(tmp_path)


def test_the_only_table_is_found_and_another_can_be_named(tmp_path: Path) -> None:
    wfdb_records(tmp_path, records=1)
    table = (tmp_path / "labels.csv").rename(tmp_path / "mine.csv")
    assert WfdbRecords(tmp_path).labels == table
    (tmp_path / "other.csv").write_text("record,rhythm\nR000,NA\n")
    with pytest.raises(FileNotFoundError, match=r"labels\.csv: no such table among 2 \.csv"):
        WfdbRecords(tmp_path)
    assert WfdbRecords(tmp_path, labels=Path("other.csv")).rhythms == ("NA",)
    assert WfdbRecords(tmp_path, labels=table).rhythms == ("SR",)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("record,label\nR000,SR\n", r"labels\.csv: no column 'rhythm' among record, label"),
        ("record,rhythm\nR000,SR\nR000,SB\n", r"labels\.csv: record 'R000' is there twice"),
        ("record,rhythm\nR7,SR\n", r"labels\.csv: labels none of the 1 records"),
        ("", r"labels\.csv: not a CSV table"),
        ("record,rhythm\nR000,S\xff\n", r"labels\.csv: not a CSV table in UTF-8"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, table: str, message: str) -> None:
    wfdb_records(tmp_path, records=1)
    (tmp_path / "labels.csv").write_text(table, encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        WfdbRecords(tmp_path)


def test_a_missing_lead_is_listed_and_a_lead_that_none_has_names_those_there_are(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "a", {"MLII": signal_mv(), "V1": signal_mv()}, 250)
    write_wfdb(tmp_path, "b", {"V5": signal_mv()}, 250)
    assert left_out(WfdbIcu(tmp_path, lead="v5")) == {"a": "no lead v5"}
    with pytest.raises(ValueError, match=r"no record has lead II, only MLII, V1, V5; set lead"):
        list(WfdbIcu(tmp_path, lead="II"))


@pytest.mark.parametrize(
    ("unit", "units_per_unit", "scale"), [("uV", 1, 1), ("mv", 1000, 1), ("V", 1000, 1000), ("µV", 1, 1)]
)
def test_every_unit_of_voltage_becomes_millivolts(tmp_path: Path, unit: str, units_per_unit: int, scale: float) -> None:
    header = write_wfdb(tmp_path, "a", {"II": signal_mv()}, 250, units_per_mv=units_per_unit)
    header.write_text(header.read_text().replace("/mV", f"/{unit}"), encoding="utf-8")
    assert one(WfdbIcu(tmp_path)).ecg_mv == pytest.approx(scale * signal_mv(), abs=0.00051 * scale)


def test_a_unit_that_is_no_voltage_is_listed(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "a", {"II": signal_mv()}, 250, unit="mmHg")
    assert left_out(WfdbIcu(tmp_path)) == {"a": "unit mmHg"}


@pytest.mark.parametrize("gain", ["0", "0(0)/mV", "0.0/mV", None])
def test_a_lead_that_is_not_calibrated_is_listed(tmp_path: Path, gain: str | None) -> None:
    write_wfdb(tmp_path, "a", {"II": signal_mv()}, 250)
    (tmp_path / "a.hea").write_text("a 1 250 1000\na.dat 16" + (f" {gain} 16 0 0 0 0 II\n" if gain else "\n"))
    assert left_out(WfdbIcu(tmp_path, lead="II" if gain else "None")) == {"a": "gain 0"}


def test_a_gap_is_nan(tmp_path: Path) -> None:
    gapped = signal_mv()
    gapped[10:20] = np.nan
    write_wfdb(tmp_path, "a", {"II": gapped}, 250)
    assert np.flatnonzero(np.isnan(one(WfdbIcu(tmp_path)).ecg_mv)).tolist() == list(range(10, 20))


def test_a_lead_faster_than_its_record_keeps_its_rate(tmp_path: Path) -> None:
    units = np.arange(400, dtype="<i2").reshape(100, 4)
    frames = np.hstack([units, np.full((100, 1), -7, "<i2")])
    (tmp_path / "a.dat").write_bytes(frames.astype("<i2").tobytes())
    (tmp_path / "a.hea").write_text("a 2 62.5 100\na.dat 16x4 1000/mV 16 0 0 0 0 II\na.dat 16 1/mmHg 16 0 0 0 0 ABP\n")
    recording = one(WfdbIcu(tmp_path))
    assert recording.rate_hz == 250.0
    assert recording.ecg_mv == pytest.approx(np.arange(400) / 1000)


def test_segments_are_one_record(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "s1", {"II": signal_mv(1)}, 250)
    write_wfdb(tmp_path, "s2", {"II": signal_mv(2)}, 250)
    (tmp_path / "whole.hea").write_text("whole/2 1 250 2000\ns1 1000\ns2 1000\n")
    recording = one(WfdbIcu(tmp_path))
    assert recording.record == "whole"
    assert recording.ecg_mv == pytest.approx(np.concatenate([signal_mv(1), signal_mv(2)]), abs=0.00051)


@pytest.mark.parametrize(
    ("comments", "age", "sex"),
    [
        (["Age: 85", "Sex: Male", "Dx: 426177001"], 85, "male"),
        (["<age>: 76  <sex>: f"], 76, "unknown"),
        (["sex: F", "age: 7.5"], 7.5, "female"),
        (["69 M 1085 1629 x1", "Aldomet, Inderal"], 69, "male"),
        (["-1 F 1629"], np.nan, "female"),
        (["Age: NaN", "Sex: Unknown"], np.nan, "unknown"),
        (["Age: 300"], np.nan, "unknown"),
        (["5 PVCs"], np.nan, "unknown"),
        ([], np.nan, "unknown"),
    ],
)
def test_age_and_sex_are_read_from_the_header(tmp_path: Path, comments: list[str], age: float, sex: str) -> None:
    write_wfdb(tmp_path, "a", {"II": signal_mv()}, 250, comments)
    recording = one(WfdbIcu(tmp_path))
    assert recording.age == pytest.approx(age, nan_ok=True)
    assert (recording.sex, recording.patient, recording.rhythm) == (sex, "a", None)


def test_recordings_of_a_patient_come_together(tmp_path: Path) -> None:
    wfdb_icu(tmp_path, records=4, seconds=4)
    (tmp_path / "people.csv").write_text("record,patient,age,sex\nL003,p1,50,M\nL000,p2,,\nL001,p1,50,M\nL9,p1,,\n")
    source = WfdbIcu(tmp_path, patients=Path("people.csv"))
    recordings = [item for item in source if isinstance(item, Recording)]
    assert [(item.patient, item.record) for item in recordings] == [
        ("L002", "L002"),
        ("p1", "L001"),
        ("p1", "L003"),
        ("p2", "L000"),
    ]
    assert (recordings[1].age, recordings[1].sex) == (50, "male")
    assert recordings[3].age > 0
    assert left_out(source) == {"L9": "no file"}


def test_broken_files_are_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    wfdb_icu(tmp_path, records=6, seconds=4)
    signal = tmp_path / "L000.dat"
    signal.write_bytes(signal.read_bytes()[:-100])
    (tmp_path / "L001.hea").write_bytes(b"\xff\xfe\x00 / \x80garbage")
    (tmp_path / "L002.dat").unlink()
    (tmp_path / "L003.hea").write_text("")
    header = tmp_path / "L004.hea"
    header.write_text(header.read_text().replace(" 125 ", " 0 "))
    source = WfdbIcu(tmp_path)
    assert left_out(source) == {f"L00{number}": "unreadable" for number in range(5)}
    assert source.provenance()["files"] == 6 + 3


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}: no WFDB header"):
        WfdbIcu(tmp_path)


def test_two_records_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write_wfdb(tmp_path / folder, "a", {"II": signal_mv()}, 250)
    with pytest.raises(ValueError, match=r"a\.hea: the record a is there twice"):
        WfdbIcu(tmp_path)


def test_the_checksum_is_over_names_and_bytes_of_the_data_alone(tmp_path: Path) -> None:
    wfdb_records(tmp_path, records=1)
    (tmp_path / "README").write_text("not data")
    names = ["R000.dat", "R000.hea", "labels.csv"]
    listing = "".join(f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    expected = {"format": "wfdb", "files": 3, "checksum": hashlib.sha256(listing.encode()).hexdigest()}
    assert WfdbRecords(tmp_path).provenance() == expected
    (tmp_path / "labels.csv").write_text("record,rhythm\nR000,VT\n")
    assert WfdbRecords(tmp_path).provenance()["checksum"] != expected["checksum"]


@pytest.mark.parametrize("layout", ["variable", "fixed"])
def test_where_segments_have_no_such_lead_there_is_nan(tmp_path: Path, layout: str) -> None:
    """A gap first, two segments of which the second is in microvolts, one that lacks the lead if they may differ."""
    write_wfdb(tmp_path, "s1", {"V": -signal_mv(1), "II": signal_mv(1)}, 250)
    header = write_wfdb(tmp_path, "s2", {"V": -signal_mv(2), "II": signal_mv(2)}, 250, units_per_mv=1)
    header.write_text(header.read_text().replace("/mV", "/uV"))
    parts = ["~ 500", "s1 1000", "~ 250", "s2 1000"]
    expected_mv = [np.full(500, np.nan), signal_mv(1), np.full(250, np.nan), signal_mv(2)]
    if layout == "variable":
        write_wfdb(tmp_path, "s3", {"V": signal_mv(3)}, 250)
        (tmp_path / "layout.hea").write_text("layout 2 250 0\n~ 0 1/mV 0 0 0 0 0 V\n~ 0 1/mV 0 0 0 0 0 II\n")
        parts = ["layout 0", *parts, "s3 1000"]
        expected_mv.append(np.full(1000, np.nan))
    whole_mv = np.concatenate(expected_mv)
    (tmp_path / "whole.hea").write_text(f"whole/{len(parts)} 2 250 {whole_mv.size}\n" + "\n".join(parts) + "\n")
    (recording,) = (item for item in WfdbIcu(tmp_path) if item.record == "whole")
    assert isinstance(recording, Recording)
    np.testing.assert_allclose(recording.ecg_mv, whole_mv, rtol=0, atol=0.00051)
    signal = open_signal(tmp_path / "whole", "II")
    assert (signal.samples, signal.rate_hz) == (whole_mv.size, 250)
    for first, last in ((0, 400), (450, 700), (1499, 1751), (1600, whole_mv.size)):
        np.testing.assert_allclose(signal.read_mv(first, last), whole_mv[first:last], rtol=0, atol=0.00051)
