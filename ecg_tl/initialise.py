"""The one place where transfer, random and image differ: what a classifier starts from, and what it looks at."""

from __future__ import annotations

import torch
from torch import nn

from ecg_tl.bundle import EncoderBundle
from ecg_tl.networks import Architecture, Encoder, RhythmNetwork
from ecg_tl.spectrogram import FEATURES


def classifier_network(
    init: str,
    architecture: Architecture,
    head: str,
    rhythms: int,
    seed: int,
    bundle: EncoderBundle | None,
) -> nn.Module:
    """Build the network that a cell trains. transfer is random with the bundle's encoder put in place.

    transfer, random: (B, 2048) windows -> (B, rhythms); image: (B, 1024) frozen features -> (B, rhythms), the head
    alone. Starting values come from `seed` and nothing else. ValueError if the bundle has another architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if init == "image":
            return nn.Linear(FEATURES, rhythms)
        network = RhythmNetwork(Encoder(architecture), head, rhythms)
    if init == "transfer":
        assert bundle is not None, "transfer starts from a bundle"
        if bundle.architecture != architecture:
            raise ValueError(_mismatch(bundle, architecture))
        network.encoder.load_state_dict(bundle.encoder_state)
    return network


def _mismatch(bundle: EncoderBundle, architecture: Architecture) -> str:
    theirs, ours = vars(bundle.architecture), vars(architecture)
    name = next(name for name in theirs if theirs[name] != ours[name])
    return (
        f"{bundle.folder}: this encoder has {name}={theirs[name]} and model.{name}={ours[name]} was asked for; "
        f"use model.{name}={theirs[name]}, or pretrain one"
    )
