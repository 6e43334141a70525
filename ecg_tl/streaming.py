"""Normalised windows out of a store larger than memory: large reads from the disk, shuffled rows to the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ecg_tl.store import Store
from ecg_tl.waveform import normalise

BLOCK_ROWS = 256
"""Rows read at a stretch: 1 MB of ICU windows, where a cold disk comes near its sequential rate."""

BUFFER_ROWS = 16384
"""Rows shuffled together: 64 MB of ICU windows, from 64 places of the store."""


class WindowStream(IterableDataset[Tensor]):
    """One epoch of batches of normalised windows, read from the file block by block and shuffled in a buffer.

    rows: (n,) rows of the store, rising. Batches are (batch_size, L) float32 and the last may be short; together they
    are the share of `rank`, each row once. Every rank gets n // world_size rows and so as many batches as the others;
    the n % world_size rows left at the end of the epoch's order are dropped, which with seed is other rows every epoch.
    ValueError if there are fewer rows than ranks, or when the file ends before a row.

    Blocks are dealt in an order that only seed and epoch decide, and a buffer is filled with blocks from all over the
    store before its rows are shuffled, so that a patient's neighbouring windows part. A store within buffer_rows is
    shuffled whole. Without seed the rows come as they are.

    As the data set of a `DataLoader(stream, batch_size=None, num_workers=k)` the workers take the batches in turns, so
    that the loader gives what the stream alone gives, in its order. Each of them fills a buffer of its own, the second
    time out of the page cache. The file is opened for an epoch and closed when the iterator is; the stream
    itself holds only numbers and a path, so that it pickles small.
    """

    def __init__(
        self,
        store: Store,
        rows: np.ndarray,
        batch_size: int,
        seed: int | None = None,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        block_rows: int = BLOCK_ROWS,
        buffer_rows: int = BUFFER_ROWS,
    ) -> None:
        if len(rows) < world_size:
            raise ValueError(f"{store.path}: {len(rows)} windows for {world_size} processes; start fewer")
        assert isinstance(store.ecg, np.memmap), "a store is a memory map, which knows its place in the file"
        assert 0 <= rank < world_size
        assert 0 < block_rows <= buffer_rows
        self.path = str(store.ecg.filename)
        self.offset = store.ecg.offset
        self.length = store.length
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch
        self.skip = rank * (len(rows) // world_size)
        self.n = len(rows) // world_size
        self.block_rows = block_rows
        self.buffer_rows = buffer_rows

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        turn, turns = (worker.id, worker.num_workers) if worker else (0, 1)
        random = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        buffers = self._buffers(random)
        held = np.empty((max(sum(map(len, blocks)) for blocks in buffers), self.length), "<i2")
        parts: list[np.ndarray] = []
        start = 0
        with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - Path.open has no overload that says FileIO
            for blocks, following in zip(buffers, [*buffers[1:], []], strict=True):
                self._fill(file, blocks, held)
                self._advise(file, following)
                stop = start + sum(map(len, blocks))
                order = np.arange(stop - start) if random is None else random.permutation(stop - start)
                for number in range(start // self.batch_size, -(-stop // self.batch_size)):
                    if number % turns != turn:
                        continue
                    first, end = number * self.batch_size, min((number + 1) * self.batch_size, self.n)
                    parts.append(normalise(held[order[max(first, start) - start : min(end, stop) - start]]))
                    if end <= stop:
                        yield torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts))
                        parts = []
                start = stop

    def _buffers(self, random: np.random.Generator | None) -> list[list[np.ndarray]]:
        """Deal the share out: a list of blocks of rows for each filling of the buffer, all about as full."""
        starts = np.arange(0, len(self.rows), self.block_rows)
        if random is not None:
            random.shuffle(starts)
        blocks, skip, wanted = [], self.skip, self.n
        for start in starts.tolist():
            block = self.rows[start : start + self.block_rows]
            mine = block[skip : skip + wanted]
            skip, wanted = max(0, skip - len(block)), wanted - len(mine)
            if len(mine):
                blocks.append(mine)
        # Even shares, since a last buffer of one block would be batches of one patient.
        count = -(-len(blocks) // (self.buffer_rows // self.block_rows))
        cuts = [len(blocks) * i // count for i in range(count + 1)]
        return [blocks[a:b] for a, b in pairwise(cuts)]

    def _fill(self, file: FileIO, blocks: list[np.ndarray], held: np.ndarray) -> None:
        # Not through the memory map: pages read that way count as the process's own memory, and fault one by one.
        at = 0
        for block in blocks:
            for run in np.split(block, np.flatnonzero(np.diff(block) != 1) + 1):
                target = held[at : at + len(run)]
                file.seek(self.offset + int(run[0]) * 2 * self.length)
                if file.readinto(target.data) != target.nbytes:
                    raise ValueError(
                        f"{self.path}: ends before row {run[-1]}; it changed since it was opened, start again"
                    )
                at += len(run)

    def _advise(self, file: FileIO, blocks: list[np.ndarray]) -> None:
        """Let the system read ahead what the next buffer wants, while this one is worked on."""
        if hasattr(os, "posix_fadvise"):
            for block in blocks:
                begin, end = (self.offset + int(row) * 2 * self.length for row in (block[0], block[-1] + 1))
                os.posix_fadvise(file.fileno(), begin, end - begin, os.POSIX_FADV_WILLNEED)


def batches_of(stream: WindowStream, workers: int) -> Iterator[Tensor]:
    """Iterate over a stream in this process, or in so many others; the batches are the same.

    Closing the iterator, or losing it, ends the processes.
    """
    if not workers:
        return iter(stream)
    return iter(DataLoader(stream, batch_size=None, num_workers=workers))
