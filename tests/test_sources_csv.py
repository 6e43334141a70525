"""Own data as plain numbers: folders and tables, CSV and NPY, and everything that must be said and is not guessed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_tl.rows import write_rows
from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.csv import PlainFiles
from tests.fabricate import ecg_mv, rhythm_ecg_mv

SAID: dict[str, Any] = {"rate_hz": 250.0, "unit": "mV", "lead": "II"}


def signal_mv(seed: int = 0, seconds: float = 12.0) -> np.ndarray:
    return ecg_mv(np.random.default_rng(seed), seconds, 250.0)


def rows_mv(count: int, seconds: float = 12.0) -> np.ndarray:
    return np.stack([signal_mv(seed, seconds) for seed in range(count)])


def write_csv(path: Path, values: np.ndarray, header: str = "", separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, values, fmt="%.4f", delimiter=separator, header=header, comments="")
    return path


def plain(path: Path, **said: Any) -> PlainFiles:
    return PlainFiles(path, **(SAID | said))


def read(source: PlainFiles) -> dict[str, Recording]:
    items = list(source)
    assert len(items) == len(source)
    return {item.record: item for item in items if isinstance(item, Recording)}


def left_out(source: PlainFiles) -> dict[str, str]:
    items = list(source)
    assert len(items) == len(source)
    return {item.record: item.reason for item in items if isinstance(item, Exclusion)}


@pytest.mark.parametrize("key", ["rate_hz", "unit", "lead"])
def test_what_the_files_cannot_say_has_to_be_said(tmp_path: Path, key: str) -> None:
    write_csv(tmp_path / "a.csv", signal_mv())
    with pytest.raises(ValueError, match=rf"source\.{key}: say .*{tmp_path} does not"):
        plain(tmp_path, **{key: None})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rate_hz": -1}, r"source\.rate_hz: say how many samples a second"),
        ({"unit": "furlong"}, r"source\.unit: say mV, uV or V; .* furlong"),
        ({"column": 0}, r"source\.column=0: columns count from 1"),
        ({"labels": Path("a.csv"), "patients": Path("a.csv")}, r"source\.patients=a\.csv: .* leave one out"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    write_csv(tmp_path / "a.csv", signal_mv())
    with pytest.raises(ValueError, match=message):
        plain(tmp_path, **said)


def test_a_folder_has_a_recording_a_file(tmp_path: Path) -> None:
    three = np.stack([signal_mv(1), signal_mv(2), signal_mv(3)], axis=1)
    write_csv(tmp_path / "bare.csv", signal_mv(0))
    write_csv(tmp_path / "headed.csv", signal_mv(1), header="mV")
    write_csv(tmp_path / "leads.csv", three, header='"I";"ii";"III"', separator=";")
    write_csv(tmp_path / "tabs.csv", three, header="x\tII\ty", separator="\t")
    np.save(tmp_path / "numpy.npy", signal_mv(4).astype(np.float64))
    (tmp_path / "README.txt").write_text("not data")
    found = read(plain(tmp_path))
    assert list(found) == ["bare", "headed", "leads", "numpy", "tabs"]
    for name, seed in {"bare": 0, "headed": 1, "leads": 2, "tabs": 2, "numpy": 4}.items():
        assert found[name].ecg_mv == pytest.approx(signal_mv(seed), abs=1e-4)
        assert found[name].ecg_mv.dtype == np.float32
        assert (found[name].patient, found[name].rate_hz, found[name].lead) == (name, 250.0, "II")


def test_a_column_is_chosen_by_number_where_no_header_names_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", np.stack([signal_mv(1), signal_mv(2)], axis=1))
    np.save(tmp_path / "b.npy", np.stack([signal_mv(1), signal_mv(2)], axis=1))
    with pytest.raises(ValueError, match=r"source\.column: say which of 2 is lead II; .*a\.csv"):
        plain(tmp_path)
    found = read(plain(tmp_path, column=2))
    assert found["a"].ecg_mv == pytest.approx(signal_mv(2), abs=1e-4)
    assert found["b"].ecg_mv == pytest.approx(signal_mv(2))
    assert left_out(plain(tmp_path, column=3)) == {"a": "no column 3", "b": "no column 3"}


def test_what_cannot_be_read_is_listed(tmp_path: Path) -> None:
    write_csv(tmp_path / "good.csv", signal_mv())
    (tmp_path / "word.csv").write_text("0.1\n0.2\noops\n0.3\n")
    (tmp_path / "comma.csv").write_text("a;II\n0,1;0,2\n0,3;0,4\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "ragged.csv").write_text("1\n2,3,4\n")
    (tmp_path / "comma2.csv").write_text("II\n0,1\n0,3\n")
    (tmp_path / "binary.csv").write_bytes(b"\x89PNG\xff\xfe\n\x00")
    (tmp_path / "text.npy").write_text("text")
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    write_csv(tmp_path / "other.csv", np.ones((9, 2)), header="V1,V2")
    out = dict.fromkeys(["binary", "comma", "comma2", "empty", "ragged", "text", "word", "words"], "unreadable")
    assert left_out(plain(tmp_path)) == out | {"other": "no lead II"}


def test_an_empty_cell_is_a_missing_sample(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n\n3\nnan\n")
    recording = read(plain(tmp_path))["a"]
    assert recording.ecg_mv == pytest.approx([1, np.nan, 3, np.nan], nan_ok=True)


@pytest.mark.parametrize(("unit", "per_mv"), [("mV", 1.0), ("uV", 1000.0), ("V", 0.001), ("UV", 1000.0)])
def test_units_become_millivolts(tmp_path: Path, unit: str, per_mv: float) -> None:
    np.save(tmp_path / "a.npy", signal_mv() * per_mv)
    assert read(plain(tmp_path, unit=unit))["a"].ecg_mv == pytest.approx(signal_mv(), abs=1e-5)


def test_a_unit_that_gives_amplitudes_of_no_ecg_is_doubted(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.round(850 * signal_mv() / np.ptp(signal_mv(0)[250:-250]), 3))
    with pytest.raises(ValueError, match=r"unit\? median peak-to-peak is 850 mV.* source\.unit .*trust_unit=true"):
        plain(tmp_path)
    assert np.ptp(read(plain(tmp_path, trust_unit=True))["a"].ecg_mv) > 800
    assert np.ptp(read(plain(tmp_path, unit="uV"))["a"].ecg_mv) < 1.1
    with pytest.raises(ValueError, match="unit"):
        plain(tmp_path, unit="nV")


def test_a_few_recordings_that_are_dead_or_wild_raise_no_doubt(tmp_path: Path) -> None:
    rows = rows_mv(5)
    rows[0], rows[1, 1500] = 0, 9999
    np.save(tmp_path / "a.npy", rows)
    assert len(read(plain(tmp_path / "a.npy"))) == 5


def test_a_table_has_a_recording_a_row(tmp_path: Path) -> None:
    rows = rows_mv(3)
    bare = write_csv(tmp_path / "bare.csv", rows)
    np.save(tmp_path / "numpy.npy", rows)
    named = tmp_path / "named.csv"
    header = ",".join(["Record", *(f"s{index}" for index in range(3000))])
    body = [f" r{n} ," + ",".join(f"{value:.4f}" for value in row) for n, row in enumerate(rows)]
    named.write_text("\n".join([header, *body]) + "\n")
    for path, names in ((bare, "012"), (tmp_path / "numpy.npy", "012"), (named, ["r0", "r1", "r2"])):
        found = read(plain(path))
        assert list(found) == list(names)
        for row, recording in zip(rows, found.values(), strict=True):
            assert recording.ecg_mv == pytest.approx(row, abs=1e-4)


def test_rows_with_text_are_listed_across_blocks(tmp_path: Path) -> None:
    lines = ["0.5,1.5,0.25"] * 2500
    lines[3], lines[2001], lines[2002] = "0.5,oops,1", "x,y,z", "0.5,,1"
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    source = plain(tmp_path / "a.csv")
    assert left_out(source) == {"3": "unreadable", "2001": "unreadable"}
    assert np.isnan(read(source)["2002"].ecg_mv).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv: no table of numbers"),
        ("a.csv", "1,2\n1,2,3\n", r"a\.csv: no table of numbers"),
        ("a.csv", "a,b\n1,2,3\n", r"a\.csv: no table of numbers, .* \(rows have more cells than the header\)"),
        ("a.npy", "text", r"a\.npy: no table of numbers"),
        ("a.csv", "record,s\nx,1\nx,2\n", r"a\.csv: 1 rows have a record's name again"),
        ("a.mat", "1", r"a\.mat: neither a folder nor \.csv nor \.npy"),
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        plain(tmp_path / name)


def test_one_recording_is_no_table(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", signal_mv())
    with pytest.raises(ValueError, match=r"a\.npy: float32 \(3000,\) is no table"):
        plain(tmp_path / "a.npy")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no recording"):
        plain(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder or file"):
        plain(tmp_path / "nowhere")
    np.save(tmp_path / "a.npy", signal_mv())
    with pytest.raises(FileNotFoundError, match=r"mine\.csv: no such table"):
        plain(tmp_path, labels=Path("mine.csv"))
    write_csv(tmp_path / "a.csv", signal_mv())
    with pytest.raises(ValueError, match=r"a\.npy: the recording a is there twice"):
        plain(tmp_path)


def test_a_labelled_folder_becomes_a_store(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    for number in range(6):
        random = np.random.default_rng(number)
        write_csv(folder / f"R{number}.csv", rhythm_ecg_mv(random, number % 2, 12.0, 250.0))
    table = folder / "labels.csv"
    table.write_text(
        "record,rhythm,patient,age,sex\nR0,SR,p,50,M\nR1,SB,q,,\nR2,SR,p,50,M\nR3,,,,\nR4,SR,,,\nR9,VT,,,\n"
    )
    source = plain(folder, labels=Path("labels.csv"))
    assert source.rhythms == ("SB", "SR")
    assert left_out(source) == {"R3": "no label", "R5": "no label", "R9": "no file"}
    store = write_rows(source, tmp_path / "out.h5", lead="II", window_s=10.0)
    assert store.record.tolist() == ["R0", "R2", "R1", "R4"]
    assert store.patient.tolist() == ["p", "p", "q", "R4"]
    assert store.rhythm is not None
    assert store.rhythm.tolist() == [1, 1, 0, 1]
    assert (store.age[0], store.sex.tolist(), store.ecg.shape) == (50, [1, 1, 0, 0], (4, 2500))
    names = sorted(path.name for path in folder.iterdir())
    listing = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    expected = {"format": "csv", "files": 7, "checksum": hashlib.sha256(listing.encode()).hexdigest(), "said": SAID}
    assert source.provenance() == expected
    table.write_text("record,rhythm\nX,SR\n")
    with pytest.raises(ValueError, match=r"labels\.csv: labels none of the 6 recordings"):
        plain(folder, labels=table)


def test_an_unlabelled_table_becomes_a_store(tmp_path: Path) -> None:
    np.save(tmp_path / "icu.npy", rows_mv(6, seconds=20.0))
    (tmp_path / "people.csv").write_text("record,patient,age,sex\n0,p,70,F\n1,q,,\n2,p,70,F\n")
    source = plain(tmp_path / "icu.npy", patients=Path("people.csv"))
    store = write_rows(source, tmp_path / "all.h5", lead="II", windows_per_patient=None)
    assert store.record.tolist() == [record for record in "021345" for _ in range(2)]
    assert store.patient.tolist()[:6] == ["p"] * 4 + ["q"] * 2
    assert (store.rhythm, store.age[0], store.sex[0]) == (None, 70, 2)
    drawn = write_rows(source, tmp_path / "drawn.h5", lead="II", windows_per_patient=3)
    assert len(drawn) == 5 * 3
