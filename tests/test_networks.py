from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ecg_tl.networks import Architecture, Decoder, Encoder, RhythmNetwork

KINDS = ("residual", "released")


def gflop(module: nn.Module, inputs: Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        module(inputs)
    return counter.get_total_flops() / 1e9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", [1, 9, 19])
def test_shapes(kind: str, kernel: int) -> None:
    architecture = Architecture(kind, width=2, latent=7, kernel=kernel, late_kernel=3)
    encoder, decoder = Encoder(architecture), Decoder(architecture)
    windows = torch.randn(3, 2048)
    assert encoder.feature_map(windows).shape == (3, 10, 1, 16)
    latent = encoder(windows)
    assert latent.shape == (3, 7)
    assert decoder(latent).shape == (3, 2048)


@pytest.mark.parametrize(("width", "expected"), [(8, 0.088), (16, 0.352), (64, 5.613)])
def test_the_encoder_costs_what_the_published_one_costs(width: int, expected: float) -> None:
    """GFLOP of a window and weights of the convolutions, counted on the architecture that the authors published."""
    encoder = Encoder(Architecture("residual", width))
    assert gflop(encoder, torch.randn(1, 2048)) == pytest.approx(expected, abs=0.001)
    if width == 64:
        weights = sum(layer.weight.numel() for layer in encoder.modules() if isinstance(layer, nn.Conv2d))
        assert weights == pytest.approx(12.1e6, rel=0.005)


@pytest.mark.parametrize(("width", "expected"), [(8, 0.154), (16, 0.616), (64, 9.833)])
def test_the_released_autoencoder_costs_what_the_published_one_costs(width: int, expected: float) -> None:
    architecture = Architecture("released", width)
    encoder, decoder = Encoder(architecture), Decoder(architecture)
    both = gflop(encoder, torch.randn(1, 2048)) + gflop(decoder, torch.randn(1, 60))
    unused_twin = gflop(encoder.to_latent, torch.randn(1, 80 * width))  # the published one computes it and drops it
    assert both + unused_twin == pytest.approx(expected, abs=0.001)


def plain_feature_map(encoder: Encoder, windows: Tensor) -> Tensor:
    """The encoder's arithmetic written plainly in one dimension, from the same weights."""

    def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
        return functional.conv1d(x, layer.weight[:, :, 0], layer.bias, padding=layer.kernel_size[1] // 2)

    def batch_norm(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
        mean, variance = x.mean((0, 2), keepdim=True), x.var((0, 2), correction=0, keepdim=True)
        return (x - mean) / (variance + layer.eps).sqrt() * layer.weight[:, None] + layer.bias[:, None]

    x = batch_norm(encoder.stem[1], convolve(encoder.stem[0], windows[:, None]))
    for place, block in enumerate(encoder.blocks):
        norm1, _, conv1, norm2, _, conv2 = block.body
        inner = convolve(conv1, functional.leaky_relu(batch_norm(norm1, x), 0.01))
        inner = convolve(conv2, functional.leaky_relu(batch_norm(norm2, inner), 0.01))
        if 0 < place < 8:
            inner, x = (functional.max_pool1d(part, 2) for part in (inner, x))
        x = inner + (convolve(block.skip, x) if isinstance(block.skip, nn.Conv2d) else x)
    return x


def test_the_fast_layers_compute_what_plain_ones_compute() -> None:
    """Outputs and gradients of (1, K) channels-last convolutions against one-dimensional ones, float64."""
    torch.manual_seed(0)
    encoder = Encoder(Architecture("residual", width=3)).double()
    windows = torch.randn(4, 2048, dtype=torch.float64)
    gradients = []
    for feature_map in (encoder.feature_map(windows)[:, :, 0], plain_feature_map(encoder, windows)):
        encoder.zero_grad()
        feature_map.square().mean().backward()
        used = [parameter.grad for name, parameter in encoder.named_parameters() if "to_latent" not in name]
        gradients.append((feature_map.detach(), [gradient.clone() for gradient in used if gradient is not None]))
    (fast, fast_gradients), (plain, plain_gradients) = gradients
    torch.testing.assert_close(fast, plain, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(fast_gradients, plain_gradients, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("head", "columns"), [("pooled", 10), ("latent", 60)])
def test_the_head_reads_what_it_is_named_after(head: str, columns: int) -> None:
    encoder = Encoder(Architecture(width=2, kernel=3, late_kernel=3)).eval()
    network = RhythmNetwork(encoder, head, rhythms=4).eval()
    windows = torch.randn(5, 2048)
    features = encoder(windows) if head == "latent" else encoder.feature_map(windows).mean(-1).flatten(1)
    assert features.shape == (5, columns)
    torch.testing.assert_close(network(windows), functional.linear(features, network.head.weight, network.head.bias))


def test_only_the_released_network_drops_out() -> None:
    for kind, expected in zip(KINDS, (set(), {0.2, 0.3}), strict=True):
        architecture = Architecture(kind, width=2)
        parts = [*Encoder(architecture).modules(), *Decoder(architecture).modules()]
        assert {part.p for part in parts if isinstance(part, nn.Dropout)} == expected


def test_another_window_length_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 2500 samples: the encoder takes 2048"):
        Encoder(Architecture(width=2))(torch.randn(1, 2500))


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.late_kernel=8: must be odd"):
        Architecture(late_kernel=8)
