from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ecg_tl.bundle import EncoderBundle, load_bundle, save_bundle
from ecg_tl.initialise import classifier_network
from ecg_tl.networks import Architecture, Decoder, Encoder

SMALL = Architecture(width=2, kernel=3, late_kernel=3)


@pytest.fixture
def bundle(tmp_path: Path) -> EncoderBundle:
    torch.manual_seed(99)
    encoder = Encoder(SMALL)
    encoder(torch.randn(4, 2048))  # moves the batch-norm statistics away from where every network starts
    return load_bundle(save_bundle(tmp_path / "encoder", encoder, Decoder(SMALL), {}))


@pytest.mark.parametrize("head", ["pooled", "latent"])
def test_transfer_and_random_differ_in_the_encoders_values_alone(head: str, bundle: EncoderBundle) -> None:
    random = classifier_network("random", SMALL, head, 5, 0, None)[0].state_dict()
    transfer = classifier_network("transfer", SMALL, head, 5, 0, bundle)[0].state_dict()
    assert list(random) == list(transfer)
    for name, value in transfer.items():
        if name.startswith("encoder."):
            assert torch.equal(value, bundle.encoder_state[name.removeprefix("encoder.")])
        else:
            assert torch.equal(value, random[name])
    differing = {name for name in random if not torch.equal(random[name], transfer[name])}
    assert "encoder.stem.0.weight" in differing
    assert "encoder.stem.1.running_mean" in differing


def test_starting_values_come_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = classifier_network("random", SMALL, "pooled", 5, 0, None)[0].state_dict()
    torch.manual_seed(2)
    expected = torch.rand(2)
    torch.manual_seed(2)
    again = classifier_network("random", SMALL, "pooled", 5, 0, None)[0].state_dict()
    other = classifier_network("random", SMALL, "pooled", 5, 1, None)[0].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(torch.rand(2), expected)


def test_image_trains_one_linear_layer_on_the_features() -> None:
    network, fixed = classifier_network("image", SMALL, "pooled", 5, 0, None, "random")
    assert [tuple(parameter.shape) for parameter in network.parameters()] == [(5, 1024), (5,)]
    assert fixed is not None
    assert (fixed.columns, fixed.name[:16]) == (1024, "googlenet-random")


@pytest.mark.parametrize("head", ["pooled", "latent"])
@pytest.mark.parametrize(("frozen", "trained"), [("frozen", "transfer"), ("frozen_random", "random")])
def test_a_frozen_encoder_under_its_head_is_where_the_trained_one_starts(
    frozen: str, trained: str, head: str, bundle: EncoderBundle
) -> None:
    layer, fixed = classifier_network(frozen, SMALL, head, 5, 3, bundle)
    whole, nothing_fixed = classifier_network(trained, SMALL, head, 5, 3, bundle)
    assert fixed is not None
    assert nothing_fixed is None
    windows = torch.randn(4, 2048)
    features = fixed.build().eval()(windows)
    assert features.shape == (4, fixed.columns)
    torch.testing.assert_close(layer(features), whole.eval()(windows))


def test_fixed_networks_are_told_apart_by_name(bundle: EncoderBundle) -> None:
    cells = [("frozen", 0), ("frozen", 1), ("frozen_random", 0), ("frozen_random", 1)]
    names = [classifier_network(init, SMALL, "pooled", 5, seed, bundle)[1].name for init, seed in cells]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_another_architecture_is_refused_by_key_and_value(bundle: EncoderBundle) -> None:
    with pytest.raises(ValueError, match=r"encoder: this encoder has width=2 and model\.width=4 was asked for"):
        classifier_network("transfer", Architecture(width=4, kernel=3, late_kernel=3), "pooled", 5, 0, bundle)
