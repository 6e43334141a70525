from __future__ import annotations

import math
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import nn

from ecg_tl import spectrogram
from ecg_tl.spectrogram import (
    FEATURES,
    googlenet_features,
    image_network,
    resolve_weights,
    to_images,
)
from tests.commands import refused
from tests.fabricate import labelled_store

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine where GoogLeNet's weights are not there and cannot be fetched."""
    built = spectrogram.googlenet

    def googlenet(weights: object = None, **options: object) -> nn.Module:
        if weights is not None:
            raise URLError("no route to host")
        return built(weights=None, **options)

    monkeypatch.setattr(spectrogram, "googlenet", googlenet)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    resolve_weights.cache_clear()


@pytest.mark.parametrize("frequency_hz", [5.0, 17.0, 33.0])
def test_a_tone_is_a_bright_line_at_its_frequency(frequency_hz: float) -> None:
    time_s = torch.arange(2048) / 250
    image = to_images(torch.sin(2 * math.pi * frequency_hz * time_s)[None])[0]
    grey = image * DEVIATION[:, None, None] + MEAN[:, None, None]
    torch.testing.assert_close(grey[0], grey[2], atol=1e-5, rtol=0)
    assert grey.shape == (3, 224, 224)
    assert grey.min() >= -1e-5
    assert grey.max() <= 1 + 1e-5
    brightest = grey[0].mean(1).argmax().item()
    assert 40 * (1 - (brightest + 0.5) / 224) == pytest.approx(frequency_hz, abs=1)


def test_a_burst_is_bright_where_it_happens() -> None:
    window = torch.zeros(1, 2048)
    window[0, 1500:1520] = torch.randn(20, generator=torch.manual_seed(0))
    columns = to_images(window)[0, 0].mean(0)
    assert columns.argmax().item() / 224 == pytest.approx(1510 / 2048, abs=0.03)


def test_an_image_does_not_depend_on_the_unit_and_a_flat_window_has_no_nan() -> None:
    window = torch.randn(1, 2048, generator=torch.manual_seed(0))
    torch.testing.assert_close(to_images(window), to_images(1000 * window), atol=1e-3, rtol=0)
    assert torch.isfinite(to_images(torch.zeros(1, 2048))).all()


def test_the_frozen_network_tells_windows_apart_and_stays_as_it_is() -> None:
    network = googlenet_features("random")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    windows = torch.randn(3, 2048, generator=torch.manual_seed(0)).cumsum(1)
    features = network(to_images(windows))
    assert features.shape == (3, FEATURES)
    assert not features.requires_grad
    assert features.std(0).mean() > 0.01 * features.abs().mean() > 0
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_random_weights_are_the_same_every_time_and_leave_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (googlenet_features("random").conv1.conv.weight for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.rand(3), expected)


def test_the_image_network_is_the_spectrogram_under_googlenet() -> None:
    windows = torch.randn(3, 2048, generator=torch.manual_seed(0))
    fixed = image_network("random")
    with torch.inference_mode():
        features = fixed.build().eval()(windows)
        expected = googlenet_features("random")(to_images(windows))
    assert features.shape == (3, fixed.columns)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("no_weights")
def test_missing_weights_are_named_with_their_folder(tmp_path: Path) -> None:
    folder = str(tmp_path / "torch" / "hub" / "checkpoints")
    with pytest.raises(FileNotFoundError, match=r"googlenet-1378be20\.pth") as caught:
        googlenet_features("imagenet")
    assert str(caught.value).count(folder) == 2
    assert "init.weights=random" in str(caught.value)


@pytest.mark.usefixtures("no_weights")
def test_auto_falls_back_to_random_weights_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert resolve_weights("auto") == "random"
    assert "WARNING: image uses RANDOM weights" in capsys.readouterr().out
    assert (resolve_weights("imagenet"), resolve_weights("random")) == ("imagenet", "random")


@pytest.mark.usefixtures("no_weights")
def test_a_sweep_that_wants_weights_which_are_not_there_is_refused_before_its_first_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = labelled_store(tmp_path / "s.h5", records=30)
    words = ("-m", "init=random,image", f"data.path={store.path}", f"outputs={tmp_path / 'o'}", "study=s", "logger=csv")
    refused("train", *words)
    assert capsys.readouterr().err.count("googlenet-1378be20.pth: GoogLeNet's ImageNet weights are not there") == 1
    assert not (tmp_path / "o" / "s").exists()
