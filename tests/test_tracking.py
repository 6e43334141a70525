from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wandb

from ecg_tl.tracking import has_account, tracked

CELL: dict[str, Any] = {
    "project": "p",
    "entity": None,
    "study": "s",
    "run_id": "0123456789abcdef",
    "job_type": "random",
    "tags": ["fraction=1", "seed=0"],
    "config": {"epochs": 3},
}


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What wandb.init was asked for; the runs themselves are disabled."""
    asked: list[dict[str, Any]] = []
    init = wandb.init

    def remember(**options: Any) -> Any:
        asked.append(options)
        return init(mode="disabled")

    monkeypatch.setattr(wandb, "init", remember)
    return asked


@pytest.mark.usefixtures("no_account")
def test_without_an_account_a_run_is_offline(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    with tracked("wandb", **CELL, folder=tmp_path):
        pass
    assert asked[0]["mode"] == "offline"
    assert {name: asked[0][name] for name in ("group", "job_type", "tags", "config")} == {
        "group": "s",
        "job_type": "random",
        "tags": ["fraction=1", "seed=0"],
        "config": {"epochs": 3},
    }


@pytest.mark.usefixtures("no_account")
def test_with_an_account_a_run_is_online_unless_wandb_mode_says_otherwise(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert has_account()
    with tracked("wandb", **CELL, folder=tmp_path):
        pass
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with tracked("wandb", **CELL, folder=tmp_path):
        pass
    assert [options["mode"] for options in asked] == ["online", "disabled"]


@pytest.mark.usefixtures("no_account")
def test_a_key_in_the_environment_is_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_account()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert has_account()


def test_csv_logs_nowhere_else(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    with tracked("csv", **CELL, folder=tmp_path / "none") as loggers:
        assert loggers == []
    assert not asked
    assert not (tmp_path / "none").exists()


def test_a_run_is_finished_even_when_training_fails(tmp_path: Path) -> None:
    def diverge() -> None:
        with tracked("wandb", **CELL, folder=tmp_path):
            assert wandb.run is not None
            raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        diverge()
    assert wandb.run is None


@pytest.mark.usefixtures("no_account")
def test_runs_of_one_process_stay_apart_offline(tmp_path: Path) -> None:
    for seed in range(2):
        with tracked("wandb", **(CELL | {"run_id": f"cell{seed}"}), folder=tmp_path) as (logger,):
            logger.log_metrics({"test_f1": 0.5 + seed}, step=1)
    files = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2
    assert files[0].stem != files[1].stem


def test_tensorboard_gets_curves_and_summary_of_a_cell_in_a_folder_of_its_own(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with tracked("tensorboard", **CELL, folder=tmp_path) as (logger,):
        logger.log_metrics({"test_f1": 0.5}, step=1)
        logger.finalize("success")
    read = reader.EventAccumulator(str(tmp_path / "tensorboard" / "random" / "fraction=1" / "seed=0"))
    read.Reload()
    assert [event.value for event in read.Scalars("test_f1")] == [0.5]
