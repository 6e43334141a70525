"""The fast layers compute what the plain ones of the benchmarks do: outputs and gradients, in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks import plain
from ecg_tl.networks import Architecture, Decoder, Encoder, RhythmNetwork

WIDTH, RHYTHMS = 4, 5


class Ours(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        architecture = Architecture("released", WIDTH)
        self.encoder, self.decoder = Encoder(architecture), Decoder(architecture)

    def forward(self, windows: Tensor) -> Tensor:
        return self.decoder(self.encoder(windows))


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    if name == "classifier":
        ours: nn.Module = RhythmNetwork(Encoder(Architecture("released", WIDTH)), "pooled", RHYTHMS)
        theirs: nn.Module = plain.Classifier(WIDTH, RHYTHMS)
    else:
        ours, theirs = Ours(), plain.Autoencoder(WIDTH)
    for module in (*ours.modules(), *theirs.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        ours.train()
        for _ in range(30):  # until batch norm has statistics that give outputs of some size
            ours(torch.randn(6, 2048))
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(mine.reshape(other.shape))
        for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
            other.copy_(mine)
    return ours, theirs


@pytest.mark.parametrize(
    ("name", "training", "dtype"),
    [
        ("classifier", True, torch.float32),
        ("classifier", False, torch.float32),
        ("autoencoder", False, torch.float32),
        # 37 batch norms of few samples, one after the other, make any rounding of float32 grow
        ("autoencoder", True, torch.float64),
    ],
)
def test_outputs_and_gradients_are_those_of_the_plain_network(name: str, training: bool, dtype: torch.dtype) -> None:
    networks = pair(name)
    windows = torch.randn(6, 2048, dtype=dtype)
    outputs, gradients = [], []
    for network in networks:
        network.to(dtype).train(training)
        output = network(windows)
        output.square().mean().backward()
        outputs.append(output.detach())
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert outputs[1].abs().max() > 0.1
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)
    largest = max(float(other.abs().max()) for other in gradients[1] if other is not None)
    assert largest > 0.01
    for mine, other in zip(*gradients, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            assert (mine.reshape(other.shape) - other).abs().max() <= 1e-5 * largest
