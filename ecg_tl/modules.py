"""LightningModules: the autoencoder that is pretrained, and the classifier that every init trains alike."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional

from ecg_tl.networks import Decoder, Encoder
from ecg_tl.tracking_keys import TEST_MSE, TEST_SSE, TRAIN_LOSS
from ecg_tl.waveform import WINDOW


class Autoencoder(lightning.LightningModule):
    """Learns to give windows back through the latent features, by the squared error of normalised samples.

    Batches are (B, 2048) windows; schedule is "one_cycle", whose peak is learning_rate, or "constant". Logs train_loss,
    and test_mse (a sample's) and test_sse (a window's, the paper's MSE) over the held-out patients, of all processes.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, learning_rate: float, schedule: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.learning_rate = learning_rate
        self.schedule = schedule

    def forward(self, windows: Tensor) -> Tensor:
        return self.decoder(self.encoder(windows))

    def training_step(self, windows: Tensor) -> Tensor:
        loss = functional.mse_loss(self(windows).float(), windows)
        self.log(TRAIN_LOSS, loss, on_step=False, on_epoch=True, batch_size=len(windows), sync_dist=True)
        return loss

    def validation_step(self, windows: Tensor) -> None:
        mse = functional.mse_loss(self(windows).float(), windows)
        self.log_dict({TEST_MSE: mse, TEST_SSE: WINDOW * mse}, batch_size=len(windows), sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), self.learning_rate)
        if self.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class RhythmClassifier(lightning.LightningModule):
    """Trains `network` from its inputs to rhythms: Adam, cross-entropy, no schedule (paper, section II.4).

    Batches are (inputs, rhythm): (B, ...) and (B,) indices. Validation gives {"logits": (B, rhythms), "rhythm": (B,)}
    to the callbacks that score it.
    """

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, rhythm = batch
        loss = functional.cross_entropy(self(inputs).float(), rhythm)
        self.log(TRAIN_LOSS, loss, on_step=False, on_epoch=True, batch_size=len(rhythm))
        return loss

    def validation_step(
        self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        inputs, rhythm = batch
        return {"logits": self(inputs).float(), "rhythm": rhythm}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.learning_rate)
