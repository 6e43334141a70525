"""Kill a small study again and again, each time at a random moment, and compare what it becomes with one left alone.

python benchmarks/kill.py [--kills N] [--seed N]

Each command of the study, prepare to tables, runs as a process of its own, is killed with SIGKILL at a random moment,
and is given again until it comes to its end; then the next. A study that is done begins anew in another folder, until
there were as many kills as asked for. Everything that a study leaves is then compared byte by byte, but for the seconds
in records and bundles. One cell trains the released network, whose dropout draws from random generators; pretraining
is of the residual one, which gets better from epoch to epoch, so that its bundle rests on those after the kill.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

NETWORK = "model.width=2 model.kernel=3 model.late_kernel=3 batch_size=8 trainer.precision=32-true logger=csv"
COMMANDS = {
    "prepare": "prepare source=synthetic_icu source.patients=6 source.recording_s=120 source.windows_per_patient=20 "
    "out=icu.h5",
    "pretrain": f"pretrain study=s {NETWORK} corpus.path=icu.h5 epochs=30",
    "train": f"train -m study=s {NETWORK} data.records=55 init=transfer,random,image init.weights=random epochs=8",
    "train with dropout": f"train study=dropout model=released {NETWORK} data.records=55 init=random epochs=12",
    "tables": "tables study=s",
}
STARTED = 0.6
"""Share of the time that Python takes to load everything, before which no moment is drawn: nothing happens there."""
_UNLIKE = ("multirun.yaml", "report.html")
LATE = 1.3
"""Moments are drawn up to so many times what a command takes alone; a command that ends before its moment is whole."""


@dataclass
class Tally:
    """What was seen: kills and lines of cells that went on, by command."""

    kills: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    anew: int = 0


def run_command(words: str, folder: Path, kill_after_s: float | None = None) -> tuple[bool, str]:
    """Run a command in `folder`. Returns whether it came to its end, and what it said; AssertionError if it failed."""
    root = Path(__file__).resolve().parents[1]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    process = subprocess.Popen(
        [sys.executable, "-m", *f"ecg_tl.{words}".split()],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return False, said
    assert process.returncode == 0, f"{words}\n{said}"
    return True, said


def study(folder: Path, kills: int, seconds: dict[str, float], random: np.random.Generator, tally: Tally) -> None:
    """Do a study in `folder`, killed at most `kills` times at random moments of its commands."""
    folder.mkdir()
    for name, words in COMMANDS.items():
        ended = False
        while not ended:
            moment = random.uniform(STARTED * seconds["load"], LATE * seconds[name]) if kills > 0 else None
            ended, said = run_command(words, folder, moment)
            tally.resumed += said.count("goes on after epoch")
            tally.anew += said.count("begun anew")
            if not ended:
                kills -= 1
                tally.kills[name] += 1


def contents(folder: Path) -> dict[str, bytes]:
    """Read what a study leaves, without the seconds that it took."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.name in ("record.json", "bundle.json"):
            content = re.sub(rb'"seconds": [0-9.]+', b"", content)
        found[str(path.relative_to(folder))] = content
    return found


def compare(reference: dict[str, bytes], killed: dict[str, bytes]) -> list[str]:
    """Name the files that are not the same on both sides, or only on one.

    Left out are hidden ones, half-written by a killed process, Hydra's note of the sweep, which names the folder, and
    the report, which prints the seconds that cells took.
    """
    found = {Path(name) for name in reference.keys() | killed.keys()}
    names = {str(path) for path in found if not path.name.startswith(".") and path.name not in _UNLIKE}
    return sorted(name for name in names if reference.get(name) != killed.get(name))


def main(kills: int, seed: int) -> bool:
    """Print the summary; returns whether every study became the same."""
    random, tally, rounds = np.random.default_rng(seed), Tally(), 0
    with tempfile.TemporaryDirectory() as name:
        root, seconds = Path(name), {}
        (root / "alone").mkdir()
        began_s = time.perf_counter()
        run_command("status --help", root)
        seconds["load"] = time.perf_counter() - began_s
        for command, words in COMMANDS.items():
            began_s = time.perf_counter()
            run_command(words, root / "alone")
            seconds[command] = time.perf_counter() - began_s
        print("left alone:", ", ".join(f"{command} {took:.1f} s" for command, took in seconds.items()), flush=True)
        reference, unlike = contents(root / "alone"), 0
        while tally.kills.total() < kills:
            rounds += 1
            before = tally.kills.total()
            study(root / str(rounds), kills - before, seconds, random, tally)
            different = compare(reference, contents(root / str(rounds)))
            unlike += bool(different)
            print(
                f"study {rounds}: {tally.kills.total() - before} kills, "
                f"{'identical' if not different else 'not the same: ' + ', '.join(different)}",
                flush=True,
            )
    moments = ", ".join(f"{count} of {command}" for command, count in tally.kills.items())
    print(
        f"{tally.kills.total()} kills ({moments}); {tally.resumed} trainings went on from an epoch, {tally.anew} anew"
    )
    print(f"{rounds - unlike} of {rounds} studies identical, {len(reference)} files each")
    return not unlike


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(0 if main(arguments.kills, arguments.seed) else 1)
