"""From raw recordings to a store: what a row holds, what is left out, and that nothing is left half done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_tl.rows import summarise, write_rows
from ecg_tl.sources import Exclusion, Recording
from ecg_tl.sources.wfdb import WfdbIcu, WfdbRecords
from ecg_tl.store import Store, verify_content
from ecg_tl.waveform import FILTER, WINDOW, condition
from tests.fabricate import ecg_mv, wfdb_icu, wfdb_records


class Listed:
    """A source of what it is given."""

    format = "listed"

    def __init__(self, *items: Recording | Exclusion | type[BaseException], rhythms: tuple[str, ...] = ()) -> None:
        self.items = items
        self.rhythms = rhythms

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        for item in self.items:
            if isinstance(item, type):
                raise item
            yield item

    def provenance(self) -> dict[str, Any]:
        return {"format": self.format, "files": 0, "checksum": ""}


def recording(record: str, patient: str = "p", seconds: float = 60.0, rate_hz: float = 250.0, **more: Any) -> Recording:
    random = np.random.default_rng(list(record.encode()))
    return Recording(ecg_mv(random, seconds, rate_hz), rate_hz, "II", patient, record, **more)


def labelled(record: str, rhythm: str = "SR", seconds: float = 12.0, **more: Any) -> Recording:
    return recording(record, record, seconds, rhythm=rhythm, **more)


def prepared(source: Any, out: Path, **changes: Any) -> Store:
    options = {"lead": "II", "window_s": 10.0, "windows_per_patient": None, "seed": 0, "show_progress": False}
    return write_rows(source, out, **(options | changes))


def windows(store: Store) -> list[tuple[str, float]]:
    return list(zip(store.record.tolist(), store.start_s.tolist(), strict=True))


def test_a_row_and_its_raw_stretch_agree_at_a_rate_that_is_only_nearly_met(tmp_path: Path) -> None:
    item = recording("a", seconds=2000.0, rate_hz=249.99)
    item.ecg_mv[100 * WINDOW : 101 * WINDOW] = np.nan
    store = prepared(Listed(item), tmp_path / "out.h5")
    assert store.excluded == [("a", "nan")]
    assert store.start_s[100] == pytest.approx(101 * WINDOW / 249.99)


def test_a_labelled_row_is_the_middle_of_the_filtered_recording(tmp_path: Path) -> None:
    item = recording("a", seconds=30.0, rate_hz=300.0, rhythm="SB", age=61.0, sex="female")
    store = prepared(Listed(item, rhythms=("SR", "SB")), tmp_path / "out.h5")
    whole_mv = condition(item.ecg_mv, 300.0)
    assert windows(store) == [("a", 10.0)]
    assert store.ecg_mv(0) == pytest.approx(whole_mv[2500:5000], abs=0.00051)
    assert (store.rhythms, store.lead, store.filter) == (("SR", "SB"), "II", FILTER)
    assert store.rhythm is not None
    assert (store.rhythm[0], store.age[0], store.sex[0], store.patient[0]) == (1, 61, 2, "p")


def test_a_folder_becomes_a_store(tmp_path: Path) -> None:
    source = WfdbRecords(wfdb_records(tmp_path / "raw", records=6))
    store = prepared(source, tmp_path / "new" / "out.h5")
    verify_content(store)
    assert store.ecg.shape == (6, 2500)
    assert store.rhythms == ("SB", "SR")
    assert store.rhythm is not None
    assert store.rhythm.tolist() == [1, 0] * 3
    assert store.source.items() >= source.provenance().items()
    assert np.ptp(store.ecg_mv(0)) == pytest.approx(1.1, abs=0.2)
    assert [path.name for path in store.path.parent.iterdir()] == ["out.h5"]


def test_consecutive_windows_do_not_overlap_and_the_rest_is_dropped(tmp_path: Path) -> None:
    source = WfdbIcu(wfdb_icu(tmp_path / "raw", records=2, seconds=20.0, rate_hz=125.0))
    store = prepared(source, tmp_path / "out.h5")
    assert windows(store) == [("L000", 0.0), ("L000", 8.192), ("L001", 0.0), ("L001", 8.192)]
    first = next(iter(source))
    assert isinstance(first, Recording)
    whole_mv = condition(first.ecg_mv, 125.0)
    assert store.ecg_mv([0, 1]).ravel() == pytest.approx(whole_mv[: 2 * WINDOW], abs=0.00051)
    assert (store.labelled, store.excluded) == (False, [])


def test_a_draw_depends_on_seed_and_patient_alone(tmp_path: Path) -> None:
    a, b, c = (recording(name, patient=name.upper()) for name in "abc")
    draw = {"windows_per_patient": 5}
    all_three = windows(prepared(Listed(a, b, c), tmp_path / "1.h5", **draw))
    assert Counter(record for record, _ in all_three) == {"a": 5, "b": 5, "c": 5}
    other_order = windows(prepared(Listed(c, a), tmp_path / "2.h5", **draw))
    assert other_order == all_three[10:] + all_three[:5]
    other_seed = windows(prepared(Listed(a), tmp_path / "3.h5", **draw, seed=1))
    assert not set(other_seed) & set(all_three)
    assert len({start_s for _, start_s in all_three}) > 10


def test_draws_cover_all_of_a_patients_time_evenly(tmp_path: Path) -> None:
    long, short = recording("long", seconds=60.0), recording("short", seconds=8.192 + 12.952)
    store = prepared(Listed(long, short), tmp_path / "out.h5", windows_per_patient=400)
    share = np.mean(store.record == "long")
    assert share == pytest.approx(0.8, abs=0.06)
    starts_s = store.start_s[store.record == "long"]
    assert starts_s.max() <= 60 - 8.192
    assert np.histogram(starts_s, 4, (0, 60 - 8.192))[0].min() > 50
    raw_mv = condition(long.ecg_mv, 250.0)
    row = int(np.flatnonzero(store.record == "long")[3])
    start = round(store.start_s[row] * 250)
    assert store.ecg_mv(row) == pytest.approx(raw_mv[start : start + WINDOW], abs=0.00051)


def test_a_recording_of_one_window_has_one_start(tmp_path: Path) -> None:
    exact = [recording(name, seconds=8.192) for name in "abc"]
    store = prepared(Listed(*exact), tmp_path / "out.h5", windows_per_patient=30)
    assert set(windows(store)) == {("a", 0.0), ("b", 0.0), ("c", 0.0)}


def test_unfit_draws_are_listed_and_drawn_again(tmp_path: Path) -> None:
    item = recording("a", seconds=100.0)
    item.ecg_mv[: 250 * 60] = np.nan
    store = prepared(Listed(item), tmp_path / "out.h5", windows_per_patient=8)
    assert len(store) == 8
    assert store.start_s.min() >= 60
    assert set(store.excluded) == {("a", "nan")}


def test_a_patient_with_nothing_fit_is_given_up(tmp_path: Path) -> None:
    dead = recording("dead", patient="q")
    dead.ecg_mv[:] = 0
    store = prepared(Listed(dead, recording("a")), tmp_path / "out.h5", windows_per_patient=3)
    assert set(store.record) == {"a"}
    assert Counter(store.excluded) == {("dead", "flat"): 30, ("dead", "too few fit windows"): 1}


def spoilt(name: str) -> Recording:
    item = labelled(name, rhythm="SB")
    signal_mv = item.ecg_mv
    middle = signal_mv.size // 2
    match name:
        case "nan":
            signal_mv[middle] = np.nan
        case "flat":
            signal_mv[middle : middle + 250] = 0.1
        case "drift":
            signal_mv[:] = np.linspace(0, 3, signal_mv.size) + np.random.default_rng(0).normal(0, 1e-3, signal_mv.size)
        case "saturated":
            signal_mv[middle : middle + 50] = 5.0
        case "short":
            return replace(item, ecg_mv=signal_mv[:2499])
        case "edge":
            signal_mv[:200] = np.nan
    return item


def test_unfit_rows_are_left_out_each_with_its_reason(tmp_path: Path) -> None:
    names = ("nan", "flat", "drift", "saturated", "short", "edge")
    source = Listed(*map(spoilt, names), Exclusion("lost", "no file"), labelled("good"), rhythms=("SR", "SB"))
    store = prepared(source, tmp_path / "out.h5")
    assert store.record.tolist() == ["edge", "good"]
    assert store.excluded == [
        ("nan", "nan"),
        ("flat", "flat"),
        ("drift", "flat"),
        ("saturated", "saturated"),
        ("short", "too short"),
        ("lost", "no file"),
    ]
    lines = summarise(store).splitlines()
    assert lines[0] == "2 rows of 10 s from 2 patients, lead II"
    assert lines[1] == "rhythms: SR 1, SB 1"
    assert lines[2:4] == ["left out: 6", "  flat 2 (SB 2): flat, drift"]
    assert "  no file 1: lost" in lines
    assert lines[-1] == f"written to {store.path}"


def excluded(reason: str, **per_rhythm: int) -> list[Exclusion]:
    names = [(rhythm, f"{reason} {rhythm} {number}") for rhythm, count in per_rhythm.items() for number in range(count)]
    return [Exclusion(name, reason, rhythm) for rhythm, name in names]


def test_of_many_records_left_out_for_one_reason_some_are_named(tmp_path: Path) -> None:
    lost = [Exclusion(f"r{number}", "no file") for number in (1, 1, 2, 3, 4, 5)]
    store = prepared(Listed(*lost, labelled("good"), rhythms=("SR", "SB")), tmp_path / "out.h5")
    assert "  no file 6: r1, r2, r3 and 2 more" in summarise(store).splitlines()


def warnings(store: Store) -> list[str]:
    return [line for line in summarise(store).splitlines() if line.startswith("WARNING:")]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (excluded("no file", SR=1), []),
        (excluded("no file", SR=2), ["SR loses 2 of 21 recordings (9.5 %)"]),
        (excluded("nan", SR=1) + excluded("no file", SR=1), ["SR loses 2 of 21 recordings (9.5 %)"]),
        (excluded("nan", SB=4), ["SB loses 4 of 4 recordings (100.0 %)"]),
        (excluded("nan", SB=5), ["SB loses 5 of 5", "5 of 5 left out as 'nan' are SB: let in"]),
        (
            excluded("nan", SB=9, SR=1) + excluded("short", SB=8, SR=1),
            ["SR loses 2", "SB loses 17 of 17", "9 of 10 left out as 'nan' are SB: let in"],
        ),
        (excluded("nan", SR=20), ["SR loses 20 of 39"]),
        ([Exclusion(str(number), "nan") for number in range(20)], []),
    ],
)
def test_what_is_left_out_of_one_rhythm_is_warned_of(
    tmp_path: Path, items: list[Exclusion], expected: list[str]
) -> None:
    sound = [labelled(f"sound {number}", seconds=2.5) for number in range(19)]
    store = prepared(Listed(*sound, *items, rhythms=("SR", "SB")), tmp_path / "out.h5", window_s=2.0)
    found = warnings(store)
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(f"WARNING: {start}")


@pytest.mark.parametrize("seconds", [0.004, 1.0, 2.0, 2.1])
def test_a_recording_shorter_than_the_filter_is_too_short(tmp_path: Path, seconds: float) -> None:
    source = Listed(labelled("a", seconds=seconds), labelled("b"), rhythms=("SR",))
    store = prepared(source, tmp_path / "out.h5", window_s=2.0)
    assert [record for record, _ in store.excluded] == (["a"] if seconds <= 2 else [])
    assert store.length == 500


def test_the_summary_is_printed_if_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared(Listed(recording("a")), tmp_path / "quiet.h5")
    assert capsys.readouterr() == ("", "")
    store = prepared(Listed(recording("a")), tmp_path / "loud.h5", show_progress=True)
    assert capsys.readouterr() == (summarise(store) + "\n", "")


@pytest.mark.parametrize(
    ("items", "changes", "error", "message"),
    [
        ((recording("a"), KeyboardInterrupt), {}, KeyboardInterrupt, ""),
        ((recording("a"), OSError), {}, OSError, ""),
        ((recording("a"),), {"lead": "V1"}, ValueError, "a: lead II, and lead=V1 was asked for; set lead=II"),
        ((recording("a", seconds=8.0),), {}, ValueError, "no row to store; left out: 1 too short"),
        ((recording("a"),), {"windows_per_patient": 0}, ValueError, "windows_per_patient=0"),
    ],
)
def test_a_failure_leaves_nothing_behind(
    tmp_path: Path, items: tuple[Any, ...], changes: dict[str, Any], error: type[BaseException], message: str
) -> None:
    with pytest.raises(error, match=message or None):
        prepared(Listed(*items), tmp_path / "out.h5", **changes)
    assert list(tmp_path.iterdir()) == []


def test_no_length_of_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="window_s=0 is no length of time"):
        prepared(Listed(labelled("a"), rhythms=("SR",)), tmp_path / "out.h5", window_s=0.0)


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_text("precious")
    with pytest.raises(ValueError, match=r"out=.*out\.h5 exists; remove it or choose another out"):
        prepared(Listed(recording("a")), out)
    assert out.read_text() == "precious"
