"""ENTRY: the weights that the authors released into a bundle. python -m ecg_tl.convert checkpoint=FILE out=DIR"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ecg_tl import command_line
from ecg_tl.bundle import DESCRIBED, save_bundle, takes
from ecg_tl.config import ConvertConfig
from ecg_tl.hardware import versions
from ecg_tl.model_card import card, write_card
from ecg_tl.networks import Architecture
from ecg_tl.overrides import CONF
from ecg_tl.records import whole_folder
from ecg_tl.released_weights import convert_released, read_checkpoint
from ecg_tl.waveform import FILTER

# A checkpoint says neither; where its weights were trained on other windows, features are worse, and nothing tells.
_ASSUMED = ["lead", "filter"]
_LICENCE = "These weights are their authors'; ask them, or look where they published them, what they allow."


def main(config: ConvertConfig) -> None:
    """Write the bundle and say what the shapes told."""
    out, checkpoint = Path(config.out), Path(config.checkpoint)
    with whole_folder(out) as folder:
        found = _convert(checkpoint, config.lead, folder)
        description = json.loads((folder / DESCRIBED).read_text(encoding="utf-8"))
        write_card(folder, card(out.absolute().name, description))
    print(
        f"{out}: released network of width {found.width}, {found.latent} latent features, kernels {found.kernel} and "
        f"{found.late_kernel}; use it as encoder={out} {_words(found)}"
    )


def _words(architecture: Architecture) -> str:
    """Give the words of a command line that ask for such a network."""
    usual: Any = OmegaConf.load(CONF / "model" / "released.yaml")
    others = (f"model.{key}={value}" for key, value in asdict(architecture).items() if usual[key] != value)
    return " ".join(("model=released", *others))


def _convert(checkpoint: Path, lead: str, folder: Path) -> Architecture:
    weights = read_checkpoint(checkpoint)
    try:
        encoder, decoder = convert_released(weights)
    except ValueError as error:
        raise ValueError(f"{checkpoint}: {error}") from error
    with checkpoint.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    description = {
        **takes(lead, FILTER),
        "assumed": _ASSUMED,
        "corpus": {"converted_from": checkpoint.name, "checksum": sha256},
        "corpus_sha256": None,
        "licence_note": _LICENCE,
        "versions": versions(),
    }
    save_bundle(folder, encoder, decoder, description)
    return encoder.architecture


if __name__ == "__main__":
    command_line.run("convert", main)
