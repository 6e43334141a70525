"""ICU recordings in HDF5: both layouts, what the samples are said to be, and that a file of any size goes through."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ecg_tl.rows import write_rows
from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.hdf5_icu import Hdf5Icu
from ecg_tl.sources.hdf5_icu_writer import write_raw_icu
from ecg_tl.sources.synthetic import SyntheticIcu, SyntheticRecords
from ecg_tl.waveform import WINDOW
from tests.fabricate import ecg_mv

SAID = {"rate_hz": 250.0, "lead": "II", "unit": "mV"}


def signal_mv(seed: int = 0, seconds: float = 20.0, rate_hz: float = 250.0) -> np.ndarray:
    return ecg_mv(np.random.default_rng(seed), seconds, rate_hz)


def one_segment(path: Path, values: np.ndarray | None = None, **attributes: Any) -> Path:
    """Write /p/s with SAID, but for what is given; None leaves an attribute out."""
    with h5py.File(path, "w") as file:
        segment = file.create_dataset("p/s", data=signal_mv() if values is None else values)
        segment.attrs.update({name: value for name, value in (SAID | attributes).items() if value is not None})
    return path


def flat(path: Path, patients: Sequence[Any], rows: np.ndarray | None = None, **columns: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(SAID)
        file["ecg"] = np.stack([signal_mv(n, WINDOW / 250) for n in range(len(patients))]) if rows is None else rows
        for name, values in {"patient": patients, **columns}.items():
            file[name] = values
    return path


def recordings(source: Hdf5Icu) -> list[Recording]:
    items = list(source)
    assert len(items) == len(source)
    return [item for item in items if isinstance(item, Recording)]


def test_groups_are_patients_and_data_sets_their_recordings(tmp_path: Path) -> None:
    path = tmp_path / "icu.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(unit="uV", lead="II")
        b, a = file.create_group("b"), file.create_group("a")
        a.attrs.update(age=61, sex="F", rate_hz=300)
        a["2"] = 1000 * signal_mv(2)
        a["1"] = np.rint(1000 * signal_mv(1)).astype(np.int32)
        b["1"] = 0.001 * signal_mv(3)
        b["1"].attrs.update(unit="V", device="Philips", lead="ii")
        b["2"] = signal_mv(4)
        b["2"].attrs.update(lead="V5", rate_hz=250)
        b["3"] = (signal_mv(5) / 0.005).astype(np.int16)
        b["3"].attrs.update(unit="mV", mv_per_unit=np.array([0.005]), rate_hz=125.0)
    source = Hdf5Icu(path)
    first, second, third, fourth = recordings(source)
    assert [(each.patient, each.record, each.rate_hz) for each in (first, second, third, fourth)] == [
        ("a", "a/1", 300),
        ("a", "a/2", 300),
        ("b", "b/1", 500),
        ("b", "b/3", 125),
    ]
    assert (first.age, first.sex, third.sex, third.lead, first.rhythm) == (61, "female", "unknown", "ii", None)
    assert np.isnan(third.age)
    assert first.ecg_mv == pytest.approx(signal_mv(1), abs=0.00051)
    assert second.ecg_mv == pytest.approx(signal_mv(2), abs=1e-5)
    assert third.ecg_mv == pytest.approx(signal_mv(3), abs=1e-5)
    assert fourth.ecg_mv == pytest.approx(signal_mv(5), abs=0.0051)
    assert {each.ecg_mv.dtype for each in (first, second, third, fourth)} == {np.dtype(np.float32)}
    assert [item for item in source if isinstance(item, Exclusion)] == [Exclusion("b/2", "no lead II")]


def test_a_missing_integer_is_nan(tmp_path: Path) -> None:
    values = np.array([100, -32768, 200], np.int16)
    (recording,) = recordings(Hdf5Icu(one_segment(tmp_path / "a.h5", values, mv_per_unit=0.01, missing=-32768)))
    assert recording.ecg_mv == pytest.approx([1, np.nan, 2], nan_ok=True)


@pytest.mark.parametrize(
    ("said", "rate_hz"),
    [
        ({"device": "Nihon Kohden", "rate_hz": None}, 250),
        ({"device": "philips", "rate_hz": None}, 500),
        ({"device": "Philips", "rate_hz": 500}, 500),
        ({"device": "homemade", "rate_hz": 180}, 180),
    ],
)
def test_a_known_device_says_its_rate(tmp_path: Path, said: dict[str, Any], rate_hz: float) -> None:
    assert recordings(Hdf5Icu(one_segment(tmp_path / "a.h5", **said)))[0].rate_hz == rate_hz


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rate_hz": None}, "/p/s has no attribute rate_hz"),
        ({"rate_hz": None, "device": "homemade"}, "/p/s has no attribute rate_hz"),
        ({"rate_hz": 0}, "/p/s: rate_hz=0 is no positive number"),
        ({"rate_hz": "fast"}, "/p/s: rate_hz='fast' is no positive number"),
        ({"device": "Philips"}, "/p/s: rate_hz=250 and device Philips, which has 500 Hz"),
        ({"unit": None}, "/p/s has no attribute unit"),
        ({"unit": "mmHg"}, "/p/s: unit='mmHg' is no voltage"),
        ({"unit": "uV", "mv_per_unit": 0.005}, "/p/s: unit=uV and mv_per_unit=0.005 contradict"),
        ({"mv_per_unit": -1}, "/p/s: mv_per_unit=-1 is no positive number"),
        ({"values": np.arange(9)}, "/p/s holds integers in mV and no attribute mv_per_unit"),
        ({"missing": -1}, "/p/s: missing=-1 is for integers"),
        ({"lead": None}, "/p/s has no attribute lead"),
        ({"lead": "V5"}, "no record has lead II, only V5; set lead"),
        ({"values": np.array([b"1", b"2"])}, "/p/s holds .*, not numbers"),
        ({"values": np.zeros((2, 9))}, "/p/s is no data set of one dimension"),
    ],
)
def test_what_is_unsaid_or_contradicts_itself_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"raw\.h5.*{message}"):
        Hdf5Icu(one_segment(tmp_path / "raw.h5", **said))


def test_a_scale_that_says_the_same_as_the_unit_is_no_contradiction(tmp_path: Path) -> None:
    values = np.array([1000, 2000], np.int16)
    path = one_segment(tmp_path / "a.h5", values, unit="\u00b5V", mv_per_unit=0.001)
    assert recordings(Hdf5Icu(path))[0].ecg_mv == pytest.approx([1, 2])


def test_rows_of_a_table_are_recordings_brought_together_by_patient(tmp_path: Path) -> None:
    patients = ["x", "y", "x", "x", "z"]
    rows = np.arange(5 * 700, dtype=np.float32).reshape(5, 700)
    path = flat(tmp_path / "a.h5", patients, rows, age=[50.0, 60, 50, 50, np.nan], sex=["M", "F", "M", "M", ""])
    found = recordings(Hdf5Icu(path))
    assert [(each.patient, each.record) for each in found] == [
        ("x", "x/0"),
        ("x", "x/2"),
        ("x", "x/3"),
        ("y", "y/1"),
        ("z", "z/4"),
    ]
    assert [each.ecg_mv[0] for each in found] == [0, 1400, 2100, 700, 2800]
    assert [(each.age, each.sex) for each in found[2:4]] == [(50, "male"), (60, "female")]
    assert (np.isnan(found[4].age), found[4].sex) == (True, "unknown")


def test_a_table_may_number_its_patients_and_name_its_records(tmp_path: Path) -> None:
    path = flat(tmp_path / "a.h5", [7, 7, 5], record=["r1", "r2", "r3"])
    assert [(each.patient, each.record) for each in recordings(Hdf5Icu(path))] == [
        ("7", "r1"),
        ("7", "r2"),
        ("5", "r3"),
    ]


def test_rows_of_one_window_become_a_store(tmp_path: Path) -> None:
    source = Hdf5Icu(flat(tmp_path / "a.h5", [f"p{n // 2}" for n in range(300)]))
    store = write_rows(source, tmp_path / "out.h5", lead="II", windows_per_patient=None)
    assert store.ecg.shape == (300, WINDOW)
    assert store.patient[[0, 1, 299]].tolist() == ["p0", "p0", "p149"]
    middle = slice(500, 1500)
    assert np.corrcoef(store.ecg_mv(299)[middle], signal_mv(299, WINDOW / 250)[middle])[0, 1] > 0.95


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"rows": np.zeros(3)}, r"/ecg has shape \(3,\), not \(rows, samples\)"),
        ({"sex": [1, 2, 1]}, "/sex holds int64; write male"),
        ({"record": ["a"]}, r"/record has shape \(1,\) beside 3 rows"),
    ],
)
def test_a_table_whose_columns_do_not_fit_is_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hdf5Icu(flat(tmp_path / "a.h5", ["p"] * 3, **columns))


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(FileNotFoundError, match=r"a\.h5: no such file; set source\.path"):
        Hdf5Icu(path)
    path.write_text("text")
    with pytest.raises(ValueError, match=r"a\.h5: not an HDF5 file"):
        Hdf5Icu(path)
    with h5py.File(path, "w") as file:
        file.attrs.update(SAID)
    with pytest.raises(ValueError, match="no recording in it"):
        Hdf5Icu(path)
    with h5py.File(path, "a") as file:
        file["ecg"] = np.zeros((2, 9))
    with pytest.raises(ValueError, match="no data set /patient beside /ecg"):
        Hdf5Icu(path)
    with h5py.File(path, "w") as file:
        file["loose"] = np.zeros(9)
    with pytest.raises(ValueError, match="/loose is no group"):
        Hdf5Icu(path)
    write_rows(SyntheticIcu(2, 30.0), tmp_path / "store.h5", lead="II", windows_per_patient=1)
    with pytest.raises(ValueError, match="is a prepared store already"):
        Hdf5Icu(tmp_path / "store.h5")


def test_a_file_cut_short_or_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_raw_icu(SyntheticIcu(2, 60.0), path, "gzip")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.h5: not an HDF5 file, cut short or damaged"):
        Hdf5Icu(path)
    path.write_bytes(whole)
    with h5py.File(path) as file:
        chunk = file["ICU00002/ICU00002_1"].id.get_chunk_info(0)
    path.write_bytes(whole[: chunk.byte_offset] + b"\xff" * 200 + whole[chunk.byte_offset + 200 :])
    source = Hdf5Icu(path)
    with pytest.raises(ValueError, match=r"a\.h5: .*damaged"):
        list(source)


def test_a_long_stay_is_read_in_pieces_spread_evenly(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(lead="II", mv_per_unit=0.001, rate_hz=1.0)
        file["p/long"] = np.arange(6000, dtype=np.int16)
        file["p/short"] = np.full(500, 7, np.int16)
        file["q/s"] = np.zeros(900, np.int16)
    everything = recordings(Hdf5Icu(path, hours_per_patient=None))
    assert [each.record for each in everything[:2]] == ["p/long@0", "p/long@600"]
    assert [each.record for each in everything[9:]] == ["p/long@5400", "p/short", "q/s@0", "q/s@450"]
    long_mv = np.concatenate([each.ecg_mv for each in everything[:10]])
    assert long_mv == pytest.approx(np.arange(6000) / 1000)
    half = recordings(Hdf5Icu(path, hours_per_patient=0.5))
    assert [each.record for each in half] == ["p/long@600", "p/long@3000", "p/long@5400", "q/s@0", "q/s@450"]
    with pytest.raises(ValueError, match="hours_per_patient=0: at least"):
        Hdf5Icu(path, hours_per_patient=0)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_is_written_is_read_again(tmp_path: Path, compression: str | None) -> None:
    original = SyntheticIcu(4, 40.0, seed=1)
    path = tmp_path / "new" / "raw.h5"
    write_raw_icu(original, path, compression)
    source = Hdf5Icu(path)
    assert len(source) == len(original)
    gaps = 0
    for read, wrote in zip(recordings(source), original, strict=True):
        assert (read.patient, read.record) == (wrote.patient, f"{wrote.patient}/{wrote.record}")
        assert (read.rate_hz, read.lead, read.age, read.sex) == (wrote.rate_hz, "II", wrote.age, wrote.sex)
        assert read.ecg_mv == pytest.approx(wrote.ecg_mv, abs=0.00051, nan_ok=True)
        gaps += np.isnan(read.ecg_mv).any()
    assert gaps
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.provenance() == {"format": "hdf5_icu", "files": 1, "checksum": checksum}
    assert [each.name for each in path.parent.iterdir()] == ["raw.h5"]
    one = write_rows(original, tmp_path / "1.h5", lead="II", windows_per_patient=5)
    two = write_rows(source, tmp_path / "2.h5", lead="II", windows_per_patient=5)
    assert two.start_s.tolist() == one.start_s.tolist()
    assert np.abs(two.ecg.astype(int) - one.ecg).max() <= 2


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "raw.h5"

    class Failing(SyntheticIcu):
        def __iter__(self) -> Any:
            yield from list(super().__iter__())[:1]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_raw_icu(Failing(2, 30.0), path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="source synthetic is labelled"):
        write_raw_icu(SyntheticRecords(55), path)
    path.write_text("precious")
    with pytest.raises(ValueError, match=r"raw\.h5 exists; remove it"):
        write_raw_icu(SyntheticIcu(2, 30.0), path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("layout", ["groups", "table"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "big.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(SAID)
        for patient in range(100 if layout == "groups" else 0):
            file[f"p{patient}/s"] = np.zeros(100_000, np.float32)
        if layout == "table":
            file["ecg"] = np.zeros((4000, 2500), np.float32)
            file["patient"] = [f"p{row // 40}" for row in range(4000)]
    assert path.stat().st_size > 40e6
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Recording) for item in Hdf5Icu(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == (100 if layout == "groups" else 4000)
    assert peak < 12e6
