"""Runs in Weights & Biases or TensorBoard: grouped by study, one run a cell; W&B is offline without an account."""

from __future__ import annotations

import math
import netrc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from ecg_tl.bundle import EncoderBundle
from ecg_tl.records import RunRecord
from ecg_tl.tracking_keys import BEST_TEST_SSE, CELL_SUMMARY, CONFUSION, RECONSTRUCTION


def has_account() -> bool:
    """Whether W&B's key is in WANDB_API_KEY or in the netrc file, where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        return host in netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False


@contextmanager
def tracked(
    name: str,
    *,
    project: str | None,
    entity: str | None,
    study: str,
    run_id: str,
    job_type: str,
    tags: list[str],
    config: dict[str, Any],
    folder: Path,
) -> Iterator[list[Logger]]:
    """Give the loggers of one run, none if `name` is "csv", and finish the run however the block ends.

    "wandb": group is the study and job type the init. WANDB_MODE decides between online, offline and disabled; unset,
    it is online with an account and offline without, so that nothing is ever asked. Offline runs lie in folder/wandb.
    A run that was interrupted goes on under its run_id: online at once, offline once both parts are synced with
    WANDB_RESUME=allow. "tensorboard": folder/tensorboard/JOB_TYPE/TAGS. ValueError if W&B cannot be reached or refuses.
    """
    run_name = "/".join([job_type, *tags])
    if name == "csv":
        yield []
    elif name == "tensorboard":
        board = TensorBoardLogger(folder, "tensorboard", run_name, default_hp_metric=False)
        board.log_hyperparams(config)
        yield [board]
    else:
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if has_account() else "offline")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run = wandb.init(
                id=run_id,
                resume="allow",
                name=run_name,
                dir=folder.resolve(),  # its own process may stand elsewhere
                project=project,
                entity=entity,
                group=study,
                job_type=job_type,
                tags=tags,
                config=config,
                mode=mode,
                reinit="finish_previous",
                # records name the versions that matter; listing every package takes 0.12 s a cell
                settings=wandb.Settings(silent=True, console="off", x_save_requirements=False),
            )
        except wandb.Error as error:
            raise ValueError(
                f"logger=wandb: {error}; set WANDB_MODE=offline to send the runs later, or give logger=csv"
            ) from error
        code = 1
        try:
            yield [WandbLogger(experiment=run)]
            code = 0
        finally:
            run.finish(exit_code=code)


def track_cell(loggers: Iterable[Logger], record: RunRecord) -> None:
    """Put a finished cell's figures in the run's summary, and in W&B its confusion matrix at the best epoch beside it.

    An index that is not a number, since the curve never falls, is left out.
    """
    values = {key: getattr(record, key) for key in CELL_SUMMARY}
    summary = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.log({CONFUSION: _confusion_chart(record.confusion, record.rhythms)})
            logger.experiment.summary.update(summary)
        else:
            logger.log_metrics(summary)


def _confusion_chart(confusion: list[list[int]], rhythms: list[str]) -> Any:
    pairs = [
        (true, predicted)
        for true, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        for _ in range(count)
    ]
    true, predicted = (list(side) for side in zip(*pairs, strict=True))
    return wandb.plot.confusion_matrix(y_true=true, preds=predicted, class_names=rhythms, title="Best epoch")


def track_pretraining(loggers: Iterable[Logger], bundle: EncoderBundle) -> None:
    """Put a finished pretraining's error in the run's summary, and in W&B figure 4 and the bundle as an artifact."""
    summary = {BEST_TEST_SSE: bundle.description["test_sse"]}
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            run.log({RECONSTRUCTION: wandb.Image(str(bundle.folder / "figure4.png"))})
            run.summary.update(summary)
            run.log_artifact(_artifact(bundle))
        else:
            logger.log_metrics(summary)


def track_encoder(loggers: Iterable[Logger], bundle: EncoderBundle) -> None:
    """Tell W&B, where it is online, which encoder a cell starts from; the artifact is the one that pretraining left."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and not (logger.experiment.offline or logger.experiment.disabled):
            try:
                logger.experiment.use_artifact(_artifact(bundle))
            except wandb.Error as error:
                print(f"note: W&B does not show that this cell uses {bundle.folder}: {' '.join(str(error).split())}")


def _artifact(bundle: EncoderBundle) -> wandb.Artifact:
    """Name a bundle by its weights, so that it is one artifact whichever run brings it."""
    artifact = wandb.Artifact(f"encoder-{bundle.sha256[:12]}", "encoder", metadata=bundle.description)
    for name in ("model.safetensors", "bundle.json"):
        path = (bundle.folder / name).resolve()  # so that it is found from wherever it is synced
        artifact.add_file(str(path), policy="immutable")  # no copy, since a bundle is never changed
    return artifact
