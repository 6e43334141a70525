"""How fast a GPU does the paper's study: one call of under nine minutes.

python benchmarks/gpu.py [--accelerator gpu|cpu] [--width 64] [--records 10646] [--cells 1,2,4]

Fabricates a labelled set of the size of Shaoxing's and times: a step of classifier and autoencoder, eager and
under torch.compile; a whole cell as `train` does it, by the difference of longer and shorter ones; and several cells at
once on one GPU. GFLOP/s counts convolutions and linear layers, and is put beside a large bfloat16 matrix product. From
the times it projects the 90 cells of 150 epochs. --accelerator cpu with a small width tries the script out.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measure import ROOT, gflop, in_turn, matrix_peak, seconds_of
from torch import Tensor, nn
from torch.nn import functional

from ecg_tl.hardware import choose_precision, device_name
from ecg_tl.modules import Autoencoder, RhythmClassifier
from ecg_tl.networks import Architecture, Decoder, Encoder, RhythmNetwork
from ecg_tl.store import StoreWriter
from ecg_tl.waveform import WINDOW

BATCH, RHYTHMS, EPOCHS, STEPS = 64, 11, 150, 20
FRACTIONS, SEEDS = (1.0, 0.5, 0.25), 10


def steps(
    module: nn.Module, loss: Callable[[nn.Module], Tensor], device: str, precision: str, *, compiled: bool
) -> Callable[[], None]:
    """STEPS steps of training on windows that are on the device already."""
    module.to(device).train()
    optimizer = torch.optim.Adam(module.parameters(), 0.001)
    forward = torch.compile(module) if compiled else module

    def work() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
                value = loss(forward)
            value.backward()
            optimizer.step()

    return work


def step_rates(width: int, device: str, precision: str, peak: float) -> tuple[float, float]:
    """Time the steps; give the GFLOP of a window that is trained on, and of one that is only classified."""
    windows = torch.randn(BATCH, WINDOW, device=device)
    rhythm = torch.randint(RHYTHMS, (BATCH,), device=device)
    architecture = Architecture(width=width)

    def classifier() -> nn.Module:
        return RhythmClassifier(RhythmNetwork(Encoder(architecture), "latent", RHYTHMS), 0.005)

    def autoencoder() -> nn.Module:
        return Autoencoder(Encoder(architecture), Decoder(architecture), 0.003, "constant")

    def classify(forward: nn.Module) -> Tensor:
        return functional.cross_entropy(forward(windows).float(), rhythm)

    def give_back(forward: nn.Module) -> Tensor:
        return functional.mse_loss(forward(windows).float(), windows)

    counted = {}
    for name, build, loss in (("classifier", classifier, classify), ("pretraining", autoencoder, give_back)):
        sides = {
            kind: steps(build(), loss, device, precision, compiled=kind == "compiled") for kind in ("eager", "compiled")
        }
        per_window = counted[name] = gflop(sides["eager"]) / (STEPS * BATCH)
        for kind, seconds in in_turn(sides, 5).items():
            rate = STEPS * BATCH / seconds
            print(
                f"{name} step, width {width}, batch {BATCH}, {kind}: {rate:,.0f} windows/s, "
                f"{rate * per_window:,.0f} GFLOP/s, {100 * rate * per_window / peak:.0f} % of the matrix peak",
                flush=True,
            )
    network = classifier().to(device).eval()
    with torch.inference_mode():
        return counted["classifier"], gflop(lambda: network(windows)) / BATCH


def make_store(path: Path, records: int) -> None:
    random = np.random.default_rng(0)
    with StoreWriter(path, WINDOW, "II", tuple(f"R{n}" for n in range(RHYTHMS)), {"format": "random"}, {}) as writer:
        for record in range(records):
            ecg = random.standard_normal(WINDOW).astype(np.float32)
            writer.append(ecg, f"p{record}", f"r{record}", 0.0, f"R{record % RHYTHMS}")


def cell(
    accelerator: str, width: int, data: Path, out: Path, name: str, epochs: int, fraction: float, init: str = "random"
) -> list[str]:
    return [
        *(sys.executable, "-m", "ecg_tl.train", "experiment=paper", f"trainer={accelerator}", f"model.width={width}"),
        *(f"data.path={data}", f"outputs={out}", f"study={name}", "logger=csv", f"init={init}"),
        *("init.weights=random", f"epochs={epochs}", f"fraction={fraction:g}"),
    ]


def together(commands: list[list[str]]) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
    started = [subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) for words in commands]
    codes = [process.wait() for process in started]
    if any(codes):
        raise SystemExit(f"a cell failed: exit codes {codes}")


def main(accelerator: str, width: int, records: int, at_once: list[int], short: int, long: int) -> None:
    """Print a line a measurement."""
    device, precision = {"gpu": "cuda", "cpu": "cpu"}[accelerator], choose_precision("auto", accelerator)
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    peak = matrix_peak(dtype, device, size=8192 if accelerator == "gpu" else 1024)
    print(f"{device_name(accelerator)}, torch {torch.__version__}, {precision}, matrix peak {peak:,.0f} GFLOP/s")
    trained_gflop, classified_gflop = step_rates(width, device, precision, peak)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_store(root / "data.h5", records)
        build = partial(cell, accelerator, width, root / "data.h5", root / "out")
        together([build("warm", 1, 0.05)])
        together([build("warm", 1, 0.05, "image")])  # which computes the features of all records
        study_s = 0.0
        for init, cells in (("random", 2 * SEEDS), ("image", SEEDS)):  # transfer trains what random does
            for fraction in FRACTIONS:
                took = {
                    n: seconds_of(partial(together, [build(f"{fraction}-{n}", n, fraction, init)]))
                    for n in (short, long)
                }
                epoch_s = (took[long] - took[short]) / (long - short)
                start_s = took[short] - short * epoch_s
                study_s += cells * (start_s + EPOCHS * epoch_s)
                share = ""
                if init == "random":
                    n_train = round(0.8 * fraction * records)
                    left_out = 0.8 * records * math.exp(-fraction)
                    n_classified = 0.2 * records + min(0.2 * records, left_out)
                    work_gflop = n_train * trained_gflop + n_classified * classified_gflop
                    share = f", {100 * work_gflop / epoch_s / peak:.0f} % of the matrix peak"
                print(
                    f"a cell of {init} at {fraction:.0%}: {epoch_s:.2f} s an epoch, evaluation and checkpoint included"
                    f"{share}; {start_s:.1f} s beside; {start_s + EPOCHS * epoch_s:.0f} s for {EPOCHS} epochs",
                    flush=True,
                )
        print(f"90 cells of {EPOCHS} epochs, each a process, one after the other: {study_s / 60:.0f} min", flush=True)
        for count in at_once:
            commands = [build(f"at-once-{count}-{n}", long, 0.25) for n in range(count)]
            seconds = seconds_of(partial(together, commands))
            print(f"{count} cells at 25 % at once: {3600 * count / seconds:,.0f} an hour of {long} epochs", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accelerator", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--records", type=int, default=10646)
    parser.add_argument("--cells", default="1,2,4", help="how many cells at once, joined by commas")
    parser.add_argument("--epochs", default="2,6", help="the shorter and the longer cell")
    arguments = parser.parse_args()
    shorter, longer = map(int, arguments.epochs.split(","))
    counts = [int(number) for number in arguments.cells.split(",")]
    main(arguments.accelerator, arguments.width, arguments.records, counts, shorter, longer)
