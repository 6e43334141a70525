from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, resample_poly, sosfiltfilt

from ecg_tl.audit import audit, overlap_with
from ecg_tl.rows import write_rows
from ecg_tl.same_signal import find_same_signal, same_signal_groups
from ecg_tl.sources.synthetic import SyntheticIcu, SyntheticRecords
from ecg_tl.splits import row_checksums, stratified_split, tie
from ecg_tl.store import Store, StoreWriter, open_store
from ecg_tl.waveform import FILTER, WINDOW, remove_baseline
from tests.fabricate import icu_store, labelled_store

RANDOM = np.random.default_rng(0)
COPIED = np.arange(0, 60, 7)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return labelled_store(tmp_path_factory.mktemp("audit") / "labelled.h5")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """All eleven rhythms: long series of nearly equal beats among them, and no two rows alike."""
    return write_rows(SyntheticRecords(400, seed=3), tmp_path_factory.mktemp("audit") / "synthetic.h5", lead="II")


def units(ecg: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(ecg), -32767, 32767).astype(np.int16)


def noisy(ecg: np.ndarray) -> np.ndarray:
    return ecg + RANDOM.normal(0, 0.05, ecg.shape) * ecg.std(axis=1, keepdims=True)


def by_500_hz(ecg: np.ndarray) -> np.ndarray:
    places = np.arange(2 * ecg.shape[1]) / 2
    doubled = np.stack([np.interp(places, np.arange(ecg.shape[1]), row) for row in ecg])
    return resample_poly(doubled, 1, 2, axis=1, window=("kaiser", 3.0))


def low_pass(ecg: np.ndarray) -> np.ndarray:
    return sosfiltfilt(butter(4, 35, fs=250, output="sos"), ecg)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda ecg: ecg,
    "another unit": lambda ecg: ecg * 4.88 + 300,
    "coarse steps": lambda ecg: np.rint(ecg / 40) * 40,
    "noise": noisy,
    "another resampling": by_500_hz,
    "another baseline filter": lambda ecg: remove_baseline(
        ecg + 500 * np.sin(np.arange(ecg.shape[1]) / 600), 250, 0.67
    ),
    "low pass": low_pass,
    "early cut": lambda ecg: ecg[:, 3 : 3 + WINDOW],
    "middle cut": lambda ecg: ecg[:, 226 : 226 + WINDOW],
    "late cut, noise, another unit": lambda ecg: 0.2 * noisy(ecg)[:, 449 : 449 + WINDOW],
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("name", ["labelled", "synthetic"])
def test_a_copy_is_found_with_its_lag_and_nothing_else_is(kind: str, name: str, request: pytest.FixtureRequest) -> None:
    store: Store = request.getfixturevalue(name)
    copies = units(COPIES[kind](store.ecg[COPIED].astype(float)))
    matches = find_same_signal(store.ecg, copies)
    assert list(zip(matches.left, matches.right, strict=True)) == list(zip(COPIED, range(len(COPIED)), strict=True))
    starts = {"early cut": 3, "middle cut": 226, "late cut, noise, another unit": 449}
    assert matches.lag_s == pytest.approx(starts.get(kind, 0) / 250, abs=0.005)
    assert (matches.correlation > 0.98).all()


@pytest.mark.parametrize("shared", [1550, 1400])
def test_windows_that_overlap_are_found_if_they_share_six_seconds(labelled: Store, shared: int) -> None:
    left, right = labelled.ecg[:, : 1000 + shared // 2], labelled.ecg[:, 1000 - shared + shared // 2 :][:, :WINDOW]
    left = left[:, -WINDOW:] if left.shape[1] > WINDOW else left
    begins = 1000 - shared + shared // 2
    common = min(1000 + shared // 2, begins + right.shape[1]) - max(begins, 1000 + shared // 2 - left.shape[1])
    assert common == shared
    found = find_same_signal(left, right)
    assert found.left.tolist() == found.right.tolist() == (list(range(60)) if shared >= 1500 else [])


def test_an_inverted_copy_is_another_signal(labelled: Store) -> None:
    assert not len(find_same_signal(labelled.ecg, -labelled.ecg).left)


def test_distinct_rows_are_told_apart(labelled: Store, synthetic: Store, tmp_path: Path) -> None:
    fabricated_icu = icu_store(tmp_path / "fabricated.h5", patients=10, windows_per_patient=20)
    source = SyntheticIcu(patients=8, recording_s=300, seed=1)
    synthetic_icu = write_rows(source, tmp_path / "icu.h5", lead="II", windows_per_patient=None)
    for store in (labelled, synthetic, fabricated_icu, synthetic_icu):
        assert not len(find_same_signal(store.ecg, patient=store.patient).left), store.path.name


def test_paced_hearts_alike_to_the_sample_are_told_apart_by_their_noise() -> None:
    since = np.arange(2500) % 150
    beat = 1000 * np.exp(-(((since - 20) / 5) ** 2)) + 300 * np.exp(-(((since - 70) / 10) ** 2))
    ecg = units(beat + np.random.default_rng(1).normal(0, 20, (20, 2500)))
    assert not len(find_same_signal(ecg).left)
    assert find_same_signal(ecg, ecg[:3]).left.tolist() == [0, 1, 2]


def test_a_copy_drowned_in_noise_is_not_claimed(labelled: Store) -> None:
    ecg = labelled.ecg[:20].astype(float)
    drowned = units(ecg + np.random.default_rng(1).normal(0, 0.6, ecg.shape) * ecg.std(axis=1, keepdims=True))
    assert not len(find_same_signal(labelled.ecg, drowned).left)


@pytest.mark.parametrize("first", [100, 300])
def test_the_lag_runs_from_the_left_row_to_the_right(labelled: Store, first: int) -> None:
    second = 400 - first
    ecg = np.concatenate([labelled.ecg[:9, first : first + WINDOW], labelled.ecg[:9, second : second + WINDOW]])
    matches = find_same_signal(ecg)
    assert list(zip(matches.left, matches.right, strict=True)) == [(row, row + 9) for row in range(9)]
    assert matches.lag_s == pytest.approx((second - first) / 250)


def test_one_artefact_that_outweighs_all_beats_does_not_make_two_rows_the_same(labelled: Store) -> None:
    spike = 20_000 * np.exp(-(((np.arange(2500) - 1100) / 8) ** 2))
    assert not len(find_same_signal(units(labelled.ecg[:20] + spike)).left)


def test_windows_of_one_patient_need_not_be_compared(labelled: Store) -> None:
    ecg = np.concatenate([labelled.ecg, labelled.ecg[:2]])
    patient = np.array([*labelled.patient, labelled.patient[0], "somebody else"])
    assert find_same_signal(ecg).left.tolist() == [0, 1]
    assert find_same_signal(ecg, patient=patient).left.tolist() == [1]


def test_short_rows_and_rows_without_a_beat_match_nothing(labelled: Store) -> None:
    twice = np.concatenate([labelled.ecg, labelled.ecg])
    assert not len(find_same_signal(twice[:, :1499]).left)
    assert not len(find_same_signal(np.zeros((3, 2500), dtype=np.int16)).left)
    assert not len(find_same_signal(np.zeros((0, 2500), dtype=np.int16)).left)


def test_groups_hold_copies_of_copies_and_are_the_same_every_time(synthetic: Store) -> None:
    ecg = np.concatenate([synthetic.ecg, units(0.5 * synthetic.ecg[:5]), units(3.0 * synthetic.ecg[:5])])
    groups = same_signal_groups(ecg)
    assert (groups[:5] == groups[400:405]).all()
    assert (groups[:5] == groups[405:]).all()
    assert len(set(groups)) == 400
    assert same_signal_groups(ecg).tolist() == groups.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_copies_on_one_side(labelled: Store, seed: int) -> None:
    assert labelled.rhythm is not None
    copied = np.random.default_rng(seed).choice(60, 12, replace=False)
    ecg = np.concatenate([labelled.ecg, units(noisy(labelled.ecg[copied].astype(float)))])
    rhythm = np.concatenate([labelled.rhythm, labelled.rhythm[copied]])
    checksums_alone = row_checksums(ecg)
    train, test = stratified_split(rhythm, tie(checksums_alone, same_signal_groups(ecg)), 0.2, seed)
    in_test = np.isin(np.arange(72), test)
    assert in_test[60:].tolist() == in_test[copied].tolist()
    assert len(train) + len(test) == 72
    assert len(set(tie(checksums_alone))) == 72


def store_of(path: Path, ecg: np.ndarray, records: Sequence[str], rhythm: Sequence[str] | None) -> Store:
    rhythms = sorted(set(rhythm or ()))
    with StoreWriter(path, ecg.shape[1], "II", rhythms, {"format": "test"}, FILTER) as writer:
        for row, record in enumerate(records):
            writer.append(ecg[row] / 1000, record, record, 2.0, rhythm[row] if rhythm else None)
    return open_store(path)


@pytest.fixture
def stores(labelled: Store, tmp_path: Path) -> tuple[Store, Store]:
    """Ten labelled rows, of which 7 is 0 again, 8 is 1 louder and of another rhythm; a corpus that begins with 2."""
    ecg = labelled.ecg[:10].copy()
    ecg[7], ecg[8] = ecg[0], units(1.5 * ecg[1])
    rhythm = ["SR", "SB"] * 5
    rhythm[7], rhythm[8] = "SR", "SR"
    first = store_of(tmp_path / "first.h5", ecg, [f"A{row}" for row in range(10)], rhythm)
    windows = units(0.7 * np.concatenate([ecg[2:3], labelled.ecg[20:25]])[:, 100 : 100 + WINDOW])
    return first, store_of(tmp_path / "corpus.h5", windows, [f"C{row}" for row in range(6)], None)


def test_an_audit_finds_what_is_the_same_within_and_across_stores(stores: tuple[Store, Store]) -> None:
    report = audit(stores, {0: (np.array([0, 2, 3, 4, 5, 6, 7, 9]), np.array([1, 8]))})
    assert report.identical_groups() == [[(0, 0), (0, 7)]]
    assert report.same_signal_groups() == [[(0, 0), (0, 7)], [(0, 1), (0, 8)], [(0, 2), (1, 0)]]
    assert report.conflicts() == [[(0, 1), (0, 8)]]
    assert report.crossing() == []
    ties = report.ties(stores[0])
    assert (ties[0], ties[1]) == (ties[7], ties[8])
    assert len(set(ties)) == 8
    assert ties[2] == report.ties(stores[1])[0]


def test_an_audit_names_what_crosses_a_split(stores: tuple[Store, Store]) -> None:
    report = audit(stores, {0: (np.arange(8), np.array([8, 9]))})
    assert report.crossing() == [[(0, 1), (0, 8)]]


def test_an_audit_is_told_in_lines(stores: tuple[Store, Store]) -> None:
    lines = audit(stores, {0: (np.arange(8), np.array([8, 9]))}).render().splitlines()
    assert lines == [
        f"audit of 16 rows in {stores[0].path}, {stores[1].path}",
        "byte-identical rows: 2 rows in 1 groups, 0 of them across stores",
        "same signal, identical or not: 6 rows in 3 groups, 1 of them across stores",
        "  first.h5:A0 at 2 s (SR) = first.h5:A7 at 2 s (SR)",
        "  first.h5:A1 at 2 s (SB) = first.h5:A8 at 2 s (SR)",
        "  first.h5:A2 at 2 s (SR) = corpus.h5:C0 at 2 s",
        "same signal with different rhythms: 1 groups",
        "  first.h5:A1 at 2 s (SB) = first.h5:A8 at 2 s (SR)",
        "same signal in train and in test: 1 groups",
        "  first.h5:A1 at 2 s (SB) = first.h5:A8 at 2 s (SR)",
    ]


def test_names_not_numbers_of_rhythms_are_compared(labelled: Store, tmp_path: Path) -> None:
    ecg = labelled.ecg[:2]
    one = store_of(tmp_path / "one.h5", ecg, ["A", "B"], ["SB", "SR"])
    agreeing = store_of(tmp_path / "agreeing.h5", ecg[1:], ["C"], ["SR"])
    differing = store_of(tmp_path / "differing.h5", ecg[1:], ["D"], ["AFIB"])
    assert audit([one, agreeing]).conflicts() == []
    assert audit([one, differing]).conflicts() == [[(0, 1), (1, 0)]]


def test_only_audited_stores_have_ties(stores: tuple[Store, Store]) -> None:
    with pytest.raises(ValueError, match=r"corpus\.h5: not among the stores audited"):
        audit(stores[:1]).ties(stores[1])
    with pytest.raises(ValueError, match="0 stores to audit"):
        audit([])


def test_test_rows_in_a_corpus_are_found(stores: tuple[Store, Store]) -> None:
    first, corpus = stores
    assert overlap_with(corpus, first, np.array([9, 2, 1])).tolist() == [2]
    assert overlap_with(corpus, first, np.array([9, 1])).tolist() == []
    assert overlap_with(corpus, first, np.array([], dtype=int)).tolist() == []


def test_a_byte_identical_middle_is_found_even_without_a_beat(tmp_path: Path) -> None:
    slow = np.tile(np.linspace(-500, 500, 2500), (2, 1))
    slow[1] *= -1
    first = store_of(tmp_path / "first.h5", units(slow), ["A", "B"], ["SR", "SB"])
    corpus = store_of(tmp_path / "corpus.h5", units(slow)[1:, 226 : 226 + WINDOW], ["C"], None)
    assert overlap_with(corpus, first, np.array([0, 1])).tolist() == [1]
