"""Filters against sines whose fate is known, the screen against signals broken on purpose."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ecg_tl.waveform import (
    FILTER,
    RATE_HZ,
    WINDOW,
    centre_window,
    condition,
    normalise,
    remove_baseline,
    resample,
    resampling_ratio,
    screen,
)


def tone(frequency_hz: float, rate_hz: float, seconds: float = 20.0, phase: float = 0.3) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz + phase)


def inner(values: np.ndarray, seconds: float = 2.0) -> np.ndarray:
    margin = round(seconds * RATE_HZ)
    return values[margin:-margin]


def beats(rate_hz: float = 250.0, seconds: float = 10.0) -> np.ndarray:
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).normal(0, 0.01, times_s.size)
    return np.exp(-(((times_s % 0.8 - 0.4) / 0.02) ** 2)) + noise


@pytest.mark.parametrize("rate_hz", [125.0, 128.0, 257.0, 300.0, 360.0, 500.0, 1000.0])
def test_a_5_hz_sine_keeps_amplitude_and_phase(rate_hz: float) -> None:
    conditioned = condition(tone(5, rate_hz), rate_hz)
    assert conditioned.dtype == np.float32
    assert conditioned.size == np.ceil(20 * RATE_HZ)
    assert inner(conditioned) == pytest.approx(inner(tone(5, RATE_HZ)), abs=0.005)


def test_what_250_hz_can_hold_stays_and_what_it_cannot_is_not_folded_back() -> None:
    assert inner(resample(tone(100, 500), 500)) == pytest.approx(inner(tone(100, RATE_HZ)), abs=0.01)
    near_nyquist = inner(resample(tone(120, 500), 500))
    spectrum = np.abs(np.fft.rfft(near_nyquist))
    assert np.fft.rfftfreq(near_nyquist.size, 1 / RATE_HZ)[spectrum.argmax()] == pytest.approx(120, abs=0.1)
    assert near_nyquist.std() * np.sqrt(2) > 0.6
    assert np.abs(inner(resample(tone(200, 500), 500))).max() < 0.002


def test_the_same_rate_gives_the_same_values() -> None:
    ecg_mv = beats().astype(np.float32)
    assert np.array_equal(resample(ecg_mv, RATE_HZ), ecg_mv)


@pytest.mark.parametrize("rate_hz", [125.0, 360.0, 500.0])
def test_an_offset_makes_no_edge(rate_hz: float) -> None:
    assert resample(np.full(1000, 3.0), rate_hz) == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("rate_hz", [249.89, 249.99, 128.0, 1000.3])
def test_an_odd_rate_is_met_closely_and_its_error_is_known(rate_hz: float) -> None:
    ratio = float(resampling_ratio(rate_hz))
    assert ratio == pytest.approx(250 / rate_hz, rel=5e-5)
    assert resample(tone(1, rate_hz), rate_hz).size == pytest.approx(tone(1, rate_hz).size * ratio, abs=1)


@pytest.mark.parametrize("rate_hz", [0.0, -250.0, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(rate_hz: float) -> None:
    with pytest.raises(ValueError, match="no sampling rate"):
        resample(beats(), rate_hz)
    with pytest.raises(ValueError, match="to_hz"):
        resample(beats(), 250.0, to_hz=rate_hz)


def test_drift_and_offset_go() -> None:
    assert np.abs(inner(remove_baseline(tone(0.05, 250, 60), 250))).max() < 0.005
    assert np.abs(remove_baseline(np.full(2500, 3.0), 250)).max() < 1e-5
    assert remove_baseline(beats() + 7, 250) == pytest.approx(remove_baseline(beats(), 250), abs=1e-5)


@pytest.mark.parametrize("cutoff_hz", [0.5, 1.0])
def test_forward_and_backward_pass_halve_the_amplitude_at_the_cutoff(cutoff_hz: float) -> None:
    filtered = remove_baseline(tone(cutoff_hz, 250, 60), 250, cutoff_hz)
    assert np.abs(inner(filtered, 10)).max() == pytest.approx(0.5, abs=0.01)


def test_a_ten_second_cut_is_filtered_much_as_the_whole() -> None:
    ecg_mv = beats(seconds=60) + 0.3 * tone(0.1, 250, 60)
    whole, cut = remove_baseline(ecg_mv, 250)[5000:7500], remove_baseline(ecg_mv[5000:7500], 250)
    assert np.abs(cut - whole).max() < 0.15
    assert np.abs(cut - whole)[250:-250].max() < 0.01


def test_rows_are_filtered_alone() -> None:
    pair = np.stack([beats(), tone(3, 250, 10)])
    assert np.array_equal(remove_baseline(pair, 250)[1], remove_baseline(pair[1], 250))


def test_the_filter_refuses_two_seconds() -> None:
    with pytest.raises(ValueError, match=r"2 s of signal is too short for a 0\.5 Hz high-pass"):
        remove_baseline(np.zeros(500), 250)


def test_a_gap_is_bridged_and_does_not_spread() -> None:
    ecg_mv = beats(360, 20)
    clean, gapped = condition(ecg_mv, 360), ecg_mv.copy()
    gapped[3600:3690], gapped[3700] = np.nan, np.inf
    bridged = condition(gapped, 360)
    assert np.isfinite(bridged).all()
    assert np.abs(bridged - clean)[: 8 * 250].max() < 0.02
    assert np.array_equal(condition(np.full(3600, np.nan), 360), np.zeros(2500))


def test_the_filter_is_told_as_json() -> None:
    assert json.loads(json.dumps(FILTER))["cutoff_hz"] == 0.5


def coarse_baseline() -> np.ndarray:
    """A tall beat on a resting line that a coarse converter holds for 0.6 s: fit, though the lowest value."""
    return np.round(np.clip(beats() - 0.05, 0, None), 1)


def clipped() -> np.ndarray:
    return np.clip(beats() + 3 * tone(0.5, 250, 10), -1.5, 1.5)


def with_run(seconds: float) -> np.ndarray:
    ecg_mv = beats()
    ecg_mv[1000 : 1000 + round(seconds * 250)] = 0.2
    return ecg_mv


@pytest.mark.parametrize(
    ("ecg_mv", "reason"),
    [
        (beats(), None),
        (beats() + 300, None),
        (0.1 * beats(), None),
        (coarse_baseline(), None),
        (with_run(0.9), None),
        (with_run(1.0), "flat"),
        (np.zeros(2500), "flat"),
        (np.full(2500, 4.7), "flat"),
        (0.04 * tone(1, 250, 10) / 2, "flat"),
        (clipped(), "saturated"),
        (40 * beats(), "saturated"),
        (np.where(np.arange(2500) == 7, np.nan, beats()), "nan"),
        (np.where(np.arange(2500) == 7, -np.inf, beats()), "nan"),
    ],
)
def test_the_screen_names_what_is_wrong(ecg_mv: np.ndarray, reason: str | None) -> None:
    assert screen(ecg_mv, 250) == reason


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_windows_are_normalised_one_by_one(dtype: type) -> None:
    windows = (1000 * np.random.default_rng(0).normal([[0.0], [5.0]], [[1.0], [0.2]], (2, WINDOW))).astype(dtype)
    normalised = normalise(windows)
    assert normalised.dtype == np.float32
    assert normalised.mean(axis=-1) == pytest.approx(np.zeros(2), abs=1e-5)
    assert normalised.std(axis=-1) == pytest.approx(np.ones(2), abs=1e-5)
    assert np.corrcoef(normalised[1], windows[1])[0, 1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("value", [0, 1, 0.1, 1e6, -1e-6])
def test_a_window_without_variance_becomes_zeros(value: float) -> None:
    windows = np.stack([np.full(WINDOW, value, np.float32), tone(5, 250, WINDOW / 250).astype(np.float32)])
    normalised = normalise(windows)
    assert not normalised[0].any()
    assert normalised[1].std() == pytest.approx(1, abs=1e-5)


def test_rounding_is_no_variance() -> None:
    values = np.random.default_rng(0).normal(size=(50, 1))
    assert not normalise(np.repeat(values, 2047, axis=1)).any()
    last_bit = np.tile(np.array([1, np.nextafter(np.float32(1), np.float32(2))], np.float32), 1024)
    assert not normalise(last_bit).any()


def test_the_middle_is_cut_out() -> None:
    assert centre_window(np.arange(12).reshape(2, 6), 2).tolist() == [[2, 3], [8, 9]]
    assert centre_window(np.arange(5), 5).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5 samples are shorter than a window of 6"):
        centre_window(np.arange(5), 6)
