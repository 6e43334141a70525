"""What the benchmarks share: time taken in turn, arithmetic counted, commands given in this process."""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ecg_tl import command_line

ROOT = Path(__file__).resolve().parents[1]


def matrix_peak(dtype: torch.dtype, device: str = "cpu", size: int = 2048, repeats: int = 7) -> float:
    """GFLOP/s of the product of two square matrices, the best of some."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = [seconds_of(lambda: a @ b) for _ in range(repeats)]
    return 2 * size**3 / min(seconds) / 1e9


def seconds_of(work: Callable[[], object]) -> float:
    wait()
    began = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - began


def wait() -> None:
    """Wait for a GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_turn(sides: Mapping[Any, Callable[[], object]], repeats: int) -> dict[Any, float]:
    """Median seconds of each side; all of them run in turn, after one round that is not counted."""
    taken: dict[Any, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, work in sides.items():
            seconds = seconds_of(work)
            if repeat:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def gflop(step: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e9


def command(entry: str, *words: str) -> None:
    """Give a command in this process, quietly."""
    module = import_module(f"ecg_tl.{entry}")
    before, sys.argv = sys.argv, [f"ecg_tl.{entry}", *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            command_line.run(entry, module.main, getattr(module, "SWEEP", None))
    finally:
        sys.argv = before
