"""PhysioNet's copy of Shaoxing and Ningbo with every defect that it is known for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_tl.rows import write_rows
from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS
from ecg_tl.sources.shaoxing_physionet import ShaoxingPhysionet
from tests.fabricate_physionet import LEADS, lead_ii_mv, write_mat, write_shaoxing


def one(source: ShaoxingPhysionet) -> Recording:
    (item,) = source
    assert isinstance(item, Recording), item
    return item


def left_out(source: ShaoxingPhysionet) -> dict[str, tuple[str, str | None]]:
    items = list(source)
    assert len(items) == len(source)
    return {item.record: (item.reason, item.rhythm) for item in items if isinstance(item, Exclusion)}


@pytest.mark.parametrize("challenge", [False, True])
@pytest.mark.parametrize("unit", ["mV", "mv"])
def test_lead_ii_is_read_in_mv_from_either_form(tmp_path: Path, challenge: bool, unit: str) -> None:
    write_shaoxing(tmp_path, 5, "426783006", challenge=challenge, unit=unit, age="85", sex="Male")
    recording = one(ShaoxingPhysionet(tmp_path))
    assert (recording.record, recording.patient, recording.lead) == ("JS00005", "JS00005", "II")
    assert (recording.rhythm, recording.age, recording.sex, recording.rate_hz) == ("SR", 85, "male", 500)
    assert recording.ecg_mv == pytest.approx(lead_ii_mv(5), abs=1e-6)


def test_the_lead_is_chosen_by_name(tmp_path: Path) -> None:
    write_shaoxing(tmp_path, 5, leads=("II", "aVR", "V1"))
    assert one(ShaoxingPhysionet(tmp_path, lead="AVR")).ecg_mv == pytest.approx(-2 * lead_ii_mv(5), abs=1e-6)
    assert one(ShaoxingPhysionet(tmp_path)).ecg_mv == pytest.approx(lead_ii_mv(5), abs=1e-6)
    with pytest.raises(ValueError, match=rf"{tmp_path}: no record has lead V6, only II, V1, aVR; set lead"):
        list(ShaoxingPhysionet(tmp_path, lead="V6"))


@pytest.mark.parametrize("lead", ["I", "II", "V6"])
@pytest.mark.parametrize("merged", ["lost", "spaced"])
@pytest.mark.parametrize("challenge", [False, True])
def test_a_header_whose_first_lines_are_run_together_is_mended(
    tmp_path: Path, merged: str, challenge: bool, lead: str
) -> None:
    header = write_shaoxing(tmp_path, 1052, "164890007", merged=merged, challenge=challenge, age="70")
    as_found = header.read_text()
    source = ShaoxingPhysionet(tmp_path, lead=lead)
    recording = one(source)
    factor = 1 if lead == "II" else -(LEADS.index(lead) + 1)
    assert recording.ecg_mv == pytest.approx(factor * lead_ii_mv(1052), abs=1e-5)
    assert (recording.record, recording.rhythm, recording.age, recording.rate_hz) == ("JS01052", "AF", 70, 500)
    assert source.provenance()["defective_headers"] == 1
    assert header.read_text() == as_found
    assert sorted(path.suffix for path in header.parent.iterdir()) == [".hea", ".mat"]


def test_the_defect_is_fabricated_as_published(tmp_path: Path) -> None:
    first = write_shaoxing(tmp_path, 1052, merged="lost").read_text().splitlines()[0]
    assert first.startswith("JS01052 12 500 500000/mV 16 0 ")
    assert first.endswith(" 0 I")
    first = write_shaoxing(tmp_path, 23074, merged="spaced").read_text().splitlines()[0]
    assert first.startswith("S23074 12 500 5000 JS23074.mat 16+24 1000/mV 16 0 ")


def test_a_header_that_lost_its_initial_goes_by_its_number(tmp_path: Path) -> None:
    write_shaoxing(tmp_path, 23074, challenge=True, header_name="S23074")
    recording = one(ShaoxingPhysionet(tmp_path, hospital="ningbo"))
    assert (recording.record, recording.patient) == ("JS23074", "JS23074")
    assert recording.ecg_mv == pytest.approx(lead_ii_mv(23074), abs=1e-6)


@pytest.mark.parametrize(
    ("dx", "rhythm"),
    [
        ("426177001", "SB"),
        ("426783006", "SR"),
        ("164889003", "AFIB"),
        ("164890007", "AF"),
        ("427084000", "ST"),
        ("426761007", "SVT"),
        ("713422000", "AT"),
        ("233897008", "AVRT"),
        ("251166008", "AVNRT"),
        ("233896004", "AVNRT"),
        ("17366009", "SAAWR"),
        ("195101003", "SAAWR"),
        ("59118001,164934002,164889003,", "AFIB"),
        (",,59118001,,426177001,,", "SB"),
        (" 59118001 , 426177001 ", "SB"),
    ],
)
def test_codes_of_records_and_of_the_names_table_are_known(tmp_path: Path, dx: str, rhythm: str) -> None:
    for challenge, folder in ((False, tmp_path / "tree"), (True, tmp_path / "flat")):
        write_shaoxing(folder, 1, dx, challenge=challenge)
        assert one(ShaoxingPhysionet(folder)).rhythm == rhythm


@pytest.mark.parametrize(
    ("dx", "rhythm", "two"),
    [
        ("427084000,713422000", "AT", 1),
        ("713422000,427084000", "AT", 1),
        ("164889003,164890007,426783006", "AF", 1),
        ("251166008,233896004", "AVNRT", 0),
        ("426177001,426177001", "SB", 0),
    ],
)
def test_of_two_rhythms_the_rarer_counts_and_the_record_is_counted(
    tmp_path: Path, dx: str, rhythm: str, two: int
) -> None:
    write_shaoxing(tmp_path, 1, dx)
    source = ShaoxingPhysionet(tmp_path)
    assert one(source).rhythm == rhythm
    assert source.provenance()["two_rhythm_codes"] == two


@pytest.mark.parametrize(("age", "sex"), [("NaN", "Unknown"), ("", ""), ("Unknown", "NaN"), ("300", "?")])
def test_an_unknown_person_is_unknown(tmp_path: Path, age: str, sex: str) -> None:
    write_shaoxing(tmp_path, 1, age=age, sex=sex)
    recording = one(ShaoxingPhysionet(tmp_path))
    assert np.isnan(recording.age)
    assert recording.sex == "unknown"


def both_hospitals(folder: Path) -> Path:
    for number in (10646, 1, 10647, 45551):
        write_shaoxing(folder, number, "427393009" if number > 10646 else "426177001")
    return folder


@pytest.mark.parametrize(
    ("hospital", "records", "others", "classes"),
    [
        ("shaoxing", ["JS00001", "JS10646"], 2, 10),
        ("ningbo", ["JS10647", "JS45551"], 2, 11),
        ("all", ["JS00001", "JS10646", "JS10647", "JS45551"], 0, 11),
    ],
)
def test_hospitals_are_told_apart_by_number(
    tmp_path: Path, hospital: str, records: list[str], others: int, classes: int
) -> None:
    source = ShaoxingPhysionet(both_hospitals(tmp_path), hospital)
    assert [item.record for item in source] == records
    said: dict[str, Any] = source.provenance()
    assert (said["format"], said["hospital"], said["files"]) == ("shaoxing_physionet", hospital, 2 * len(records))
    assert (said["records_of_other_hospitals"], said["class_set"]) == (others, classes)
    expected = tuple(rhythm for rhythm in RHYTHM_COUNTS if classes == 11 or rhythm != "SI")
    assert source.rhythms == expected == tuple(said["rhythms"])
    assert f"{classes}" in said["note"]


def test_the_checksum_is_over_the_hospitals_files_alone(tmp_path: Path) -> None:
    write_shaoxing(tmp_path, 1)
    before = ShaoxingPhysionet(tmp_path).provenance()
    write_shaoxing(tmp_path, 20000)
    after = ShaoxingPhysionet(tmp_path).provenance()
    assert (before["checksum"], before["files"]) == (after["checksum"], after["files"])
    write_shaoxing(tmp_path, 1, age="62")
    assert ShaoxingPhysionet(tmp_path).provenance()["checksum"] != before["checksum"]


@pytest.mark.parametrize(("number", "hospital", "other"), [(20000, "shaoxing", "ningbo"), (7, "ningbo", "shaoxing")])
def test_an_absent_hospital_names_the_other(tmp_path: Path, number: int, hospital: str, other: str) -> None:
    write_shaoxing(tmp_path, number, challenge=True)
    with pytest.raises(ValueError, match=rf"{tmp_path}: none of the 1 records is of hospital={hospital}.*={other}"):
        ShaoxingPhysionet(tmp_path, hospital)


def test_folders_and_hospitals_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}: no record JS"):
        ShaoxingPhysionet(tmp_path)
    with pytest.raises(ValueError, match=r"hospital=chapman: .*shaoxing, ningbo, all"):
        ShaoxingPhysionet(tmp_path, "chapman")
    for challenge in (False, True):
        write_shaoxing(tmp_path, 1, challenge=challenge)
    with pytest.raises(ValueError, match="the record JS00001 is there twice"):
        ShaoxingPhysionet(tmp_path)


def test_what_cannot_be_read_is_listed_with_its_rhythm(tmp_path: Path) -> None:
    headers = {number: write_shaoxing(tmp_path, number, challenge=True) for number in range(1, 10)}
    headers[1].write_text(headers[1].read_text().replace("426177001", "59118001"))
    headers[2].with_suffix(".mat").unlink()
    headers[3].unlink()
    cut = headers[4].with_suffix(".mat")
    cut.write_bytes(cut.read_bytes()[:-1000])
    headers[5].with_suffix(".mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(120000))
    write_mat(headers[6].with_suffix(".mat"), np.zeros((11, 5000), np.int16))
    headers[7].write_text(headers[7].read_text().replace("JS00007.mat", "# JS00007.mat", 1))
    headers[8].write_text(headers[8].read_text().replace("426177001", "427393009"))
    source = ShaoxingPhysionet(tmp_path)
    assert left_out(source) == {
        "JS00001": ("no rhythm code", None),
        "JS00002": ("no file", "SB"),
        "JS00003": ("no header", None),
        "JS00004": ("unreadable", "SB"),
        "JS00005": ("unreadable", "SB"),
        "JS00006": ("unreadable", "SB"),
        "JS00007": ("unreadable", "SB"),
        "JS00008": ("rhythm SI not expected", "SI"),
    }
    assert [item.record for item in source if isinstance(item, Recording)] == ["JS00009"]


def test_records_become_a_store_that_says_what_it_lacks(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_shaoxing(raw, 1, "427084000,713422000")
    write_shaoxing(raw, 2, "164890007", merged="lost", age="NaN", sex="Unknown")
    header = write_shaoxing(raw, 3, "426761007")
    write_mat(header.with_suffix(".mat"), np.zeros((12, 5000), np.int16))
    write_shaoxing(raw, 4, "59118001")
    store = write_rows(ShaoxingPhysionet(raw), tmp_path / "out.h5", lead="II")
    assert (store.length, list(store.patient)) == (2500, ["JS00001", "JS00002"])
    assert store.rhythm is not None
    assert [store.rhythms[index] for index in store.rhythm] == ["AT", "AF"]
    assert len(store.rhythms) == store.source["class_set"] == 10
    assert sorted(store.excluded) == [("JS00003", "flat"), ("JS00004", "no rhythm code")]
    assert store.source["excluded_per_rhythm"] == {"flat": {"SVT": 1}}
    assert (store.source["two_rhythm_codes"], store.source["defective_headers"]) == (1, 1)
    assert "sinus irregularity" in store.source["note"]
