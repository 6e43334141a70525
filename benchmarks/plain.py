"""The network and the training loop as one would write them down: Conv1d, float32, eager, a DataLoader over tensors.

What the speed of ecg_tl is measured against. The layers are those of `Architecture("released")`, in the same order,
so that weights can be copied across; of the decoder's skip branch, whose sum the authors switched off, nothing is
computed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

BLOCKS = ((1, 1, 0), (1, 1, 1), (1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 4, 1), (4, 5, 1), (5, 5, 1), (5, 5, 0))
EARLY = 6
"""Blocks that have the long kernel."""


def taps_of(block: int, kernel: int, late_kernel: int) -> int:
    return kernel if block < EARLY else late_kernel


class EncoderBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, taps: int, halves: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm1d(inputs),
            nn.LeakyReLU(0.01),
            nn.Conv1d(inputs, outputs, taps, padding=taps // 2),
            nn.BatchNorm1d(outputs),
            nn.LeakyReLU(0.01),
            nn.Conv1d(outputs, outputs, taps, padding=taps // 2),
        )
        self.pool = nn.MaxPool1d(2) if halves else nn.Identity()
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.pool(self.body(x)) + self.skip(self.pool(x)))


class Encoder(nn.Module):
    def __init__(self, width: int, latent: int = 60, kernel: int = 19, late_kernel: int = 9) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, width, kernel, padding=kernel // 2), nn.BatchNorm1d(width))
        self.blocks = nn.Sequential(
            *(
                EncoderBlock(inputs * width, outputs * width, taps_of(block, kernel, late_kernel), halves)
                for block, (inputs, outputs, halves) in enumerate(BLOCKS)
            )
        )
        self.to_latent = nn.Sequential(
            nn.Linear(80 * width, 40 * width), nn.LeakyReLU(0.01), nn.Linear(40 * width, latent)
        )

    def feature_map(self, windows: Tensor) -> Tensor:
        return self.blocks(self.stem(windows[:, None]))

    def forward(self, windows: Tensor) -> Tensor:
        return self.to_latent(self.feature_map(windows).flatten(1))


class Classifier(nn.Module):
    """The head reads the mean over time of the last feature map."""

    def __init__(self, width: int, rhythms: int) -> None:
        super().__init__()
        self.head = nn.Linear(5 * width, rhythms)
        self.encoder = Encoder(width)

    def forward(self, windows: Tensor) -> Tensor:
        return self.head(self.encoder.feature_map(windows).mean(-1))


class DecoderBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, taps: int, doubles: int) -> None:
        super().__init__()
        half = taps // 2
        self.first = nn.Sequential(
            nn.Conv1d(inputs, inputs, taps, padding=half, bias=False), nn.BatchNorm1d(inputs), nn.LeakyReLU(0.01)
        )
        widen = [nn.Upsample(scale_factor=2, mode="linear"), nn.ReflectionPad1d(half)] if doubles else []
        self.second = nn.Sequential(
            *widen,
            nn.Conv1d(inputs, outputs, taps, padding=0 if doubles else half, bias=False),
            nn.BatchNorm1d(outputs),
            nn.LeakyReLU(0.01),
            nn.Dropout(0.2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Autoencoder(nn.Module):
    def __init__(self, width: int, latent: int = 60, kernel: int = 19, late_kernel: int = 9) -> None:
        super().__init__()
        self.encoder = Encoder(width, latent, kernel, late_kernel)
        self.from_latent = nn.Linear(latent, 80 * width)
        self.blocks = nn.Sequential(
            *(
                DecoderBlock(outputs * width, inputs * width, taps_of(block, kernel, late_kernel), halves)
                for block, (inputs, outputs, halves) in reversed(list(enumerate(BLOCKS)))
            )
        )
        self.to_window = nn.Conv1d(width, 1, 1, bias=False)

    def forward(self, windows: Tensor) -> Tensor:
        x = self.from_latent(self.encoder(windows)).unflatten(1, (-1, 16))
        return self.to_window(self.blocks(x))[:, 0]


def loader(windows: Tensor, rhythm: Tensor, batch_size: int, *, shuffle: bool) -> DataLoader:
    return DataLoader(TensorDataset(windows, rhythm), batch_size, shuffle)


def train_classifier(network: nn.Module, optimizer: torch.optim.Optimizer, batches: DataLoader) -> None:
    network.train()
    for windows, rhythm in batches:
        optimizer.zero_grad()
        functional.cross_entropy(network(windows), rhythm).backward()
        optimizer.step()


def train_autoencoder(network: nn.Module, optimizer: torch.optim.Optimizer, batches: DataLoader) -> None:
    network.train()
    for windows, _ in batches:
        optimizer.zero_grad()
        functional.mse_loss(network(windows), windows).backward()
        optimizer.step()


def evaluate(network: nn.Module, batches: DataLoader) -> Tensor:
    network.eval()
    with torch.no_grad():
        return torch.cat([network(windows) for windows, _ in batches])
