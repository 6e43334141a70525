from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ecg_tl.reproduce import prepare_command
from ecg_tl.store import open_store
from tests.commands import run
from tests.fabricate import wfdb_records


def test_the_command_of_a_store_makes_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = wfdb_records(tmp_path / "raw")
    (folder / "labels.csv").rename(folder / "a=1, b.csv")
    words = (f"source.path={folder}", "source.lead=II", "source.window_s=9", 'source.labels="a=1, b.csv"')
    run("prepare", "source=wfdb", *words, f"out={tmp_path / 'a.h5'}")
    store = open_store(tmp_path / "a.h5")
    line = prepare_command(str(store.path), store.source).replace("RECORDINGS", str(folder))
    assert str(store.source["checksum"]) in line
    entry, *again = shlex.split(line, comments=True)[2:]
    assert entry == "ecg_tl.prepare"
    capsys.readouterr()
    run("prepare", *again)
    assert "a.h5: prepared already" in capsys.readouterr().out


def test_a_store_that_no_command_of_a_source_made_is_described() -> None:
    merged = {"format": "merged", "parts": {"wfdb_icu-5ce145a7": {}, "csv-0123abcd": {}}, "settings": {"merge": []}}
    assert prepare_command("c.h5", merged).startswith("# c.h5: made of wfdb_icu-5ce145a7+csv-0123abcd; ")
    assert "checksum of its files 99" in prepare_command("d.h5", {"format": "x", "checksum": "99"})
