"""How fast networks train and studies run: `make bench`, a quarter of an hour on two cores.

python benchmarks/speed.py [--repeats N] [--part NAME ...]

Both sides of a ratio run in turn, and medians are compared. The other side is plain.py: the same layers with Conv1d,
float32, eager, a DataLoader over tensors. Ours is what `train` does: the modules, the batches, and the precision that
trainer.precision=auto chooses here. GFLOP/s counts multiplications and additions of convolutions and linear layers,
forwards and backwards, and is put beside what a large matrix product reaches on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning
import numpy as np
import plain
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from measure import ROOT, command, gflop, in_turn, matrix_peak, seconds_of
from torch import Tensor, nn
from torch.nn import functional

from ecg_tl.bundle import save_classifier, takes
from ecg_tl.callbacks import LearningCurve
from ecg_tl.datamodules import LabelledInputs
from ecg_tl.hardware import choose_precision, device_name
from ecg_tl.modules import Autoencoder, RhythmClassifier
from ecg_tl.networks import Architecture, Decoder, Encoder, RhythmNetwork
from ecg_tl.resume import Resume, WholeCheckpoints
from ecg_tl.sources.heart import slow_noise
from ecg_tl.splits import Draw
from ecg_tl.waveform import FILTER, WINDOW

BATCH, RHYTHMS = 64, 11
PRECISION = choose_precision("auto", "cpu")
PARTS = ("memory", "networks", "predict", "lightning", "cells", "sweeps")


def ours_precision() -> contextlib.AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16, enabled=PRECISION == "bf16-mixed")


def batches(n: int) -> tuple[Tensor, Tensor, LabelledInputs]:
    windows, rhythm, rows = torch.randn(n, WINDOW), torch.randint(RHYTHMS, (n,)), np.arange(n)
    return windows, rhythm, LabelledInputs(windows, rhythm, Draw(rows, rows, rows), BATCH, seed=0)


def classifiers(width: int, n: int) -> dict[str, Callable[[], object]]:
    """An epoch over n windows on either side."""
    windows, rhythm, data = batches(n)
    network = plain.Classifier(width, RHYTHMS)
    loader = plain.loader(windows, rhythm, BATCH, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), 0.005)
    module = RhythmClassifier(RhythmNetwork(Encoder(Architecture("released", width)), "pooled", RHYTHMS), 0.005)
    return {
        "plain": partial(plain.train_classifier, network, optimizer, loader),
        "ours": partial(bare_epoch, module, module.configure_optimizers(), data.train_dataloader(), classifier_loss),
    }


def classifier_loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return functional.cross_entropy(module(batch[0]).float(), batch[1])


def autoencoder_loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return functional.mse_loss(module(batch[0]).float(), batch[0])


def bare_epoch(module: nn.Module, optimizer: torch.optim.Optimizer, loader, loss) -> None:
    """What a Lightning trainer does of use: forwards in this precision, backwards, a step."""
    module.train()
    for batch in loader:
        optimizer.zero_grad()
        with ours_precision():
            value = loss(module, batch)
        value.backward()
        optimizer.step()


def evaluations(width: int, n: int) -> dict[str, Callable[[], object]]:
    windows, rhythm, data = batches(n)
    network = plain.Classifier(width, RHYTHMS)
    ours = RhythmNetwork(Encoder(Architecture("released", width)), "pooled", RHYTHMS).eval()

    def evaluate() -> Tensor:
        with torch.inference_mode(), ours_precision():
            return torch.cat([ours(batch[0]) for batch in data.val_dataloader()[0]])

    return {
        "plain": partial(plain.evaluate, network, plain.loader(windows, rhythm, BATCH, shuffle=False)),
        "ours": evaluate,
    }


def autoencoders(width: int, n: int) -> dict[str, Callable[[], object]]:
    windows, rhythm, data = batches(n)
    network = plain.Autoencoder(width)
    architecture = Architecture("released", width)
    module = Autoencoder(Encoder(architecture), Decoder(architecture), 0.003, "constant")
    return {
        "plain": partial(
            plain.train_autoencoder,
            network,
            torch.optim.Adam(network.parameters(), 0.003),
            plain.loader(windows, rhythm, BATCH, shuffle=True),
        ),
        "ours": partial(bare_epoch, module, module.configure_optimizers(), data.train_dataloader(), autoencoder_loss),
    }


def report_ratio(what: str, sides: dict[str, Callable[[], object]], n: int, repeats: int, peak: float) -> None:
    per_window = gflop(sides["plain"]) / n
    took = in_turn(sides, repeats)
    rate = {name: n / seconds for name, seconds in took.items()}
    ours = per_window * rate["ours"]
    print(
        f"{what:34} plain {rate['plain']:7.1f}/s  ours {rate['ours']:7.1f}/s  ratio {rate['ours'] / rate['plain']:5.2f}"
        f"  ours {ours:6.0f} GFLOP/s, {100 * ours / peak:3.0f} % of the matrix peak",
        flush=True,
    )


def networks(repeats: int) -> None:
    peaks = {"float32": matrix_peak(torch.float32)}
    if PRECISION == "bf16-mixed":
        peaks["bfloat16"] = matrix_peak(torch.bfloat16)
    print("matrix peak:", ", ".join(f"{name} {peak:.0f} GFLOP/s" for name, peak in peaks.items()), flush=True)
    peak = max(peaks.values())
    report_ratio("classifier step, width 16", classifiers(16, 2 * BATCH), 2 * BATCH, repeats, peak)
    report_ratio("classifier step, width 64", classifiers(64, BATCH), BATCH, min(repeats, 3), peak)
    report_ratio("autoencoder step, width 16", autoencoders(16, BATCH), BATCH, repeats, peak)
    report_ratio("evaluation, width 16", evaluations(16, 4 * BATCH), 4 * BATCH, repeats, peak)


def predictions(repeats: int) -> None:
    """`predict` over three hours at 360 Hz, all that it does: read, resample, filter, cut, classify, write."""
    rate_hz, width, hours = 360, 16, 3
    network = RhythmNetwork(Encoder(Architecture(width=width)), "pooled", RHYTHMS)
    description = {
        **takes("II", FILTER),
        "rhythms": [f"R{number}" for number in range(RHYTHMS)],
    }
    with tempfile.TemporaryDirectory() as name:
        model = save_classifier(Path(name) / "model", network, description)
        random = np.random.default_rng(0)
        np.save(f"{name}/ecg.npy", 0.4 * slow_noise(random, hours * 3600 * rate_hz, rate_hz, 20.0))
        words = (f"model={model}", f"input={name}/ecg.npy", f"rate_hz={rate_hz}", "unit=mV", "lead=II")
        numbers = iter(range(repeats + 1))
        took = in_turn({"predict": lambda: command("predict", *words, f"out={name}/{next(numbers)}.csv")}, repeats)
        n = len(Path(name, "0.csv").read_text(encoding="utf-8").splitlines()) - 1
    per_window = gflop(lambda: network.eval()(torch.randn(1, WINDOW)))
    rate = n / took["predict"]
    print(f"predict, width {width}: {rate:.0f} windows/s, {rate * per_window:.0f} GFLOP/s; {n} windows", flush=True)


def cells(repeats: int) -> None:
    """What a cell costs beside its epochs, and what Lightning adds to an epoch."""
    os.environ["WANDB_MODE"] = "offline"
    with tempfile.TemporaryDirectory() as name:
        words = ("experiment=demo", "init=random", "fraction=1", f"outputs={name}")
        command("train", *words, "study=warm", "epochs=1")

        def sweep(cells: int, epochs: int, *more: str) -> float:
            sweep.count = getattr(sweep, "count", 0) + 1
            study = f"study=s{sweep.count}"
            return seconds_of(
                lambda: command("train", "-m", *words, study, f"seed=range({cells})", f"epochs={epochs}", *more)
            )

        for logger in ("csv", "wandb"):
            beside, epoch_s = [], []
            for _ in range(min(repeats, 3)):
                one, few, long = (sweep(*shape, f"logger={logger}") for shape in ((1, 1), (5, 1), (1, 5)))
                epoch_s.append((long - one) / 4)
                beside.append((few - one) / 4 - epoch_s[-1])
            print(
                f"one more cell, epochs excluded, logger={logger}: {statistics.median(beside):.2f} s "
                f"({', '.join(f'{seconds:.2f}' for seconds in beside)})",
                flush=True,
            )
        print(f"an epoch of a demo cell, all that `train` does: {statistics.median(epoch_s):.2f} s")


def lightning_share(repeats: int) -> None:
    """Epochs of a demo cell by Lightning's trainer as `train` sets it up, against the same steps in a bare loop."""
    n, short, long = 512, 1, 5
    windows, rhythm = torch.randn(n + 256, WINDOW), torch.randint(RHYTHMS, (n + 256,))
    rows = np.arange(n + 256)
    data = LabelledInputs(
        windows, rhythm, Draw(train=rows[:n], out_of_bag=rows[n : n + 128], test=rows[n + 128 :]), BATCH, seed=0
    )
    architecture = Architecture(width=8, kernel=9, late_kernel=5)

    def module() -> RhythmClassifier:
        torch.manual_seed(0)
        return RhythmClassifier(RhythmNetwork(Encoder(architecture), "pooled", RHYTHMS), 0.005)

    def bare(epochs: int) -> None:
        network = module()
        optimizer = network.configure_optimizers()
        for _ in range(epochs):
            bare_epoch(network, optimizer, data.train_dataloader(), classifier_loss)
            network.eval()
            with torch.inference_mode(), ours_precision():
                for loader in data.val_dataloader():
                    torch.cat([network(batch[0]) for batch in loader])

    def by_lightning(epochs: int) -> None:
        with tempfile.TemporaryDirectory() as name:
            trainer = lightning.Trainer(
                accelerator="cpu",
                precision=PRECISION,
                max_epochs=epochs,
                logger=False,
                callbacks=[
                    LearningCurve(),
                    ModelCheckpoint(Path(name), "selected", monitor="oob_f1", mode="max", save_weights_only=True),
                    Resume(Path(name), {}, 0.0),
                ],
                plugins=[WholeCheckpoints()],
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                default_root_dir=name,
            )
            trainer.fit(module(), data)

    ways = {"bare": bare, "lightning": by_lightning}
    sides = {(name, epochs): partial(way, epochs) for name, way in ways.items() for epochs in (short, long)}
    took = in_turn(sides, repeats)
    epoch_s = {name: (took[name, long] - took[name, short]) / (long - short) for name in ways}
    share = 1 - epoch_s["bare"] / epoch_s["lightning"]
    start_s = took["lightning", short] - epoch_s["lightning"] * short
    print(
        f"Lightning's share of an epoch: {100 * share:.1f} % ({epoch_s['lightning']:.3f} s against "
        f"{epoch_s['bare']:.3f} s; scores and checkpoints included, the start's {start_s:.2f} s not)",
        flush=True,
    )


def run_apart(*words: str, threads: int | None = None) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    subprocess.run([sys.executable, "-m", *words], env=environment, check=True, stdout=subprocess.DEVNULL)


def sweeps(repeats: int) -> None:
    """The demo's image cells once features are cached, and cells in one process or in one a core."""
    with tempfile.TemporaryDirectory() as name:
        demo = ("ecg_tl.train", "-m", "experiment=demo", f"outputs={name}")
        image = ("init=image", "init.weights=random", "fraction=1,0.5,0.25", "seed=range(10)")
        run_apart(*demo, "study=features", "init=image", "init.weights=random", "seed=0", "epochs=1")
        for launcher in ("basic", "local"):
            took = seconds_of(partial(run_apart, *demo, f"study=i-{launcher}", f"hydra/launcher={launcher}", *image))
            print(f"30 image cells of the demo, features cached, hydra/launcher={launcher}: {took:.1f} s", flush=True)
        rest = ("init=random", "fraction=1", "seed=range(4)", "epochs=5")
        sides = {
            "one process, 2 threads": ("basic", 2),
            "2 processes, 1 thread": ("local", 1),
        }
        taken: dict[str, list[float]] = {side: [] for side in sides}
        for repeat in range(min(repeats, 2)):
            for side, (launcher, threads) in sides.items():
                study = f"study=s{repeat}{launcher}"
                run = partial(run_apart, *demo, study, f"hydra/launcher={launcher}", *rest, threads=threads)
                taken[side].append(seconds_of(run))
        for side, seconds in taken.items():
            print(f"4 demo cells of 5 epochs, {side}: {statistics.median(seconds):.1f} s", flush=True)


def memory() -> None:
    """Largest memory of a process that trains on a set of the size of Shaoxing's, as a process of its own sees it."""
    script = """
import resource, sys
import numpy as np
from ecg_tl.store import MV_PER_UNIT, StoreWriter
from pathlib import Path
out, rows = Path(sys.argv[1]), 10646
random = np.random.default_rng(0)
with StoreWriter(out, 2500, "II", ("SR", "SB"), {"format": "random"}, {}) as writer:
    for row in range(rows):
        ecg = random.standard_normal(2500).cumsum() * 0.01
        ecg = (ecg - ecg.mean()).astype(np.float32).clip(-30, 30)
        writer.append(ecg, f"p{row}", f"r{row}", 0.0, ("SR", "SB")[row % 2])
"""
    with tempfile.TemporaryDirectory() as name:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
        subprocess.run([sys.executable, "-c", script, f"{name}/data.h5"], env=environment, check=True)
        words = ("init=random", f"data.path={name}/data.h5", "epochs=1", "fraction=0.05")
        command = [sys.executable, "-m", "ecg_tl.train", *words, f"outputs={name}", "logger=csv"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"training on 10,646 rows of 2,500 samples, width 16: {peak:,.0f} MiB at most", flush=True)


def main(repeats: int, parts: list[str]) -> None:
    """Print a line a measurement."""
    logging.disable(logging.WARNING)
    print(f"{device_name('cpu')}, torch {torch.__version__}, precision {PRECISION}, medians of {repeats}", flush=True)
    known: dict[str, Callable[[], None]] = {
        "memory": memory,  # first: it asks for the largest of all children
        "networks": partial(networks, repeats),
        "predict": partial(predictions, repeats),
        "lightning": partial(lightning_share, repeats),
        "cells": partial(cells, repeats),
        "sweeps": partial(sweeps, repeats),
    }
    for part in parts or known:
        known[part]()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--part", action="append", choices=PARTS)
    arguments = parser.parse_args()
    main(arguments.repeats, arguments.part or [])
