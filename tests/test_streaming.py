from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ecg_tl.store import Store
from ecg_tl.streaming import WindowStream
from ecg_tl.waveform import WINDOW, normalise
from tests.fabricate import icu_store

SMALL: dict[str, Any] = {"block_rows": 8, "buffer_rows": 40}
"""Blocks and buffers of which the tiny store fills many."""
FILES = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return icu_store(tmp_path_factory.mktemp("stream") / "icu.h5", patients=31, windows_per_patient=9)


@pytest.fixture(scope="module")
def row_of(store: Store) -> dict[bytes, int]:
    return {window.tobytes(): row for row, window in enumerate(normalise(store.ecg))}


def stream(store: Store, **arguments: Any) -> WindowStream:
    defaults = {"rows": np.arange(len(store)), "batch_size": 16, "seed": 0, **SMALL}
    return WindowStream(store, **(defaults | arguments))


def rows_given(batches: Any, row_of: dict[bytes, int]) -> list[list[int]]:
    return [[row_of[window.numpy().tobytes()] for window in batch] for batch in batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


@pytest.mark.parametrize("batch_size", [1, 7, 16, 45, 300])
@pytest.mark.parametrize("seed", [None, 0])
def test_every_row_comes_once_in_full_batches_but_the_last(
    store: Store, row_of: dict[bytes, int], batch_size: int, seed: int | None
) -> None:
    rows = np.flatnonzero(np.arange(len(store)) % 10 != 3)
    epoch = stream(store, rows=rows, batch_size=batch_size, seed=seed)
    batches = rows_given(epoch, row_of)
    assert sorted(flat(batches)) == rows.tolist()
    assert len(batches) == len(epoch)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    if seed is None:
        assert flat(batches) == rows.tolist()


def test_values_are_those_of_normalise(store: Store) -> None:
    batches = list(stream(store, seed=None))
    assert {batch.dtype for batch in batches} == {torch.float32}
    ecg = store.ecg.astype(np.float64)
    expected = (ecg - ecg.mean(1, keepdims=True)) / ecg.std(1, keepdims=True)
    np.testing.assert_allclose(torch.cat(batches), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(torch.cat(batches), normalise(store.ecg), rtol=0, atol=1e-5)


def test_an_order_is_its_seeds_and_epochs_own(store: Store, row_of: dict[bytes, int]) -> None:
    def given(**arguments: int) -> tuple[int, ...]:
        return tuple(flat(rows_given(stream(store, **arguments), row_of)))

    assert given(seed=1, epoch=2) == given(seed=1, epoch=2)
    assert len({given(seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6


def test_a_batch_mixes_patients_and_parts_neighbours(store: Store, row_of: dict[bytes, int]) -> None:
    # 16 of 31 patients with 9 windows each, drawn at random: 13 different ones are expected. Five blocks of 8 windows
    # hold 5 to 10 patients, and a stream in the store's order would have 2 or 3.
    for batch in rows_given(stream(store), row_of)[:-1]:
        assert len(set(store.patient[batch])) >= 5
    whole = rows_given(stream(store, buffer_rows=len(store)), row_of)
    assert np.mean([len(set(store.patient[batch])) for batch in whole[:-1]]) > 11
    order = np.array(flat(whole))
    assert np.mean(np.abs(np.diff(order)) == 1) < 0.05


def test_the_last_buffer_is_no_remnant(store: Store) -> None:
    # 279 rows are 35 blocks of 8; a buffer of 17 blocks would leave one block over.
    buffers = stream(store, buffer_rows=136)._buffers(np.random.default_rng(0))
    assert [len(blocks) for blocks in buffers] == [11, 12, 12]


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_get_disjoint_shares_of_one_size(store: Store, row_of: dict[bytes, int], world_size: int) -> None:
    streams = [stream(store, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [flat(rows_given(share, row_of)) for share in streams]
    assert {len(share) for share in streams} == {len(rows_given(streams[0], row_of))}
    assert {len(share) for share in shares} == {279 // world_size}
    assert len(set(flat(shares))) == world_size * (279 // world_size)


def test_what_does_not_divide_is_left_out_in_turns(store: Store, row_of: dict[bytes, int]) -> None:
    def left_out(epoch: int) -> frozenset[int]:
        shares = [stream(store, epoch=epoch, rank=rank, world_size=4) for rank in range(4)]
        return frozenset(range(279)) - {row for share in shares for row in flat(rows_given(share, row_of))}

    assert {len(left_out(epoch)) for epoch in range(4)} == {3}
    assert len({left_out(epoch) for epoch in range(4)}) > 1


@pytest.mark.parametrize(("start", "workers"), [("fork", 1), ("fork", 2), ("spawn", 2)])
def test_worker_processes_give_what_one_process_gives(store: Store, start: str, workers: int) -> None:
    epoch = stream(store, rank=1, world_size=2, epoch=5)
    loader = DataLoader(epoch, batch_size=None, num_workers=workers, multiprocessing_context=start)
    batches = list(loader)
    assert len(loader) == len(batches)
    assert all(torch.equal(one, other) for one, other in zip(batches, epoch, strict=True))


@pytest.mark.skipif(not FILES.is_dir(), reason="only Linux lists the files that are open")
def test_a_stream_left_early_leaves_nothing_open(store: Store) -> None:
    def opened() -> list[Path]:
        return [path for path in FILES.iterdir() if path.exists() and path.samefile(store.path)]

    threads, before = threading.active_count(), len(opened())  # the memory map holds one
    batches = iter(stream(store))
    next(batches)
    assert len(opened()) == before + 1
    del batches
    assert len(opened()) == before
    assert threading.active_count() == threads


def test_a_stream_pickles_without_the_samples(store: Store) -> None:
    epoch = stream(store)
    pickled = pickle.dumps(epoch)
    assert len(pickled) < 8 * len(store) + 1000
    assert torch.equal(torch.cat(list(pickle.loads(pickled))), torch.cat(list(epoch)))


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    cut = icu_store(tmp_path / "cut.h5", patients=3, windows_per_patient=4)
    epoch = stream(cut)
    assert isinstance(cut.ecg, np.memmap)
    os.truncate(cut.path, cut.ecg.offset + 11 * WINDOW * 2)
    with pytest.raises(ValueError, match=r"cut\.h5: ends before row 11; it changed"):
        list(epoch)


def test_fewer_windows_than_processes_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match=r"icu\.h5: 3 windows for 4 processes"):
        stream(store, rows=np.arange(3), world_size=4)
