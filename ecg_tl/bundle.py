"""A model as others use it: model.safetensors beside a bundle.json that says how to use it rightly."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ecg_tl.networks import Architecture, Decoder, Encoder, RhythmNetwork
from ecg_tl.records import write_whole
from ecg_tl.waveform import FILTER, RATE_HZ, WINDOW

FORMAT = "ecg_tl.encoder"
CLASSIFIER_FORMAT = "ecg_tl.classifier"
VERSION = 1
WEIGHTS, ONNX, DESCRIBED = "model.safetensors", "model.onnx", "bundle.json"

SHIPPED = Path(__file__).parent / "pretrained"
"""Encoders that come with the package, a folder each."""


class _Kind(NamedTuple):
    """What a user is told of a kind of bundle: its noun, how one comes to be where there is none, and a remedy."""

    noun: str
    missing: str
    remedy: str


_HOW = {
    FORMAT: _Kind(
        "an encoder",
        "no pretrained encoder there; python -m ecg_tl.pretrain makes one (the same experiment= and study=), "
        "or give encoder=DIR",
        "pretrain again",
    ),
    CLASSIFIER_FORMAT: _Kind(
        "a classifier",
        "no classifier there; python -m ecg_tl.export run=RUN_FOLDER out=DIR makes one",
        "export a run again",
    ),
}


@dataclass(frozen=True)
class EncoderBundle:
    """A pretrained autoencoder, read back. sha256: checksum of its weights' file; description: its bundle.json.

    decoder_state is empty where the bundle has no decoder.
    """

    folder: Path
    architecture: Architecture
    encoder_state: dict[str, Tensor]
    decoder_state: dict[str, Tensor]
    sha256: str
    description: dict[str, Any]


@dataclass(frozen=True)
class ClassifierBundle:
    """A trained classifier, read back: its network, and its bundle.json as description."""

    folder: Path
    network: RhythmNetwork
    description: dict[str, Any]


def shipped_encoders() -> list[str]:
    """Name the encoders that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{DESCRIBED}"))


def bundle_folder(name: str) -> Path:
    """Turn what a user calls a bundle into its folder: an encoder of `shipped_encoders`, or a path.

    A folder that is called like one of them is meant by ./NAME.
    """
    return SHIPPED / name if name in shipped_encoders() else Path(name)


def save_bundle(folder: Path, encoder: Encoder, decoder: Decoder | None, description: dict[str, Any]) -> Path:
    """Write weights and description into `folder`; bundle.json comes last, so a bundle is whole or none.

    decoder: None leaves it out; what is left serves for all but giving windows back. description: JSON, what only the
    maker knows (lead, filter, corpus, error...); format, version, architecture and the weights' checksum are added.
    """
    parts: dict[str, nn.Module] = {"encoder": encoder} | ({"decoder": decoder} if decoder else {})
    tensors = {f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()}
    return _save(folder, FORMAT, encoder.architecture, tensors, description)


def save_classifier(folder: Path, network: RhythmNetwork, description: dict[str, Any]) -> Path:
    """Write a classifier as `save_bundle` does an encoder. description: JSON with at least rhythms, the classes' names,
    and lead; the head is added to the rest."""
    head = {"head": "pooled" if network.pooled else "latent"}
    architecture = network.encoder.architecture
    return _save(folder, CLASSIFIER_FORMAT, architecture, network.state_dict(), head | description)


def _save(
    folder: Path, kind: str, architecture: Architecture, tensors: dict[str, Tensor], description: dict[str, Any]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{WEIGHTS}.{os.getpid()}"
    try:
        # by way of bytes: save_file leaves a file that nobody else may read
        partial.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))
        sha256 = hashlib.sha256(partial.read_bytes()).hexdigest()
        partial.replace(folder / WEIGHTS)
    finally:
        partial.unlink(missing_ok=True)
    entries = described(kind, architecture, description) | {"model_sha256": sha256}
    write_whole(folder / DESCRIBED, json.dumps(entries, indent=1, allow_nan=False) + "\n")
    return folder


def takes(lead: str, filter_description: dict[str, Any]) -> dict[str, Any]:
    """Say what windows a network takes that was trained on those of such a store."""
    return {
        "rate_hz": RATE_HZ,
        "window": WINDOW,
        "lead": lead,
        "unit": "mV",
        "filter": filter_description,
        "normalisation": "zero mean, unit variance per window",
    }


def described(kind: str, architecture: Architecture, description: dict[str, Any]) -> dict[str, Any]:
    """Begin a bundle.json: format, version and architecture before what the maker says; his own of these are left out.

    A description that was read from another bundle can so be written again.
    """
    ours = {"format": kind, "version": VERSION, "architecture": asdict(architecture)}
    return ours | {name: value for name, value in description.items() if name not in (*ours, "model_sha256")}


def load_bundle(folder: Path) -> EncoderBundle:
    """Read an encoder's bundle without unpickling anything.

    FileNotFoundError names the folder and the command that fills it; ValueError a file that is damaged, of another
    version, that does not belong to the other, or whose windows are prepared in another way than this package's.
    """
    description, architecture, tensors = _load(folder, FORMAT)
    encoder_state, decoder_state = (
        {name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)}
        for part in ("encoder.", "decoder.")
    )
    try:
        with torch.device("meta"):  # shapes alone
            Encoder(architecture).load_state_dict(encoder_state, assign=True)
            if decoder_state:
                Decoder(architecture).load_state_dict(decoder_state, assign=True)
    except RuntimeError as error:
        raise _no_such_network(folder, FORMAT, error) from error
    return EncoderBundle(folder, architecture, encoder_state, decoder_state, description["model_sha256"], description)


def load_classifier_bundle(folder: Path) -> ClassifierBundle:
    """Read a classifier without unpickling anything, in evaluation mode. Errors as `load_bundle`."""
    description, architecture, tensors = _load(folder, CLASSIFIER_FORMAT)
    if missing := [key for key in ("rhythms", "lead", "head") if not description.get(key)]:
        raise ValueError(f"{folder / DESCRIBED}: does not say {missing[0]}; export a run again")
    try:
        network = RhythmNetwork(Encoder(architecture), description["head"], len(description["rhythms"]))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise _no_such_network(folder, CLASSIFIER_FORMAT, error) from error
    return ClassifierBundle(folder, network.eval(), description)


def _no_such_network(folder: Path, kind: str, error: Exception) -> ValueError:
    first = " ".join(str(error).split()).partition(". ")[0]
    return ValueError(f"{folder / WEIGHTS}: not the network that {DESCRIBED} describes ({first}); {_HOW[kind].remedy}")


def _check_windows(path: Path, description: dict[str, Any], remedy: str) -> None:
    """Refuse a network of windows that are prepared in another way than here, as far as its description says."""
    for name, ours in takes("", FILTER).items():
        theirs = description.get(name, ours)
        if name == "lead" or theirs == ours:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            step = next(step for step in (*ours, *theirs) if theirs.get(step) != ours.get(step))
            name, theirs, ours = f"{name}.{step}", theirs.get(step), ours.get(step)
        raise ValueError(
            f"{path}: {name}={theirs}, and this version prepares windows with {name}={ours}; "
            f"use the version that made it, or {remedy}"
        )


def _load(folder: Path, kind: str) -> tuple[dict[str, Any], Architecture, dict[str, Tensor]]:
    """Read and check what both kinds have: the description, the architecture it names, and the tensors."""
    how = _HOW[kind]
    described_path, weights = folder / DESCRIBED, folder / WEIGHTS
    if (folder / ONNX).is_file() and not weights.is_file():
        raise ValueError(f"{folder}: holds {ONNX}, which is for other programs; export with format=safetensors")
    for path in (described_path, weights):
        if not path.is_file():
            shipped = f", or encoder={'|'.join(shipped_encoders())}" if kind == FORMAT and shipped_encoders() else ""
            raise FileNotFoundError(f"{path}: {how.missing}{shipped}")
    try:
        description = json.loads(described_path.read_text(encoding="utf-8"))
        found = description["format"]
        if found != kind and found in _HOW:
            raise ValueError(f"{folder}: {_HOW[found].noun}; load it as one, or {_HOW[kind].remedy}")
        if (found, description["version"]) != (kind, VERSION):
            raise ValueError(f"{described_path}: not {how.noun} bundle of version {VERSION}; {how.remedy}")
        _check_windows(described_path, description, how.remedy)
        architecture = Architecture(**description["architecture"])
        if hashlib.sha256(weights.read_bytes()).hexdigest() != description["model_sha256"]:
            raise ValueError(f"{weights}: not the weights that {described_path.name} describes; {how.remedy}")
        return description, architecture, load_file(weights)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f"{folder}: not {how.noun} bundle ({error}); {how.remedy}") from error
