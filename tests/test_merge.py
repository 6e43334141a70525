from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ecg_tl.merge import merge
from ecg_tl.sources import Sex
from ecg_tl.store import Store, StoreWriter, open_store, verify_content
from ecg_tl.waveform import FILTER, WINDOW


def store_of(path: Path, checksum: str, length: int = WINDOW, lead: str = "II", **filters: object) -> Store:
    rhythms = ("SR",) if length != WINDOW else ()
    source = {"format": "fabricated", "checksum": checksum}
    with StoreWriter(path, length, lead, rhythms, source, {**FILTER, **filters}) as writer:
        for patient in ("1", "2"):
            ecg_mv = np.random.default_rng(int(patient)).normal(size=length)
            writer.append(ecg_mv, patient, f"r{patient}", 4.0, rhythms[0] if rhythms else None, 50.0, "male")
        writer.exclude("r3", "flat")
    return open_store(path)


def test_rows_come_out_as_they_went_in_under_names_of_their_source(tmp_path: Path) -> None:
    icu, labelled = store_of(tmp_path / "a.h5", "a" * 64), store_of(tmp_path / "b.h5", "b" * 64, 2500, "V1")
    assert merge([icu, labelled], tmp_path / "c.h5") == 4
    merged = open_store(tmp_path / "c.h5")
    verify_content(merged)
    assert merged.ecg[:2].tolist() == icu.ecg.tolist()
    assert merged.ecg[2:].tolist() == labelled.ecg[:, 226:2274].tolist()
    assert merged.start_s.tolist() == [4, 4, 4 + 226 / 250, 4 + 226 / 250]
    assert len(set(merged.patient)) == 4
    assert merged.patient[0] == "fabricated-aaaaaaaa/1"
    assert (merged.lead, merged.labelled, merged.age[0], merged.sex[0]) == ("II+V1", False, 50, 1)
    assert merged.excluded == [("fabricated-aaaaaaaa/r3", "flat"), ("fabricated-bbbbbbbb/r3", "flat")]


def test_every_row_keeps_its_own_record_person_and_start(tmp_path: Path) -> None:
    people: list[tuple[str, str, float, Sex]] = [
        ("1", "a", 50.0, "male"),
        ("1", "a", 50.0, "male"),
        ("1", "b", 50.0, "male"),
        ("2", "b", math.nan, "male"),
        ("2", "b", math.nan, "female"),
        ("2", "b", 60.0, "female"),
        ("1", "a", 50.0, "male"),
    ]
    with StoreWriter(tmp_path / "a.h5", WINDOW, "II", (), {"format": "x", "checksum": "a" * 64}, FILTER) as writer:
        for row, (patient, record, age, sex) in enumerate(people):
            ecg_mv = np.random.default_rng(row).normal(size=WINDOW)
            writer.append(ecg_mv, patient, record, float(row), None, age, sex)
    store = open_store(tmp_path / "a.h5")
    merge([store, store], tmp_path / "c.h5")
    merged = open_store(tmp_path / "c.h5")
    verify_content(merged)
    assert merged.ecg.tolist() == store.ecg.tolist() * 2
    assert merged.start_s.tolist() == [0, 1, 2, 3, 4, 5, 6] * 2
    for name in ("patient", "record"):
        assert getattr(merged, name).tolist() == [f"x-aaaaaaaa/{value}" for value in getattr(store, name)] * 2
    assert np.array_equal(merged.age, np.tile(store.age, 2), equal_nan=True)
    assert merged.sex.tolist() == store.sex.tolist() * 2


def test_two_leads_of_the_same_files_have_the_same_patients(tmp_path: Path) -> None:
    merge([store_of(tmp_path / f"{lead}.h5", "a" * 64, lead=lead) for lead in ("II", "V1")], tmp_path / "c.h5")
    merged = open_store(tmp_path / "c.h5")
    assert len(set(merged.patient)) == 2
    assert [part["leads"] for part in merged.source["parts"].values()] == [["II", "V1"]]


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    first, other = store_of(tmp_path / "a.h5", "a" * 64), store_of(tmp_path / "b.h5", "b" * 64, cutoff_hz=1.0)
    with pytest.raises(ValueError, match=r"b\.h5: filtered otherwise than .*a\.h5"):
        merge([first, other], tmp_path / "c.h5")
    with pytest.raises(ValueError, match="1 store; give two or more"):
        merge([first], tmp_path / "c.h5")
    with pytest.raises(ValueError, match="rows of 1000 samples"):
        merge([first, store_of(tmp_path / "d.h5", "d" * 64, 1000)], tmp_path / "c.h5")
    assert not (tmp_path / "c.h5").exists()
    with pytest.raises(FileExistsError, match="exists; remove it"):
        merge([first, first], tmp_path / "a.h5")
