from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ecg_tl.identity import settings_of
from ecg_tl.processes import first_process, share_of_batch
from tests.commands import refused
from tests.fabricate import icu_store
from tests.test_study import TINY

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("place", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),  # as Lightning starts it
        ({"NODE_RANK": "1"}, False),  # a second node's first process, before it has started its others
        ({"RANK": "2", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),  # torchrun
        ({"SLURM_PROCID": "3"}, False),  # srun
    ],
)
def test_one_process_of_all_writes(place: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, rank in place.items():
        monkeypatch.setenv(name, rank)
    assert first_process() is first


def test_processes_share_a_batch_evenly() -> None:
    assert share_of_batch(64, devices=4, nodes=2) == 8
    with pytest.raises(ValueError, match=r"batch_size=64: .* trainer\.devices=3 x trainer\.nodes=1 does not divide"):
        share_of_batch(64, devices=3, nodes=1)


@pytest.mark.parametrize(
    ("entry", "words", "message"),
    [
        ("train", ["trainer.devices=2"], "trainer.devices=2: one process trains a cell; share the cells out"),
        ("train", ["trainer.nodes=2"], "trainer.nodes=2: one process trains a cell"),
        ("pretrain", ["trainer.devices=3"], "batch_size=16: all processes share it"),
        ("pretrain", ["-m", "trainer.devices=2", "seed=0,1"], "trainer.devices=2: not in a sweep; leave -m out"),
        ("pretrain", ["trainer.strategy=dp"], "trainer.strategy=dp: not one of auto, ddp; did you mean ddp?"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(
    entry: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(entry, *words, *TINY)
    assert message in capsys.readouterr().err


def test_a_result_depends_on_how_many_processes_made_it_and_not_on_where_they_ran() -> None:
    def settings(**trainer: Any) -> dict[str, Any]:
        return settings_of({"epochs": 3, "trainer": trainer})

    before_these_keys = settings(precision="auto")
    assert settings(precision="auto", devices=1, nodes=1, strategy="ddp") == before_these_keys
    assert settings(precision="auto", devices=2, nodes=2, strategy="auto") == settings(
        precision="auto", devices=4, nodes=1, strategy="ddp"
    )
    assert settings(precision="auto", devices=2, nodes=1, strategy="auto") != before_these_keys


@pytest.mark.slow
def test_two_processes_learn_what_one_does_from_the_same_batch(tmp_path: Path) -> None:
    """Each step of both is on all 64 windows. Batch norm is held, see tests/pretrain_frozen.py."""
    icu_store(tmp_path / "icu.h5", patients=10, windows_per_patient=8)
    words = (*TINY, f"corpus.path={tmp_path / 'icu.h5'}", f"outputs={tmp_path}", "logger=csv", "epochs=4")
    processes = ("trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp")
    place = {name: value for name, value in os.environ.items() if not name.endswith("RANK")}
    printed, bundles, weights = [], [], []
    for study, more in (("one", ()), ("two", processes)):
        command = [sys.executable, "-m", "tests.pretrain_frozen", *words, *more, "batch_size=64", f"study={study}"]
        done = subprocess.run(
            command, cwd=ROOT, env=place | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True
        )
        printed.append([float(number) for number in re.findall(r"(?:loss|mse|sse) ([\d.]+)", done.stdout)])
        assert done.stdout.count("epoch 4/4") == 1
        folder = tmp_path / study / "encoder"
        bundles.append(json.loads((folder / "bundle.json").read_text()))
        weights.append(load_file(folder / "model.safetensors"))
    one, two = bundles
    assert [(bundle["world_size"], bundle["batch_size"], bundle["epochs"]) for bundle in bundles] == [
        (1, 64, 4),
        (2, 64, 4),
    ]
    assert len(printed[0]) == 4 * 3
    assert printed[1] == pytest.approx(printed[0], rel=1e-3)  # printed with four digits
    assert two["test_sse"] == pytest.approx(one["test_sse"], rel=1e-5)
    for name, values in weights[0].items():
        torch.testing.assert_close(weights[1][name], values, rtol=1e-3, atol=1e-4, msg=name)
