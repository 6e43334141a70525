"""The encoders that come with the package are whole, small and usable by their names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ecg_tl
from ecg_tl.bundle import SHIPPED, load_bundle, shipped_encoders
from ecg_tl.command_line import defaults
from ecg_tl.networks import Architecture


def test_ecg_tl_small_comes_along() -> None:
    assert "ecg-tl-small" in shipped_encoders()


@pytest.mark.parametrize("name", shipped_encoders())
def test_a_shipped_encoder_gives_features_of_a_signal(name: str) -> None:
    encoder = ecg_tl.load_encoder(name)
    time_s = np.arange(0, 20, 1 / 500)
    ecg_mv = np.sin(2 * np.pi * 1.2 * time_s) ** 15 + np.random.default_rng(0).normal(0, 0.01, time_s.size)
    features = encoder.embed(ecg_mv, rate_hz=500.0)
    assert features.shape == (1, 2, load_bundle(SHIPPED / name).architecture.latent)
    assert torch.isfinite(features).all()
    assert features.std(dim=-1).min() > 0.01


@pytest.mark.parametrize("name", shipped_encoders())
def test_a_shipped_encoder_is_small_has_a_card_and_says_its_licence(name: str) -> None:
    assert (SHIPPED / name / "model.safetensors").stat().st_size < 5e6
    card = (SHIPPED / name / "README.md").read_text(encoding="utf-8")
    description = load_bundle(SHIPPED / name).description
    assert f"{description['test_sse']:.0f}" in card
    assert description["licence_note"] in card
    assert description["corpus_sha256"] in card


def test_ecg_tl_small_fits_the_default_network() -> None:
    model = defaults("train")["model"]
    asked = Architecture(**{key: model[key] for key in Architecture.__dataclass_fields__})
    assert load_bundle(SHIPPED / "ecg-tl-small").architecture == asked
