"""The one place where the inits differ: what a classifier starts from, what it looks at, and what of it is trained."""

from __future__ import annotations

import torch
from torch import nn

from ecg_tl.bundle import EncoderBundle
from ecg_tl.features import FixedNetwork, checksum
from ecg_tl.networks import Architecture, Encoder, RhythmNetwork
from ecg_tl.spectrogram import Weights, image_network

INITS = ("transfer", "random", "image", "frozen", "frozen_random")
PRETRAINED = ("transfer", "frozen")
"""Inits that start from a bundle."""


def starting_network(
    init: str, architecture: Architecture, head: str, rhythms: int, seed: int, bundle: EncoderBundle | None
) -> RhythmNetwork:
    """Build encoder and head, (B, 2048) windows -> (B, rhythms), as transfer (frozen) or random (frozen_random) start.

    Starting values come from `seed` and nothing else; transfer is random with the bundle's encoder put in place.
    ValueError if the bundle has another architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RhythmNetwork(Encoder(architecture), head, rhythms)
    if init in PRETRAINED:
        assert bundle is not None, f"{init} starts from a bundle"
        check_architecture(bundle, architecture)
        network.encoder.load_state_dict(bundle.encoder_state)
    return network


def classifier_network(
    init: str,
    architecture: Architecture,
    head: str,
    rhythms: int,
    seed: int,
    bundle: EncoderBundle | None,
    weights: Weights | None = None,
) -> tuple[nn.Module, FixedNetwork | None]:
    """Give the network that a cell trains, and the one it trains on top of, None where all of it is trained.

    transfer, random: all of `starting_network`. frozen, frozen_random: its head, on the features of its encoder. image:
    one linear layer on frozen GoogLeNet's, whose weights are named. ValueError as `starting_network`.
    """
    if init == "image":
        assert weights is not None, "image borrows weights"
        fixed = image_network(weights)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return nn.Linear(fixed.columns, rhythms), fixed
    network = starting_network(init, architecture, head, rhythms, seed, bundle)
    if init in ("transfer", "random"):
        return network, None
    trained = network.head
    network.head = nn.Identity()  # type: ignore[assignment]
    name = f"encoder-{head}-{checksum(network)[:16]}"
    return trained, FixedNetwork(name, trained.in_features, lambda: network)


def check_architecture(bundle: EncoderBundle, architecture: Architecture) -> None:
    """Refuse a bundle of another architecture. ValueError names what differs."""
    theirs, ours = vars(bundle.architecture), vars(architecture)
    for name in theirs:
        if theirs[name] != ours[name]:
            raise ValueError(
                f"{bundle.folder}: this encoder has {name}={theirs[name]} and model.{name}={ours[name]} was asked for; "
                f"use model.{name}={theirs[name]}, or pretrain one"
            )
