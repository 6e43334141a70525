"""Settings given on the command line, KEY=VALUE: checked before anything runs, and put into config objects."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Collection
from dataclasses import is_dataclass, replace
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException, ValidationError

from ecg_tl.checks import nearest, one_of

_BESIDE, _ABOVE = (parent / "conf" for parent in Path(__file__).resolve().parents[:2])
CONF = _BESIDE if _BESIDE.is_dir() else _ABOVE

_PLAIN: dict[str, Callable[[str], Any]] = {"fraction": float, "seed": int, "split_seed": int}
"""Keys of a sweep whose values need no composing: Hydra takes a tenth of a second for each config."""

_LAUNCHERS = {"slurm": ("hydra_submitit_launcher", "slurm"), "ray_cluster": ("hydra_ray_launcher", "ray")}
"""Plugin and extra of each file in conf/hydra/launcher that wants one."""


_IN_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list[str]: "a list, as [A,B]",
    type(None): "null",
}
"""What a value of a type is called."""


def check_overrides(entry: str, overrides: list[str], *, multirun: bool) -> None:
    """Compose the entry's config once for every value on the command line; ValueError names the key and the remedy."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        defaults, groups = told_nothing(entry)
        known = groups.keys() | keys(defaults)
        parsed = [_parse(override) for override in overrides]
        for override in parsed:
            if not override.key_or_group.startswith("hydra"):
                _check_key(override, known, groups)
                if override.is_sweep_override() and not multirun:
                    line = str(override.input_line)
                    quote = f", or quote what is one value: {_quoted(line)}" if "/" in line else ""
                    raise ValueError(f"{line}: several values make a sweep; add -m{quote}")
            elif override.key_or_group == "hydra/launcher":
                _check_launcher(str(override.value()))
                if not multirun:
                    raise ValueError(f"{override.input_line}: runs the cells of a sweep; add -m")
        choices = [_values(override) for override in parsed]
        first = [values[0] for values in choices]
        gpus = _compose(entry, first).get("gpus_per_cell", 0)
        if gpus % 1 and "hydra/launcher=slurm" in first:
            raise ValueError(
                f"gpus_per_cell={gpus:g}: SLURM lends a job whole GPUs; give 1, or hydra/launcher=ray_cluster, whose "
                "cells share one"
            )
        for position, values in enumerate(choices):
            for value in values[1:]:
                _compose(entry, [*first[:position], value, *first[position + 1 :]])


def told_nothing(entry: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Compose an entry's config as nested values, ??? where there is no default; and its groups with their choices."""
    values: Any = OmegaConf.to_container(compose(entry, return_hydra_config=True), resolve=False)
    chosen = values.pop("hydra")["runtime"]["choices"]
    return values, {group: option for group, option in chosen.items() if "/" not in group}


def known_keys(entry: str) -> set[str]:
    """Name every key of an entry, groups among them."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values, groups = told_nothing(entry)
    return groups.keys() | keys(values)


def options_of(group: str) -> list[str]:
    """Name what a group of conf/ can be."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def sweep_configs(entry: str, overrides: list[str]) -> list[Any]:
    """Make the config object of every cell that Hydra's sweep over these overrides will run."""
    parsed = [_parse(override) for override in overrides]
    grid = [override for override in parsed if override.key_or_group in _PLAIN and override.is_sweep_override()]
    others = [override for override in parsed if override not in grid]
    plain = [[_PLAIN[str(o.key_or_group)](value) for value in o.sweep_string_iterator()] for o in grid]
    names = [str(override.key_or_group) for override in grid]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = [OmegaConf.to_object(_compose(entry, list(words))) for words in product(*map(_values, others))]
    return [
        replace(config, **dict(zip(names, values, strict=True)))  # type: ignore[type-var]
        for config in composed
        for values in product(*plain)
    ]


def _check_launcher(name: str) -> None:
    if name not in GlobalHydra.instance().config_loader().get_group_options("hydra/launcher"):
        one_of("hydra/launcher", name, tuple(options_of("hydra/launcher")))
    plugin, extra = _LAUNCHERS.get(name, (None, name))
    if plugin and find_spec(f"hydra_plugins.{plugin}") is None:
        raise ValueError(f"hydra/launcher={name}: its package is not installed; pip install -e '.[{extra}]'")
    if name == "slurm" and shutil.which("srun") is None:
        raise ValueError("hydra/launcher=slurm: no srun here; give the command on a machine that submits jobs to SLURM")


def _parse(override: str) -> Override:
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise ValueError(f"{override}: {_how_to_write(override)}") from error
    if isinstance(parsed.value(), Glob):
        raise ValueError(f"{override}: glob is not taken here; name the values, separated by commas")
    return parsed


def _how_to_write(word: str) -> str:
    """Say how a setting is written that Hydra cannot take apart."""
    key, equals, value = word.partition("=")
    if not equals:
        return "not of the form key=value; write KEY=VALUE, without spaces around ="
    if key != key.strip():
        return f"not of the form key=value; write {key.strip()}={value.strip()}, without spaces around ="
    if value.startswith(("[", "{")):
        return f'cannot be taken apart; put each value in quotes, and all of it in others: \'{key}=["A","B"]\''
    if re.match(rf"({'|'.join(create_functions().functions)})\(", value):
        return f"not understood; write several values as {key}=A,B,C, or 0, 1 and 2 as '{key}=range(3)'"
    return f"not understood as it stands; put the value in quotes, and all of it in others: {_quoted(word)}"


def _quoted(word: str) -> str:
    """Write KEY=VALUE so that a shell and then Hydra take the value as it is."""
    key, _, value = word.partition("=")
    return shlex.quote(f"{key}={QuotedString(value, Quote.double).with_quotes()}")


def _values(override: Override) -> list[str]:
    """Spell one override out as the overrides of its single values."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    key = str(override.get_key_element())
    return [key + "=" + str(value) for value in override.sweep_string_iterator()]


def _check_key(override: Override, known: set[str], groups: Collection[str]) -> None:
    key = str(override.key_or_group)
    if key not in known:
        # a source's own options are known only once that source is chosen
        if key.startswith("source.") or any(name.startswith(f"{key}.") for name in known):
            return
        raise ValueError(f"{key}: no such key; did you mean {nearest(key, known)}?")
    if key in groups:
        for value in _values(override):
            one_of(key, value.partition("=")[2], tuple(options_of(key)))


def _compose(entry: str, overrides: list[str], *, resolve: bool = True) -> DictConfig:
    try:
        config = compose(entry, overrides)
        if resolve:
            OmegaConf.to_object(config)
        return config
    except MissingMandatoryValue as error:
        key = getattr(error, "full_key", None) or "a key"
        raise ValueError(f"{key}: has no default; give {key}=VALUE") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(_explain(error, entry, overrides)) from error


def _explain(error: Exception, entry: str, overrides: list[str]) -> str:
    """Put what Hydra or OmegaConf says about a key or value into one line with what to give instead."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    reason = str(cause).splitlines()[0]
    full_key = getattr(cause, "full_key", None)
    if not full_key:
        return reason
    if "not in" in reason and "Key" in reason:
        sources = [override for override in overrides if override.startswith("source=")]
        values: Any = OmegaConf.to_container(_compose(entry, sources, resolve=False), resolve=False)
        group, _, key = full_key.rpartition(".")
        if group == "hydra.launcher":
            return f"{full_key}: no such key of this launcher; choose the launcher by hydra/launcher=NAME"
        if group == "source":
            return _no_such_option(key, values[group])
        return f"{full_key}: no such key; did you mean {nearest(full_key, keys(values))}?"
    if isinstance(cause, ValidationError) and is_dataclass(cause.object_type):
        wanted = get_type_hints(cause.object_type)[full_key.rpartition(".")[2]]
        kinds = get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)
        given = next((override for override in overrides if override.startswith(f"{full_key}=")), full_key)
        return f"{given}: give {' or '.join(_IN_WORDS[kind] for kind in kinds)}"
    return f"{full_key}: {reason}"


def _no_such_option(key: str, source: dict[str, Any]) -> str:
    options = sorted(source.keys() - {"name"})
    close = get_close_matches(key, options, 1)
    meant = f"; did you mean source.{close[0]}?" if close else ""
    return f"source.{key}: source={source['name']} has no such option; it has {', '.join(options)}{meant}"


def keys(values: Any, prefix: str = "") -> set[str]:
    """Spell every key of nested values out, those of groups as GROUP and GROUP.KEY."""
    nested = values.items() if isinstance(values, dict) else ()
    return {prefix + key for key, _ in nested}.union(*(keys(value, f"{prefix}{key}.") for key, value in nested))
