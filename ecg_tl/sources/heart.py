"""A simulated heart seen from lead II: the shapes one patient keeps, and the waves of its beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import uniform_filter1d


@dataclass(frozen=True)
class Heart:
    """What one patient keeps: wave shapes in lead II, breathing, and how often ectopic beats come.

    qrs, ectopic: (K, 3), columns: seconds after the R peak, mV, width (standard deviation) in s.
    pr_s: P onset to QRS onset. qtc_s: QT at 60 bpm. pac_chance, pvc_chance: per beat.
    """

    qrs: np.ndarray
    ectopic: np.ndarray
    qrs_onset_s: float
    p_mv: float
    p_width_s: float
    pr_s: float
    st_mv: float
    t_mv: float
    qtc_s: float
    age: float
    breath_hz: float
    breath_gain: float
    pac_chance: float = 0.0
    pvc_chance: float = 0.0
    bigeminy: bool = False
    runs_per_min: float = 0.0


@dataclass(frozen=True)
class Beats:
    """Ventricular beats in order of time, each with its P wave, and the atrial waves that never pause.

    r_s, p_s, p_mv: (N,); p_s is the peak of P, NaN where there is none. wide: (N,) bool, ventricular origin.
    atrial_mv: (T,) fibrillation or flutter waves, None without.
    """

    r_s: np.ndarray
    p_s: np.ndarray
    p_mv: np.ndarray
    wide: np.ndarray
    atrial_mv: np.ndarray | None = None
    spiked: bool = False


def between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """Draw from a normal distribution cut off at `low` and `high`."""
    while True:
        value = rng.normal(mean, sd)
        if low <= value <= high:
            return float(value)


def slow_noise(rng: np.random.Generator, samples: int, rate_hz: float, cutoff_hz: float) -> np.ndarray:
    """Draw smooth noise of about unit variance that holds little above `cutoff_hz`; (samples,)."""
    knots = int(samples / rate_hz * 2 * cutoff_hz) + 4
    at = np.arange(samples) * (2 * cutoff_hz / rate_hz)
    return np.asarray(CubicSpline(np.arange(knots), rng.normal(size=knots))(at))


def draw_heart(rng: np.random.Generator, age: float) -> Heart:
    """Draw a patient's heart: axis, voltage, conduction, repolarisation, breathing; no ectopic beats."""
    voltage = float(np.clip(rng.lognormal(0.0, 0.3), 0.45, 2.0)) * (0.4 if rng.random() < 0.06 else 1.0)
    axis = between(rng, 55 - 0.35 * (age - 40), 32, -80, 115)
    qrs, widening_s, discordant = _draw_qrs(rng, voltage, np.cos(np.deg2rad(axis - 60)), age)
    t_mv = between(rng, 0.27, 0.1, 0.08, 0.6) * voltage**0.5
    fate = rng.random()
    if discordant:
        t_mv *= -0.8
    elif fate < 0.08 + 0.0015 * age:
        t_mv *= rng.uniform(0.1, 0.35)
    elif fate < 0.16 + 0.0015 * age:
        t_mv *= -rng.uniform(0.3, 0.9)
    first_degree_block = rng.random() < 0.02 + 0.0006 * age
    return Heart(
        qrs=qrs,
        ectopic=_draw_ectopic(rng, voltage),
        qrs_onset_s=float(qrs[0, 0] - 2.2 * qrs[0, 2]),
        p_mv=between(rng, 0.12, 0.04, 0.05, 0.25) * min(1.0, voltage**0.5 + 0.2),
        p_width_s=rng.uniform(0.015, 0.021),
        pr_s=rng.uniform(0.21, 0.28) if first_degree_block else between(rng, 0.155, 0.02, 0.12, 0.2),
        st_mv=float(rng.normal(0, 0.09)) if rng.random() < 0.15 else float(rng.normal(0.01, 0.02)),
        t_mv=float(t_mv),
        qtc_s=between(rng, 0.412, 0.022, 0.36, 0.48) + 0.5 * widening_s,
        age=age,
        breath_hz=between(rng, 0.26, 0.05, 0.15, 0.42),
        breath_gain=rng.uniform(0.01, 0.09),
    )


def _draw_qrs(
    rng: np.random.Generator, voltage: float, projection: float, age: float
) -> tuple[np.ndarray, float, bool]:
    """Draw the ventricular complex. Returns its waves, the widening in seconds, and whether T opposes it."""
    scale = rng.uniform(0.88, 1.15)
    up, down = max(projection, 0.0), max(-projection, 0.0)
    r_mv = voltage * (0.12 + 1.0 * up)
    q_mv = -voltage * rng.uniform(0.0, 0.13) * up
    s_mv = -voltage * (rng.uniform(0.05, 0.3) + 0.8 * down)
    fate = rng.random() * (1.6 - 0.01 * age)
    if fate < 0.03 and r_mv > 0.4:
        waves = [(-0.024, 0.8 * r_mv, 0.0125), (0.005, 0.6 * r_mv, 0.012), (0.034, 0.85 * r_mv, 0.0155)]
        return np.array(waves) * (scale, 1, scale), 0.045, True
    waves = [(-0.024, q_mv, 0.0075), (0.0, r_mv, 0.0105), (0.025, s_mv, 0.0105)]
    if fate < 0.08:
        waves.append((0.062, -voltage * rng.uniform(0.15, 0.4), 0.017))
    elif fate < 0.16:
        waves.append((0.045, voltage * rng.uniform(-0.12, 0.12), 0.008))
    return np.array(waves) * (scale, 1, scale), 0.035 if fate < 0.08 else 0.0, False


def _draw_ectopic(rng: np.random.Generator, voltage: float) -> np.ndarray:
    """Draw the patient's ventricular ectopic beat: wide, tall, its T wave the other way."""
    sign = rng.choice((-1.0, 1.0))
    height = sign * rng.uniform(0.8, 1.8) * (0.4 + 0.6 * voltage)
    width = rng.uniform(0.026, 0.036)
    return np.array(
        [
            (-0.055, -0.15 * height * rng.random(), 0.018),
            (0.0, height, width),
            (0.07, -height * rng.uniform(-0.25, 0.4), width),
            (0.30, -height * rng.uniform(0.25, 0.45), 0.055),
        ]
    )


def draw_beats(rng: np.random.Generator, heart: Heart, beats: Beats, samples: int, rate_hz: float) -> np.ndarray:
    """Draw P, QRS, ST and T of each beat, and the atrial waves beneath; (samples,) mV, float64."""
    ecg_mv = _render(_waves(rng, heart, beats), samples, rate_hz)
    return ecg_mv if beats.atrial_mv is None else ecg_mv + beats.atrial_mv


def _waves(rng: np.random.Generator, heart: Heart, beats: Beats) -> np.ndarray:
    """Turn beats into waves: (W, 4), columns: peak s, height mV, width of the rise s, width of the fall s."""
    r_s = beats.r_s
    rr_s = np.diff(r_s, prepend=r_s[0] - (r_s[1] - r_s[0]))
    usual_rr_s = uniform_filter1d(rr_s, 7, mode="nearest")
    gain = 1 + heart.breath_gain * np.sin(2 * np.pi * heart.breath_hz * r_s + rng.uniform(0, 2 * np.pi))
    gain = gain + rng.normal(0, 0.015, gain.size)
    narrow = ~beats.wide
    at_s, high = r_s[narrow], gain[narrow]
    qt_s = heart.qtc_s * np.clip(0.7 * usual_rr_s + 0.3 * rr_s, 0.25, 1.6)[narrow] ** 0.42
    t_mv = heart.t_mv * high * np.clip(rr_s[narrow] / 0.6, 0.35, 1) ** 0.5
    t_s = at_s + heart.qrs_onset_s + 0.83 * qt_s
    rows = [_rows(at_s + offset_s, mv * high, width_s, width_s) for offset_s, mv, width_s in heart.qrs if mv != 0]
    rows.append(_rows(t_s, t_mv, 0.13 * qt_s, 0.085 * qt_s))
    rows.append(_rows(at_s + 0.28 * qt_s, heart.st_mv * high, 0.09 * qt_s, 0.16 * qt_s))
    has_p = np.isfinite(beats.p_s) & (beats.p_mv != 0)
    if has_p.any():
        p_s, p_mv, width_s = beats.p_s[has_p], beats.p_mv[has_p], heart.p_width_s
        rows += [_rows(p_s + side * 0.9 * width_s, 0.72 * p_mv, width_s, width_s) for side in (-1, 1)]
    if beats.wide.any():
        at_s, high = r_s[beats.wide], gain[beats.wide]
        rows += [_rows(at_s + offset_s, mv * high, width_s, width_s) for offset_s, mv, width_s in heart.ectopic]
        if beats.spiked:
            rows.append(_rows(at_s - 0.11, 0.7 + 0 * high, 0.0025, 0.0025))
    return np.concatenate(rows)


def _rows(at_s: np.ndarray, mv: np.ndarray, rise_s: np.ndarray | float, fall_s: np.ndarray | float) -> np.ndarray:
    rows = np.empty((at_s.size, 4))
    rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = at_s, mv, rise_s, fall_s
    return rows


def _render(waves: np.ndarray, samples: int, rate_hz: float) -> np.ndarray:
    """Add up lopsided Gaussian waves, each drawn only where it is not nothing; (samples,) mV."""
    ecg_mv = np.zeros(samples)
    widest_s = waves[:, 2:].max(axis=1)
    for low_s, high_s in ((0.0, 0.014), (0.014, 0.04), (0.04, np.inf)):
        group = waves[(widest_s > low_s) & (widest_s <= high_s)]
        if not group.size:
            continue
        reach = int(np.ceil(4 * group[:, 2:].max() * rate_hz))
        centre = np.rint(group[:, :1] * rate_hz).astype(np.int64)
        index = centre + np.arange(-reach, reach + 1)
        from_peak_s = index / rate_hz - group[:, :1]
        width_s = np.where(from_peak_s < 0, group[:, 2:3], group[:, 3:4])
        height_mv = group[:, 1:2] * np.exp(-0.5 * (from_peak_s / width_s) ** 2)
        inside = (index >= 0) & (index < samples)
        ecg_mv += np.bincount(index[inside], height_mv[inside], samples)
    return ecg_mv
