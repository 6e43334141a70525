from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import wandb
from lightning.pytorch.loggers import WandbLogger

from ecg_tl import group_config
from ecg_tl.bundle import load_bundle, save_bundle
from ecg_tl.networks import Architecture, Decoder, Encoder
from ecg_tl.tracking import has_account, track_cell, track_encoder, tracked
from tests.test_records import record_of

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


def test_only_where_wandb_is_online_is_it_asked_for_the_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    architecture = Architecture(width=2, kernel=3, late_kernel=3)
    bundle = load_bundle(
        save_bundle(tmp_path / "encoder", Encoder(architecture), Decoder(architecture), {"lead": "II"})
    )
    used: list[str] = []

    def use(artifact: wandb.Artifact) -> None:
        used.append(artifact.name)
        if len(used) > 1:
            raise wandb.errors.CommError("no\nnetwork")

    for offline in (True, False, False):
        logger = WandbLogger(experiment=cast(Any, Run(offline, use)))
        track_encoder([logger], bundle)
    assert used == [f"encoder-{bundle.sha256[:12]}"] * 2
    assert capsys.readouterr().out == f"note: W&B does not show that this cell uses {bundle.folder}: no network\n"


def test_an_index_is_in_the_summary_where_the_curve_has_one(tmp_path: Path) -> None:
    record = record_of(best_f1=0.75, selected_f1=0.5, macro_f1=0.25, n_train=24)
    figures = {"best_f1": 0.75, "selected_f1": 0.5, "macro_f1": 0.25, "n_train": 24}
    for lci, index in ((1.25, {"lci": 1.25}), (math.inf, {}), (None, {})):
        with tracked("wandb", **CELL, folder=tmp_path / str(lci)) as loggers:
            logged: dict[str, Any] = {}
            summary = SimpleNamespace(update=logged.update)
            run = SimpleNamespace(log=lambda _: None, summary=summary, id="x", name="x")
            track_cell([WandbLogger(experiment=cast(Any, run)), *loggers], replace(record, lci=lci))
        assert logged == figures | index


@dataclass
class Run:
    """As much of a W&B run as that takes."""

    offline: bool
    use_artifact: Any
    disabled: bool = False
    id: str = "x"
    name: str = "x"


def test_a_logger_that_is_not_installed_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_config, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"logger=tensorboard: not installed; pip install -e '\.\[tensorboard\]'"):
        group_config.LoggerConfig("tensorboard")


def test_wandb_that_cannot_be_reached_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: object) -> None:
        raise wandb.errors.CommError("timed out")

    monkeypatch.setattr(wandb, "init", unreachable)
    with (
        pytest.raises(ValueError, match="logger=wandb: timed out; set WANDB_MODE=offline"),
        tracked("wandb", **CELL, folder=tmp_path),
    ):
        pass
