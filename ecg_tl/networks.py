"""Encoder, decoder and heads of the convolutional autoencoder and of the classifiers made from it.

Outside, a window is (B, 2048). Inside, tensors are (B, C, 1, L) in `channels_last` order under (1, K) convolutions,
which the processors we know run several times faster than `Conv1d`; the arithmetic is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ecg_tl.waveform import WINDOW

_POSITIONS = 16
"""What seven poolings by 2 leave of a window."""
_BLOCKS = (  # (in, out) in widths, halves the length, uses the late kernel: the architecture the authors published
    (1, 1, False, False),
    (1, 1, True, False),
    (1, 2, True, False),
    (2, 3, True, False),
    (3, 4, True, False),
    (4, 4, True, False),
    (4, 5, True, True),
    (5, 5, True, True),
    (5, 5, False, True),
)


@dataclass(frozen=True)
class Architecture:
    """What a network is built from; written into every bundle.

    kind: "residual" (no dropout, residual decoder, one linear layer to the latent) or "released" (the authors' own).
    width: channels of the first convolution. latent: features of a window. kernel, late_kernel: taps of the
    convolutions of the first six and of the last three blocks, both odd.
    """

    kind: str = "residual"
    width: int = 16
    latent: int = 60
    kernel: int = 19
    late_kernel: int = 9

    def __post_init__(self) -> None:
        for name in ("width", "latent", "kernel", "late_kernel"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name}={getattr(self, name)}: must be at least 1")
        for name in ("kernel", "late_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"model.{name}={getattr(self, name)}: must be odd, so that length is kept")

    @property
    def map_channels(self) -> int:
        """Channels of the encoder's last feature map."""
        return 5 * self.width


def _convolution(inputs: int, outputs: int, taps: int, *, bias: bool = True, padding: int | None = None) -> nn.Conv2d:
    along = taps // 2 if padding is None else padding
    return nn.Conv2d(inputs, outputs, (1, taps), padding=(0, along), bias=bias)


class _Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(x, (1, 2))


class _Upsample(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=(1.0, 2.0), mode="nearest")


class _LinearUpsample(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=(1.0, 2.0), mode="bilinear", align_corners=False)


class _EncoderBlock(nn.Module):
    """Pre-activation residual block: (B, in, 1, L) -> (B, out, 1, L or L/2)."""

    def __init__(self, inputs: int, outputs: int, taps: int, halves: bool, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.LeakyReLU(0.01),
            _convolution(inputs, outputs, taps),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.01),
            _convolution(outputs, outputs, taps),
        )
        self.pool = _Pool() if halves else nn.Identity()
        self.skip = _convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.pool(self.body(x)) + self.skip(self.pool(x)))


class Encoder(nn.Module):
    """Windows to features: `feature_map` (B, L) -> (B, 5 width, 1, 16), `forward` (B, L) -> (B, latent)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        width, released = architecture.width, architecture.kind == "released"
        self.stem = nn.Sequential(_convolution(1, width, architecture.kernel), nn.BatchNorm2d(width))
        self.blocks = nn.Sequential(
            *(
                _EncoderBlock(
                    inputs * width,
                    outputs * width,
                    architecture.late_kernel if late else architecture.kernel,
                    halves,
                    dropout=0.3 if released else 0.0,
                )
                for inputs, outputs, halves, late in _BLOCKS
            )
        )
        flat = architecture.map_channels * _POSITIONS
        self.to_latent: nn.Module = nn.Linear(flat, architecture.latent)
        if released:
            self.to_latent = nn.Sequential(
                nn.Linear(flat, flat // 2), nn.LeakyReLU(0.01), nn.Linear(flat // 2, architecture.latent)
            )
        self.to(memory_format=torch.channels_last)

    def feature_map(self, windows: Tensor) -> Tensor:
        """(B, 2048) normalised windows -> (B, 5 width, 1, 16). ValueError on another length."""
        if windows.shape[-1] != WINDOW:
            raise ValueError(f"window of {windows.shape[-1]} samples: the encoder takes {WINDOW}; crop it first")
        x = windows[:, None, None, :].contiguous(memory_format=torch.channels_last)
        return self.blocks(self.stem(x))

    def forward(self, windows: Tensor) -> Tensor:
        return self.to_latent(self.feature_map(windows).flatten(1))


class _ResidualDecoderBlock(nn.Module):
    """An encoder block backwards: (B, in, 1, L) -> (B, out, 1, L or 2 L)."""

    def __init__(self, inputs: int, outputs: int, taps: int, doubles: bool) -> None:
        super().__init__()
        self.upsample = _Upsample() if doubles else nn.Identity()
        self.first = nn.Sequential(nn.BatchNorm2d(inputs), nn.LeakyReLU(0.01), _convolution(inputs, outputs, taps))
        self.second = nn.Sequential(nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01), _convolution(outputs, outputs, taps))
        self.skip = _convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.upsample(self.first(x))) + self.upsample(self.skip(x))


class _ReleasedDecoderBlock(nn.Module):
    """The authors' decoder block; they switched the sum of its skip branch off, so the branch only has weights."""

    def __init__(self, inputs: int, outputs: int, taps: int, doubles: bool) -> None:
        super().__init__()
        half = taps // 2

        def after_upsampling(channels: int, kernel: int) -> list[nn.Module]:
            pad = [_LinearUpsample(), nn.ReflectionPad2d((kernel // 2, kernel // 2, 0, 0))] if doubles else []
            padding = 0 if doubles else kernel // 2
            return [*pad, _convolution(channels, outputs, kernel, bias=False, padding=padding)]

        self.first = nn.Sequential(
            _convolution(inputs, inputs, taps, bias=False, padding=half),
            nn.BatchNorm2d(inputs),
            nn.LeakyReLU(0.01),
        )
        self.second = nn.Sequential(
            *after_upsampling(inputs, taps), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01), nn.Dropout(0.2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Decoder(nn.Module):
    """Features to a window: (B, latent) -> (B, 2048)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, released = architecture.width, architecture.kind == "released"
        block = _ReleasedDecoderBlock if released else _ResidualDecoderBlock
        self.from_latent = nn.Linear(architecture.latent, architecture.map_channels * _POSITIONS)
        self.blocks = nn.Sequential(
            *(
                block(
                    outputs * width,
                    inputs * width,
                    architecture.late_kernel if late else architecture.kernel,
                    halves,
                )
                for inputs, outputs, halves, late in reversed(_BLOCKS)
            )
        )
        self.to_window = _convolution(width, 1, 1, bias=not released)
        self.to(memory_format=torch.channels_last)

    def forward(self, latent: Tensor) -> Tensor:
        x = self.from_latent(latent).unflatten(1, (-1, 1, _POSITIONS))
        return self.to_window(self.blocks(x.contiguous(memory_format=torch.channels_last)))[:, 0, 0]


class RhythmNetwork(nn.Module):
    """An encoder under one linear layer: (B, 2048) windows -> (B, rhythms) logits.

    head: "pooled" reads the mean over time of the encoder's last feature map (5 width columns), "latent" the latent
    features (the paper's reading).
    """

    def __init__(self, encoder: Encoder, head: str, rhythms: int) -> None:
        super().__init__()
        columns = encoder.architecture.map_channels if head == "pooled" else encoder.architecture.latent
        self.head = nn.Linear(columns, rhythms)
        self.encoder = encoder
        self.pooled = head == "pooled"

    def forward(self, windows: Tensor) -> Tensor:
        features = self.encoder.feature_map(windows).mean((2, 3)) if self.pooled else self.encoder(windows)
        return self.head(features)
