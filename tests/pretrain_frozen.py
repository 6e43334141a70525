"""ecg_tl.pretrain with batch norm held at its starting statistics: python -m tests.pretrain_frozen KEY=VALUE ...

Each process normalises by the statistics of its own share of a batch; with these held, nothing else may depend on how
a batch was shared out.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ecg_tl import command_line, pretrain
from ecg_tl.modules import Autoencoder


def hold_statistics(module: Autoencoder, *_: Any) -> None:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


if __name__ == "__main__":
    Autoencoder.on_train_batch_start = hold_statistics  # type: ignore[method-assign, assignment]
    command_line.run("pretrain", pretrain.main)
