"""LightningDataModules: unlabelled windows streamed from a store, and labelled inputs held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import lightning
import numpy as np
import torch
from torch import Tensor

from ecg_tl.splits import Draw, split_by_group
from ecg_tl.store import Store
from ecg_tl.streaming import WindowStream, batches_of
from ecg_tl.waveform import WINDOW, centre_window, normalise


def windows_of(store: Store) -> np.ndarray:
    """Read a labelled store whole, as the networks take it: the middle 2,048 samples of each row, normalised.

    Returns (N, 2048) float32.
    """
    if store.length < WINDOW:
        raise ValueError(f"{store.path}: rows of {store.length} samples; networks take {WINDOW}, raise source.window_s")
    return normalise(centre_window(store.ecg, WINDOW))


class _TensorBatches:
    """Index by index out of tensors, in the order of the epoch; Lightning takes it for a data loader."""

    def __init__(
        self,
        inputs: Tensor,
        rhythm: Tensor,
        rows: np.ndarray,
        batch_size: int,
        order: Callable[[int], np.ndarray] | None = None,
    ) -> None:
        self.inputs = inputs
        self.rhythm = rhythm
        self.rows = rows
        self.batch_size = batch_size
        self.order = order

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = self.rows if self.order is None else self.rows[self.order(len(self.rows))]
        for index in torch.from_numpy(rows).to(self.inputs.device).split(self.batch_size):
            yield self.inputs[index], self.rhythm[index]


class _StreamBatches:
    """The stream of the epoch that the trainer is in, opened anew each time it is iterated.

    It is no `torch.utils.data.DataLoader`, so Lightning does not try to put a DistributedSampler into it, whatever
    `use_distributed_sampler` says: the stream deals the rows out to the ranks itself.
    """

    def __init__(self, stream: Callable[[], WindowStream], workers: int) -> None:
        self.stream = stream
        self.workers = workers

    def __len__(self) -> int:
        return len(self.stream())

    def __iter__(self) -> Iterator[Tensor]:
        # asked for the epoch only when the first batch is: a training that goes on makes its iterator before it knows
        yield from batches_of(self.stream(), self.workers)


class _SeededEpochs(lightning.LightningDataModule):
    """Shuffles by seed and epoch alone, so that an epoch has one order whatever came before it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    @property
    def epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def order(self, n: int) -> np.ndarray:
        return np.random.default_rng([self.seed, self.epoch]).permutation(n)


class IcuWindows(_SeededEpochs):
    """Unlabelled windows of a store, patients split into train and test, streamed from the file (see `WindowStream`).

    Batches are (B, 2048) normalised windows. Training has one order for seed and epoch, whatever `workers`, the number
    of processes that read ahead (0: none, this one reads); each holds 64 MB. With several ranks each gets its
    share of either side, and the windows that do not divide evenly are left out.
    """

    def __init__(
        self, store: Store, batch_size: int, test_fraction: float, split_seed: int, seed: int, workers: int = 0
    ) -> None:
        super().__init__(seed)
        if store.length != WINDOW:
            raise ValueError(
                f"{store.path}: rows of {store.length} samples; a corpus has {WINDOW}, prepare it with an ICU source"
            )
        self.store = store
        self.batch_size = batch_size
        self.workers = workers
        self.train_rows, self.test_rows = split_by_group(store.patient, test_fraction, split_seed)

    def train_dataloader(self) -> _StreamBatches:
        return _StreamBatches(lambda: self._stream(self.train_rows, self.seed), self.workers)

    def val_dataloader(self) -> _StreamBatches:
        return _StreamBatches(lambda: self._stream(self.test_rows, None), self.workers)

    def _stream(self, rows: np.ndarray, seed: int | None) -> WindowStream:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return WindowStream(self.store, rows, self.batch_size, seed, self.epoch, rank, world_size)


class LabelledInputs(_SeededEpochs):
    """Labelled windows, or cached image features, held as one tensor on the device that trains; batched by index.

    inputs: (N, ...) one row a record; rhythm: (N,) int64. Batches are (inputs, rhythm). Validation has two loaders,
    the test records and the out-of-bag records, in this order; where no record is out of bag it has the first alone.
    """

    def __init__(self, inputs: Tensor, rhythm: Tensor, draw: Draw, batch_size: int, seed: int) -> None:
        super().__init__(seed)
        self.inputs = inputs
        self.rhythm = rhythm
        self.draw = draw
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        self.inputs, self.rhythm = self.inputs.to(device), self.rhythm.to(device)

    def train_dataloader(self) -> _TensorBatches:
        return _TensorBatches(self.inputs, self.rhythm, self.draw.train, self.batch_size, self.order)

    def val_dataloader(self) -> list[_TensorBatches]:
        return [
            _TensorBatches(self.inputs, self.rhythm, rows, self.batch_size)
            for rows in (self.draw.test, self.draw.out_of_bag)
            if len(rows)
        ]
