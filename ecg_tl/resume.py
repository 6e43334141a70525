"""An interrupted training goes on from its last whole epoch, with everything that decides what comes next."""

from __future__ import annotations

import pickle
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ecg_tl.identity import differences

LAST = "last.ckpt"

SLOW_S, SHARE = 0.1, 0.1
"""Where writing a checkpoint takes longer than this, one is left so often that it takes no more than this share."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes every checkpoint under another name in its own folder and renames it when complete."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save `checkpoint` to a local `path`."""
        whole = Path(path)
        whole.parent.mkdir(parents=True, exist_ok=True)
        partial = whole.with_name(f".{whole.name}.partial")
        torch.save(checkpoint, partial)
        partial.replace(whole)


class Resume(Checkpoint):
    """Leaves a checkpoint after every epoch from which the same training goes on bit for bit.

    Where a checkpoint takes long to write beside an epoch (see SHARE), some epochs go without.

    Lightning's checkpoint holds the network, the optimiser, the schedule, the loops and every callback; this adds the
    states of all random generators and whether training was about to stop early. identity: what must be the same for
    another attempt to go on from it, beside the folder itself, since ModelCheckpoint goes by that; began_s: when this
    attempt began, by time.perf_counter. Give it as the last callback, so that it sees what the others did, and
    `resume.ready(label)` to `trainer.fit(ckpt_path=...)`.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], began_s: float) -> None:
        self.path = folder / "checkpoints" / LAST
        self.identity = identity | {"folder": str(folder.resolve())}
        self.epochs = 0
        self._stopped = False
        self._random: dict[str, Any] | None = None
        self._earlier_s = 0.0
        self._began_s = began_s
        self._again_s = 0.0

    @property
    def seconds(self) -> float:
        """Time spent up to now, over all attempts; what an attempt did after its last whole epoch is not counted."""
        return self._earlier_s + time.perf_counter() - self._began_s

    def ready(self, label: str) -> Path | None:
        """Give the checkpoint to go on from, None if there is none, and say so.

        One that is damaged, something else or of another training is removed.
        """
        if not self.path.is_file():
            return None
        try:
            checkpoint = torch.load(self.path, map_location="cpu", weights_only=True)
            state = checkpoint["callbacks"][self.state_key]
            reason = differences(state["identity"], self.identity)
        except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, pickle.UnpicklingError) as error:
            reason = f"{self.path} cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}"
        if reason:
            print(f"{label}: begun anew, not where it was interrupted ({reason})", flush=True)
            self.path.unlink(missing_ok=True)
            return None
        print(f"{label}: goes on after epoch {state['epochs']}", flush=True)
        return self.path

    def state_dict(self) -> dict[str, Any]:
        """Hold what Lightning does not."""
        return {
            "identity": self.identity,
            "epochs": self.epochs,
            "stopped": self._stopped,
            "seconds": self.seconds,
            "random": random_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` held; the generators follow when training begins."""
        self.epochs = state_dict["epochs"]
        self._stopped = state_dict["stopped"]
        self._earlier_s = state_dict["seconds"]
        self._random = state_dict["random"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop where training had stopped early before the result was written."""
        trainer.should_stop = self._stopped

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the random generators where they were."""
        if self._random:
            set_random_state(self._random)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the checkpoint of this epoch in place of the last one's, unless that takes too much of the time."""
        self.epochs = trainer.current_epoch + 1
        self._stopped = trainer.should_stop
        now_s = time.perf_counter()
        if trainer.strategy.broadcast(now_s < self._again_s):  # all processes write, or none
            return
        trainer.save_checkpoint(self.path)
        took_s = time.perf_counter() - now_s
        self._again_s = now_s + took_s / SHARE if took_s > SLOW_S else 0.0


def random_state() -> dict[str, Any]:
    """States of the global generators of torch, CUDA, NumPy and Python, as plain values and tensors."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - others may draw from it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": (name, np.asarray(keys).tolist(), *rest),
        "python": random.getstate(),
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put the generators into the states that `random_state` gave."""
    torch.set_rng_state(state["torch"])
    for device, cuda in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):  # it may be fewer now
        torch.cuda.set_rng_state(cuda, device)
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])
