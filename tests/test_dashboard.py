"""The workspace draws nothing but what runs log: its spec against what an offline run would send."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecg_tl.bundle import load_bundle
from ecg_tl.records import read_records
from tests.commands import run
from tests.fabricate import icu_store, labelled_store
from tests.test_study import TINY
from tests.wandb_log import OfflineRun, read_offline_run

CELL = ("fraction=0.5", "seed=2", "split_seed=2", "learning_rate=0.02")
"""A cell whose curve falls on its way and so has an index, where the processor rounds as ours did."""
ENTITY_AND_STUDY = ("entity=someone", "project=p", "study=s")


@pytest.fixture
def spec(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    pytest.importorskip("wandb_workspaces")
    run("dashboard", *ENTITY_AND_STUDY, "dry_run=true")
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of a pretraining and one cell, tracked offline, without an account."""
    root = tmp_path_factory.mktemp("tracked")
    icu_store(root / "icu.h5", patients=10, windows_per_patient=8)
    labelled_store(root / "data.h5", records=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("WANDB_MODE", "offline")
        run("pretrain", "study=s", *TINY, "corpus.path=icu.h5", "epochs=2")
        run("train", "study=s", *TINY, "data.path=data.h5", "epochs=6", *CELL)
    return root


@pytest.fixture(scope="module")
def runs(root: Path) -> dict[str, OfflineRun]:
    """What was logged, by job type."""
    read = [read_offline_run(folder) for folder in sorted((root / "outputs/s/wandb").glob("offline-run-*"))]
    return {run.run.job_type: run for run in read}


def panels(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for section in spec["spec"]["section"]["panelBankConfig"]["sections"]:
        yield from (panel["config"] | {"section": section["name"]} for panel in section["panels"])


def keys_used(spec: dict[str, Any]) -> dict[str, set[str]]:
    """Every key that the workspace reads, by where W&B keeps it: history, summary, media or config."""
    used: dict[str, set[str]] = {"history": set(), "summary": set(), "config": set(), "media": set()}
    (runset,) = spec["spec"]["section"]["runSets"]
    written = [*runset["runFeed"]["columnPinned"], *(f"config:{key['name']}" for key in runset["grouping"])]
    for panel in panels(spec):
        written += [panel[axis] for axis in ("xAxis", "yAxis") if ":" in panel.get(axis, "")]
        for key in panel.get("metrics", []):
            kind, dot, name = key.partition(".")
            used["summary" if dot else "history"].add(name if dot else kind)
        used["history"] |= {panel["xAxis"]} if panel.get("xAxis", ":").isidentifier() else set()
        used["media"] |= set(panel.get("mediaKeys", []))
        for query in panel.get("userQuery", {}).get("queryFields", []):
            used["media"] |= {field["args"][0]["value"] for field in query["fields"] if field["name"] == "summaryTable"}
    for key in written:
        kind, _, name = key.partition(":")
        used.setdefault(kind, set()).add(name)
    return used


def in_config(config: dict[str, Any], key: str) -> Any:
    """Follow a key as W&B spells it, `group.value.name`, into a run's config."""
    group, _, rest = key.partition(".value")
    value = config[group]
    for name in filter(None, rest.split(".")):
        value = value[name]
    return value


def test_every_key_that_the_workspace_uses_is_one_that_runs_log(
    spec: dict[str, Any], runs: dict[str, OfflineRun]
) -> None:
    used = keys_used(spec)
    logged = {key.partition(".")[0] for run in runs.values() for entry in run.history for key in entry}
    assert used["history"] == {"epoch", "train_loss", "test_loss", "test_f1", "oob_f1", "test_mse", "test_sse"}
    assert used["history"] <= logged
    assert used["summary"] == {"best_f1", "selected_f1", "lci", "macro_f1", "n_train", "best_test_sse"}
    assert used["summary"] - {"lci"} <= {key for run in runs.values() for key in run.summary}
    assert used["media"] == {"confusion_table", "reconstruction"}
    assert used["media"] <= logged
    assert {key: in_config(runs["transfer"].config, key) for key in used["config"]} == {
        "init.value.name": "transfer",
        "fraction.value": 0.5,
        "seed.value": 2,
    }
    assert used["run"] == {"displayName"}


def test_the_workspace_asks_for_the_confusion_matrix_as_wandbs_own_chart_does(
    spec: dict[str, Any], runs: dict[str, OfflineRun]
) -> None:
    (chart,) = (panel for panel in panels(spec) if "panelDefId" in panel)
    own = runs["transfer"].config["_wandb.visualize.confusion"]["panel_config"]
    assert (chart["panelDefId"], chart["fieldSettings"]) == (own["panelDefId"], own["fieldSettings"])

    def table(config: dict[str, Any]) -> Any:
        fields = config["userQuery"]["queryFields"][0]["fields"]
        return next(field["args"] for field in fields if field["name"] == "summaryTable")

    assert [(part["name"], part["value"]) for part in table(chart)] == [
        (part["name"], part["value"]) for part in table(own)
    ]


def test_a_workspace_is_of_one_study_or_of_all(spec: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert (spec["entity"], spec["project"]) == ("someone", "p")
    (only,) = spec["spec"]["section"]["runSets"][0]["filters"]["filters"]
    assert (only["key"], only["op"], only["value"]) == ({"section": "run", "name": "group"}, "=", "s")
    run("dashboard", "dry_run=true")
    assert json.loads(capsys.readouterr().out)["spec"]["section"]["runSets"][0]["filters"]["filters"] == []


def test_without_an_entity_nothing_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("dashboard", "study=s")
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("error: entity: whose workspace? give entity=NAME")


def test_the_summary_is_the_record(root: Path, runs: dict[str, OfflineRun]) -> None:
    (record,) = read_records(root / "outputs" / "s")
    cell = runs["transfer"]
    has_index = record.lci is not None and math.isfinite(record.lci)
    assert ("lci" in cell.summary) == has_index
    for key in ("best_f1", "selected_f1", "macro_f1", "n_train", *(["lci"] if has_index else [])):
        assert cell.summary[key] == pytest.approx(getattr(record, key))
    by_epoch = {entry["epoch"]: entry["test_f1"] for entry in cell.history if "test_f1" in entry}
    assert list(by_epoch) == [0, 1, 2, 3, 4, 5]
    assert max(by_epoch.values()) == pytest.approx(record.best_f1)
    table = next((root / "outputs/s/wandb").glob("offline-run-*/files/media/table/confusion_table_*.json"))
    counted = {(true, said): n for true, said, n in json.loads(table.read_text())["data"]}
    names = record.rhythms
    assert [[counted[true, said] for said in names] for true in names] == record.confusion


def test_a_run_is_told_by_study_cell_and_tags(runs: dict[str, OfflineRun]) -> None:
    cell, pretraining = runs["transfer"].run, runs["pretrain"].run
    assert (cell.run_group, pretraining.run_group) == ("s", "s")
    assert cell.display_name == "transfer/fraction=0.5/seed=2/split=2"
    assert list(cell.tags) == ["fraction=0.5", "seed=2", "split=2"]
    assert cell.run_id != pretraining.run_id


def test_the_encoder_is_an_artifact_of_the_pretraining_that_made_it(root: Path, runs: dict[str, OfflineRun]) -> None:
    bundle = load_bundle(root / "outputs" / "s" / "encoder")
    (artifact,) = runs["pretrain"].artifacts.values()
    assert (artifact.type, artifact.name) == ("encoder", f"encoder-{bundle.sha256[:12]}")
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    assert set(files) == {"bundle.json", "model.safetensors"}
    assert files["model.safetensors"] == bundle.folder / "model.safetensors"
    assert json.loads(artifact.metadata)["corpus_sha256"] == bundle.description["corpus_sha256"]
    assert runs["pretrain"].summary["best_test_sse"] == pytest.approx(bundle.description["test_sse"])
    assert {artifact.type for artifact in runs["transfer"].artifacts.values()} == {"run_table"}


def test_a_run_again_has_the_id_that_it_had_and_another_cell_another(
    root: Path, tmp_path: Path, runs: dict[str, OfflineRun], asked: list[dict[str, Any]]
) -> None:
    words = ("study=s", *TINY, f"data.path={root / 'data.h5'}", f"encoder={root / 'outputs/s/encoder'}")
    words = (*words, f"outputs={tmp_path}", *CELL)
    for last in (("epochs=6",), ("epochs=2",), ("epochs=2", "split_seed=1")):
        run("train", *words, *last)
        for record in tmp_path.rglob("record.json"):
            record.unlink()
    ids = [options["id"] for options in asked]
    assert ids[0] == runs["transfer"].run.run_id
    assert len(set(ids)) == 3
    assert {options["resume"] for options in asked} == {"allow"}
    assert {len(run_id) for run_id in ids} == {16}
