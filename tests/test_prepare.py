from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.commands import refused, run
from tests.fabricate import icu_store, labelled_store, wfdb_records

SYNTHETIC = ("source=synthetic_icu", "source.patients=3", "source.recording_s=30", "source.windows_per_patient=2")


def test_the_same_store_is_not_made_twice_and_another_is_refused_with_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a kill just when the store had come to be: the command that is given again comes to its end."""
    out = tmp_path / "icu.h5"
    run("prepare", *SYNTHETIC, f"out={out}")
    made = out.read_bytes()
    capsys.readouterr()
    run("prepare", *SYNTHETIC, f"out={out}")
    assert capsys.readouterr().out == f"{out}: prepared already, 6 rows; skipped\n"
    for other, shown in (("source.patients=4", "patients: 3 -> 4"), ("source.seed=1", "seed: 0 -> 1")):
        refused("prepare", *SYNTHETIC, other, f"out={out}")
        assert f"exists, made with other settings ({shown}); remove it or choose another out" in (
            capsys.readouterr().err
        )
    assert out.read_bytes() == made


def test_a_store_of_files_is_made_again_only_if_they_have_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = wfdb_records(tmp_path / "raw")
    words = ("source=wfdb", "source.lead=II", f"out={tmp_path / 'data.h5'}")
    run("prepare", f"source.path={folder}", *words)
    folder = folder.rename(tmp_path / "moved")
    capsys.readouterr()
    run("prepare", f"source.path={folder}", *words)
    assert "prepared already" in capsys.readouterr().out
    table = folder / "labels.csv"
    table.write_text(table.read_text() + "\n")
    refused("prepare", f"source.path={folder}", *words)
    assert "exists, made of other files; remove it" in capsys.readouterr().err


def test_a_merge_is_not_made_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1, 2):
        run("prepare", *SYNTHETIC, f"source.seed={seed}", f"out={tmp_path / f'{seed}.h5'}")
    out = tmp_path / "all.h5"
    run("prepare", f"merge=[{tmp_path}/0.h5,{tmp_path}/1.h5]", f"out={out}")
    capsys.readouterr()
    run("prepare", f"merge=[{tmp_path}/0.h5,{tmp_path}/1.h5]", f"out={out}")
    assert "prepared already, 12 rows; skipped" in capsys.readouterr().out
    refused("prepare", f"merge=[{tmp_path}/0.h5,{tmp_path}/2.h5]", f"out={out}")
    assert "made with other settings (merge: " in capsys.readouterr().err


def test_a_file_that_is_no_store_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "notes.h5"
    out.write_text("mine")
    refused("prepare", *SYNTHETIC, f"out={out}")
    assert "notes.h5" in capsys.readouterr().err
    assert out.read_text() == "mine"


def test_a_store_with_rhythms_is_not_the_one_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table lies among the recordings, so that the files are the same with and without it."""
    for number in range(2):
        ecg_mv = np.random.default_rng(number).normal(size=3000)
        np.savetxt(tmp_path / f"r{number}.csv", ecg_mv, header="II", comments="")
    (tmp_path / "labels.csv").write_text("record,rhythm\nr0,SR\nr1,SB\n")
    words = ("source=csv", f"source.path={tmp_path}", "source.rate_hz=250", "source.unit=mV", "source.lead=II")
    run("prepare", *words, f"out={tmp_path / 'a.h5'}")
    refused("prepare", *words, "source.labels=labels.csv", f"out={tmp_path / 'a.h5'}")
    assert "made with other settings (labels: None -> labels.csv)" in capsys.readouterr().err
    run("prepare", *words, f"source.labels={tmp_path / 'labels.csv'}", f"out={tmp_path / 'b.h5'}")
    run("prepare", *words, "source.labels=labels.csv", f"out={tmp_path / 'b.h5'}")
    assert "b.h5: prepared already" in capsys.readouterr().out


def test_a_labelled_store_in_a_merge_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labelled, icu = labelled_store(tmp_path / "a.h5", records=4), icu_store(tmp_path / "b.h5", patients=2)
    run("prepare", f"merge=[{labelled.path},{icu.path}]", f"out={tmp_path / 'c.h5'}")
    out = capsys.readouterr().out
    assert f"note: {labelled.path} is labelled; its rhythms are left behind" in out
    assert out.count("note:") == 1
