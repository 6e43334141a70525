"""The weights that the authors released, by their own names, as this project's `released` networks hold them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ecg_tl.networks import Architecture, Decoder, Encoder

_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
"""Entries of a checkpoint under which the weights themselves may lie."""

_REMEDY = "save a network's state_dict() alone, by torch.save or as .safetensors"

_BLOCKS = range(9)
_UNUSED = ("latent_extractor.std_linear.", ".skip.pipeline.")
"""In the names of weights that the authors' networks carry and never use: a second latent, the decoder's skips."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors or a torch checkpoint's weights by name, without unpickling anything but tensors.

    A wrapping entry and the prefix `module.` are taken off. FileNotFoundError if there is no such file; ValueError if
    it cannot be read, or holds more than weights, naming the first key that is none, or nothing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; give checkpoint=FILE")
    try:
        held: Any = load_file(path) if path.suffix == ".safetensors" else _torch_load(path)
    except Exception as error:  # of a file that is something else torch raises whatever it stumbles over
        # What torch says is left out: it advises to unpickle.
        raise ValueError(f"{path}: no weights that can be read safely; {_REMEDY}") from error
    wrapped = next(
        (held[name] for name in _WRAPPERS if isinstance(held, dict) and isinstance(held.get(name), dict)), held
    )
    if not isinstance(wrapped, dict) or not wrapped:
        empty = "empty " if wrapped == {} else ""
        raise ValueError(f"{path}: no table of weights by name but {empty}{type(wrapped).__name__}; {_REMEDY}")
    for name, value in wrapped.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            wrong = (
                f"is of type {type(value).__name__}, no tensor" if isinstance(name, str) else "is no name of a weight"
            )
            raise ValueError(f"{path}: {name!r} {wrong}; {_REMEDY}")
    prefixed = all(name.startswith("module.") for name in wrapped)
    return {name.removeprefix("module.") if prefixed else name: value for name, value in wrapped.items()}


def _torch_load(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with the file is said in one line
        return torch.load(path, map_location="cpu", weights_only=True)


def convert_released(weights: dict[str, Tensor]) -> tuple[Encoder, Decoder]:
    """Build encoder and decoder from the authors' weights; width, latent features and kernels are read off the shapes.

    weights: names and tensors as `read_checkpoint` gives them. Both come in evaluation mode. ValueError naming the
    first weight that is missing, has another shape, or that their networks do not have.
    """
    architecture = _architecture(weights)
    encoder, decoder = Encoder(architecture), Decoder(architecture)
    taken: set[str] = set()
    for module, names in ((encoder, _encoder_names()), (decoder, _decoder_names())):
        state: dict[str, Tensor] = {}
        for ours, value in module.state_dict().items():
            layer, _, kind = ours.rpartition(".")
            theirs = f"{names[layer]}.{kind}"
            if kind == "num_batches_tracked" and theirs not in weights:  # counts steps; older torch did not
                state[ours] = value
                continue
            found = _get(weights, theirs)
            # Theirs are convolutions along one dimension, ours along the second of two.
            found = found[:, :, None] if value.ndim == 4 and found.ndim == 3 else found
            if found.shape != value.shape:
                raise ValueError(
                    f"{theirs}: shape {tuple(weights[theirs].shape)} does not fit a network of width "
                    f"{architecture.width} with kernels {architecture.kernel} and {architecture.late_kernel}; "
                    f"give the weights that the authors released"
                )
            state[ours] = found.to(value.dtype)
            taken.add(theirs)
        module.load_state_dict(state)
    for name in weights:
        if name not in taken and not any(unused in name for unused in _UNUSED):
            raise ValueError(
                f"{name}: the released networks have no such weight; give the weights the authors released"
            )
    return encoder.eval(), decoder.eval()


def _get(weights: dict[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        first = next(iter(weights))
        raise ValueError(
            f"{name}: no such weight among {len(weights)} ({first}, ...); give the authors' released weights"
        )
    return weights[name]


def _architecture(weights: dict[str, Tensor]) -> Architecture:
    def shape(name: str, dimensions: int) -> torch.Size:
        found = _get(weights, name).shape
        if len(found) != dimensions:
            raise ValueError(f"{name}: shape {tuple(found)} has not {dimensions} dimensions; give the released weights")
        return found

    first, late = (
        shape(name, 3) for name in ("encoder.conv1st.weight", "encoder.encoder.residual_block_6.seq.2.weight")
    )
    latent = shape("latent_extractor.mu_linear.2.weight", 2)[0]
    return Architecture("released", first[0], latent, first[2], late[2])


def _encoder_names() -> dict[str, str]:
    """Our encoder's layers, and what theirs are called."""
    names = {"stem.0": "encoder.conv1st", "stem.1": "encoder.bn"}
    for block in _BLOCKS:
        theirs = f"encoder.encoder.residual_block_{block}"
        names |= {f"blocks.{block}.body.{layer}": f"{theirs}.seq.{layer}" for layer in (0, 2, 3, 5)}
        names[f"blocks.{block}.skip"] = f"{theirs}.skip.conv1d"
    return names | {f"to_latent.{layer}": f"latent_extractor.mu_linear.{layer}" for layer in (0, 2)}


def _decoder_names() -> dict[str, str]:
    """Our decoder's layers, and what theirs are called; both count the blocks in the order in which they run."""
    names = {"from_latent": "decoder.recon_linear", "to_window": "decoder.final_conv"}
    for block in _BLOCKS:
        theirs = f"decoder.decoder.residual_decode_block({block})"
        names |= {f"blocks.{block}.first.{layer}": f"{theirs}.pipeline1.{layer}" for layer in (0, 1)}
        names |= {f"blocks.{block}.second.{layer}": f"{theirs}.pipeline2.{layer}" for layer in (0, 1, 2, 3)}
    return names
