"""What bfloat16 does to results: the same cells of the demo in both precisions.

python benchmarks/precision.py [--seeds N] [--fraction F] [--init INIT] [--outputs FOLDER]

Prints the mean best and selected F1 of both and their difference over the seeds, which draw the same records and start
from the same values. A processor without bfloat16 imitates it, several times slower. Given a folder, the cells are kept
there, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np
from measure import command

from ecg_tl.hardware import device_name
from ecg_tl.records import read_records

PRECISIONS = ("32-true", "bf16-mixed")


def main(seeds: int, fraction: float, init: str, outputs: str | None) -> None:
    """Run the cells and print a line a protocol."""
    os.environ["WANDB_MODE"] = "disabled"
    with contextlib.nullcontext(outputs) if outputs else tempfile.TemporaryDirectory() as name:
        records = {}
        for precision in PRECISIONS:
            words = ("experiment=demo", f"init={init}", f"fraction={fraction:g}", f"trainer.precision={precision}")
            command(
                "train", "-m", *words, f"study={precision}", f"seed=range({seeds})", f"outputs={name}", "logger=csv"
            )
            records[precision] = sorted(read_records(Path(name) / precision), key=lambda record: record.seed)
    print(f"{device_name('cpu')}: {seeds} seeds of init={init} fraction={fraction:g}")
    for score in ("best_f1", "selected_f1"):
        single, half = (np.array([getattr(record, score) for record in records[name]]) for name in PRECISIONS)
        print(
            f"{score}: {PRECISIONS[0]} {single.mean():.4f}, {PRECISIONS[1]} {half.mean():.4f}, difference "
            f"{(half - single).mean():+.4f} (SD of a seed's {(half - single).std(ddof=1):.4f})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--fraction", type=float, default=0.25)
    parser.add_argument("--init", default="random")
    parser.add_argument("--outputs")
    arguments = parser.parse_args()
    main(arguments.seeds, arguments.fraction, arguments.init, arguments.outputs)
