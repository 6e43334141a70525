"""Simulated recordings: labelled ten-second records in 11 rhythms, and unlabelled ICU monitor strips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.signal import butter, sosfilt, sosfiltfilt

from ecg_tl.sources import Recording, Sex
from ecg_tl.sources.heart import Heart, between, draw_heart, slow_noise
from ecg_tl.sources.rhythms import lead_ii
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS

GENERATOR_VERSION = 1
"""Counts changes that make the same seed give other signals."""

MISREAD = {
    "SB": {"SR": 0.012, "SI": 0.012, "AF": 0.003},
    "SR": {"SB": 0.015, "SI": 0.02, "ST": 0.008, "AF": 0.004, "AT": 0.004},
    "AFIB": {"AF": 0.045, "SI": 0.012, "SVT": 0.008},
    "ST": {"SR": 0.012, "SVT": 0.015, "AT": 0.015, "AF": 0.006},
    "SVT": {"ST": 0.05, "AT": 0.05, "AF": 0.04, "AFIB": 0.01},
    "AF": {"AFIB": 0.14, "ST": 0.02, "SVT": 0.03},
    "SI": {"SR": 0.06, "SB": 0.05, "AFIB": 0.02, "SAAWR": 0.02},
    "AT": {"ST": 0.1, "SVT": 0.1, "AF": 0.06},
    "AVNRT": {"SVT": 0.15},
    "AVRT": {"SVT": 0.15},
    "SAAWR": {"SI": 0.15},
}
"""Label -> {rhythm that the heart was really in: chance}: readers disagree, most where rhythms look alike."""

PEOPLE = {
    "SB": (58.5, 16.0, 0.60),
    "SR": (55.0, 18.0, 0.54),
    "AFIB": (73.5, 11.5, 0.58),
    "ST": (54.5, 23.0, 0.51),
    "SVT": (56.0, 18.0, 0.48),
    "AF": (71.0, 12.5, 0.60),
    "SI": (37.0, 22.0, 0.55),
    "AT": (65.0, 17.0, 0.52),
    "AVNRT": (50.0, 15.0, 0.30),
    "AVRT": (47.0, 17.0, 0.60),
    "SAAWR": (57.0, 20.0, 0.50),
}
"""Rhythm -> mean age in years and standard deviation (before cutting off at 4 and 98), share of men."""

ICU_RHYTHMS = {
    "SR": 0.50,
    "ST": 0.19,
    "SB": 0.07,
    "AFIB": 0.11,
    "SI": 0.03,
    "AF": 0.03,
    "PACED": 0.03,
    "AT": 0.02,
    "SVT": 0.02,
}

RAIL_MV = 5.0


class SyntheticRecords:
    """Ten-second lead II records at 500 Hz, one per patient, in Shaoxing's 11 rhythms and proportions.

    Record i depends on the seed, on i and on its rhythm; at least five records bear each rhythm.
    ValueError if `records` is below 55 or the seed is negative.
    """

    format = "synthetic"
    rhythms = tuple(RHYTHM_COUNTS)
    rate_hz = 500.0
    duration_s = 10.0

    def __init__(self, records: int = 2000, seed: int = 0) -> None:
        self.records, self.seed = records, _checked_seed(seed)
        least = 5 * len(self.rhythms)
        if records < least:
            raise ValueError(f"records={records}: at least {least}, five of each of the 11 rhythms; raise records")
        labels = np.repeat(self.rhythms, class_counts(records))
        self._labels = np.random.default_rng([seed, 0]).permutation(labels)

    def __len__(self) -> int:
        return self.records

    def __iter__(self) -> Iterator[Recording]:
        for index, label in enumerate(self._labels):
            yield self._record(index, str(label))

    def _record(self, index: int, label: str) -> Recording:
        rng = np.random.default_rng([self.seed, 1, index])
        mean_age, sd_age, men = PEOPLE[label]
        age = float(round(between(rng, mean_age, sd_age, 4, 98)))
        misread = MISREAD[label]
        rhythm = str(rng.choice([label, *misread], p=[1 - sum(misread.values()), *misread.values()]))
        heart = draw_heart(rng, age)
        fate = rng.random()
        if fate < 0.07:
            heart = replace(heart, pac_chance=0.12)
        elif fate < 0.13:
            heart = replace(heart, pvc_chance=0.12)
        ecg_mv = lead_ii(rng, heart, rhythm, self.duration_s, self.rate_hz)
        ecg_mv += noise(rng, ecg_mv.size, self.rate_hz, heart.breath_hz, rng.lognormal(0.0, 0.55))
        return Recording(
            ecg_mv=digitise(ecg_mv),
            rate_hz=self.rate_hz,
            lead="II",
            patient=f"SYN{index + 1:05d}",
            record=f"SYN{index + 1:05d}",
            rhythm=label,
            age=age,
            sex="male" if rng.random() < men else "female",
        )

    def provenance(self) -> dict[str, Any]:
        """Say which generator and parameters made the records; the checksum is over these."""
        return _provenance(self.format, {"records": self.records, "seed": self.seed})


class SyntheticIcu:
    """ICU monitor recordings of lead II, unlabelled, one to three a patient, at 250 Hz or 500 Hz by device.

    Patient i depends on the seed and on i only. Leads come off for at most 4.5 % of a recording.
    ValueError if there are fewer than 2 patients, `recording_s` is below 30 s, or the seed is negative.
    """

    format = "synthetic_icu"
    rhythms: tuple[str, ...] = ()

    def __init__(self, patients: int = 300, recording_s: float = 300.0, seed: int = 0) -> None:
        if patients < 2:
            raise ValueError(f"patients={patients}: at least 2, or none is left to validate on; raise patients")
        if not 30 <= recording_s <= 86400:
            raise ValueError(f"recording_s={recording_s}: must lie between 30 s and 86400 s; change recording_s")
        self.patients, self.recording_s, self.seed = patients, float(recording_s), _checked_seed(seed)

    def __len__(self) -> int:
        return sum(_recordings(self._rng(patient)) for patient in range(self.patients))

    def __iter__(self) -> Iterator[Recording]:
        for patient in range(self.patients):
            yield from self._patient(patient)

    def _rng(self, patient: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, 2, patient])

    def _patient(self, patient: int) -> Iterator[Recording]:
        rng = self._rng(patient)
        recordings = _recordings(rng)
        rate_hz, lowpass_hz = (250.0, 40.0) if patient % 2 == 0 else (500.0, float(rng.choice((40.0, 120.0))))
        age = float(round(between(rng, 63, 26, 15, 99)))
        sex: Sex = "male" if rng.random() < 0.62 else "female"
        heart = _draw_icu_heart(rng, age)
        repertoire = rng.choice(list(ICU_RHYTHMS), size=2, p=list(ICU_RHYTHMS.values()))
        noisiness = rng.lognormal(0.1, 0.5)
        for number in range(recordings):
            ecg_mv = _strip(rng, heart, repertoire, self.recording_s, rate_hz)
            ecg_mv += noise(rng, ecg_mv.size, rate_hz, heart.breath_hz, noisiness * rng.lognormal(0.0, 0.3))
            ecg_mv = sosfiltfilt(butter(2, lowpass_hz, fs=rate_hz, output="sos"), ecg_mv)
            yield Recording(
                ecg_mv=_lead_off(rng, digitise(ecg_mv), rate_hz),
                rate_hz=rate_hz,
                lead="II",
                patient=f"ICU{patient + 1:05d}",
                record=f"ICU{patient + 1:05d}_{number + 1}",
                age=age,
                sex=sex,
            )

    def provenance(self) -> dict[str, Any]:
        """Say which generator and parameters made the recordings; the checksum is over these."""
        parameters = {"patients": self.patients, "recording_s": self.recording_s, "seed": self.seed}
        return _provenance(self.format, parameters)


def class_counts(records: int) -> list[int]:
    """Share `records` among the rhythms as Shaoxing does, by largest remainder, none below five."""
    counts = dict.fromkeys(RHYTHM_COUNTS, 5)
    free = dict(RHYTHM_COUNTS)
    while True:
        left = records - 5 * (len(counts) - len(free))
        quota = {rhythm: left * count / sum(free.values()) for rhythm, count in free.items()}
        share = {rhythm: int(value) for rhythm, value in quota.items()}
        by_remainder = sorted(quota, key=lambda rhythm: share[rhythm] - quota[rhythm])
        for rhythm in by_remainder[: left - sum(share.values())]:
            share[rhythm] += 1
        if min(share.values()) >= 5:
            return list((counts | share).values())
        free = {rhythm: count for rhythm, count in free.items() if share[rhythm] >= 5}


def noise(rng: np.random.Generator, samples: int, rate_hz: float, breath_hz: float, level: float) -> np.ndarray:
    """Draw what an electrode adds: breathing, wander, mains, muscle and motion; (samples,) mV.

    level: 1 is an ordinary recording, 3 a bad one.
    """
    at_s = np.arange(samples) / rate_hz
    drift = slow_noise(rng, samples, rate_hz, 0.3)
    wander_mv = rng.uniform(0.01, 0.07) * level * drift
    wander_mv += rng.uniform(0.0, 0.05) * level * np.sin(2 * np.pi * breath_hz * at_s + 0.6 * drift)
    mains_mv = level * rng.exponential(0.006) * np.sin(2 * np.pi * 50 * at_s + rng.uniform(0, 6))
    muscle = sosfilt(butter(1, (15, 100), btype="bandpass", fs=rate_hz, output="sos"), rng.normal(size=samples))
    tension = np.maximum(0.2, 1 + 0.6 * slow_noise(rng, samples, rate_hz, 0.4))
    muscle_mv = level * rng.uniform(0.004, 0.022) * tension * muscle
    total_mv = wander_mv + mains_mv + muscle_mv
    for start in rng.integers(0, samples, rng.poisson(0.025 * level * at_s[-1])):
        length = min(int(rng.uniform(0.4, 2.5) * rate_hz), samples - start)
        burst = slow_noise(rng, length, rate_hz, rng.uniform(1, 6)) * np.hanning(length)
        total_mv[start : start + length] += level * rng.uniform(0.05, 0.4) * burst
    return total_mv


def digitise(ecg_mv: np.ndarray, step_mv: float = 0.00488) -> np.ndarray:
    """Round to the steps of a converter and cut off at its rails, +-5 mV. Same shape, float32."""
    return (np.rint(np.clip(ecg_mv, -RAIL_MV, RAIL_MV) / step_mv) * step_mv).astype(np.float32)


def _recordings(rng: np.random.Generator) -> int:
    """Draw how many recordings a patient has; the first draw from the patient's generator."""
    return 1 + int(rng.random() < 0.35) + int(rng.random() < 0.1)


def _draw_icu_heart(rng: np.random.Generator, age: float) -> Heart:
    pac, pvc, bigeminy, runs = rng.random(4)
    return replace(
        draw_heart(rng, age),
        pac_chance=0.12 * pac**6,
        pvc_chance=0.12 * pvc**6,
        bigeminy=bool(bigeminy < 0.03),
        runs_per_min=rng.uniform(0.2, 1.0) if runs < 0.06 else 0.0,
    )


def _strip(
    rng: np.random.Generator, heart: Heart, repertoire: np.ndarray, duration_s: float, rate_hz: float
) -> np.ndarray:
    """Simulate one to three stretches, most in the patient's first rhythm, as one recording; (T,) mV."""
    samples = round(duration_s * rate_hz)
    cuts = np.sort(rng.uniform(0.2, 0.8, rng.integers(0, 3)))
    bounds = np.concatenate([[0], np.rint(cuts * samples), [samples]]).astype(int)
    stretches = []
    for length in np.diff(bounds):
        rhythm = str(repertoire[0] if rng.random() < 0.75 else repertoire[1])
        stretches.append(lead_ii(rng, heart, rhythm, max(int(length), 1) / rate_hz, rate_hz)[:length])
    return np.concatenate(stretches)


def _lead_off(rng: np.random.Generator, ecg_mv: np.ndarray, rate_hz: float) -> np.ndarray:
    """Take the electrode off in two recordings of five, once to three times: flat, at the rail, or NaN."""
    if rng.random() < 0.6:
        return ecg_mv
    stretches = int(rng.integers(1, 4))
    longest_s = 0.045 / stretches * ecg_mv.size / rate_hz
    for start in rng.uniform(0, 0.95, stretches):
        length_s = rng.uniform(0.1, 1.0) * longest_s
        first = int(start * ecg_mv.size)
        level_mv = rng.choice((0.0, RAIL_MV, -RAIL_MV, np.nan))
        ecg_mv[first : first + int(length_s * rate_hz)] = level_mv
    return ecg_mv


def _checked_seed(seed: int) -> int:
    if seed < 0:
        raise ValueError(f"seed={seed}: must not be negative; choose 0 or more")
    return seed


def _provenance(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    stated = {"format": name, "generator_version": GENERATOR_VERSION, **parameters}
    checksum = hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
    return {"format": name, "files": 0, "checksum": checksum, "parameters": stated}
