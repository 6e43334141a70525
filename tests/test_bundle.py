from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from ecg_tl.bundle import load_bundle, load_classifier_bundle, save_bundle, save_classifier, takes
from ecg_tl.networks import Architecture, Decoder, Encoder, RhythmNetwork
from ecg_tl.waveform import FILTER

SMALL = Architecture("released", width=2, latent=6, kernel=3, late_kernel=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_bundle(tmp_path / "encoder", Encoder(SMALL), Decoder(SMALL), {"lead": "II", "test_sse": 1.5})


def test_a_bundle_comes_back_bit_for_bit(tmp_path: Path) -> None:
    encoder, decoder = Encoder(SMALL), Decoder(SMALL)
    encoder(torch.randn(4, 2048))
    bundle = load_bundle(save_bundle(tmp_path / "encoder", encoder, decoder, {"lead": "II"}))
    assert bundle.architecture == SMALL
    assert bundle.description["lead"] == "II"
    for state, module in ((bundle.encoder_state, encoder), (bundle.decoder_state, decoder)):
        expected = module.state_dict()
        assert sorted(state) == sorted(expected)
        assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert sorted(path.name for path in (tmp_path / "encoder").iterdir()) == ["bundle.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["bundle.json", "model.safetensors"])
def test_a_missing_file_is_named_with_the_command_that_makes_it(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}: no pretrained encoder there; python -m ecg_tl\.pretrain"):
        load_bundle(folder)


def change(entry: str, value: object) -> Callable[[Path], object]:
    def rewrite(folder: Path) -> None:
        described = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(described | {entry: value}))

    return rewrite


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "bundle.json").write_text("{"), "encoder: not an encoder bundle"),
        (lambda folder: (folder / "bundle.json").write_text("{}"), "encoder: not an encoder bundle"),
        (lambda folder: (folder / "bundle.json").write_bytes(b"\xff\xfe"), "encoder: not an encoder bundle"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "not the weights that bundle.json describes"),
        (change("version", 2), "bundle.json: not an encoder bundle of version 1"),
        (change("format", "other"), "bundle.json: not an encoder bundle of version 1"),
        (change("architecture", {"depth": 3}), "encoder: not an encoder bundle"),
        (change("architecture", {"kernel": 4}), "must be odd"),
        (change("architecture", asdict(SMALL) | {"width": 3}), "model.safetensors: not the network that bundle.json"),
    ],
)
def test_a_damaged_bundle_is_one_line(damage: Callable[[Path], object], message: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=message) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("rate_hz", 500.0, "rate_hz=500.0, and this version prepares windows with rate_hz=250.0"),
        ("window", 1024, "window=1024, and this version prepares windows with window=2048"),
        ("unit", "uV", "unit=uV, and this version"),
        ("normalisation", "range 0 to 1", "normalisation=range 0 to 1, and this version"),
        ("filter", FILTER | {"cutoff_hz": 0.05}, "filter.cutoff_hz=0.05, and this version .* filter.cutoff_hz=0.5;"),
        ("filter", FILTER | {"notch_hz": 50}, "filter.notch_hz=50, and this version .* filter.notch_hz=None;"),
        ("filter", None, "filter=None, and this version"),
    ],
)
def test_a_network_of_windows_that_are_prepared_otherwise_is_refused(
    entry: str, value: object, message: str, tmp_path: Path
) -> None:
    encoder, description = Encoder(SMALL), takes("II", FILTER) | {"rhythms": ["SR", "SB"]}
    save_bundle(tmp_path / "encoder", encoder, None, description)
    save_classifier(tmp_path / "classifier", RhythmNetwork(encoder, "pooled", 2), description)
    loaders: tuple[tuple[str, Callable[[Path], object]], ...] = (
        ("encoder", load_bundle),
        ("classifier", load_classifier_bundle),
    )
    for name, load in loaders:
        load(tmp_path / name)
        change(entry, value)(tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name}/bundle\.json: {message}") as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)
