"""A sweep in which cells fail, and what status says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ecg_tl import locks, train
from ecg_tl.asked import note_asked, read_asked
from ecg_tl.locks import held
from ecg_tl.overrides import sweep_configs
from ecg_tl.records import Cell
from ecg_tl.status import CellStatus, seconds_left, status_of
from tests.commands import run
from tests.fabricate import labelled_store
from tests.test_command_line import told
from tests.test_study import TINY

SWEEP = ("-m", "study=s", *TINY, "init=random", "fraction=1,0.5", "seed=range(2)", "epochs=1")


def fail_at(monkeypatch: pytest.MonkeyPatch, fraction: float, seed: int) -> None:
    fit = train._train

    def failing(config: Any, *arguments: Any) -> None:
        if (config.fraction, config.seed) == (fraction, seed):
            raise RuntimeError("out of\nmemory")
        fit(config, *arguments)

    monkeypatch.setattr(train, "_train", failing)


def test_a_failed_cell_does_not_stop_the_others_and_status_tells_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled_store(tmp_path / "data.h5", records=60)
    words = (*SWEEP, f"data.path={tmp_path / 'data.h5'}", f"outputs={tmp_path}")
    status_words = ("status", f"outputs={tmp_path}", "study=s")
    runs = tmp_path / "s" / "runs" / "random"
    with monkeypatch.context() as patch:
        fail_at(patch, 1, 1)
        with pytest.raises(SystemExit) as stopped:
            run("train", *words)
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert "error: 1 of 4 cells failed\n  s/random/1/1: RuntimeError: out of memory\n" in error
    assert "Traceback" in (runs / "1" / "1" / "failed.txt").read_text()

    note_asked(tmp_path / "s", [Cell("transfer", 1.0, 0), Cell("transfer", 1.0, 1)])
    (tmp_path / "s" / "runs" / "transfer" / "1" / "1").mkdir(parents=True)
    (tmp_path / "s" / "runs" / "transfer" / "1" / "1" / "config.yaml").touch()
    (runs / "0.5" / "1" / "record.json").unlink()
    monkeypatch.setattr(locks, "_PATIENCE_S", 0)
    with held(runs / "0.5" / "1"):
        run(*status_words, "format=json")
        told = json.loads(capsys.readouterr().out)
        run("train", *words)  # all but the cell that is being worked on
        assert "random/0.5/1: another process is at it; skipped" in capsys.readouterr().out
    counts = {state: told[state] for state in ("done", "running", "failed", "interrupted", "missing")}
    assert counts == {"done": 2, "running": 1, "failed": 1, "interrupted": 1, "missing": 1}
    (failed,) = [cell for cell in told["cells"] if cell["state"] == "failed"]
    assert (failed["init"], failed["fraction"], failed["seed"]) == ("random", 1, 1)
    assert failed["error"] == "RuntimeError: out of memory"
    assert not (runs / "1" / "1" / "failed.txt").exists()
    run("train", *words)
    run(*status_words)
    table = capsys.readouterr().out
    assert [line.split("│")[1:4] for line in table.splitlines() if "random" in line and "│" in line] == [
        [" random   ", "        1 ", "    2 "],
        [" random   ", "      0.5 ", "    2 "],
    ]
    assert "left, 1 at a time" in table


def test_what_all_cells_share_is_refused_before_any_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("train", *SWEEP, "data.path=none.h5", f"outputs={tmp_path / 'out'}")
    assert capsys.readouterr().err.startswith("error: none.h5: no such store")
    labelled_store(tmp_path / "data.h5", records=60)
    with pytest.raises(SystemExit):
        run("train", *SWEEP, "learning_rate=0.1,0.2", "data.path=data.h5", f"outputs={tmp_path / 'out'}")
    assert "random/1/0: asked for twice; give it once" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_study_that_nobody_began_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("status", f"outputs={tmp_path}", "study=none")
    assert "none: no cell was asked of this study; python -m ecg_tl.train -m study=none" in capsys.readouterr().err


def test_the_cells_of_a_sweep_are_those_that_hydra_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("init=transfer,random", "fraction=1,0.5", "seed=range(2)", "split_seed=choice(0,3)", "study=a,b")
    hydras = told(monkeypatch, "train", "-m", *words)
    ours = sweep_configs("train", list(words))
    assert len(ours) == 32
    assert sorted(map(repr, ours)) == sorted(map(repr, hydras))


def test_asked_cells_add_up_and_a_damaged_list_is_named(tmp_path: Path) -> None:
    note_asked(tmp_path, [Cell("random", 1.0, 0)])
    note_asked(tmp_path, [Cell("random", 1.0, 0), Cell("image", 0.5, 3, 1)])
    assert read_asked(tmp_path) == [Cell("image", 0.5, 3, 1), Cell("random", 1.0, 0, 0)]
    (tmp_path / "asked.json").write_text("[{]")
    with pytest.raises(ValueError, match=r"asked\.json: not a list of cells"):
        read_asked(tmp_path)


def test_time_left_goes_by_cells_alike() -> None:
    def status(init: str, fraction: float, state: str, seconds: float | None = None) -> CellStatus:
        return CellStatus(Cell(init, fraction, 0), state, seconds)

    done = [status("random", 1.0, "done", 10.0), status("random", 1.0, "done", 20.0), status("image", 1.0, "done", 3.0)]
    assert seconds_left([status("random", 1.0, "missing")]) is None
    assert seconds_left([*done, status("random", 1.0, "missing")]) == 15
    assert seconds_left([*done, status("random", 0.5, "failed"), status("transfer", 1.0, "missing")]) == 15 + 11
    assert seconds_left([*done, status("random", 1.0, "running"), status("random", 1.0, "running")]) == 15


def test_a_copy_of_a_run_that_somebody_kept_is_no_cell(tmp_path: Path) -> None:
    for name in ("0", "0.bak", "00"):
        (tmp_path / "runs" / "random" / "1" / name).mkdir(parents=True)
        (tmp_path / "runs" / "random" / "1" / name / "config.yaml").touch()
    (tmp_path / "runs" / "random" / "0.3333333" / "0").mkdir(parents=True)
    (tmp_path / "runs" / "random" / "0.3333333" / "0" / "config.yaml").touch()
    assert [each.cell for each in status_of(tmp_path)] == [Cell("random", 1, 0, 0), Cell("random", 0.3333333, 0, 0)]
