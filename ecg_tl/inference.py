"""Models with their preprocessing inside: millivolts of any rate in, features or rhythms out."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from torch import Tensor, nn

from ecg_tl.bundle import (
    CLASSIFIER_FORMAT,
    DESCRIBED,
    FORMAT,
    WEIGHTS,
    bundle_folder,
    described,
    load_bundle,
    load_classifier_bundle,
    save_bundle,
    save_classifier,
    shipped_encoders,
)
from ecg_tl.model_card import card, write_card
from ecg_tl.networks import Architecture, Encoder, RhythmNetwork
from ecg_tl.rows import cut_row
from ecg_tl.sources import Recording
from ecg_tl.sources.units import doubt_of_unit
from ecg_tl.store import to_units
from ecg_tl.waveform import RATE_HZ, WINDOW, condition, normalise

_BATCH = 64
_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


def windows_of_signal(ecg_mv: ArrayLike | Tensor, rate_hz: float, step_s: float | None = None) -> Tensor:
    """Prepare signals as training prepared its own: resample, take out the baseline, cut, normalise.

    ecg_mv: (T,) or (B, T) millivolts; step_s: seconds from window to window, by default as long as a window, and what
    is less than a window at the end is left out. Returns (B, windows, 2048), the very values of a store's rows.
    ValueError for another shape, missing samples, less than a window, a rate or step that is none, or amplitudes that
    are hardly millivolts of an ECG in the windows of a row that are not flat.
    """
    return _prepare(ecg_mv, rate_hz, step_s)[0]


def _prepare(ecg_mv: ArrayLike | Tensor, rate_hz: float, step_s: float | None) -> tuple[Tensor, list[list[str | None]]]:
    """Give the windows, and of each why it is unfit, as a store judges its rows."""
    signal_mv = np.asarray(ecg_mv.detach().cpu() if isinstance(ecg_mv, Tensor) else ecg_mv)
    if signal_mv.ndim not in (1, 2) or not signal_mv.size or signal_mv.dtype.kind not in "iuf":
        raise ValueError(f"ecg_mv: {signal_mv.dtype} {signal_mv.shape}; give numbers of shape (T,) or (B, T), one lead")
    signal_mv = np.atleast_2d(signal_mv)
    if missing := np.count_nonzero(~np.isfinite(signal_mv)):
        row, sample = np.argwhere(~np.isfinite(signal_mv))[0]
        raise ValueError(
            f"ecg_mv: {missing} samples are NaN or infinite, the first at {sample / rate_hz:.3f} s of row {row}; "
            f"cut them out, or let python -m ecg_tl.predict pass over them"
        )
    step = WINDOW if step_s is None else round(step_s * RATE_HZ) if math.isfinite(step_s) else 0
    if step < 1:
        raise ValueError(f"step_s={step_s}: must be at least {1 / RATE_HZ:g} s and finite")
    # Whatever the rate, the shortest that is no window is refused here, before the filter would refuse it.
    if not rate_hz > 0 or signal_mv.shape[1] * RATE_HZ / rate_hz <= WINDOW - 1:
        seconds = f"{signal_mv.shape[1] / rate_hz:.3g} s" if rate_hz > 0 else "nothing"
        raise ValueError(
            f"ecg_mv: {signal_mv.shape[1]} samples at rate_hz={rate_hz:g} are {seconds}, and a window has "
            f"{WINDOW / RATE_HZ:g} s; give a longer signal, of shape (T,) or (B, T)"
        )
    conditioned_mv = condition(signal_mv, rate_hz)
    every_mv = sliding_window_view(conditioned_mv, WINDOW, axis=-1)

    def unfit(step: int) -> list[list[str | None]]:
        starts = range(0, every_mv.shape[1], step)
        recordings = [Recording(raw_mv, rate_hz, "", "", "") for raw_mv in signal_mv]
        pairs = zip(recordings, conditioned_mv, strict=True)
        return [[cut_row(raw, row_mv, start, WINDOW).unfit for start in starts] for raw, row_mv in pairs]

    reasons = unfit(WINDOW)
    _check_unit(np.ptp(every_mv[:, ::WINDOW], axis=-1), reasons)
    windows = torch.from_numpy(normalise(to_units(every_mv[:, ::step])))
    return windows, reasons if step == WINDOW else unfit(step)


def _check_unit(swings_mv: np.ndarray, reasons: list[list[str | None]]) -> None:
    """Judge each row by its windows that are not flat; where all of all rows are, by these, which are no millivolts."""
    judged = np.array([[reason != "flat" for reason in row] for row in reasons])
    judged |= not judged.any()
    for number, (row_mv, among) in enumerate(zip(swings_mv, judged, strict=True)):
        if among.any() and (doubt := doubt_of_unit(row_mv[among])):
            raise ValueError(f"ecg_mv, row {number}: {doubt}; give millivolts")


class _Ready(nn.Module, PyTorchModelHubMixin, library_name="ecg_tl", tags=["ecg"]):
    """What both models share: a network on windows (N, 2048), what is known of it, and ways in and out of folders."""

    description: dict[str, Any]

    def __init__(self, network: Encoder | RhythmNetwork, description: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.description = description
        self.card: str | None = None
        self._hub_mixin_config = None  # bundle.json says all that config.json would

    @property
    def lead(self) -> str:
        """The lead, or leads, that it was trained on."""
        return str(self.description["lead"])

    def forward(self, windows: Tensor) -> Tensor:
        """(N, 2048) normalised windows, as `windows` makes them -> what the network gives of each."""
        return self.network(windows)

    def windows(self, ecg_mv: ArrayLike | Tensor, rate_hz: float, step_s: float | None = None) -> Tensor:
        """Prepare signals for `forward` as `windows_of_signal` says: (B, windows, 2048)."""
        return windows_of_signal(ecg_mv, rate_hz, step_s)

    def _of_signal(self, ecg_mv: ArrayLike | Tensor, rate_hz: float, step_s: float | None) -> Tensor:
        (windows, reasons), was_training = _prepare(ecg_mv, rate_hz, step_s), self.training
        device = next(self.parameters()).device
        self.eval()
        try:
            with torch.no_grad():
                given = [self(batch.to(device)).float() for batch in windows.flatten(0, 1).split(_BATCH)]
        finally:
            self.train(was_training)
        features = torch.cat(given).unflatten(0, windows.shape[:2])
        unfit = Counter(reason for row in reasons for reason in row if reason)
        if unfit:
            features[torch.tensor([[reason is not None for reason in row] for row in reasons])] = torch.nan
            counted = ", ".join(f"{reason} {count:,}" for reason, count in unfit.most_common())
            n_windows = windows.shape[0] * windows.shape[1]
            warnings.warn(
                f"ecg_mv: {unfit.total():,} of {n_windows:,} windows are unusable and give NaN: {counted}", stacklevel=3
            )
        return features

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **hub: Any) -> Self:
        """Load a folder, a shipped encoder by its name, or OWNER/NAME from the Hugging Face Hub, in evaluation mode.

        hub: what `huggingface_hub.snapshot_download` takes (revision, token, cache_dir...). Nothing is unpickled.
        FileNotFoundError if there is no such thing; ValueError if it is damaged or something else.
        """
        folder = _fetch(str(pretrained_model_name_or_path), hub)
        model = cls._of_folder(folder).eval()
        if (folder / "README.md").is_file():  # which somebody may have added to
            model.card = (folder / "README.md").read_text(encoding="utf-8")
        return model

    def _card(self, folder: Path, kind: str, architecture: Architecture) -> str:
        """Give the card that it came with, else one made of its description."""
        return self.card or card(folder.name, described(kind, architecture, self.description))

    @classmethod
    def _of_folder(cls, folder: Path) -> Self:
        raise NotImplementedError


class PretrainedEncoder(_Ready):
    """A pretrained encoder: `embed` takes millivolts to features, `forward` normalised windows."""

    @classmethod
    def _of_folder(cls, folder: Path) -> Self:
        bundle = load_bundle(folder)
        encoder = Encoder(bundle.architecture)
        encoder.load_state_dict(bundle.encoder_state)
        return cls(encoder, bundle.description)

    def embed(self, ecg_mv: ArrayLike | Tensor, rate_hz: float, step_s: float | None = None) -> Tensor:
        """(T,) or (B, T) millivolts -> (B, windows, latent), a window every step_s seconds (default: end to end).

        Computed without gradients and in evaluation mode. A window that a store would leave out, flat or saturated,
        gives NaN, and one warning counts them. ValueError as `windows_of_signal`.
        """
        return self._of_signal(ecg_mv, rate_hz, step_s)

    def _save_pretrained(self, save_directory: Path) -> None:
        encoder = cast(Encoder, self.network)
        text = self._card(save_directory, FORMAT, encoder.architecture)
        save_bundle(save_directory, encoder, None, self.description)
        write_card(save_directory, text)


class PretrainedClassifier(_Ready):
    """A trained classifier: `predict` takes millivolts to probabilities of `rhythms`, `forward` windows to logits."""

    @classmethod
    def _of_folder(cls, folder: Path) -> Self:
        bundle = load_classifier_bundle(folder)
        return cls(bundle.network, bundle.description)

    @property
    def rhythms(self) -> tuple[str, ...]:
        """The classes, in the order of the last axis of what it gives."""
        return tuple(self.description["rhythms"])

    def predict(self, ecg_mv: ArrayLike | Tensor, rate_hz: float, step_s: float | None = None) -> Tensor:
        """(T,) or (B, T) millivolts -> (B, windows, rhythms) probabilities, a window every step_s seconds.

        Computed without gradients and in evaluation mode. A window that a store would leave out, flat or saturated,
        gives NaN, and one warning counts them. ValueError as `windows_of_signal`.
        """
        return self._of_signal(ecg_mv, rate_hz, step_s).softmax(-1)

    def _save_pretrained(self, save_directory: Path) -> None:
        network = cast(RhythmNetwork, self.network)
        text = self._card(save_directory, CLASSIFIER_FORMAT, network.encoder.architecture)
        save_classifier(save_directory, network, self.description)
        write_card(save_directory, text)


def load_encoder(path_or_hub_id: str | Path, **hub: Any) -> PretrainedEncoder:
    """Load a pretrained encoder as `PretrainedEncoder.from_pretrained` does."""
    return PretrainedEncoder.from_pretrained(path_or_hub_id, **hub)


def load_classifier(path_or_hub_id: str | Path, **hub: Any) -> PretrainedClassifier:
    """Load a trained classifier as `PretrainedClassifier.from_pretrained` does."""
    return PretrainedClassifier.from_pretrained(path_or_hub_id, **hub)


def _fetch(name: str, hub: dict[str, Any]) -> Path:
    """Find the folder of a bundle, downloading it if it is called like one on the Hub and is not here."""
    folder = bundle_folder(name)
    if folder.is_dir():
        return folder
    if not _HUB_ID.fullmatch(name):
        known = ", ".join(shipped_encoders()) or "none"
        raise FileNotFoundError(f"{name}: no such folder, no OWNER/NAME, and no encoder of the package ({known})")
    try:
        return Path(snapshot_download(name, allow_patterns=[WEIGHTS, DESCRIBED], **hub))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise FileNotFoundError(f"{name}: no such folder here, and not to be had from the Hub ({reason})") from error
