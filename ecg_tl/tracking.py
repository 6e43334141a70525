"""Runs in Weights & Biases: grouped by study, offline where there is no account, one run a cell."""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from lightning.pytorch.loggers import WandbLogger


def has_account() -> bool:
    """Whether W&B's key is in WANDB_API_KEY or in the netrc file, where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        return host in netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False


@contextmanager
def tracked(
    name: str,
    *,
    project: str | None,
    entity: str | None,
    study: str,
    job_type: str,
    tags: list[str],
    config: dict[str, Any],
    folder: Path,
) -> Iterator[list[WandbLogger]]:
    """Give the loggers of one run, none if `name` is not "wandb", and finish the run however the block ends.

    group is the study and job type the init. WANDB_MODE decides between online, offline and disabled; unset, it is
    online with an account and offline without, so that nothing is ever asked. Offline runs lie in folder/wandb.
    """
    if name != "wandb":
        yield []
        return
    mode: Any = os.environ.get("WANDB_MODE") or ("online" if has_account() else "offline")
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        name="/".join([job_type, *tags]),
        dir=folder,
        project=project,
        entity=entity,
        group=study,
        job_type=job_type,
        tags=tags,
        config=config,
        mode=mode,
        reinit="finish_previous",
        settings=wandb.Settings(silent=True, console="off"),
    )
    code = 1
    try:
        yield [WandbLogger(experiment=run)]
        code = 0
    finally:
        run.finish(exit_code=code)
