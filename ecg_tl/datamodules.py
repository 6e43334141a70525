"""LightningDataModules: unlabelled windows streamed from a store, and labelled inputs held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import lightning
import numpy as np
import torch
from torch import Tensor

from ecg_tl.splits import Draw, split_by_group
from ecg_tl.store import Store
from ecg_tl.waveform import WINDOW, centre_window, normalise


def windows_of(store: Store) -> np.ndarray:
    """Read a labelled store whole, as the networks take it: the middle 2,048 samples of each row, normalised.

    Returns (N, 2048) float32.
    """
    if store.length < WINDOW:
        raise ValueError(f"{store.path}: rows of {store.length} samples; networks take {WINDOW}, raise source.window_s")
    return normalise(centre_window(store.ecg, WINDOW))


class _Batches:
    """Index by index out of what `read` gives, in the order of the epoch; Lightning takes it for a data loader."""

    def __init__(self, rows: np.ndarray, batch_size: int, order: Callable[[int], np.ndarray] | None = None) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.order = order

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def _batches(self) -> Iterator[np.ndarray]:
        rows = self.rows if self.order is None else self.rows[self.order(len(self.rows))]
        for start in range(0, len(rows), self.batch_size):
            yield rows[start : start + self.batch_size]


class _StoreBatches(_Batches):
    def __init__(self, store: Store, rows: np.ndarray, batch_size: int, order: Callable | None = None) -> None:
        super().__init__(rows, batch_size, order)
        self.store = store

    def __iter__(self) -> Iterator[Tensor]:
        for rows in self._batches():
            yield torch.from_numpy(normalise(self.store.ecg[np.sort(rows)]))


class _TensorBatches(_Batches):
    def __init__(
        self, inputs: Tensor, rhythm: Tensor, rows: np.ndarray, batch_size: int, order: Callable | None = None
    ) -> None:
        super().__init__(rows, batch_size, order)
        self.inputs = inputs
        self.rhythm = rhythm

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in self._batches():
            index = torch.from_numpy(rows).to(self.inputs.device)
            yield self.inputs[index], self.rhythm[index]


class _EpochOrder(lightning.LightningDataModule):
    """Shuffles by seed and epoch alone, so that an epoch has one order whatever came before it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def order(self, n: int) -> np.ndarray:
        epoch = self.trainer.current_epoch if self.trainer else 0
        return np.random.default_rng([self.seed, epoch]).permutation(n)


class IcuWindows(_EpochOrder):
    """Unlabelled windows of a store, patients split into train and test; each batch is read as it is needed.

    Batches are (B, 2048) normalised windows.
    """

    def __init__(self, store: Store, batch_size: int, test_fraction: float, split_seed: int, seed: int) -> None:
        super().__init__(seed)
        if store.length != WINDOW:
            raise ValueError(
                f"{store.path}: rows of {store.length} samples; a corpus has {WINDOW}, prepare it with an ICU source"
            )
        self.store = store
        self.batch_size = batch_size
        self.train_rows, self.test_rows = split_by_group(store.patient, test_fraction, split_seed)

    def train_dataloader(self) -> _StoreBatches:
        return _StoreBatches(self.store, self.train_rows, self.batch_size, self.order)

    def val_dataloader(self) -> _StoreBatches:
        return _StoreBatches(self.store, self.test_rows, self.batch_size)


class LabelledInputs(_EpochOrder):
    """Labelled windows, or cached image features, held as one tensor and batched by index.

    inputs: (N, ...) one row a record; rhythm: (N,) int64. Batches are (inputs, rhythm). Validation has two loaders,
    the test records and the out-of-bag records, in this order.
    """

    def __init__(self, inputs: Tensor, rhythm: Tensor, draw: Draw, batch_size: int, seed: int) -> None:
        super().__init__(seed)
        self.inputs = inputs
        self.rhythm = rhythm
        self.draw = draw
        self.batch_size = batch_size

    def train_dataloader(self) -> _TensorBatches:
        return _TensorBatches(self.inputs, self.rhythm, self.draw.train, self.batch_size, self.order)

    def val_dataloader(self) -> list[_TensorBatches]:
        return [
            _TensorBatches(self.inputs, self.rhythm, rows, self.batch_size)
            for rows in (self.draw.test, self.draw.out_of_bag)
        ]
