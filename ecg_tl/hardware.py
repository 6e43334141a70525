"""What the numbers are computed on, and in which precision."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from functools import cache
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]

_PACKAGES = ("ecg-tl", "torch", "lightning", "torchvision", "torchmetrics", "numpy", "scipy", "h5py")


def check_accelerator(accelerator: str, devices: int = 1) -> None:
    """Refuse GPUs that are not there. ValueError names the key."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise ValueError("trainer.accelerator=gpu: torch sees no CUDA device; use trainer=cpu")
    if accelerator == "gpu" and devices > torch.cuda.device_count():
        raise ValueError(f"trainer.devices={devices}: torch sees {torch.cuda.device_count()} CUDA devices; give fewer")


def use_threads(threads: int | None) -> None:
    """Let torch compute with so many threads; None leaves its own choice, a thread a core."""
    if threads is not None:
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for processes started from here, too


def choose_precision(precision: str, accelerator: str) -> Precision:
    """Turn "auto" into bfloat16 where the hardware computes in it (AMX, AVX512-BF16, the GPU), else float32."""
    if precision != "auto":
        return "bf16-mixed" if precision == "bf16-mixed" else "32-true"
    if accelerator == "gpu":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"


@cache
def say_precision(precision: Precision, accelerator: str) -> None:
    """Print, once a process, what `choose_precision` came to."""
    print(f"computing in {precision} on {device_name(accelerator)}", flush=True)


def device_name(accelerator: str) -> str:
    """Name the GPU, or the processor and the threads in use."""
    if accelerator == "gpu":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {torch.get_num_threads()} threads"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES}
