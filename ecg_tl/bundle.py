"""An encoder as others use it: model.safetensors beside a bundle.json that says how to use it rightly."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ecg_tl.networks import Architecture, Decoder, Encoder

FORMAT = "ecg_tl.encoder"
VERSION = 1


@dataclass(frozen=True)
class EncoderBundle:
    """A pretrained autoencoder, read back. sha256: checksum of its weights' file; description: its bundle.json."""

    folder: Path
    architecture: Architecture
    encoder_state: dict[str, Tensor]
    decoder_state: dict[str, Tensor]
    sha256: str
    description: dict[str, Any]


def save_bundle(folder: Path, encoder: Encoder, decoder: Decoder, description: dict[str, Any]) -> Path:
    """Write weights and description into `folder`; bundle.json comes last, so a bundle is whole or none.

    description: JSON, what only the maker knows (lead, filter, corpus, error...); format, version, architecture and
    the weights' checksum are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part, module in (("encoder", encoder), ("decoder", decoder))
        for name, value in module.state_dict().items()
    }
    weights = folder / "model.safetensors"
    partial = folder / f".model.safetensors.{os.getpid()}"
    save_file(tensors, partial)
    entries = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": asdict(encoder.architecture),
        "model_sha256": hashlib.sha256(partial.read_bytes()).hexdigest(),
        **description,
    }
    partial.replace(weights)
    partial = folder / f".bundle.json.{os.getpid()}"
    partial.write_text(json.dumps(entries, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(folder / "bundle.json")
    return folder


def load_bundle(folder: Path) -> EncoderBundle:
    """Read a bundle without unpickling anything.

    FileNotFoundError names the folder and the command that fills it; ValueError a file that is damaged, of another
    version, or that does not belong to the other.
    """
    described, weights = folder / "bundle.json", folder / "model.safetensors"
    for path in (described, weights):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no pretrained encoder there; python -m ecg_tl.pretrain makes one (the same experiment= and "
                f"study=), or give encoder=DIR"
            )
    try:
        description = json.loads(described.read_text(encoding="utf-8"))
        if (description["format"], description["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{described}: not an encoder bundle of version {VERSION}; pretrain again")
        architecture = Architecture(**description["architecture"])
        sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        if sha256 != description["model_sha256"]:
            raise ValueError(f"{weights}: not the weights that {described.name} describes; pretrain again")
        tensors = load_file(weights)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f"{folder}: not an encoder bundle ({error}); pretrain again") from error
    encoder_state, decoder_state = (
        {name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)}
        for part in ("encoder.", "decoder.")
    )
    return EncoderBundle(folder, architecture, encoder_state, decoder_state, sha256, description)
