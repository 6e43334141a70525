from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecg_tl.features import FixedNetwork, cached_features, checksum


def network_of(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Unflatten(1, (1, 2048)), nn.BatchNorm1d(1), nn.Flatten(), nn.Linear(2048, 3))


def test_features_are_computed_once_for_a_data_set(tmp_path: Path) -> None:
    asked = []

    def windows() -> np.ndarray:
        asked.append(1)
        return np.random.default_rng(0).normal(5, 2, size=(3, 2048)).astype(np.float32)

    network = network_of()
    fixed = FixedNetwork("plain", 3, lambda: network)
    first = cached_features(fixed, windows, "a" * 64, tmp_path, batch_size=2)
    again = cached_features(fixed, windows, "a" * 64, tmp_path)
    assert torch.equal(first, again)
    assert len(asked) == 1
    torch.testing.assert_close(first, network.eval()(torch.from_numpy(windows())))
    cached_features(fixed, windows, "b" * 64, tmp_path)
    cached_features(FixedNetwork("other", 3, network_of), windows, "b" * 64, tmp_path)
    assert len(asked) == 4
    assert len(list(tmp_path.iterdir())) == 3


def test_batch_norm_stays_where_it_was(tmp_path: Path) -> None:
    network = network_of().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows = np.random.default_rng(0).normal(5, 2, size=(4, 2048)).astype(np.float32)
    cached_features(FixedNetwork("plain", 3, lambda: network), lambda: rows, "a" * 64, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_checksum_tells_weights_and_statistics_apart() -> None:
    network = network_of()
    first = checksum(network)
    assert checksum(network_of()) == first != checksum(network_of(1))
    network[1].running_mean += 1e-6
    assert checksum(network) != first
