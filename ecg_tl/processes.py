"""Several processes that train one network together: which of them writes, and what each gets of a batch."""

from __future__ import annotations

import os

_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
"""What torchrun, srun and Lightning tell a process of its place, before any trainer exists."""


def first_process() -> bool:
    """Whether this process is the one that writes, prints and is tracked; a process alone is."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


def share_of_batch(batch_size: int, devices: int, nodes: int) -> int:
    """Divide the batch of a step, batch_size windows, among devices x nodes processes.

    ValueError if it does not divide evenly, since the mean of their gradients would not be the batch's.
    """
    if batch_size % (devices * nodes):
        processes = f"trainer.devices={devices} x trainer.nodes={nodes}"
        raise ValueError(
            f"batch_size={batch_size}: all processes share it, and {processes} does not divide it; give a multiple"
        )
    return batch_size // (devices * nodes)
