"""A window as the image that GoogLeNet looks at, and the features that the frozen network sees in it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import GoogLeNet, GoogLeNet_Weights, googlenet

from ecg_tl.features import FixedNetwork, features_path
from ecg_tl.waveform import RATE_HZ

Weights = Literal["imagenet", "random"]

FEATURES = 1024
"""Columns of GoogLeNet before its last layer."""

WEIGHTS_FILE = GoogLeNet_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]

_SIDE = 224
_SEGMENT = 128
_TRANSFORM = 512
_HOP = 8
_HIGHEST_HZ = 40.0
_RANGE_DB = 60.0
_RECIPE = "1"
"""Raised with every change of image or network, so that cached features of another one are not used."""


def to_images(windows: Tensor) -> Tensor:
    """Draw the spectrogram of each window: 0.5 s Hann segments, 0-40 Hz upwards, 60 dB below its peak is black.

    windows: (B, L) at 250 Hz, any unit. Returns (B, 3, 224, 224) as ImageNet networks expect it.
    """
    spectrum = torch.stft(
        windows,
        n_fft=_TRANSFORM,
        win_length=_SEGMENT,
        hop_length=_HOP,
        window=torch.hann_window(_SEGMENT, device=windows.device),
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum[:, : 1 + int(_HIGHEST_HZ * _TRANSFORM / RATE_HZ)].abs().square()
    floor = torch.finfo(power.dtype).tiny
    peak = power.amax((1, 2), keepdim=True).clamp_min(floor)
    level_db = 10 * torch.log10((power / peak).clamp_min(floor))
    grey = (1 + level_db.clamp_min(-_RANGE_DB) / _RANGE_DB).flip(1)[:, None]
    image = functional.interpolate(grey, (_SIDE, _SIDE), mode="bilinear", align_corners=False, antialias=True)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (image.expand(-1, 3, -1, -1) - mean.to(image)) / deviation.to(image)


@cache
def resolve_weights(weights: str) -> Weights:
    """Turn "auto" into "imagenet" where GoogLeNet's weights can be had and "random" where not, saying so."""
    if weights != "auto":
        return "random" if weights == "random" else "imagenet"
    try:
        _imagenet()
    except FileNotFoundError as error:
        print(f"WARNING: image uses RANDOM weights, which borrows nothing from ImageNet: {error}")
        return "random"
    return "imagenet"


def googlenet_features(weights: Weights) -> nn.Module:
    """Build GoogLeNet without its last layer, frozen: evaluation mode, so that batch norm stays as it was trained.

    Maps (B, 3, 224, 224) to (B, 1024). FileNotFoundError names the weights' file and the folder it belongs in.
    """
    if weights == "imagenet":
        network = _imagenet()
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = googlenet(weights=None, init_weights=False, aux_logits=False, transform_input=True)
            for module in network.modules():
                if isinstance(module, nn.Conv2d):  # torchvision's own start shrinks to nothing over 22 layers
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    network.fc = nn.Identity()
    return network.eval().requires_grad_(False)


class _Images(nn.Module):
    def forward(self, windows: Tensor) -> Tensor:
        return to_images(windows).contiguous(memory_format=torch.channels_last)


def image_network(weights: Weights) -> FixedNetwork:
    """Describe the network of `init=image`: a window's spectrogram under frozen GoogLeNet, (B, 2048) -> (B, 1024)."""

    def build() -> nn.Module:
        return nn.Sequential(_Images(), googlenet_features(weights).to(memory_format=torch.channels_last))

    return FixedNetwork(f"googlenet-{weights}-{_RECIPE}", FEATURES, build)


def require_image_features(weights: Weights, data_sha256: str, kept: Path) -> None:
    """See to it that the features of a data set are in the folder `kept`, or that what computes them is to be had.

    FileNotFoundError as `googlenet_features`.
    """
    if weights == "imagenet" and not features_path(image_network(weights), data_sha256, kept).is_file():
        _imagenet()


def _imagenet_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _imagenet() -> GoogLeNet:
    try:
        return googlenet(weights=GoogLeNet_Weights.IMAGENET1K_V1)
    except (URLError, OSError) as error:
        raise FileNotFoundError(
            f"{_imagenet_folder() / WEIGHTS_FILE}: GoogLeNet's ImageNet weights are not there and could not be fetched "
            f"({error}); put {WEIGHTS_FILE} into {_imagenet_folder()}, or try things out with init.weights=random"
        ) from error
