"""ENTRY: learn an autoencoder from unlabelled windows and leave an encoder bundle. python -m ecg_tl.pretrain"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from ecg_tl import command_line
from ecg_tl.bundle import load_bundle, save_bundle, takes
from ecg_tl.callbacks import EpochBar
from ecg_tl.config import PretrainConfig
from ecg_tl.datamodules import IcuWindows
from ecg_tl.embedded import synthetic_icu
from ecg_tl.figures import figure4
from ecg_tl.hardware import check_accelerator, choose_precision, device_name, use_threads, versions
from ecg_tl.identity import fingerprint, read_config, refuse_change, replacing, settings_of, write_config
from ecg_tl.locks import held
from ecg_tl.modules import Autoencoder
from ecg_tl.networks import Architecture, Decoder, Encoder
from ecg_tl.processes import first_process, share_of_batch
from ecg_tl.resume import LAST, Resume, WholeCheckpoints
from ecg_tl.store import Store, open_store, verify_content
from ecg_tl.tracking import track_pretraining, tracked
from ecg_tl.tracking_keys import PRETRAIN_JOB
from ecg_tl.waveform import RATE_HZ, WINDOW, normalise

EXAMPLES = 4
"""Held-out windows that figure 4 shows."""


NOTHING_LEARNED = 0.95
"""Share of what giving back nothing costs, from which on there is a warning."""


def main(config: PretrainConfig) -> None:
    """Pretrain, or say that the same pretraining is done already."""
    check_accelerator(config.trainer.accelerator, config.trainer.devices)
    if config.trainer.devices > 1 and command_line.in_sweep():  # each process would begin the whole sweep
        raise ValueError(f"trainer.devices={config.trainer.devices}: not in a sweep; leave -m out, one command a value")
    use_threads(config.trainer.threads)
    study_folder = Path(config.outputs) / config.study
    folder = Path(config.out) if config.out else study_folder / "encoder"
    if config.corpus.path:
        store = open_store(Path(config.corpus.path))
    else:
        data_folder, corpus = Path(config.outputs) / "data", config.corpus
        store = synthetic_icu(data_folder, corpus.patients, corpus.windows_per_patient, corpus.seed)
    config = replace(config, corpus=replace(config.corpus, path=str(store.path)))
    if done := _done(config, store, folder):
        (folder / "checkpoints" / LAST).unlink(missing_ok=True)
        print(f"{folder}: pretrained already, SSE {done['test_sse']:.0f} on held-out patients; skipped")
        return
    verify_content(store)
    if not first_process():  # the first one started this one, and holds the lock
        _pretrain(config, store, study_folder, folder)
        return
    with held(folder) as mine:
        if not mine or _done(config, store, folder):
            print(f"{folder}: another process is at it; skipped")
            return
        aside = folder.with_name(f"{folder.name}.replaced")
        with replacing(folder, aside, again=(folder / "bundle.json").is_file()):
            _pretrain(config, store, study_folder, folder)


def _done(config: PretrainConfig, store: Store, folder: Path) -> dict[str, Any] | None:
    """Read what describes a finished bundle. ValueError if it was made with anything else, unless the config says that
    such a one is made again."""
    if not (folder / "bundle.json").is_file():
        return None
    done = load_bundle(folder).description
    before = settings_of(read_config(folder / "config.yaml")) | {"corpus": done["corpus_sha256"]}
    now = settings_of(asdict(config)) | {"corpus": store.content_sha256}
    if config.overwrite and before != now:
        return None
    refuse_change(folder, before, now)
    return done


def _pretrain(config: PretrainConfig, store: Store, study_folder: Path, folder: Path) -> None:
    began_s = time.perf_counter()
    devices, nodes = config.trainer.devices, config.trainer.nodes
    lightning.seed_everything(config.seed, verbose=False)
    precision = choose_precision(config.trainer.precision, config.trainer.accelerator)
    architecture = Architecture(**{key: getattr(config.model, key) for key in Architecture.__dataclass_fields__})
    module = Autoencoder(Encoder(architecture), Decoder(architecture), config.learning_rate, config.schedule)
    batch_size = share_of_batch(config.batch_size, devices, nodes)
    data = IcuWindows(store, batch_size, config.corpus.test_fraction, config.split_seed, config.seed)
    if first_process():
        write_config(config, folder / "config.yaml")
        print(
            f"pretraining on {len(data.train_rows)} windows, {len(data.test_rows)} of other patients held out; "
            f"{architecture.kind} network of width {architecture.width}, {precision} on "
            + (f"{devices * nodes} x " if devices * nodes > 1 else "")
            + device_name(config.trainer.accelerator),
            flush=True,
        )
    best = ModelCheckpoint(
        folder / "checkpoints",
        "best",
        monitor="test_sse",
        save_weights_only=True,
        enable_version_counter=False,
    )
    patience = EarlyStopping("test_sse", patience=config.patience)
    settings = settings_of(asdict(config))
    identity = settings | {"corpus": store.content_sha256, "precision": precision}
    resume = Resume(folder, identity | versions(), began_s)
    with tracked(
        config.logger.name if first_process() else "csv",
        project=config.logger.project,
        entity=config.logger.entity,
        study=config.study,
        run_id=fingerprint(settings | {"study": config.study, "corpus": store.content_sha256})[:16],
        job_type=PRETRAIN_JOB,
        tags=[f"seed={config.seed}"],
        config=asdict(config),
        folder=study_folder,
    ) as loggers:
        trainer = lightning.Trainer(
            accelerator=config.trainer.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=config.trainer.strategy,
            # torch synchronises batch norm between GPUs only: on CPUs each process normalises its own share of a batch
            sync_batchnorm=config.trainer.accelerator == "gpu" and devices * nodes > 1,
            precision=precision,
            max_epochs=config.epochs,
            logger=loggers,
            callbacks=[
                best,
                patience,
                EpochBar("pretrain", ("train_loss", "test_mse", "test_sse"), lines=True),
                resume,
            ],
            plugins=[WholeCheckpoints()],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=folder,
        )
        trainer.fit(module, data, ckpt_path=resume.ready("pretrain"), weights_only=True)
        if not trainer.is_global_zero:
            return
        assert best.best_model_score is not None
        module.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
        test_sse = float(best.best_model_score)
        if not math.isfinite(test_sse):
            raise ValueError(
                f"learning_rate={config.learning_rate:g}: the squared error became {test_sse}; lower it and pretrain "
                "again"
            )
        stopped = _why_stopped(patience)
        description = {
            **takes(store.lead, store.filter),
            "corpus": store.source,
            "corpus_sha256": store.content_sha256,
            "n_train": len(data.train_rows),
            "n_test": len(data.test_rows),
            "test_sse": test_sse,
            "test_mse": test_sse / WINDOW,
            "epochs": resume.epochs,
            "stopped_early": stopped,
            "batch_size": config.batch_size,
            "world_size": trainer.world_size,
            "sync_batchnorm": trainer.world_size > 1 and config.trainer.accelerator == "gpu",
            "seed": config.seed,
            "config_sha256": fingerprint(settings),
            "precision": precision,
            "device": device_name(config.trainer.accelerator),
            "seconds": round(resume.seconds, 3),
            "versions": versions(),
        }
        _draw_examples(module, data, folder)  # before the bundle, whose presence says that all is there
        save_bundle(folder, module.encoder, module.decoder, description)
        track_pretraining(loggers, load_bundle(folder))
        resume.path.unlink(missing_ok=True)
    if stopped:
        print(f"stopped after epoch {resume.epochs} of {config.epochs}: {stopped}")
    print(f"{folder}: SSE {test_sse:.0f} a window on held-out patients (giving back nothing costs {WINDOW})")
    if test_sse > NOTHING_LEARNED * WINDOW:
        print("WARNING: this encoder has learned next to nothing; train longer, or at another learning_rate")


def _why_stopped(patience: EarlyStopping) -> str | None:
    """Say why training ended before its last epoch, None if it did not."""
    if patience.stopping_reason is EarlyStoppingReason.NOT_STOPPED:
        return None
    if patience.stopping_reason is EarlyStoppingReason.NON_FINITE_METRIC:
        return "the squared error of held-out windows became not finite; the best epoch before is kept"
    return f"no better on held-out patients for {patience.patience} epochs"


def _draw_examples(module: Autoencoder, data: IcuWindows, folder: Path) -> None:
    """Draw original and reconstruction of held-out windows, spread over the patients (paper's figure 4)."""
    rows = data.test_rows[:: max(1, len(data.test_rows) // EXAMPLES)][:EXAMPLES]
    original = normalise(data.store.ecg[rows])
    with torch.inference_mode():
        reconstruction = module.eval().cpu()(torch.from_numpy(original)).numpy()
    figure4(original, reconstruction, RATE_HZ, folder / "figure4")


if __name__ == "__main__":
    command_line.run("pretrain", main)
