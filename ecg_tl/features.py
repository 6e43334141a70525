"""What a network that stays as it is sees in a data set: computed once, kept in a file, trained on as a table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ecg_tl.locks import made_once
from ecg_tl.records import write_whole
from ecg_tl.waveform import WINDOW


@dataclass(frozen=True)
class FixedNetwork:
    """Windows (B, 2048) to features (B, columns), with nothing in it that training moves.

    name: tells its features from any other network's. build: makes it, called only when there is nothing to read.
    """

    name: str
    columns: int
    build: Callable[[], nn.Module]


def checksum(network: nn.Module) -> str:
    """SHA-256 of a network's weights and statistics, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def features_path(fixed: FixedNetwork, data_sha256: str, folder: Path) -> Path:
    """Say where `folder` keeps what a network sees in the data set of that checksum."""
    return folder / f"{fixed.name}-{data_sha256[:16]}.safetensors"


def cached_features(
    fixed: FixedNetwork,
    windows: Callable[[], np.ndarray],
    data_sha256: str,
    folder: Path,
    device: str = "cpu",
    batch_size: int = 32,
) -> Tensor:
    """Read the features of a data set's windows, or compute them once, in one process, and keep them in `folder`.

    windows: gives (N, 2048) float32, called only when there is nothing to read; data_sha256: checksum of the store they
    come from. Returns (N, columns) float32 on the CPU, computed in float32 on `device`. The network runs in evaluation
    mode, so that batch norm moves nothing.
    """
    path = features_path(fixed, data_sha256, folder)
    made_once(path, lambda: _write_features(path, fixed, windows(), device, batch_size))
    return load_file(path)["features"]


def _write_features(path: Path, fixed: FixedNetwork, windows: np.ndarray, device: str, batch_size: int) -> None:
    network = fixed.build().eval().requires_grad_(False).to(device)
    print(f"features of {len(windows)} windows of {WINDOW} samples, kept in {path}", flush=True)
    with torch.inference_mode():
        batches = torch.from_numpy(windows).split(batch_size)
        features = torch.cat([network(batch.to(device)) for batch in batches]).cpu()
    write_whole(path, save({"features": features.contiguous()}))
