from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg_tl.rows import write_rows
from ecg_tl.sliding import windows
from ecg_tl.sources import Signal
from ecg_tl.sources.wfdb import WfdbIcu
from ecg_tl.sources.wfdb_signals import open_signal
from ecg_tl.waveform import WINDOW, condition
from tests.fabricate import ecg_mv, write_wfdb


def held(signal_mv: np.ndarray, rate_hz: float, grain: int = 1) -> Signal:
    def read_mv(first: int, last: int) -> np.ndarray:
        assert first % grain == 0
        return signal_mv[first:last]

    return Signal("a", "II", rate_hz, signal_mv.size, read_mv, grain)


@pytest.mark.parametrize(
    ("rate_hz", "step", "grain"), [(360.0, WINDOW, 1), (250.0, 500, 4), (128.0, 1000, 1), (257.0, 3000, 3)]
)
def test_where_stretches_meet_samples_are_those_of_the_whole(rate_hz: float, step: int, grain: int) -> None:
    """Wander and a step in the baseline, which the high-pass remembers for seconds, are in it."""
    raw_mv = ecg_mv(np.random.default_rng(0), 150, rate_hz)
    times_s = np.arange(raw_mv.size) / rate_hz
    raw_mv = (raw_mv + np.sin(0.3 * times_s) + 3.0 * (times_s > 71)).astype(np.float32)
    whole_mv = condition(raw_mv, rate_hz)
    cuts = list(windows(held(raw_mv, rate_hz, grain), step, stretch_s=20))
    assert len(cuts) == (whole_mv.size - WINDOW) // step + 1
    for number, cut in enumerate(cuts):
        expected_mv = whole_mv[number * step : number * step + WINDOW]
        np.testing.assert_allclose(cut.ecg_mv, expected_mv, rtol=0, atol=1e-4)
        inside = slice(25 if number == 0 else 0, -25 if number == len(cuts) - 1 else None)
        np.testing.assert_allclose(cut.ecg_mv[inside], expected_mv[inside], rtol=0, atol=1e-6)
        assert cut.start_s == pytest.approx(number * step / 250, abs=0.01)


def test_windows_are_the_rows_that_prepare_makes(tmp_path: Path) -> None:
    """A recording with a flat and a missing stretch, by way of a file: the same rows, the same ones refused."""
    raw_mv = ecg_mv(np.random.default_rng(1), 120, 360)
    raw_mv[360 * 30 : 360 * 32] = raw_mv[360 * 30]
    raw_mv[360 * 60 : 360 * 61] = np.nan
    header = write_wfdb(tmp_path / "records", "a", {"V": -raw_mv, "II": raw_mv}, 360)
    store = write_rows(WfdbIcu(header.parent), tmp_path / "a.h5", lead="II")
    cuts = list(windows(open_signal(header.with_suffix(""), "ii"), stretch_s=25))
    assert [cut.unfit for cut in cuts if cut.unfit] == [reason for _, reason in store.excluded] == ["flat", "nan"]
    fit = [cut for cut in cuts if not cut.unfit]
    assert [cut.start_s for cut in fit] == store.start_s.tolist()
    np.testing.assert_allclose([cut.ecg_mv for cut in fit], store.ecg_mv(slice(None)), rtol=0, atol=0.00051)


def test_a_recording_shorter_than_a_window_gives_none() -> None:
    assert not list(windows(held(np.zeros(200, np.float32), 250)))
    assert not list(windows(held(np.zeros(2047, np.float32), 250)))
    assert len(list(windows(held(np.zeros(2048, np.float32), 250)))) == 1


def test_a_lead_faster_than_its_record_is_read_at_its_own_rate(tmp_path: Path) -> None:
    """Two samples a frame: samples are asked for, frames are what the file is read by."""
    signal_mv = (np.arange(4000) % 500 / 1000).astype(np.float32)
    units = [np.rint(signal_mv[::2] * 1000).astype(np.int64), np.rint(signal_mv * 1000).astype(np.int64)]
    wfdb.wrsamp(
        "a",
        fs=125,
        units=["mV", "mV"],
        sig_name=["V", "II"],
        e_d_signal=units,
        samps_per_frame=[1, 2],
        fmt=["16", "16"],
        adc_gain=[1000, 1000],
        baseline=[0, 0],
        write_dir=str(tmp_path),
    )
    signal = open_signal(tmp_path / "a", "II")
    assert (signal.rate_hz, signal.samples, signal.grain) == (250, 4000, 2)
    np.testing.assert_allclose(signal.read_mv(1002, 1507), signal_mv[1002:1507], atol=1e-6)


def rewritten(before: str, after: str) -> Callable[[Path], object]:
    return lambda header: header.write_text(header.read_text().replace(before, after))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (rewritten(" II\n", " aVR\n"), r"a: no lead II, only V, aVR; set lead"),
        (rewritten("/mV", "/mmHg"), r"a: unit mmHg of lead II is no voltage"),
        (lambda header: header.write_text("nonsense"), r"a\.hea: cannot be read"),
        (lambda header: header.with_suffix(".dat").write_bytes(b"\0" * 8), r"a: cannot be read from sample 0 to 2500"),
    ],
)
def test_what_cannot_be_read_is_named(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    signal_mv = ecg_mv(np.random.default_rng(0), 10)
    header = write_wfdb(tmp_path, "a", {"V": signal_mv, "II": signal_mv}, 250)
    damage(header)
    with pytest.raises(ValueError, match=message):
        list(windows(open_signal(tmp_path / "a", "II")))
