"""Every test runs without W&B, in its own folder, and on one thread, since its networks are tiny."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb

torch.set_num_threads(1)
os.environ["WANDB_MODE"] = "disabled"  # for what is made once a module, before any test begins


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that writes to a relative path writes to its own folder, and none talks to W&B."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


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
