"""The figshare copy of the Shaoxing database with all that is known to be wrong with it, down to the store."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecg_tl.cohorts import cohort_of_diagnostics, table1
from ecg_tl.rows import summarise, write_rows
from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS, RHYTHM_NAMES
from ecg_tl.sources.shaoxing_figshare import LEADS, ShaoxingFigshare, read_diagnostics, read_lead_ii
from ecg_tl.store import Store
from tests.fabricate_figshare import Form, figshare, microvolts, write_csv, write_diagnostics


def record(number: int, day: int = 20180111) -> str:
    return f"MUSE_{day}_{number:06d}_12000"


def prepared(source: ShaoxingFigshare, out: Path) -> Store:
    return write_rows(source, out, lead="II")


def left_out(source: ShaoxingFigshare) -> dict[str, tuple[str, str | None]]:
    items = list(source)
    assert len(items) == len(source)
    return {item.record: (item.reason, item.rhythm) for item in items if isinstance(item, Exclusion)}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 100 records, one file in 25 broken, so that several batches go to several processes."""
    records = {record(number): "SB" for number in range(100)}
    return figshare(
        tmp_path_factory.mktemp("large"), records, defects={record(number): "short" for number in range(3, 100, 25)}
    )


def test_the_database_has_10646_records_in_11_named_rhythms() -> None:
    assert sum(RHYTHM_COUNTS.values()) == 10_646
    assert RHYTHM_COUNTS.keys() == RHYTHM_NAMES.keys()
    assert list(RHYTHM_COUNTS.values()) == sorted(RHYTHM_COUNTS.values(), reverse=True)
    assert (RHYTHM_NAMES["AF"], RHYTHM_NAMES["AFIB"]) == ("atrial flutter", "atrial fibrillation")


@pytest.mark.parametrize("form", ["raw", "denoised"])
@pytest.mark.parametrize("subfolder", ["ECGData", "ECGDataDenoised", "."])
def test_the_form_is_seen_in_the_file_and_no_sample_is_lost(tmp_path: Path, form: Form, subfolder: str) -> None:
    source = ShaoxingFigshare(figshare(tmp_path, {record(0): "SB"}, form, subfolder))
    (item,) = source
    assert isinstance(item, Recording)
    assert item.ecg_mv == pytest.approx(microvolts(0) / 1000, rel=1e-6)
    assert (item.ecg_mv.dtype, item.ecg_mv.shape) == (np.float32, (5000,))
    assert (item.rate_hz, item.lead, item.patient, item.record) == (500.0, "II", record(0), record(0))
    assert (item.rhythm, item.age, item.sex) == ("SB", 60, "male")
    stated = source.provenance()
    assert (stated["form"], stated["class_set"], stated["files"]) == (form, 11, 2)


def test_a_folder_may_mix_the_forms(tmp_path: Path) -> None:
    figshare(tmp_path, {record(0): "SB", record(1): "SR"})
    write_csv(tmp_path / "ECGData" / f"{record(1)}.csv", microvolts(1), "denoised")
    source = ShaoxingFigshare(tmp_path)
    assert left_out(source) == {}
    assert source.provenance()["form"] == "mixed"


@pytest.mark.parametrize("workers", [1, 2])
def test_the_rows_are_those_of_the_records_by_name_from_any_number_of_processes(large: Path, workers: int) -> None:
    items = list(ShaoxingFigshare(large, workers=workers))
    assert [item.record for item in items] == [record(number) for number in range(100)]
    for number, item in enumerate(items):
        if number % 25 == 3:
            assert item == Exclusion(record(number), "not 5000 rows", "SB")
        else:
            assert isinstance(item, Recording)
            np.testing.assert_allclose(item.ecg_mv, microvolts(number) / 1000, rtol=1e-6)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_an_iterator_that_is_dropped_early_ends_its_processes(large: Path) -> None:
    before = _children(os.getpid())
    items = iter(ShaoxingFigshare(large, workers=2))
    next(items)
    assert len(_children(os.getpid()) - before) >= 2
    del items
    assert _pools(_children(os.getpid()) - before) == set()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_or_a_kill_ends_the_processes(large: Path, tmp_path: Path, ending: signal.Signals) -> None:
    script = tmp_path / "read.py"
    script.write_text(
        "import signal, sys, time\nfrom pathlib import Path\n"
        "from ecg_tl.sources.shaoxing_figshare import ShaoxingFigshare\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in the background\n"
        "    for _ in ShaoxingFigshare(Path(sys.argv[1]), workers=2):\n"
        "        print('reading', flush=True)\n        time.sleep(0.1)\n"
    )
    child = subprocess.Popen(
        [sys.executable, str(script), str(large)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "reading\n"
    if ending == signal.SIGINT:
        os.killpg(child.pid, ending)
    else:
        child.kill()
    # The pipes close when the last process that inherited them has ended.
    _, errors = child.communicate(timeout=30)
    assert child.returncode == -ending
    if ending == signal.SIGINT:
        assert errors.count("Traceback") == 1
        assert errors.rstrip().endswith("KeyboardInterrupt")


def _children(parent: int) -> set[int]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


def _pools(children: set[int]) -> set[int]:
    """Leave out the resource tracker, which lives as long as its parent."""
    return {child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def test_every_defect_is_left_out_with_its_reason_and_rhythm(tmp_path: Path) -> None:
    defects = {
        record(0): "all zero",
        record(1): "nan",
        record(2): "short",
        record(3): "long",
        record(4): "garbage",
        record(5): "empty",
        record(6): "torn",
        record(7): "no file",
    }
    records = dict(zip([*defects, record(8)], ["SVT", "SVT", "AF", "AF", "ST", "ST", "ST", "SA", "SA"], strict=True))
    for form in ("raw", "denoised"):
        folder = figshare(tmp_path / form, records, form, defects=defects)
        write_csv(folder / "ECGData" / "MUSE_unknown.csv", microvolts(0), form)
        store = prepared(ShaoxingFigshare(folder), tmp_path / f"{form}.h5")
        assert dict(store.excluded) == {
            record(0): "all zero",
            record(1): "nan",
            record(2): "not 5000 rows",
            record(3): "not 5000 rows",
            record(4): "unreadable",
            record(5): "unreadable",
            record(6): "unreadable",
            record(7): "no file",
            "MUSE_unknown": "no label",
        }
        assert store.source["excluded_per_rhythm"] == {
            "all zero": {"SVT": 1},
            "nan": {"SVT": 1},
            "not 5000 rows": {"AF": 2},
            "unreadable": {"ST": 3},
            "no file": {"SI": 1},
        }
        assert store.record.tolist() == [record(8)]
        assert store.rhythms == tuple(RHYTHM_COUNTS)
        assert store.rhythm is not None
        assert store.rhythms[store.rhythm[0]] == "SI"
        assert store.source["form"] == form


def test_the_all_zero_day_of_tachycardias_is_warned_of(tmp_path: Path) -> None:
    zero = [record(number, day=20181222) for number in range(6)]
    sound = [record(number) for number in range(10)]
    rhythms = dict.fromkeys(zero, "SVT") | {name: ("SVT", "SR")[number % 2] for number, name in enumerate(sound)}
    folder = figshare(tmp_path, rhythms, "denoised", "ECGDataDenoised", dict.fromkeys(zero, "all zero"))
    store = prepared(ShaoxingFigshare(folder), tmp_path / "out.h5")
    assert sorted(store.record) == sound
    warnings = [line for line in summarise(store).splitlines() if line.startswith("WARNING:")]
    assert warnings[0].startswith("WARNING: SVT loses 6 of 11 recordings (54.5 %)")
    assert warnings[1].startswith("WARNING: 6 of 6 left out as 'all zero' are SVT")
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("word", "reason"),
    [("", "nan"), ("NA", "nan"), ("-nan", "nan"), ("inf", "nan"), ("1e300", "nan"), ("1;2", "unreadable")],
)
def test_a_sample_that_is_none_spoils_the_record(tmp_path: Path, word: str, reason: str) -> None:
    for place in (0, 2500):
        samples = [str(sample) for sample in microvolts(0)]
        samples[place] = word
        assert read_lead_ii(write_csv(tmp_path / "raw.csv", samples)) == reason
        assert read_lead_ii(write_csv(tmp_path / "denoised.csv", samples, "denoised")) == reason


def test_zeros_in_other_leads_do_not_matter_and_zeros_in_lead_ii_do(tmp_path: Path) -> None:
    zeros = np.zeros(5000, np.int64)
    zeros[1234] = 1
    ecg_mv = read_lead_ii(write_csv(tmp_path / "a.csv", zeros))
    assert not isinstance(ecg_mv, str)
    assert np.flatnonzero(ecg_mv).tolist() == [1234]
    assert ecg_mv[1234] == pytest.approx(0.001)


def test_lead_ii_is_found_by_its_name(tmp_path: Path) -> None:
    expected = pytest.approx(microvolts(0) / 1000, rel=1e-6)
    assert read_lead_ii(write_csv(tmp_path / "moved.csv", microvolts(0), leads=("", "V6", "I", "II"))) == expected
    quoted = write_csv(tmp_path / "quoted.csv", microvolts(0), line_end="\r\n")
    header = ",".join(f'"{lead}"' for lead in LEADS)
    quoted.write_bytes(quoted.read_bytes().replace(",".join(LEADS).encode(), b"\xef\xbb\xbf" + header.encode(), 1))
    assert read_lead_ii(quoted) == expected
    assert read_lead_ii(write_csv(tmp_path / "without.csv", microvolts(0), leads=("I", "V1"))) == "no lead II"
    numbered = write_csv(tmp_path / "numbered.csv", microvolts(0), "denoised", leads=("", *LEADS))
    assert read_lead_ii(numbered) == "unreadable"


def test_byte_identical_records_become_identical_rows(tmp_path: Path) -> None:
    folder = figshare(tmp_path, {record(0): "SB", record(1): "SI"})
    first, second = (folder / "ECGData" / f"{record(number)}.csv" for number in range(2))
    second.write_bytes(first.read_bytes())
    store = prepared(ShaoxingFigshare(folder), tmp_path / "out.h5")
    assert (store.ecg[0] == store.ecg[1]).all()
    assert len(store) == 2


def test_two_sets_of_records_are_refused_and_one_can_be_named(tmp_path: Path) -> None:
    figshare(tmp_path, {record(0): "SB"}, "raw", "ECGData")
    figshare(tmp_path, {record(0): "SB"}, "denoised", "ECGDataDenoised")
    with pytest.raises(ValueError, match=r"records in .*ECGData and .*ECGDataDenoised; set source\.path to one"):
        ShaoxingFigshare(tmp_path)
    for name, form in (("ECGData", "raw"), ("ECGDataDenoised", "denoised")):
        source = ShaoxingFigshare(tmp_path / name)
        assert left_out(source) == {}
        assert source.provenance()["form"] == form


def test_the_checksum_is_over_table_and_records(tmp_path: Path) -> None:
    figshare(tmp_path, {record(0): "SB"})
    (tmp_path / "ECGData" / f"._{record(0)}.csv").write_text("macOS")
    files = [tmp_path / "Diagnostics.xlsx", tmp_path / "ECGData" / f"{record(0)}.csv"]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    assert ShaoxingFigshare(tmp_path).provenance() == {
        "format": "shaoxing_figshare",
        "files": 2,
        "checksum": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "class_set": 11,
        "form": "raw",
    }


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no CSV here or in ECGData or ECGDataDenoised"):
        ShaoxingFigshare(tmp_path)
    write_csv(tmp_path / "a" / "b" / "ECGData" / f"{record(0)}.csv", microvolts(0))
    with pytest.raises(FileNotFoundError, match=r"Diagnostics\.xlsx: no such table"):
        ShaoxingFigshare(tmp_path / "a" / "b" / "ECGData")
    with pytest.raises(ValueError, match="workers=0"):
        ShaoxingFigshare(tmp_path / "a" / "b" / "ECGData", workers=0)


def test_the_table_is_read_whatever_else_it_has(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"FileName": record(0), "Rhythm": " SA ", "PatientAge": 85, "DateofBirth": "1933-01-01"},
        {"FileName": f"{record(1)}.csv", "Rhythm": "SI", "PatientAge": "20", "Gender": "FEMALE"},
        {"FileName": "", "Rhythm": "", "PatientAge": "", "Gender": ""},
        {"FileName": record(2), "Rhythm": "afib", "PatientAge": "", "Gender": ""},
        {"FileName": record(3), "Rhythm": "SAAWR", "PatientAge": 300, "Gender": "Male"},
    ]
    diagnostics = read_diagnostics(write_diagnostics(tmp_path, rows))
    assert diagnostics.record == tuple(record(number) for number in range(4))
    assert diagnostics.rhythm == ("SI", "SI", "AFIB", "SAAWR")
    assert diagnostics.age_years == pytest.approx([85, 20, np.nan, np.nan], nan_ok=True)
    assert diagnostics.sex == ("male", "female", "unknown", "male")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"FileName": "a", "Rhythm": "VT"}], r"Diagnostics\.xlsx: record 'a' has rhythm 'VT', none of SB, .*, SA;"),
        ([{"FileName": "a", "Rhythm": ""}], r"record 'a' has rhythm ''"),
        ([{"FileName": "a", "Rhythm": "SB"}] * 2, r"Diagnostics\.xlsx: record 'a' is there twice"),
        ([{"FileName": "a", "Rhythm": "SB"}, {"Rhythm": "SB"}], r"row 3 has no FileName"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_diagnostics(write_diagnostics(tmp_path, rows))


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Diagnostics.xlsx"
    for content in (b"", b"FileName,Rhythm\n", b"PK\x03\x04 cut off"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"Diagnostics\.xlsx: not an Excel table"):
            read_diagnostics(path)
    pd.DataFrame({"FileName": ["a"], "Rhythm": ["SB"], "Gender": ["MALE"]}).to_excel(path, index=False)
    with pytest.raises(ValueError, match=r"no column 'PatientAge' among filename, rhythm, gender"):
        read_diagnostics(path)
    pd.DataFrame(columns=["FileName", "Rhythm", "Gender", "PatientAge"]).to_excel(path, index=False)
    with pytest.raises(ValueError, match="has no row"):
        read_diagnostics(path)


def test_the_cohort_needs_no_waveform(tmp_path: Path) -> None:
    people: list[tuple[str, Any, str]] = [
        ("SB", 40, "MALE"),
        ("SA", 60, "MALE"),
        ("SB", "80", "FEMALE"),
        ("AF", "", ""),
    ]
    rows: list[dict[str, object]] = [
        {"FileName": record(number), "Rhythm": rhythm, "PatientAge": age, "Gender": sex}
        for number, (rhythm, age, sex) in enumerate(people)
    ]
    cohort = cohort_of_diagnostics(write_diagnostics(tmp_path, rows))
    told = dict(table1({"Shaoxing": cohort}).rows)
    assert told["Patients"] == "4"
    assert told["Age (yr)"] == "60.0 ± 16.3; 1 unknown"
    assert told["Sex, male, n (%)"] == "2 (66.7); 1 unknown"
    assert (told["Rhythm SB"], told["Rhythm SI"], told["Rhythm AT"]) == ("2 (50.0)", "1 (25.0)", "0 (0.0)")
    assert Counter(label.startswith("Rhythm") for label in told)[True] == 11
