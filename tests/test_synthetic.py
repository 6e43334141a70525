import hashlib
import json
import math

import numpy as np
import pytest
from scipy.signal import butter, find_peaks, sosfiltfilt, welch

from ecg_tl.sources import Recording
from ecg_tl.sources.heart import draw_heart
from ecg_tl.sources.rhythms import MECHANISMS, lead_ii
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS
from ecg_tl.sources.synthetic import (
    ICU_RHYTHMS,
    MISREAD,
    PEOPLE,
    SyntheticIcu,
    SyntheticRecords,
    class_counts,
)

RATE_HZ = 500.0


@pytest.fixture(scope="module")
def records() -> list[Recording]:
    return list(SyntheticRecords(records=400, seed=1))


@pytest.fixture(scope="module")
def icu() -> list[Recording]:
    return list(SyntheticIcu(patients=30, recording_s=120.0, seed=1))


def r_peaks_s(ecg_mv: np.ndarray, rate_hz: float) -> np.ndarray:
    """Find QRS by its slope: energy in 8-30 Hz, at least 200 ms apart; knows nothing of the simulator."""
    band = sosfiltfilt(butter(2, (8, 30), "bandpass", fs=rate_hz, output="sos"), ecg_mv)
    width = int(0.08 * rate_hz)
    energy = np.convolve(np.abs(band), np.ones(width) / width, mode="same")
    peaks, _ = find_peaks(energy, height=0.4 * np.percentile(energy, 98), distance=int(0.2 * rate_hz))
    return peaks / rate_hz


def simulated(rhythm: str, patients: int = 25) -> list[np.ndarray]:
    """Noiseless ten-second strips of middle-aged patients in one rhythm."""
    strips = []
    for patient in range(patients):
        rng = np.random.default_rng([7, patient])
        strips.append(lead_ii(rng, draw_heart(rng, age=50.0), rhythm, 10.0, RATE_HZ))
    return strips


def rates_bpm(rhythm: str) -> np.ndarray:
    return np.array([60 / np.median(np.diff(r_peaks_s(strip, RATE_HZ))) for strip in simulated(rhythm)])


def rr_variation(rhythm: str) -> np.ndarray:
    intervals = [np.diff(r_peaks_s(strip, RATE_HZ)) for strip in simulated(rhythm)]
    return np.array([rr_s.std() / rr_s.mean() for rr_s in intervals])


def test_the_same_seed_gives_the_same_bytes_on_every_pass(records):
    again = list(SyntheticRecords(records=400, seed=1))
    assert [r.rhythm for r in again] == [r.rhythm for r in records]
    assert all(a.ecg_mv.tobytes() == b.ecg_mv.tobytes() for a, b in zip(again, records, strict=True))
    assert all((a.age, a.sex, a.record) == (b.age, b.sex, b.record) for a, b in zip(again, records, strict=True))


def test_another_seed_gives_other_signals_and_another_order(records):
    other = list(SyntheticRecords(records=400, seed=2))
    assert [r.rhythm for r in other] != [r.rhythm for r in records]
    assert not any(np.array_equal(a.ecg_mv, b.ecg_mv) for a, b in zip(other, records, strict=True))


def test_a_record_is_ten_seconds_of_lead_ii_of_its_own_patient(records):
    assert len(SyntheticRecords(records=400)) == len(records) == 400
    assert len({r.patient for r in records}) == len({r.record for r in records}) == 400
    for r in records:
        assert r.ecg_mv.shape == (5000,)
        assert r.ecg_mv.dtype == np.float32
        assert (r.rate_hz, r.lead) == (500.0, "II")


@pytest.mark.parametrize("count", [55, 56, 400, 2000, 10646, 50000])
def test_rhythms_keep_shaoxings_proportions_but_never_fewer_than_five(count):
    counts = class_counts(count)
    assert sum(counts) == count
    assert min(counts) >= 5
    raised = sum(5 for each in counts if each == 5)
    common = {rhythm: n for rhythm, n in zip(RHYTHM_COUNTS, counts, strict=True) if n > 5}
    total = sum(RHYTHM_COUNTS[rhythm] for rhythm in common)
    for rhythm, n in common.items():
        assert abs(n - (count - raised) * RHYTHM_COUNTS[rhythm] / total) < 1


def test_shaoxings_own_size_gives_shaoxings_own_counts():
    assert class_counts(10646) == [3889, 1826, 1780, 1568, 587, 445, 399, 121, 16, 8, 7]


def test_labels_come_in_these_counts(records):
    labels = [r.rhythm for r in records]
    assert [labels.count(rhythm) for rhythm in SyntheticRecords.rhythms] == class_counts(400)


def test_tables_agree_on_the_rhythms():
    assert SyntheticRecords.rhythms == (*("SB", "SR", "AFIB", "ST", "SVT", "AF", "SI", "AT", "AVNRT", "AVRT", "SAAWR"),)
    assert set(MISREAD) == set(PEOPLE) == set(RHYTHM_COUNTS)
    assert all(set(row) < set(MECHANISMS) and label not in row for label, row in MISREAD.items())
    assert set(ICU_RHYTHMS) <= set(MECHANISMS)
    assert math.isclose(sum(ICU_RHYTHMS.values()), 1)


@pytest.mark.parametrize(
    ("rhythm", "low", "high"),
    [("SB", 36, 61.5), ("SR", 58.5, 101.5), ("ST", 98.5, 175), ("SVT", 130, 240), ("AT", 100, 215)],
)
def test_a_detector_finds_each_rhythms_rate(rhythm, low, high):
    bpm = rates_bpm(rhythm)
    within = (bpm > low * 0.95) & (bpm < high * 1.05)
    assert within.mean() >= 0.9
    assert bpm.std() > 2


def test_labelled_rates_overlap_at_60_bpm_but_differ_on_the_whole(records):
    bpm = {"SB": [], "SR": [], "ST": []}
    for r in records:
        if r.rhythm in bpm:
            bpm[r.rhythm].append(60 / np.median(np.diff(r_peaks_s(r.ecg_mv, r.rate_hz))))
    assert np.median(bpm["SB"]) < 60 < np.median(bpm["SR"]) < 100 < np.median(bpm["ST"])
    assert min(bpm["SR"]) < np.percentile(bpm["SB"], 97)


def test_rr_is_irregular_where_it_should_be():
    spread = {rhythm: np.median(rr_variation(rhythm)) for rhythm in ("SR", "AFIB", "SI", "AVNRT", "SAAWR")}
    assert spread["AVNRT"] < 0.02 < spread["SR"] < 0.08
    assert spread["AFIB"] > 0.12
    assert spread["SI"] > 0.07
    assert spread["SR"] < spread["SAAWR"] < spread["AFIB"]


def test_fibrillation_forgets_the_interval_before_but_breathing_does_not():
    def lag_one(rhythm: str) -> float:
        intervals = [np.diff(r_peaks_s(strip, RATE_HZ)) for strip in simulated(rhythm, 40)]
        return float(np.mean([np.corrcoef(rr_s[:-1], rr_s[1:])[0, 1] for rr_s in intervals]))

    assert lag_one("AFIB") < 0.1
    assert lag_one("SI") > 0.2


def test_flutter_waves_return_four_to_six_times_a_second_and_stay_on_pitch():
    def atrial_lines(rhythm: str) -> np.ndarray:
        found = []
        for patient in range(25):
            rng = np.random.default_rng([7, patient])
            beats = MECHANISMS[rhythm](rng, draw_heart(rng, age=50.0), 10.0, RATE_HZ)
            hz, power = welch(beats.atrial_mv, RATE_HZ, nperseg=4096)
            top = power.argmax()
            found.append((hz[top], power[max(0, top - 2) : top + 3].sum() / power[(hz > 1) & (hz < 12)].sum()))
        return np.array(found).T

    flutter_hz, flutter_purity = atrial_lines("AF")
    fibrillation_hz, fibrillation_purity = atrial_lines("AFIB")
    assert np.all((flutter_hz > 3.8) & (flutter_hz < 5.9))
    assert np.all((fibrillation_hz > 3) & (fibrillation_hz < 10))
    assert np.median(flutter_purity) > 1.3 * np.median(fibrillation_purity)


def test_flutter_conducts_whole_turns():
    rng = np.random.default_rng(3)
    beats = MECHANISMS["AF"](rng, draw_heart(rng, age=70.0), 60.0, RATE_HZ)
    hz, power = welch(beats.atrial_mv, RATE_HZ, nperseg=8192)
    turns = np.diff(beats.r_s[(beats.r_s > 0) & (beats.r_s < 60)]) * hz[power.argmax()]
    assert np.abs(turns - np.rint(turns)).max() < 0.25
    assert set(np.rint(turns)) <= {2, 3, 4, 5}


def averaged_beat(rhythm: str, patient: int) -> tuple[np.ndarray, np.ndarray]:
    """Average a strip around its R waves: seconds from R, mV."""
    rng = np.random.default_rng([7, patient])
    heart = draw_heart(rng, age=50.0)
    strip = lead_ii(rng, heart, rhythm, 10.0, RATE_HZ)
    from_r = np.arange(-150, 200)
    peaks = np.rint(r_peaks_s(strip, RATE_HZ) * RATE_HZ).astype(int)
    windows = [strip[peak + from_r] for peak in peaks if 150 <= peak < 4800]
    return from_r / RATE_HZ, np.median(windows, axis=0)


def test_sinus_beats_have_an_upright_p_before_qrs_and_fibrillation_has_none():
    def p_height(rhythm: str) -> float:
        heights = []
        for patient in range(25):
            at_s, beat_mv = averaged_beat(rhythm, patient)
            p = beat_mv[(at_s > -0.24) & (at_s < -0.08)].max()
            heights.append(p - np.median(beat_mv[(at_s > -0.3) & (at_s < -0.26)]))
        return float(np.median(heights))

    assert 0.05 < p_height("SB") < 0.25
    assert p_height("AFIB") < 0.5 * p_height("SB")


def test_qt_shortens_as_the_heart_speeds_up():
    def t_peak_s(rhythm: str) -> float:
        found = []
        for patient in range(25):
            at_s, beat_mv = averaged_beat(rhythm, patient)
            late = (at_s > 0.12) & (at_s < 0.38)
            found.append(at_s[late][np.abs(beat_mv[late] - beat_mv[late].mean()).argmax()])
        return float(np.median(found))

    assert t_peak_s("ST") < t_peak_s("SB") - 0.03
    assert 0.25 < t_peak_s("SB") < 0.37


def test_amplitudes_are_those_of_lead_ii_in_millivolts(records):
    swing_mv = np.array([np.ptp(r.ecg_mv) for r in records])
    assert 0.6 < np.median(swing_mv) < 2.5
    assert swing_mv.min() > 0.1
    assert swing_mv.max() <= 10
    assert np.median([abs(np.median(r.ecg_mv)) for r in records]) < 0.2


def test_signals_sit_on_the_steps_of_a_converter(records):
    steps = records[0].ecg_mv.astype(np.float64) / 0.00488
    assert np.abs(steps - np.rint(steps)).max() < 1e-3
    assert len(np.unique(np.rint(steps))) > 50


def test_patients_are_of_shaoxings_ages_and_sexes():
    people = list(SyntheticRecords(records=1000, seed=4))
    ages = np.array([r.age for r in people])
    assert abs(ages.mean() - 59.2) < 2
    assert abs(ages.std() - 18) < 2
    assert abs(np.mean([r.sex == "male" for r in people]) - 0.56) < 0.05
    by_rhythm = {rhythm: np.mean([r.age for r in people if r.rhythm == rhythm]) for rhythm in ("AFIB", "SI")}
    assert by_rhythm["AFIB"] > by_rhythm["SI"] + 15


def test_icu_devices_sample_at_250_and_500_hz_in_equal_parts(icu):
    patients = {r.patient: r.rate_hz for r in icu}
    assert len(patients) == 30
    assert sorted(patients.values()) == [250.0] * 15 + [500.0] * 15
    assert all(r.ecg_mv.size == 120 * r.rate_hz and r.ecg_mv.dtype == np.float32 for r in icu)


def test_icu_recordings_of_a_patient_follow_each_other_and_share_age_and_sex(icu):
    assert len(SyntheticIcu(patients=30, recording_s=120.0, seed=1)) == len(icu) > 30
    assert [r.record for r in icu] == sorted({r.record for r in icu})
    assert len({(r.patient, r.age, r.sex, r.rate_hz) for r in icu}) == 30
    assert all(r.rhythm is None for r in icu)


def test_leads_come_off_for_less_than_a_twentieth_of_the_time(icu):
    def off(r: Recording) -> float:
        gone = ~np.isfinite(r.ecg_mv) | (np.abs(r.ecg_mv) > 4.99)
        still = np.convolve(np.diff(r.ecg_mv) == 0, np.ones(int(0.4 * r.rate_hz)), mode="same")
        gone[1:] |= still >= int(0.4 * r.rate_hz) - 1
        return float(gone.mean())

    share = np.array([off(r) for r in icu])
    assert share.max() < 0.05
    assert 0.1 < np.mean(share > 0.002) < 0.8
    assert any(np.isnan(r.ecg_mv).any() for r in icu)
    assert any((np.abs(r.ecg_mv) > 4.99).any() for r in icu)


def test_an_icu_patient_does_not_depend_on_how_many_there_are(icu):
    few = list(SyntheticIcu(patients=3, recording_s=120.0, seed=1))
    for a, b in zip(few, icu, strict=False):
        assert (a.record, a.age, a.sex) == (b.record, b.age, b.sex)
        assert a.ecg_mv.tobytes() == b.ecg_mv.tobytes()


def test_icu_patients_are_of_ages_and_sexes_as_found_in_icus():
    people = list(SyntheticIcu(patients=250, recording_s=30.0, seed=2))
    one_each = list({r.patient: r for r in people}.values())
    ages = np.array([r.age for r in one_each])
    assert abs(ages.mean() - 61) < 3.5
    assert abs(ages.std() - 20) < 4
    assert abs(np.mean([r.sex == "male" for r in one_each]) - 0.62) < 0.09


def test_provenance_is_json_that_changes_with_the_parameters():
    one, same, other = (SyntheticRecords(60, seed).provenance() for seed in (0, 0, 1))
    assert json.loads(json.dumps(one)) == same
    assert (one["format"], one["files"]) == ("synthetic", 0)
    stated = json.dumps(one["parameters"], sort_keys=True).encode()
    assert one["checksum"] == hashlib.sha256(stated).hexdigest() != other["checksum"]
    icu = SyntheticIcu(patients=2).provenance()
    assert icu["format"] == "synthetic_icu"
    assert icu["checksum"] != SyntheticIcu(patients=3).provenance()["checksum"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SyntheticRecords(records=10), r"records=10: at least 55"),
        (lambda: SyntheticRecords(seed=-1), r"seed=-1"),
        (lambda: SyntheticIcu(patients=1), r"patients=1: at least 2"),
        (lambda: SyntheticIcu(recording_s=5), r"recording_s=5"),
        (lambda: SyntheticIcu(recording_s=math.nan), r"recording_s=nan"),
    ],
)
def test_impossible_arguments_are_named_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
