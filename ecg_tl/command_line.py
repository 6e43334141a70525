"""The door of every entry: the command line becomes a checked config object, a user's mistake one line and exit 1."""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ecg_tl.config import register
from ecg_tl.failures import in_a_line
from ecg_tl.overrides import CONF, check_overrides, known_keys, sweep_configs, told_nothing
from ecg_tl.sweep import Sweep
from ecg_tl.usage import usage

_MULTIRUN = {"-m", "--multirun"}
_HELP = {"-h", "--help"}

_SHORT = {"predict": {"model": "model.path"}}
"""Keys of an entry that Hydra would take for the choice of a group, and what they stand for."""

_ELSEWHERE = {"hydra/launcher=slurm", "hydra/launcher=ray_cluster"}
"""Launchers whose cells run on other machines, which may have GPUs where this one has none."""


def run(entry: str, task: Callable[[Any], None], sweep: Sweep | None = None, joined: tuple[str, ...] = ()) -> None:
    """Run `task(config)` for the command line, or for each cell of a multirun, config being the entry's dataclass.

    joined: keys whose value may have commas in it, KEY=A,B, without being a sweep.
    Every value of a sweep is checked before the first run begins and before anything is written. ValueError and
    OSError are a user's: one line on standard error, exit code 1. HYDRA_FULL_ERROR=1 shows the traceback. Ctrl-C is one
    line and exit code 130, SIGTERM to a training likewise and 143. Where nobody reads the output any more, as after
    `| head`, the command ends without a word, exit code 1. With `sweep`, a cell that fails does not stop the others:
    they are listed at the end, with exit code 1. --help shows what the entry takes.
    """
    sys.argv[1:] = [_as_one_value(_in_full(entry, word), joined) for word in sys.argv[1:]]
    try:
        _run(entry, task, sweep)
    except (KeyboardInterrupt, SystemExit) as stop:
        terminated = type(stop).__name__ == "SIGTERMException"  # Lightning's, which would leave with exit code 0
        if isinstance(stop, SystemExit) and not terminated and not isinstance(stop.__context__, KeyboardInterrupt):
            raise  # Lightning ends an interrupted fit by sys.exit
        print("interrupted: what is finished stays, and the same command again goes on from there", file=sys.stderr)
        raise SystemExit(143 if terminated else 130) from None


def _as_one_value(word: str, joined: tuple[str, ...]) -> str:
    key, equals, value = word.partition("=")
    return f"{key}='{value}'" if equals and key in joined and re.fullmatch(r"[\w.-]+(,[\w.-]+)+", value) else word


def defaults(entry: str) -> dict[str, Any]:
    """Give the config of an entry that is told nothing, as nested values; from within a task of `run` too."""
    register()
    within = GlobalHydra.instance().is_initialized()
    with nullcontext() if within else initialize_config_dir(str(CONF), version_base="1.3"):
        return told_nothing(entry)[0]


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

    if _HELP & set(sys.argv[1:]):
        with _one_line_errors():
            print(usage(entry, {key: short for short, key in _SHORT.get(entry, {}).items()}))
        return
    with _one_line_errors():
        _refuse_dashes(entry, sys.argv[1:])
        overrides = [word for word in sys.argv[1:] if not word.startswith("-")]
        flags = set(sys.argv[1:]) - set(overrides)
        if flags <= _MULTIRUN:
            check_overrides(entry, overrides, multirun=bool(flags))
    if sweep and flags and flags <= _MULTIRUN:
        _run_cells(entry, task, sweep, overrides)
    else:
        _hydra(entry, checked)


def _refuse_dashes(entry: str, words: list[str]) -> None:
    """ValueError for a setting given as --KEY VALUE or --KEY=VALUE, unless Hydra has a flag of that name."""
    _, not_hydras = get_args_parser().parse_known_args(words)
    for word in (word for word in not_hydras if word.startswith("-")):
        name, _, value = word.partition("=")
        key = name.lstrip("-").replace("-", "_")
        after = words[words.index(word) + 1 :]
        if not value and after and not after[0].startswith("-") and "=" not in after[0]:
            value = after[0]
        if key in known_keys(entry):
            raise ValueError(f"{word}: settings are given without dashes: {key}={value or 'VALUE'}")


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
