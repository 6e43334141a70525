"""The commands that make a study again, worked out from the configs that its runs left behind."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ecg_tl.identity import flatten
from ecg_tl.records import Cell, fraction_name
from ecg_tl.rows import SETTINGS

_HERE = ("outputs", "logger", "trainer.threads")
"""Keys of the machine that a run was made on, which another one need not repeat."""


def train_commands(
    configs: Mapping[Cell, Mapping[str, Any]], defaults: Mapping[str, Any], asked: Iterable[Cell] = ()
) -> list[str]:
    """Give one sweep for each set of cells that share their settings, over the smallest grid around them.

    configs: resolved, of each cell; defaults: the resolved config of a plain `python -m ecg_tl.train`; asked: further
    cells, that are missing, which go into the first sweep.
    """
    axes = ("init", "fraction", "seed", "split_seed")
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell, config in configs.items():
        groups.setdefault(tuple(_changed(config, defaults, axes)), []).append(cell)
    commands: list[str] = []
    for words, cells in groups.items():
        grid = [*cells, *asked] if not commands else cells
        values = {
            "init": list(dict.fromkeys(cell.init for cell in grid)),
            "fraction": [fraction_name(f) for f in sorted({cell.fraction for cell in grid}, reverse=True)],
            "seed": [str(seed) for seed in sorted({cell.seed for cell in grid})],
            "split_seed": [str(split) for split in sorted({cell.split_seed for cell in grid})],
        }
        if values["split_seed"] == ["0"]:
            del values["split_seed"]
        sweep = [f"{key}={','.join(of_key)}" for key, of_key in values.items()]
        commands.append(_command("train", ["-m", *words, *sweep]))
    return commands


def prepare_command(path: str, source: Mapping[str, Any]) -> str:
    """Give the command of one store, with RECORDINGS for the folder that its reader has; else a comment that says why.

    source: what the store says of where it is from.
    """
    settings = source.get(SETTINGS, {})
    if "name" not in settings:  # merged, embedded, or made by another program
        parts = "+".join(source["parts"]) if "parts" in source else f"{source.get('format')}, {_files(source)}"
        return f"# {path}: made of {parts}; python -m ecg_tl.prepare info={path} tells more"
    said = {key: value for key, value in settings.items() if key != "name" and value is not None}
    options = [f"source.{key}={_value(value)}" for key, value in said.items()]
    command = _command("prepare", [f"source={settings['name']}", "source.path=RECORDINGS", *options, f"out={path}"])
    return f"{command}  # {_files(source)}"


def _files(source: Mapping[str, Any]) -> str:
    return f"checksum of its files {source.get('checksum')}"


def pretrain_command(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Give the command of one pretraining. config: as it was resolved; defaults: of `python -m ecg_tl.pretrain`."""
    return _command("pretrain", _changed(config, defaults, ()))


def _changed(config: Mapping[str, Any], defaults: Mapping[str, Any], leave_out: Sequence[str]) -> list[str]:
    """List as overrides what is not as the defaults have it."""
    usual = dict(flatten(defaults))
    return [
        f"{key}={_value(value)}"
        for key, value in flatten(config)
        if usual.get(key) != value and not _among(key, (*_HERE, *leave_out))
    ]


def _among(key: str, names: Sequence[str]) -> bool:
    # a sweep gives init.weights to all inits, while each of their YAMLs has a name of its own
    return key != "init.weights" and any(key == name or key.startswith(f"{name}.") for name in names)


def _value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str) and re.search(r"[^\w./-]", value):
        return f'"{value}"'  # else Hydra would take a comma for a sweep
    return str(value).lower() if isinstance(value, bool) else str(value)


def _command(entry: str, words: Sequence[str]) -> str:
    return " ".join([f"python -m ecg_tl.{entry}", *(shlex.quote(word) for word in words)])
