"""A network as an ONNX file: normalised windows in, what the network gives of them out, any number at once."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from ecg_tl.waveform import WINDOW


def save_onnx(network: nn.Module, path: Path, output: str) -> Path:
    """Write a network of (N, 2048) windows as ONNX, whole or not at all: input `windows`, output called `output`.

    ValueError if what it takes is not installed.
    """
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise ValueError(f"format=onnx: {missing[0]} is not installed; pip install -e '.[onnx]'")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    # Two windows, since one would be taken for a batch that is always of one.
    example, batch = torch.zeros(2, WINDOW), torch.export.Dim("batch")
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            torch.onnx.export(
                network.eval(),
                (example,),
                partial,
                input_names=["windows"],
                output_names=[output],
                dynamic_shapes=({0: batch},),
                dynamo=True,
                external_data=False,
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
