from __future__ import annotations

import multiprocessing
from pathlib import Path
from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import torch

from ecg_tl.datamodules import IcuWindows, LabelledInputs, windows_of
from ecg_tl.splits import Draw
from ecg_tl.store import open_store
from ecg_tl.waveform import WINDOW
from tests.fabricate import icu_store, labelled_store


@pytest.fixture
def corpus(tmp_path: Path) -> IcuWindows:
    icu_store(tmp_path / "icu.h5", patients=10, windows_per_patient=7)
    return IcuWindows(open_store(tmp_path / "icu.h5"), batch_size=16, test_fraction=0.2, split_seed=0, seed=0)


def at_epoch(data: IcuWindows | LabelledInputs, epoch: int, rank: int = 0, world_size: int = 1) -> None:
    trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank, world_size=world_size)
    data.trainer = trainer  # type: ignore[assignment]


def as_set(batches: list[torch.Tensor]) -> set[bytes]:
    return {window.numpy().tobytes() for batch in batches for window in batch}


def test_an_epoch_gives_every_training_window_once_and_no_test_patient(corpus: IcuWindows) -> None:
    batches = list(corpus.train_dataloader())
    assert len(batches) == len(corpus.train_dataloader()) == 4
    assert sum(map(len, batches)) == len(as_set(batches)) == 56
    held_out = list(corpus.val_dataloader())
    assert sum(map(len, held_out)) == 14
    assert not as_set(batches) & as_set(held_out)
    patients = corpus.store.patient
    assert not set(patients[corpus.train_rows]) & set(patients[corpus.test_rows])


def test_windows_are_normalised_one_by_one(corpus: IcuWindows) -> None:
    for batch in corpus.train_dataloader():
        assert batch.dtype == torch.float32
        assert batch.shape[1] == WINDOW
        torch.testing.assert_close(batch.mean(1), torch.zeros(len(batch)), atol=1e-5, rtol=0)
        torch.testing.assert_close(batch.std(1, correction=0), torch.ones(len(batch)), atol=1e-4, rtol=0)


def test_the_order_is_an_epochs_own(corpus: IcuWindows) -> None:
    loader = corpus.train_dataloader()
    at_epoch(corpus, 3)
    fourth, again = (torch.cat(list(loader)) for _ in range(2))
    at_epoch(corpus, 4)
    fifth = torch.cat(list(loader))
    assert torch.equal(fourth, again)
    assert not torch.equal(fourth, fifth)


def test_workers_change_nothing_and_leave_with_the_epoch(corpus: IcuWindows) -> None:
    alone = torch.cat(list(corpus.train_dataloader()))
    corpus.workers = 2
    loader = corpus.train_dataloader()
    assert len(loader) == 4
    assert torch.equal(torch.cat(list(loader)), alone)
    batches = iter(loader)
    next(batches)
    assert multiprocessing.active_children()
    del batches
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader"])
def test_ranks_share_either_side(corpus: IcuWindows, loader: str) -> None:
    whole = as_set(list(getattr(corpus, loader)()))
    shares = []
    for rank in range(3):
        at_epoch(corpus, 0, rank, world_size=3)
        shares.append(as_set(list(getattr(corpus, loader)())))
    assert [len(share) for share in shares] == [len(whole) // 3] * 3
    assert len(set.union(*shares)) == 3 * (len(whole) // 3)
    assert set.union(*shares) <= whole


class Recorder(lightning.LightningModule):
    """Keeps what a trainer hands it: epoch -> windows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[torch.Tensor]] = {}

    def training_step(self, windows: torch.Tensor) -> torch.Tensor:
        self.seen.setdefault(self.current_epoch, []).append(windows)
        return self.weight * windows.mean()

    def validation_step(self, windows: torch.Tensor) -> None: ...

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_a_restarted_trainer_sees_the_epochs_of_an_unbroken_run(corpus: IcuWindows, tmp_path: Path) -> None:
    def fit(epochs: int, checkpoint: Path | None = None) -> dict[int, bytes]:
        module = Recorder()
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(module, corpus, ckpt_path=checkpoint)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return {epoch: torch.cat(windows).numpy().tobytes() for epoch, windows in module.seen.items()}

    fit(1)
    resumed = fit(3, tmp_path / "last.ckpt")
    unbroken = fit(3)
    assert list(resumed) == [1, 2]
    assert resumed == {epoch: unbroken[epoch] for epoch in (1, 2)}
    assert len(set(unbroken.values())) == 3


def test_a_corpus_of_other_rows_is_refused(tmp_path: Path) -> None:
    labelled_store(tmp_path / "rows.h5", records=30)
    with pytest.raises(ValueError, match=r"rows\.h5: rows of 2500 samples; a corpus has 2048"):
        IcuWindows(open_store(tmp_path / "rows.h5"), 16, 0.2, 0, 0)


def test_labelled_windows_are_the_middle_of_their_rows(tmp_path: Path) -> None:
    labelled_store(tmp_path / "rows.h5", records=30)
    store = open_store(tmp_path / "rows.h5")
    windows = windows_of(store)
    middle = store.ecg_mv(slice(None))[:, 226 : 226 + WINDOW].astype(np.float64)
    expected = (middle - middle.mean(1, keepdims=True)) / middle.std(1, keepdims=True)
    np.testing.assert_allclose(windows, expected, atol=1e-4)


def test_short_rows_are_refused(tmp_path: Path) -> None:
    labelled_store(tmp_path / "rows.h5", records=30, length=2000)
    with pytest.raises(ValueError, match=r"rows of 2000 samples; networks take 2048"):
        windows_of(open_store(tmp_path / "rows.h5"))


def test_labelled_batches_keep_inputs_and_rhythm_together_and_repeat_what_was_drawn_twice() -> None:
    inputs, rhythm = torch.arange(20.0)[:, None], torch.arange(20) % 3
    draw = Draw(np.array([3, 3, 5, 8]), np.array([1, 2]), np.array([10, 11, 12]))
    data = LabelledInputs(inputs, rhythm, draw, batch_size=3, seed=0)
    seen = [(int(x), int(y)) for xs, ys in data.train_dataloader() for x, y in zip(xs, ys, strict=True)]
    assert sorted(x for x, _ in seen) == [3, 3, 5, 8]
    assert all(y == x % 3 for x, y in seen)
    test, out_of_bag = data.val_dataloader()
    assert torch.cat([xs for xs, _ in test]).flatten().tolist() == [10, 11, 12]
    assert torch.cat([xs for xs, _ in out_of_bag]).flatten().tolist() == [1, 2]
