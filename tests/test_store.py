"""A store is whole or absent, gives back what went in, and names what is wrong with a file that is none."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from ecg_tl.store import Store, StoreWriter, open_store, verify_content
from ecg_tl.waveform import FILTER
from tests.fabricate import icu_store, labelled_store

SOURCE = {"format": "fabricated", "files": 2, "checksum": "ab"}


def writer(path: Path, length: int = 4, rhythms: tuple[str, ...] = ("SR", "SB")) -> StoreWriter:
    return StoreWriter(path, length, "II", rhythms, SOURCE, FILTER)


@pytest.fixture
def small(tmp_path: Path) -> Store:
    with writer(tmp_path / "small.h5") as store:
        store.append(np.array([0.0, 0.001, -0.002, 32.767]), "Müller", "a", 1.5, "SB", age=61.0, sex="female")
        store.append(np.array([[1, 2, 3, 4], [5, 6, 7, 8.0004]]) / 1000, "Yang", "b", [0.0, 8.0], "SR")
        store.exclude("c", "flat")
    return open_store(tmp_path / "small.h5")


def test_what_went_in_comes_out(small: Store) -> None:
    assert small.ecg.tolist() == [[0, 1, -2, 32767], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert small.ecg_mv(0) == pytest.approx([0, 0.001, -0.002, 32.767])
    assert small.ecg_mv([2, 1]) == pytest.approx(np.array([[5, 6, 7, 8], [1, 2, 3, 4]]) / 1000)
    assert (len(small), small.length, small.labelled, small.rate_hz, small.lead) == (3, 4, True, 250.0, "II")
    assert small.patient.tolist() == ["Müller", "Yang", "Yang"]
    assert small.record.tolist() == ["a", "b", "b"]
    assert small.start_s.tolist() == [1.5, 0.0, 8.0]
    assert small.rhythms == ("SR", "SB")
    assert small.rhythm is not None
    assert small.rhythm.tolist() == [1, 0, 0]
    assert small.age[0] == 61
    assert np.isnan(small.age[1:]).all()
    assert small.sex.tolist() == [2, 0, 0]
    assert small.excluded == [("c", "flat")]
    assert small.source == SOURCE
    assert small.filter == FILTER


def test_samples_are_read_from_the_file_and_not_written(small: Store) -> None:
    assert isinstance(small.ecg, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        small.ecg[0, 0] = 1


def test_a_worker_process_opens_the_file_and_does_not_copy_it(tmp_path: Path) -> None:
    store = icu_store(tmp_path / "icu.h5")
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000
    assert np.array_equal(pickle.loads(pickled).ecg, store.ecg)


def test_the_checksum_is_what_the_docstring_says(small: Store) -> None:
    samples = np.array([[0, 1, -2, 32767], [1, 2, 3, 4], [5, 6, 7, 8]], "<i2").tobytes()
    expected = hashlib.sha256(samples + "Müller\0Yang\0Yang\0".encode() + bytes([1, 0, 0])).hexdigest()
    assert small.content_sha256 == expected
    verify_content(small)


@pytest.mark.parametrize("name", ["ecg", "patient", "rhythm"])
def test_a_changed_store_fails_its_checksum(small: Store, name: str) -> None:
    with h5py.File(small.path, "r+") as file:
        file[name][0] = {"ecg": 7, "patient": "Mueller", "rhythm": 0}[name]
    with pytest.raises(ValueError, match=r"small\.h5: its content does not match"):
        verify_content(open_store(small.path))


def test_an_unlabelled_store_has_no_rhythm(tmp_path: Path) -> None:
    store = icu_store(tmp_path / "icu.h5", patients=3, windows_per_patient=2)
    verify_content(store)
    assert (store.rhythm, store.rhythms, store.labelled, store.ecg.shape) == (None, (), False, (6, 2048))
    assert store.start_s.tolist() == [0.0, 8.192] * 3


def test_many_blocks_arrive_in_order(tmp_path: Path) -> None:
    with writer(tmp_path / "long.h5", length=2, rhythms=()) as store:
        for number in range(9000):
            store.append(np.array([number % 30000, -number]) / 1000, "p", "r", number)
    assert np.array_equal(open_store(tmp_path / "long.h5").ecg[:, 1], -np.arange(9000))


def interrupted(store: StoreWriter) -> None:
    store.append(np.zeros(4), "p", "r", 0.0, "SR")
    raise KeyboardInterrupt


def unwritable(store: StoreWriter) -> None:
    """Appends a row whose age no column can hold, so that the file itself fails half-way."""
    store.append(np.zeros(4), "p", "r", 0.0, "SR", age="old")  # type: ignore[arg-type]


def idle(store: StoreWriter) -> None:
    store.exclude("r", "flat")


@pytest.mark.parametrize(
    ("act", "error"),
    [(interrupted, KeyboardInterrupt), (unwritable, ValueError), (idle, ValueError)],
)
def test_nothing_is_left_of_a_store_that_failed(
    tmp_path: Path, act: Callable[[StoreWriter], None], error: type[BaseException]
) -> None:
    with pytest.raises(error), writer(tmp_path / "store.h5") as store:
        act(store)
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_rows_counts_the_reasons(tmp_path: Path) -> None:
    store = writer(tmp_path / "store.h5")
    for record, reason in (("a", "nan"), ("b", "flat"), ("c", "flat")):
        store.exclude(record, reason)
    with pytest.raises(ValueError, match=r"store\.h5: no row to store; left out: 2 flat, 1 nan"), store:
        pass


@pytest.mark.parametrize(
    ("ecg_mv", "start_s", "rhythm", "message"),
    [
        (np.zeros(5), 0.0, "SR", r"rows \(5,\) .* \(n, 4\)"),
        (np.zeros((2, 4)), 0.0, "SR", "with 1 starts"),
        (np.array([0, 0, 0, 32.768]), 0.0, "SR", r"beyond \+-32\.767 mV"),
        (np.array([0, 0, 0, np.nan]), 0.0, "SR", "a sample is missing"),
        (np.zeros(4), 0.0, "VT", r"rhythm 'VT' is not among the store's \['SR', 'SB'\]"),
        (np.zeros(4), 0.0, None, "rhythm None"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(
    tmp_path: Path, ecg_mv: np.ndarray, start_s: float, rhythm: str | None, message: str
) -> None:
    with writer(tmp_path / "store.h5") as store:
        with pytest.raises(ValueError, match=f"^r: .*{message}"):
            store.append(ecg_mv, "p", "r", start_s, rhythm)
        store.append(np.ones(4), "p", "r", 0.0, "SR")
    assert open_store(tmp_path / "store.h5").ecg.tolist() == [[1000] * 4]


def test_a_missing_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.h5: no such store; .*python -m ecg_tl\.prepare source=NAME"):
        open_store(tmp_path / "none.h5")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_cut_short_is_named(tmp_path: Path, share: float) -> None:
    path = labelled_store(tmp_path / "store.h5", records=6).path
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"store\.h5: not an HDF5 file, or cut short"):
        open_store(path)


def test_a_text_file_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "notes.h5").write_text("record,rhythm\n")
    with pytest.raises(ValueError, match=r"notes\.h5: not an HDF5 file"):
        open_store(tmp_path / "notes.h5")


def replace(file: h5py.File, name: str, values: np.ndarray, **options: object) -> None:
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=values, **options).attrs.update(attributes)


WRONG: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "another format": (lambda file: file.attrs.update(format="ptbxl"), "HDF5, but not a prepared store"),
    "no format": (lambda file: file.attrs.pop("format"), "HDF5, but not a prepared store"),
    "a later version": (
        lambda file: file.attrs.update(version=2),
        "store version 2, and this program reads 1",
    ),
    "no checksum": (lambda file: file.attrs.pop("content_sha256"), "no attribute 'content_sha256'"),
    "another rate": (lambda file: file.attrs.update(rate_hz=500.0), "500.0 Hz in mV"),
    "another unit": (lambda file: file.attrs.update(unit="uV"), "250.0 Hz in uV"),
    "no samples": (lambda file: file.pop("ecg"), "no data set /ecg"),
    "no rhythm": (lambda file: file.pop("rhythm"), "no data set /rhythm"),
    "no reasons": (lambda file: file.pop("excluded/reason"), "no data set /excluded/reason"),
    "no unit of a sample": (lambda file: file["ecg"].attrs.pop("mv_per_unit"), "/ecg is int16"),
    "compressed": (lambda file: replace(file, "ecg", file["ecg"][:], chunks=True), "not contiguous int16"),
    "float samples": (lambda file: replace(file, "ecg", file["ecg"][:] * 1.0), "/ecg is float64"),
    "a short column": (
        lambda file: replace(file, "age", file["age"][1:]),
        r"/age has shape \(2,\) beside 3 rows",
    ),
    "an unknown rhythm": (
        lambda file: file["rhythm"].write_direct(np.array([0, 1, 2], "u1")),
        "rhythm index 2",
    ),
    "numbers for names": (lambda file: replace(file, "patient", np.arange(3)), "a damaged store"),
    "broken JSON": (lambda file: file.attrs.update(source="{"), "a damaged store"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_told_in_one_line_with_its_name_and_the_remedy(small: Store, case: str) -> None:
    spoil, message = WRONG[case]
    with h5py.File(small.path, "r+") as file:
        spoil(file)
    with pytest.raises(ValueError, match=rf"small\.h5: .*{message}.*ecg_tl\.prepare") as caught:
        open_store(small.path)
    assert "\n" not in str(caught.value)
