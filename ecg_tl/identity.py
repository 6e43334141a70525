"""What a finished run was made with, so that it is never taken for something else."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from ecg_tl.records import write_whole

_PLACES = {
    "study",
    "outputs",
    "out",
    "logger",
    "encoder",
    "allow_overlap",
    "overwrite",
    "gpus_per_cell",
    "trainer.threads",
}
"""Keys that say where things are, not what comes out; stores and encoders are compared by checksum instead."""


def settings_of(resolved: dict[str, Any]) -> dict[str, Any]:
    """Reduce a resolved config to what its result depends on, as dotted keys."""
    flat = {key: value for key, value in flatten(resolved) if key not in _PLACES}
    flat.pop("trainer.strategy", None)
    processes = flat.pop("trainer.devices", 1) * flat.pop("trainer.nodes", 1)
    if processes > 1:  # a config from before these keys is that of one process
        flat["trainer.processes"] = processes
    for key in list(flat):
        group, _, name = key.partition(".")
        of_the_set = group in ("data", "corpus") and name != "test_fraction"
        unused = (key == "init.weights" and flat.get("init.name") != "image") or (
            key == "model.head" and "init.name" not in flat
        )
        if group in _PLACES or of_the_set or unused:
            del flat[key]
    return flat


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Spell nested values out as dotted keys."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def fingerprint(settings: dict[str, Any]) -> str:
    """SHA-256 of settings, the same in whatever order they come."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def write_config(config: Any, path: Path) -> None:
    """Write a config object as it was resolved."""
    write_whole(path, OmegaConf.to_yaml(OmegaConf.create(asdict(config))))


def read_config(path: Path) -> dict[str, Any]:
    """Read what `write_config` wrote. ValueError names a file that is missing or damaged."""
    try:
        resolved = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path}: cannot be read ({' '.join(str(error).split())}); remove the folder and run it again"
        ) from error
    if not isinstance(resolved, dict):
        raise ValueError(f"{path}: not a config; remove the folder and run it again")
    return {str(key): value for key, value in resolved.items()}


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Show every entry that is not the same, as `epochs: 20 -> 150`; empty if all are. Checksums are cut short."""
    changed = ", ".join(
        f"{key}: {before.get(key)} -> {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    )
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", changed)


def refuse_change(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to take what is finished in `folder` for something else. ValueError shows every difference."""
    if changed := differences(before, now):
        raise ValueError(
            f"{folder}: finished with other settings ({changed}); "
            f"give study=ANOTHER_NAME, or overwrite=true to do it again in its place"
        )


@contextmanager
def replacing(folder: Path, aside: Path, *, again: bool) -> Iterator[None]:
    """Put what is finished in `folder` aside while it is done again, and remove it when the block has succeeded.

    again: whether anything is finished there. Killed in between, the old stays in `aside`, and the next attempt that
    succeeds removes it.
    """
    if again:
        shutil.rmtree(aside, ignore_errors=True)
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
    yield
    shutil.rmtree(aside, ignore_errors=True)
