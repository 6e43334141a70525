"""How fast normalised windows come out of a store: the stream against a data set that reads a row an item.

python benchmarks/streaming.py [--rows N] [--repeats N]

Writes a store of random int16 rows into a temporary folder (4 KB a row, and as much again while it is written) and
reads it from the page cache, both sides in turn, shuffled, in batches of 64. The row-by-row side is timed on the first
windows of its epoch, since a whole one takes long. Then the largest memory in use during an epoch is compared with
that on a tenth of the store.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ecg_tl.hardware import device_name
from ecg_tl.store import MV_PER_UNIT, Store, StoreWriter, open_store
from ecg_tl.streaming import WindowStream
from ecg_tl.waveform import WINDOW

BATCH = 64
WINDOWS_PER_PATIENT = 100


class RowByRow(Dataset[Tensor]):
    """The usual way: one h5py read and one normalisation an item."""

    def __init__(self, path: Path, n: int) -> None:
        self.path = path
        self.n = n
        self.ecg: h5py.Dataset | None = None

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, row: int) -> Tensor:
        if self.ecg is None:  # h5py files do not survive a fork
            self.ecg = h5py.File(self.path, "r")["ecg"]
        window = self.ecg[row].astype(np.float32)
        return torch.from_numpy((window - window.mean()) / window.std())


def make_store(path: Path, rows: int) -> Store:
    random = np.random.default_rng(0)
    with StoreWriter(path, WINDOW, "II", (), {"format": "random"}, {}) as writer:
        for start in range(0, rows, WINDOWS_PER_PATIENT):
            count = min(WINDOWS_PER_PATIENT, rows - start)
            units = random.integers(-2000, 2000, (count, WINDOW), dtype=np.int16)
            writer.append(units * MV_PER_UNIT, f"P{start}", f"R{start}", np.zeros(count))
    return open_store(path)


def windows_a_second(batches: Iterable[Tensor], limit: int) -> float:
    """Time whole batches up to `limit` windows, but not the start of worker processes."""
    iterator = iter(batches)
    if isinstance(batches, DataLoader):
        next(iterator)
    began_s, n = time.perf_counter(), 0
    for batch in iterator:
        n += len(batch)
        if n >= limit:
            break
    return n / (time.perf_counter() - began_s)


def resident_mb(field: str) -> float:
    """What Linux says of this process's memory: VmRSS now, VmHWM at most since the mark was reset."""
    return int(Path("/proc/self/status").read_text().partition(f"{field}:")[2].split()[0]) * 1024 / 1e6


def check_equal(store: Store) -> None:
    n = min(len(store), 2000)
    stream = torch.cat(list(WindowStream(store, np.arange(n), BATCH)))
    reference = torch.cat(list(DataLoader(RowByRow(store.path, n), BATCH)))
    torch.testing.assert_close(stream, reference, rtol=1e-5, atol=1e-5)


def compare(store: Store, repeats: int, reference_rows: int) -> None:
    n = len(store)
    sides = {
        "stream, this process": (lambda epoch: WindowStream(store, np.arange(n), BATCH, 0, epoch), n),
        "stream, 2 workers": (
            lambda epoch: DataLoader(WindowStream(store, np.arange(n), BATCH, 0, epoch), None, num_workers=2),
            n,
        ),
        "row by row, this process": (lambda _: DataLoader(RowByRow(store.path, n), BATCH, True), reference_rows),
        "row by row, 2 workers": (
            lambda _: DataLoader(RowByRow(store.path, n), BATCH, True, num_workers=2),
            reference_rows,
        ),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for epoch in range(repeats):
        for name, (batches, limit) in sides.items():
            rates[name].append(windows_a_second(batches(epoch), limit))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{'windows a second':26}{'median':>10}{'least':>10}{'most':>10}{'stream is':>12}")
    for name, values in rates.items():
        ratio = medians["stream, this process"] / medians[name]
        print(f"{name:26}{medians[name]:10,.0f}{min(values):10,.0f}{max(values):10,.0f}{ratio:11.1f}x")


def compare_memory(small: Store, large: Store) -> None:
    if sys.platform != "linux":
        return
    print("\npeak resident memory over an epoch")
    for store in (small, large):
        before_mb = resident_mb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        for _ in WindowStream(store, np.arange(len(store)), BATCH, 0):
            pass
        peak_mb = resident_mb("VmHWM")
        size = f"{len(store):10,} rows, {store.ecg.nbytes / 1e6:6,.0f} MB on disk"
        print(f"{size}: {peak_mb:,.0f} MB, {peak_mb - before_mb:.0f} of them for the epoch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the store (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="times each side runs (default: %(default)s)")
    parser.add_argument("--reference-rows", type=int, default=20_000, help="rows that the row-by-row side is timed on")
    arguments = parser.parse_args()
    print(f"{device_name('cpu')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before this began")
    with tempfile.TemporaryDirectory() as folder:
        large = make_store(Path(folder) / "large.h5", arguments.rows)
        small = make_store(Path(folder) / "small.h5", arguments.rows // 10)
        check_equal(large)
        compare_memory(small, large)
        compare(large, arguments.repeats, arguments.reference_rows)


if __name__ == "__main__":
    main()
