"""Arrays in, arrays out: resample, take out the baseline, judge, normalise and crop an ECG."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.signal import butter, resample_poly, sosfiltfilt

RATE_HZ = 250.0
WINDOW = 2048
"""Samples in a window at RATE_HZ: 8.192 s."""

MAX_MV = 32.767
"""The largest amplitude that int16 holds at 1 uV a unit."""

FILTER: dict[str, Any] = {
    "resample": "polyphase",
    "rate_hz": RATE_HZ,
    "baseline": "butterworth high-pass, zero phase",
    "order": 2,
    "cutoff_hz": 0.5,
}
"""What `condition` does, as JSON."""

MIN_SWING_MV = 0.05
FLAT_RUN_S = 1.0
SATURATED_RUN_S = 0.1


def resample(ecg_mv: np.ndarray, rate_hz: float, to_hz: float = RATE_HZ) -> np.ndarray:
    """Change the sampling rate with an anti-aliasing polyphase filter.

    ecg_mv: (..., T) millivolts, finite. Returns (..., ceil(T * to_hz / rate_hz)) float32, the values as they
    are if the rates agree. ValueError for a rate that is not positive.
    """
    ratio = resampling_ratio(rate_hz, to_hz)
    if ratio == 1:
        return np.asarray(ecg_mv, dtype=np.float32)
    samples_mv = np.asarray(ecg_mv, dtype=np.float64)
    resampled = resample_poly(samples_mv, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
    return resampled.astype(np.float32)


@lru_cache
def resampling_ratio(rate_hz: float, to_hz: float = RATE_HZ) -> Fraction:
    """Give the samples that `resample` makes of one: to_hz / rate_hz, or a fraction within 0.005 % of it.

    A place in the resampled signal divided by this is the place in the raw one, however far from the start.
    ValueError for a rate that is not positive.
    """
    for name, value_hz in (("rate_hz", rate_hz), ("to_hz", to_hz)):
        if not (np.isfinite(value_hz) and value_hz > 0):
            raise ValueError(f"{name}={value_hz:g} is no sampling rate; give a positive number of samples a second")
    return Fraction(to_hz / rate_hz).limit_denominator(10_000)


def remove_baseline(ecg_mv: np.ndarray, rate_hz: float, cutoff_hz: float = 0.5) -> np.ndarray:
    """Take out baseline wander with a zero-phase Butterworth high-pass (paper, section II.2).

    ecg_mv: (..., T) millivolts, finite. Returns the same shape, float32. ValueError if T is not longer than
    one period of the cut-off, which each end is extended by. The extension is even: on ten-second cuts of
    MIT-BIH it leaves a third of the error against the filtered whole that scipy's usual odd one leaves.
    """
    period = round(rate_hz / cutoff_hz)
    samples = ecg_mv.shape[-1]
    if samples <= period:
        raise ValueError(
            f"{samples / rate_hz:.3g} s of signal is too short for a {cutoff_hz:g} Hz high-pass, "
            f"which needs more than {period / rate_hz:.3g} s; leave the recording out"
        )
    sections = butter(FILTER["order"], cutoff_hz, "highpass", fs=rate_hz, output="sos")
    filtered = sosfiltfilt(sections, ecg_mv.astype(np.float64), padtype="even", padlen=period)
    return filtered.astype(np.float32)


def condition(ecg_mv: np.ndarray, rate_hz: float) -> np.ndarray:
    """Bring a raw recording to RATE_HZ without baseline, as `FILTER` says.

    ecg_mv: (T,) millivolts. Gaps (NaN, infinite) are bridged by straight lines so that they do not spread: it
    is for `screen` on the raw signal to refuse what touches them. Returns (ceil(T * 250 / rate_hz),) float32.
    ValueError as `resample` and `remove_baseline`.
    """
    finite = np.isfinite(ecg_mv)
    if not finite.all():
        times = np.arange(ecg_mv.size)
        known = (times[finite], ecg_mv[finite]) if finite.any() else (times[:1], np.zeros(1))
        ecg_mv = np.interp(times, *known)
    return remove_baseline(resample(ecg_mv, rate_hz), RATE_HZ, FILTER["cutoff_hz"])


def screen(ecg_mv: np.ndarray, rate_hz: float) -> str | None:
    """Say why a raw stretch is unfit, or None if it is fit.

    ecg_mv: (T,) millivolts, T > 0. "nan": a sample missing or infinite. "flat": swings by less than 0.05 mV,
    or stands still for 1 s. "saturated": stays at its own highest or lowest value for 0.1 s while that value
    is far from the middle of the signal, or swings beyond what the store holds.
    """
    if not np.isfinite(ecg_mv).all():
        return "nan"
    low_mv, high_mv = float(ecg_mv.min()), float(ecg_mv.max())
    swing_mv = high_mv - low_mv
    starts, lengths = _runs(ecg_mv)
    if swing_mv < MIN_SWING_MV or lengths.max() >= FLAT_RUN_S * rate_hz:
        return "flat"
    held_mv = ecg_mv[starts[lengths >= SATURATED_RUN_S * rate_hz]]
    if not held_mv.size and swing_mv <= MAX_MV:
        return None  # nearly every stretch, and the median is most of the work
    middle_mv = float(np.median(ecg_mv))
    for extreme_mv in (low_mv, high_mv):
        # A coarse converter holds a quiet baseline at its lowest value: only a far extreme is a rail.
        if abs(extreme_mv - middle_mv) > swing_mv / 4 and (held_mv == extreme_mv).any():
            return "saturated"
    return "saturated" if max(high_mv - middle_mv, middle_mv - low_mv) > MAX_MV else None


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs of identical values: where each begins, and how many samples it lasts."""
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    return starts, np.diff(starts, append=values.size)


def normalise(ecg: np.ndarray) -> np.ndarray:
    """Give every window zero mean and unit variance (population) along the last axis.

    ecg: (..., L), any unit, finite. Returns the same shape, float32; a window without variance becomes zeros.
    """
    centred = ecg.astype(np.float32)
    mean = centred.mean(axis=-1, keepdims=True, dtype=np.float64)
    centred -= mean.astype(np.float32)
    deviation = np.sqrt(np.vecdot(centred, centred)[..., None] / ecg.shape[-1])
    constant = deviation <= np.finfo(np.float32).eps * np.abs(mean)
    centred *= np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(np.float32)
    return centred


def centre_window(ecg: np.ndarray, length: int) -> np.ndarray:
    """Cut the middle `length` samples out of the last axis.

    ecg: (..., L). Returns (..., length), a view. ValueError if L < length.
    """
    if ecg.shape[-1] < length:
        raise ValueError(
            f"{ecg.shape[-1]} samples are shorter than a window of {length}; lower the window or leave it out"
        )
    start = (ecg.shape[-1] - length) // 2
    return ecg[..., start : start + length]
