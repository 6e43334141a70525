"""Around the cells of a multirun: what is checked before the first, a bar meanwhile, what is told after the last."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@dataclass(frozen=True)
class Sweep:
    """What an entry does about a sweep as a whole, given the config object of every cell.

    begin: raises ValueError or OSError if nothing should be run; it is told whether the cells run on this machine.
    unfinished: names the cells that are not done, and says why not; it looks at files, since cells may run in other
    processes and on other machines.
    """

    begin: Callable[[list[Any], bool], None]
    unfinished: Callable[[list[Any]], dict[str, str]]

    def report(self, configs: list[Any]) -> None:
        """List the cells that did not end well, a line a reason; SystemExit with code 1 if there are any."""
        if reasons := self.unfinished(configs):
            sys.stdout.flush()
            names = {reason: [name for name, its in reasons.items() if its == reason] for reason in reasons.values()}
            lines = [f"  {', '.join(of_reason)}: {reason}" for reason, of_reason in names.items()]
            print(f"error: {len(reasons)} of {len(configs)} cells failed", *lines, sep="\n", file=sys.stderr)
            raise SystemExit(1)

    @contextmanager
    def bar(self, configs: list[Any]) -> Iterator[Callable[[], None]]:
        """Show the cells that are done, of all, where the output is a terminal; gives what is to be called after each.

        What is printed meanwhile appears above the bar.
        """
        if not sys.stdout.isatty():
            yield lambda: None
            return
        columns = (TextColumn("cells done"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), speed_estimate_period=3600) as progress:
            done = len(configs) - len(self.unfinished(configs))
            task = progress.add_task("", total=len(configs), completed=done)
            yield lambda: progress.update(task, completed=len(configs) - len(self.unfinished(configs)))
