"""The door of every entry: the command line becomes a checked config object, a user's mistake one line and exit 1."""

from __future__ import annotations

import logging
import os
import re
import select
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ecg_tl.checks import nearest
from ecg_tl.config import register
from ecg_tl.failures import in_a_line
from ecg_tl.sweep import Sweep

_BESIDE, _ABOVE = (parent / "conf" for parent in Path(__file__).resolve().parents[:2])
CONF = _BESIDE if _BESIDE.is_dir() else _ABOVE

_MULTIRUN = {"-m", "--multirun"}

_PLAIN: dict[str, Callable[[str], Any]] = {"fraction": float, "seed": int, "split_seed": int}
"""Keys of a sweep whose values need no composing: Hydra takes a tenth of a second for each config."""

_SHORT = {"predict": {"model": "model.path"}}
"""Keys of an entry that Hydra would take for the choice of a group, and what they stand for."""

_LAUNCHERS = {"slurm": ("hydra_submitit_launcher", "slurm"), "ray_cluster": ("hydra_ray_launcher", "ray")}
"""Plugin and extra of each file in conf/hydra/launcher that wants one."""


_ELSEWHERE = {"hydra/launcher=slurm", "hydra/launcher=ray_cluster"}
"""Launchers whose cells run on other machines, which may have GPUs where this one has none."""


def run(entry: str, task: Callable[[Any], None], sweep: Sweep | None = None, joined: tuple[str, ...] = ()) -> None:
    """Run `task(config)` for the command line, or for each cell of a multirun, config being the entry's dataclass.

    joined: keys whose value may have commas in it, KEY=A,B, without being a sweep.
    Every value of a sweep is checked before the first run begins and before anything is written. ValueError and
    OSError are a user's: one line on standard error, exit code 1. HYDRA_FULL_ERROR=1 shows the traceback. Ctrl-C is one
    line and exit code 130, SIGTERM to a training likewise and 143. Where nobody reads the output any more, as after
    `| head`, the command ends without a word, exit code 1. With `sweep`, a cell that fails does not stop the others:
    they are listed at the end, with exit code 1.
    """
    sys.argv[1:] = [_quoted(_in_full(entry, word), joined) for word in sys.argv[1:]]
    try:
        _run(entry, task, sweep)
    except (KeyboardInterrupt, SystemExit) as stop:
        terminated = type(stop).__name__ == "SIGTERMException"  # Lightning's, which would leave with exit code 0
        if isinstance(stop, SystemExit) and not terminated and not isinstance(stop.__context__, KeyboardInterrupt):
            raise  # Lightning ends an interrupted fit by sys.exit
        print("interrupted: what is finished stays, and the same command again goes on from there", file=sys.stderr)
        raise SystemExit(143 if terminated else 130) from None


def _quoted(word: str, joined: tuple[str, ...]) -> str:
    key, equals, value = word.partition("=")
    return f"{key}='{value}'" if equals and key in joined and re.fullmatch(r"[\w.-]+(,[\w.-]+)+", value) else word


def defaults(entry: str) -> dict[str, Any]:
    """Give the config of an entry that is told nothing, as nested values; from within a task of `run` too."""
    register()
    within = GlobalHydra.instance().is_initialized()
    with nullcontext() if within else initialize_config_dir(str(CONF), version_base="1.3"):
        values: Any = OmegaConf.to_container(compose(entry), resolve=False)
    return values


def in_sweep() -> bool:
    """Whether this is a cell of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _run(entry: str, task: Callable[[Any], None], sweep: Sweep | None) -> None:
    register()
    if getattr(task, "__module__", None) == "__main__":  # a name by which other processes find it
        task = getattr(import_module(f"ecg_tl.{entry}"), task.__name__)

    def checked(config: DictConfig) -> None:
        _quieten()
        with _one_line_errors():
            task(OmegaConf.to_object(config))

    with _one_line_errors():
        overrides = [word for word in sys.argv[1:] if not word.startswith("-")]
        flags = set(sys.argv[1:]) - set(overrides)
        if flags <= _MULTIRUN:
            check_overrides(entry, overrides, multirun=bool(flags))
    if sweep and flags and flags <= _MULTIRUN:
        _run_cells(entry, task, sweep, overrides)
    else:
        _hydra(entry, checked)


def _hydra(entry: str, task: Callable[[DictConfig], None]) -> None:
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=entry)(task)()


def _quieten() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.pytorch.utilities._pytree")
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists")  # so it does wherever training goes on


def _run_cells(entry: str, task: Callable[[Any], None], sweep: Sweep, overrides: list[str]) -> None:
    with _one_line_errors():
        configs = sweep_configs(entry, overrides)
        sweep.begin(configs, not _ELSEWHERE & set(overrides))

    def cell(config: DictConfig) -> None:
        _quieten()
        try:
            task(OmegaConf.to_object(config))
        except Exception as error:
            sys.stdout.flush()
            print(f"failed: {' '.join(HydraConfig.get().overrides.task)}: {in_a_line(error)}", file=sys.stderr)

    def cell_here(config: DictConfig) -> None:
        cell(config)
        advance()

    try:
        if any(override.startswith("hydra/launcher=") for override in overrides):
            _hydra(entry, cell)  # which goes to other processes, where no bar can follow
        else:
            with sweep.bar(configs) as advance:
                _hydra(entry, cell_here)
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):
            sweep.report(configs)
        raise
    sweep.report(configs)


def _in_full(entry: str, word: str) -> str:
    key, equals, value = word.partition("=")
    return _SHORT.get(entry, {}).get(key, key) + equals + value


def _nobody_reads() -> bool:
    """Whether standard output is what broke; if so, nothing more is written to it, at the very end either."""
    try:
        output = sys.stdout.fileno()
    except OSError:  # no file at all
        return False
    poll = select.poll()
    poll.register(output, select.POLLERR)
    if gone := bool(poll.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except (ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            raise SystemExit(1) from None
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        sys.stdout.flush()
        print(f"error: {in_a_line(error)}", file=sys.stderr)
        raise SystemExit(1) from error


def check_overrides(entry: str, overrides: list[str], *, multirun: bool) -> None:
    """Compose the entry's config once for every value on the command line; ValueError names the key and the remedy."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        defaults = _compose(entry, [], resolve=False)
        groups = {group.name for group in CONF.iterdir() if group.is_dir()} - {"hydra"}
        known = groups | _keys(defaults)
        parsed = [_parse(override) for override in overrides]
        for override in parsed:
            if not override.key_or_group.startswith("hydra"):
                _check_key(override, known, groups)
                if override.is_sweep_override() and not multirun:
                    raise ValueError(f"{override.input_line}: several values make a sweep; add -m")
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
    plugin, extra = _LAUNCHERS.get(name, (None, name))
    if plugin and find_spec(f"hydra_plugins.{plugin}") is None:
        raise ValueError(f"hydra/launcher={name}: its package is not installed; pip install -e '.[{extra}]'")
    if name == "slurm" and shutil.which("srun") is None:
        raise ValueError("hydra/launcher=slurm: no srun here; give the command on a machine that submits jobs to SLURM")


def _parse(override: str) -> Override:
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise ValueError(f"{override}: not of the form key=value ({str(error).splitlines()[0]})") from error
    if isinstance(parsed.value(), Glob):
        raise ValueError(f"{override}: glob is not taken here; name the values, separated by commas")
    return parsed


def _values(override: Override) -> list[str]:
    """Spell one override out as the overrides of its single values."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    key = str(override.get_key_element())
    return [key + "=" + str(value) for value in override.sweep_string_iterator()]


def _check_key(override: Override, known: set[str], groups: set[str]) -> None:
    key = str(override.key_or_group)
    if key not in known:
        # a source's own options are known only once that source is chosen
        if key.startswith("source.") or any(name.startswith(f"{key}.") for name in known):
            return
        raise ValueError(f"{key}: no such key; did you mean {nearest(key, known)}?")
    if key in groups:
        options = sorted(path.stem for path in (CONF / key).glob("*.yaml"))
        for value in _values(override):
            option = value.partition("=")[2]
            if option not in options:
                raise ValueError(
                    f"{key}={option}: not one of {', '.join(options)}; did you mean {nearest(option, options)}?"
                )


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
    """Put what Hydra or OmegaConf says about a key or value into one line with the nearest right key."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    reason = str(cause).splitlines()[0]
    full_key = getattr(cause, "full_key", None)
    if full_key and "not in" in reason and "Key" in reason:
        sources = [override for override in overrides if override.startswith("source=")]
        known = _keys(_compose(entry, sources, resolve=False))
        return f"{full_key}: no such key; did you mean {nearest(full_key, known)}?"
    return f"{full_key}: {reason}" if full_key else reason


def _keys(config: DictConfig) -> set[str]:
    def walk(values: Any, prefix: str) -> Iterator[str]:
        for key, value in values.items() if isinstance(values, dict) else ():
            yield f"{prefix}{key}"
            yield from walk(value, f"{prefix}{key}.")

    return set(walk(OmegaConf.to_container(config, resolve=False), ""))
