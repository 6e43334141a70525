"""What --help says of an entry: what it does, and its keys with their defaults, all of it read from where it stands."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hydra import initialize_config_dir
from omegaconf import OmegaConf

from ecg_tl.identity import flatten
from ecg_tl.overrides import CONF, options_of, told_nothing

_MUST = "???"
"""Where conf/ has no default."""


def usage(entry: str, called: Mapping[str, str]) -> str:
    """Say what an entry does and takes. called: keys that have a shorter name here."""
    first = str(import_module(f"ecg_tl.{entry}").__doc__).splitlines()[0]
    what, _, command = first.removeprefix("ENTRY: ").rpartition(" python -m ")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values, groups = told_nothing(entry)
    plain = {called.get(key, key): value for key, value in flatten(values) if key.partition(".")[0] not in groups}
    lines = [
        f"{what[0].upper()}{what[1:]}",
        "",
        f"    python -m {command} [KEY=VALUE ...]",
        "",
        "Keys and their defaults (...: to be given):",
        "",
    ]
    lines += [f"{key}={_written(value)}" for key, value in plain.items()]
    for group, chosen in groups.items():
        lines += ["", *_group(group, chosen, values.get(group))]
    return "\n".join([*lines, "", "--cfg job shows what the settings come to, README.md says what each means."])


def _group(group: str, chosen: str, values: dict[str, Any] | None) -> list[str]:
    """Name what a group can be, and the keys that it then has: of each choice its own where they differ."""
    others = [option for option in options_of(group) if option != chosen]
    lines = [f"{group}={chosen}  (or {', '.join(others)})"] if others else []
    if values is None:  # it sets other keys, and has none
        return lines
    each = {option: _options(group, option) for option in (chosen, *others)}
    if all(options.keys() == values.keys() for options in each.values()):
        return lines + _wrapped(_own(group, chosen, values))
    return lines + [
        line for option in each for line in _wrapped([f"{group}={option}", *_own(group, option, each[option])])
    ]


def _own(group: str, option: str, values: dict[str, Any]) -> list[str]:
    """Write the keys of a group's choice, but for the one that says which it is."""
    return [f"{group}.{key}={_written(value)}" for key, value in values.items() if value != option]


def _options(group: str, option: str) -> dict[str, Any]:
    entries: Any = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{option}.yaml"))
    return {key: value for key, value in entries.items() if key != "defaults"}


def _wrapped(words: list[str]) -> list[str]:
    return textwrap.wrap(" ".join(words), 100, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _written(value: object) -> str:
    if value == _MUST:
        return "..."
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
