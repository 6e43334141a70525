"""Rhythms by their mechanism: when atria and ventricles of a simulated heart fire, and lead II of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import lfilter

from ecg_tl.sources.heart import Beats, Heart, between, draw_beats, slow_noise

LEAD_IN_S = 1.5
"""Beats begin this long before time zero, so that a strip opens in the middle of a heartbeat."""


def lead_ii(rng: np.random.Generator, heart: Heart, rhythm: str, duration_s: float, rate_hz: float) -> np.ndarray:
    """Simulate lead II without noise; (round(duration_s * rate_hz),) mV, float64.

    rhythm: a key of `MECHANISMS`, else KeyError.
    """
    beats = _add_ectopic(rng, heart, MECHANISMS[rhythm](rng, heart, duration_s, rate_hz))
    return draw_beats(rng, heart, beats, round(duration_s * rate_hz), rate_hz)


def _sinus(
    rng: np.random.Generator,
    heart: Heart,
    duration_s: float,
    bpm: float,
    breath_swing: float,
    wander: float,
) -> Beats:
    """Fire from the sinus node: RR follows breathing, the 0.1 Hz wave of the vessels, and a slow drift."""
    rr_s = 60 / bpm
    beats = int((duration_s + LEAD_IN_S) / rr_s * 1.3) + 8
    at_s = np.arange(beats) * rr_s
    unsteady = np.cumsum(rng.normal(0, 0.12, (2, beats)), axis=1) + rng.uniform(0, 2 * np.pi, (2, 1))
    factor = 1 + breath_swing * np.sin(2 * np.pi * heart.breath_hz * at_s + unsteady[0])
    factor += wander * np.sin(2 * np.pi * 0.1 * at_s + unsteady[1])
    factor += 0.25 * wander * lfilter([1.0], [1.0, -0.95], rng.normal(size=beats))
    factor += 0.004 * rng.normal(size=beats)
    r_s = np.cumsum(rr_s * np.maximum(factor, 0.5)) - LEAD_IN_S - rr_s * rng.random()
    lag_s = _p_lag_s(heart, heart.pr_s - 0.02 * min(1.0, max(0.0, (bpm - 75) / 60)))
    return _beats(r_s, r_s - lag_s, heart.p_mv * (1 + 0.25 * max(0.0, (bpm - 90) / 60)))


def _p_lag_s(heart: Heart, pr_s: float) -> float:
    """Seconds from the peak of P to the R peak, for a PR interval from onset to onset."""
    return pr_s - heart.qrs_onset_s - 2.7 * heart.p_width_s


def _beats(r_s: np.ndarray, p_s: np.ndarray | float, p_mv: np.ndarray | float) -> Beats:
    return Beats(r_s, np.broadcast_to(p_s, r_s.shape), np.broadcast_to(p_mv, r_s.shape), np.zeros(r_s.shape, bool))


def _bradycardia(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    bpm = between(rng, 54.5, 4.5, 36, 61.5)
    return _sinus(rng, heart, duration_s, bpm, rng.gamma(2.0, 0.014), rng.uniform(0.005, 0.025))


def _normal(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    bpm = between(rng, 73, 10.5, 58.5, 101.5)
    swing = rng.gamma(2.0, 0.0135) * (1.6 - 0.01 * heart.age)
    return _sinus(rng, heart, duration_s, bpm, swing, rng.uniform(0.005, 0.022))


def _tachycardia(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    bpm = between(rng, 124 - 0.17 * heart.age, 13, 98.5, min(175.0, 215 - 0.8 * heart.age))
    return _sinus(rng, heart, duration_s, bpm, rng.gamma(2.0, 0.004), rng.uniform(0.002, 0.01))


def _irregular(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    swing = between(rng, 0.13, 0.045, 0.055, 0.26)
    if rng.random() < 0.7:
        return _sinus(rng, heart, duration_s, between(rng, 70, 10, 50, 98), swing, 0.03)
    return _sinus(rng, heart, duration_s, between(rng, 68, 10, 50, 98), 0.04, swing)


def _wandering(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    """Drift between the sinus node (0) and the low atrium (1): P turns over, PR shortens."""
    sinus = _sinus(rng, heart, duration_s, between(rng, 72, 10, 52, 98), 0.03, rng.uniform(0.04, 0.08))
    walk = np.sin(np.cumsum(rng.uniform(0.25, 1.1, sinus.r_s.size)) + rng.uniform(0, 6))
    low = np.clip(0.5 + 0.7 * walk + rng.normal(0, 0.15, walk.size), 0, 1)
    lag_s = _p_lag_s(heart, heart.pr_s) - 0.035 * low
    return _beats(sinus.r_s, sinus.r_s - lag_s, heart.p_mv * (1.1 - 1.9 * low))


def _regular(rng: np.random.Generator, duration_s: float, bpm: float, spread: float) -> np.ndarray:
    rr_s = 60 / bpm
    beats = int((duration_s + LEAD_IN_S) / rr_s * 1.2) + 8
    trend = 1 + spread * 0.5 * lfilter([1.0], [1.0, -0.9], rng.normal(size=beats))
    return np.asarray(np.cumsum(rr_s * trend) - LEAD_IN_S - rr_s * rng.random())


def _atrial_tachycardia(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    r_s = _regular(rng, duration_s, between(rng, 140, 22, 100, 215), rng.uniform(0.003, 0.02))
    ectopic = rng.choice((-1.0, -0.5, 0.45, 1.4), p=(0.4, 0.2, 0.2, 0.2))
    return _beats(r_s, r_s - _p_lag_s(heart, rng.uniform(0.115, 0.18)), ectopic * heart.p_mv)


def _nodal_reentry(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    """Fire atria and ventricles almost together: the inverted P ends QRS as a false S wave."""
    r_s = _regular(rng, duration_s, between(rng, 172, 20, 135, 240), rng.uniform(0.001, 0.006))
    return _beats(r_s, r_s + rng.uniform(0.045, 0.068), -rng.uniform(0.7, 1.5) * heart.p_mv)


def _pathway_reentry(rng: np.random.Generator, heart: Heart, duration_s: float, _: float) -> Beats:
    """Return to the atria over a bypass: the inverted P lies in ST, over 70 ms after QRS onset."""
    r_s = _regular(rng, duration_s, between(rng, 184, 22, 140, 240), rng.uniform(0.001, 0.006))
    return _beats(r_s, r_s + rng.uniform(0.09, 0.14), -rng.uniform(0.7, 1.5) * heart.p_mv)


def _supraventricular(rng: np.random.Generator, heart: Heart, duration_s: float, rate_hz: float) -> Beats:
    """Race with no P wave that a reader could name: in QRS, in ST, or on top of T."""
    fate = rng.random()
    if fate < 0.3:
        return _nodal_reentry(rng, heart, duration_s, rate_hz)
    if fate < 0.45:
        return _pathway_reentry(rng, heart, duration_s, rate_hz)
    bpm = between(rng, 164, 18, 130, 220)
    r_s = _regular(rng, duration_s, bpm, rng.uniform(0.001, 0.01))
    to_t_peak_s = heart.qtc_s * (60 / bpm) ** 0.42 * 0.83 + heart.qrs_onset_s
    return _beats(r_s, r_s + to_t_peak_s + rng.normal(0, 0.012), rng.uniform(0.3, 0.8) * heart.p_mv)


def _fibrillation(rng: np.random.Generator, _: Heart, duration_s: float, rate_hz: float) -> Beats:
    """Conduct at random from atria in chaos: no RR follows from another, f waves of 4 to 9 Hz."""
    rr_s = 60 / between(rng, 92, 24, 45, 170)
    count = int((duration_s + LEAD_IN_S) / rr_s * 1.5) + 16
    spread = rng.uniform(0.05, 0.1) if rng.random() < 0.08 else rng.uniform(0.12, 0.3)
    refractory_s = 0.26 + 0.1 * rr_s
    spread = min(spread, 1 - refractory_s / rr_s)
    shape = ((rr_s - refractory_s) / (spread * rr_s)) ** 2
    intervals_s = refractory_s + rng.gamma(shape, (rr_s - refractory_s) / shape, count)
    r_s = np.cumsum(intervals_s) - LEAD_IN_S - rr_s * rng.random()
    samples = round(duration_s * rate_hz)
    coarse_mv = float(np.clip(rng.lognormal(np.log(0.045), 0.55), 0.008, 0.11))
    f_hz = between(rng, 6.4 - 8 * coarse_mv, 0.8, 4, 9)
    steadiness = rng.uniform(0.25, 1.0)
    phase = 2 * np.pi / rate_hz * np.cumsum(f_hz + steadiness * slow_noise(rng, samples, rate_hz, 1.5))
    swell = np.clip(1 + 0.45 * slow_noise(rng, samples, rate_hz, 0.6), 0.15, 1.9)
    second = 0.35 * np.sin(1.43 * phase + 2 * slow_noise(rng, samples, rate_hz, 0.8))
    atrial_mv = coarse_mv * swell * (np.sin(phase) + 0.3 * np.sin(2 * phase + 1) + second)
    return Beats(r_s, *_no_p(r_s), atrial_mv=atrial_mv)


def _flutter(rng: np.random.Generator, _: Heart, duration_s: float, rate_hz: float) -> Beats:
    """Circle the atrium 240 to 340 times a minute; every second, third or fourth turn is conducted."""
    turn_s = 60 / between(rng, 288, 22, 240, 340)
    turns = int((duration_s + LEAD_IN_S) / turn_s * 1.1) + 24
    turned_s = np.cumsum(turn_s * (1 + 0.012 * rng.normal(size=turns))) - LEAD_IN_S - 8 * turn_s
    ratios = _conduction(rng, turns)
    conducted = np.cumsum(ratios)
    conducted = conducted[conducted < turns]
    delay_s = rng.uniform(0.0, turn_s) + rng.normal(0, 0.004, conducted.size) + 0.012 * (ratios[: conducted.size] % 2)
    samples = round(duration_s * rate_hz)
    phase = np.interp(np.arange(samples) / rate_hz, turned_s, np.arange(turns)) % 1.0
    corner = rng.uniform(0.5, 0.68)
    grid = np.linspace(0, 1, 97)[:-1]
    saw = np.interp(grid, (0, corner, corner + 0.2, 1), (0.35, -1.0, 0.4, 0.35))
    saw = uniform_filter1d(uniform_filter1d(saw - saw.mean(), 9, mode="wrap"), 9, mode="wrap")
    height_mv = float(np.clip(rng.lognormal(np.log(0.13), 0.45), 0.035, 0.3)) * (-1 if rng.random() < 0.2 else 1)
    swell = 1 + 0.08 * slow_noise(rng, samples, rate_hz, 0.5)
    atrial_mv = height_mv * swell * np.interp(phase, grid, saw, period=1.0)
    r_s = turned_s[conducted] + delay_s
    return Beats(r_s, *_no_p(r_s), atrial_mv=atrial_mv)


def _conduction(rng: np.random.Generator, beats: int) -> np.ndarray:
    """Draw how many atrial turns each ventricular beat takes: constant in most, changing in the others."""
    fate = rng.random()
    if fate < 0.58:
        return np.full(beats, rng.choice((2, 3, 4), p=(0.52, 0.1, 0.38)))
    if fate < 0.75:
        return np.tile((2, 4), beats)[:beats]
    return rng.choice((2, 3, 4, 5), size=beats, p=(0.3, 0.25, 0.35, 0.1))


def _paced(rng: np.random.Generator, _: Heart, duration_s: float, __: float) -> Beats:
    r_s = _regular(rng, duration_s, float(rng.choice((60.0, 70.0, 75.0, 80.0, 90.0))), 0.0005)
    return Beats(r_s, r_s * np.nan, r_s * 0, np.ones(r_s.shape, bool), spiked=True)


def _no_p(r_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.full(r_s.shape, np.nan), np.zeros(r_s.shape), np.zeros(r_s.shape, bool)


def _add_ectopic(rng: np.random.Generator, heart: Heart, beats: Beats) -> Beats:
    """Bring beats early: from the atria (the clock restarts) or the ventricles (it goes on)."""
    r_s, p_s, p_mv, wide = beats.r_s.copy(), beats.p_s.copy(), beats.p_mv.copy(), beats.wide.copy()
    chance = rng.random(r_s.size)
    rr_s = np.diff(r_s, prepend=r_s[0])
    quiet = np.append(False, rr_s[1:] > 0.42)
    early = quiet & (chance < heart.pac_chance) & np.isfinite(p_s)
    early[1:] &= ~early[:-1]
    advance_s = early * rr_s * rng.uniform(0.18, 0.4, r_s.size)
    pause_s = np.append(0.0, early[:-1]) * rr_s * rng.uniform(0.02, 0.2, r_s.size)
    shift_s = np.cumsum(pause_s - advance_s)
    r_s, p_s = r_s + shift_s, p_s + shift_s
    p_mv[early] *= rng.uniform(-0.8, 0.9)
    ventricular = quiet & (chance > 1 - heart.pvc_chance)
    if heart.bigeminy:
        ventricular |= quiet & (np.arange(r_s.size) % 2 == 1) & (np.arange(r_s.size) // 24 % 2 == 0)
    ventricular[1:] &= ~ventricular[:-1] & ~early[:-1] & ~early[1:]
    r_s[ventricular] -= (rr_s * rng.uniform(0.3, 0.42))[ventricular]
    wide |= ventricular
    runs = rng.poisson(heart.runs_per_min * (r_s[-1] - r_s[0]) / 60)
    for start_s in rng.uniform(r_s[0], r_s[-1], runs):
        run_s = start_s + np.arange(rng.integers(3, 9)) * rng.uniform(0.34, 0.45)
        kept = (r_s < run_s[0] - 0.3) | (r_s > run_s[-1] + 0.5)
        order = np.argsort(np.concatenate([r_s[kept], run_s]))
        r_s = np.concatenate([r_s[kept], run_s])[order]
        p_s = np.concatenate([p_s[kept], run_s * np.nan])[order]
        p_mv = np.concatenate([p_mv[kept], run_s * 0])[order]
        wide = np.concatenate([wide[kept], run_s > -np.inf])[order]
    return Beats(r_s, p_s, p_mv, wide, beats.atrial_mv, beats.spiked)


MECHANISMS: dict[str, Callable[[np.random.Generator, Heart, float, float], Beats]] = {
    "SB": _bradycardia,
    "SR": _normal,
    "AFIB": _fibrillation,
    "ST": _tachycardia,
    "SVT": _supraventricular,
    "AF": _flutter,
    "SI": _irregular,
    "AT": _atrial_tachycardia,
    "AVNRT": _nodal_reentry,
    "AVRT": _pathway_reentry,
    "SAAWR": _wandering,
    "PACED": _paced,
}
"""Rhythm to the function that fires it: (generator, heart, duration_s, rate_hz) -> Beats."""
