from __future__ import annotations

from pathlib import Path

import h5py

from ecg_tl.info import info
from ecg_tl.merge import merge
from tests.fabricate import icu_store, labelled_store


def test_a_labelled_store_is_described_and_verified(tmp_path: Path) -> None:
    store = labelled_store(tmp_path / "a.h5", records=7, rhythms=("SR", "SB"))
    text = info(store.path)
    for expected in (
        "a.h5: labelled store",
        "7 rows of 10 s from 7 patients, lead II",
        "rhythms: SR 4, SB 3",
        "  flat 1",
        "rate: 250 Hz, 2,500 samples a row",
        "format fabricated, files 7, checksum 0000",
        f"content: SHA-256 {store.content_sha256}, verified",
        "| Patients | 7 |",
        "| Rhythm SR | 4 (57.1) |",
    ):
        assert expected in text
    assert "written to" not in text


def test_an_unlabelled_store_has_no_rhythms(tmp_path: Path) -> None:
    text = info(icu_store(tmp_path / "icu.h5", patients=2, windows_per_patient=3).path)
    assert "icu.h5: unlabelled store\n6 rows of 8.192 s from 2 patients" in text
    assert "| ECGs per patient | 3 |" in text
    assert "Rhythm" not in text


def test_a_changed_sample_is_told(tmp_path: Path) -> None:
    path = labelled_store(tmp_path / "a.h5", records=4).path
    with h5py.File(path, "a") as file:
        file["ecg"][2, 100] += 1
    text = info(path)
    assert "content: NOT what was prepared" in text
    assert "verified" not in text


def test_of_a_merged_store_every_part_has_a_line(tmp_path: Path) -> None:
    stores = [icu_store(tmp_path / f"{n}.h5", patients=n, windows_per_patient=3) for n in (2, 4)]
    stores[1].source["checksum"] = "1111"
    merge(stores, tmp_path / "all.h5")
    text = info(tmp_path / "all.h5")
    assert "source: format merged\n" in text
    assert ": 6 rows, " in text
    assert "-1111: 12 rows, " in text
