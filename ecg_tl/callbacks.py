"""What happens beside training: F1 after every epoch, the learning curve's index, the run's record, progress."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_f1_score

from ecg_tl.learning_curve import LearningCurveIndex, learning_curve_index
from ecg_tl.records import CURVE_COLUMNS
from ecg_tl.tracking_keys import OOB_F1, TEST_F1, TEST_LOSS

_LOADERS = ("test", "oob")


@dataclass(frozen=True)
class Scores:
    """How one set of records was classified after one epoch. confusion: (rhythms, rhythms), rows true."""

    loss: float
    f1: float
    macro_f1: float
    f1_per_rhythm: list[float]
    confusion: list[list[int]]


def score(logits: Tensor, rhythm: Tensor) -> Scores:
    """Score logits (n, rhythms) against rhythm (n,). F1 is weighted by support; macro leaves out rhythms that neither
    occur nor are predicted; a rhythm's own F1 is 0 there."""
    rhythms = logits.shape[1]
    predicted = logits.argmax(1)

    def f1(average: Any) -> Tensor:
        return multiclass_f1_score(predicted, rhythm, rhythms, average=average)

    return Scores(
        loss=float(functional.cross_entropy(logits, rhythm)),
        f1=float(f1("weighted")),
        macro_f1=float(f1("macro")),
        f1_per_rhythm=f1("none").tolist(),
        confusion=multiclass_confusion_matrix(predicted, rhythm, rhythms).tolist(),
    )


class LearningCurve(Callback):
    """Scores the test and the out-of-bag records after every epoch, and the whole curve at the end.

    Logs test_loss, test_f1 and oob_f1 per epoch. The curve has one row an epoch. selected is the epoch that did best
    out of bag, the first among equals; where no record is out of bag it is the last epoch. best_predicted and
    selected_predicted are the classes, (test records,), of these epochs. ValueError if a loss is not finite, since what
    is classified then says nothing.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.test_scores: list[Scores] = []
        self.oob_f1: list[float] = []
        self.best_predicted: list[int] = []
        self.selected_predicted: list[int] = []
        self._seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in _LOADERS}

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "test_scores": [vars(scores) for scores in self.test_scores],
            "oob_f1": self.oob_f1,
            "best_predicted": self.best_predicted,
            "selected_predicted": self.selected_predicted,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]
        self.test_scores = [Scores(**scores) for scores in state_dict["test_scores"]]
        self.oob_f1 = state_dict["oob_f1"]
        self.best_predicted = state_dict["best_predicted"]
        self.selected_predicted = state_dict["selected_predicted"]

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._seen[_LOADERS[dataloader_idx]].append((outputs["logits"], outputs["rhythm"]))

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        seen = {
            name: tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
            for name, batches in self._seen.items()
            if batches
        }
        self._seen = {name: [] for name in _LOADERS}
        scores = {name: score(logits, rhythm) for name, (logits, rhythm) in seen.items()}
        self.test_scores.append(scores["test"])
        self.oob_f1.append(scores["oob"].f1 if "oob" in scores else math.nan)
        epoch, predicted = len(self.test_scores), seen["test"][0].argmax(1)
        if self.best_epoch == epoch:
            self.best_predicted = predicted.tolist()
        if self.selected_epoch == epoch:
            self.selected_predicted = predicted.tolist()
        module.log_dict({TEST_LOSS: scores["test"].loss, TEST_F1: scores["test"].f1})
        if "oob" in scores:
            module.log(OOB_F1, scores["oob"].f1)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        test, epoch = self.test_scores[-1], trainer.current_epoch + 1
        train_loss = float(trainer.callback_metrics["train_loss"])
        learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
        for name, loss in (("training", train_loss), ("test", test.loss)):
            if not math.isfinite(loss):
                raise ValueError(
                    f"learning_rate={learning_rate:g}: the {name} loss became {loss} in epoch {epoch}; lower it"
                )
        self.rows.append(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "test_loss": test.loss,
                "test_f1": test.f1,
                "learning_rate": learning_rate,
            }
        )

    @property
    def curve(self) -> pd.DataFrame:
        """One row an epoch, columns as CURVE_COLUMNS."""
        return pd.DataFrame(self.rows, columns=list(CURVE_COLUMNS))

    @property
    def index(self) -> LearningCurveIndex:
        """The index of test F1 over the epochs."""
        return learning_curve_index(np.array([scores.f1 for scores in self.test_scores]))

    @property
    def best_epoch(self) -> int:
        """The epoch of the highest test F1, from 1."""
        return 1 + int(np.argmax([scores.f1 for scores in self.test_scores]))

    @property
    def selected_epoch(self) -> int:
        """The epoch that did best out of bag, from 1."""
        if np.isnan(self.oob_f1).all():
            return len(self.oob_f1)
        return 1 + int(np.nanargmax(self.oob_f1))

    @property
    def best(self) -> Scores:
        """Test scores of the best epoch."""
        return self.test_scores[self.best_epoch - 1]

    @property
    def selected(self) -> Scores:
        """Test scores of the selected epoch."""
        return self.test_scores[self.selected_epoch - 1]


class WriteRecord(Callback):
    """Hands over to `write` when, and only when, training came to its end."""

    def __init__(self, write: Callable[[Trainer], None]) -> None:
        self.write = write

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.write(trainer)


class EpochBar(Callback):
    """One bar over the epochs with the metrics named; where the output is no terminal, a line an epoch if asked for."""

    def __init__(self, label: str, metrics: tuple[str, ...], *, lines: bool = False) -> None:
        self.label = label
        self.metrics = metrics
        self.lines = lines
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        if sys.stdout.isatty() and trainer.is_global_zero:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
            )
            self._progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), transient=True)
            self._task = self._progress.add_task(self.label, total=trainer.max_epochs)
            self._progress.start()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        shown = "  ".join(f"{name} {float(trainer.callback_metrics[name]):.4g}" for name in self.metrics)
        if self._progress:
            self._progress.update(self._task, description=f"{self.label}  {shown}", advance=1)
        elif self.lines and trainer.is_global_zero:
            print(f"{self.label}  epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {shown}", flush=True)

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if self._progress:
            self._progress.stop()
