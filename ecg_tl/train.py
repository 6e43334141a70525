"""ENTRY: train one cell of a study, init x fraction x seed, or with -m a grid of them. python -m ecg_tl.train"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from ecg_tl import command_line
from ecg_tl.asked import note_asked
from ecg_tl.bundle import EncoderBundle, bundle_folder, load_bundle
from ecg_tl.callbacks import EpochBar, LearningCurve, WriteRecord
from ecg_tl.config import TrainConfig
from ecg_tl.datamodules import LabelledInputs
from ecg_tl.embedded import synthetic_records
from ecg_tl.failures import failure_of, noted
from ecg_tl.features import FixedNetwork, cached_features
from ecg_tl.hardware import (
    check_accelerator,
    choose_precision,
    device_name,
    say_precision,
    use_threads,
    versions,
)
from ecg_tl.identity import fingerprint, read_config, refuse_change, replacing, settings_of, write_config
from ecg_tl.initialise import PRETRAINED, check_architecture, classifier_network
from ecg_tl.labelled import labelled_groups, labelled_split, labelled_windows, note_lead, refuse_overlap
from ecg_tl.locks import held, is_held
from ecg_tl.modules import RhythmClassifier
from ecg_tl.networks import Architecture
from ecg_tl.records import (
    PREDICTION_COLUMNS,
    Cell,
    RunRecord,
    fraction_name,
    read_record,
    run_folder,
    run_name,
    write_record,
)
from ecg_tl.resume import LAST, Resume, WholeCheckpoints
from ecg_tl.spectrogram import require_image_features, resolve_weights
from ecg_tl.splits import bootstrap
from ecg_tl.store import Store, open_store
from ecg_tl.sweep import Sweep
from ecg_tl.tracking import track_cell, track_encoder, tracked


def main(config: TrainConfig) -> None:
    """Train a cell and write its record, or say that the same cell is done already."""
    check_accelerator(config.trainer.accelerator)
    use_threads(config.trainer.threads)
    study_folder = Path(config.outputs) / config.study
    folder = run_folder(study_folder, _cell(config))
    bundle = load_bundle(_encoder(config)) if config.init.name in PRETRAINED else None
    store = _labelled_store(config)
    config = replace(config, data=replace(config.data, path=str(store.path)))
    if done := _done(config, store, bundle):
        (folder / "checkpoints" / LAST).unlink(missing_ok=True)
        print(f"{_name(config)}: done already, best F1 {done.best_f1:.3f}; skipped", flush=True)
        return
    if not command_line.in_sweep():  # what is refused leaves nothing; of a sweep's cell its folder says why
        _refuse(config, store, bundle)
    with held(folder) as mine:
        if not mine or _done(config, store, bundle):
            print(f"{_name(config)}: another process is at it; skipped", flush=True)
            return
        aside = study_folder / "replaced" / _name(config)
        with noted(folder), replacing(folder, aside, again=(folder / "record.json").is_file()):
            overlap = _refuse(config, store, bundle)
            _train(config, store, bundle, overlap, study_folder, folder)


def begin(configs: list[TrainConfig], here: bool) -> None:
    """Check what the cells of a sweep share, and those finished, before the first is begun; note what was asked for.

    here: whether they run on this machine, whose GPUs are looked at only then.
    ValueError or OSError as `main` raises them, or if two runs of the sweep would fill one cell.
    """
    stores: dict[tuple[Any, ...], Store] = {}
    bundles: dict[Path, EncoderBundle] = {}
    asked: dict[Path, list[Cell]] = {}
    for config in configs:
        if here:
            check_accelerator(config.trainer.accelerator)
        bundle = None
        if config.init.name in PRETRAINED:
            bundle = bundles[_encoder(config)] = bundles.get(_encoder(config)) or load_bundle(_encoder(config))
            check_architecture(bundle, _architecture(config))
        source = (config.outputs, config.data.path, config.data.records, config.data.seed)
        store = stores[source] = stores.get(source) or _labelled_store(config)
        if not _done(config, store, bundle) and config.init.name == "image":
            weights = resolve_weights(config.init.weights)
            require_image_features(weights, store.content_sha256, Path(config.outputs) / "features")
        cells = asked.setdefault(Path(config.outputs) / config.study, [])
        if _cell(config) in cells:
            raise ValueError(f"{_name(config)}: asked for twice; give it once, or each of the settings its own study=")
        cells.append(_cell(config))
    for study_folder, cells in asked.items():
        note_asked(study_folder, cells)


def unfinished(configs: list[TrainConfig]) -> dict[str, str]:
    """Name the cells of a sweep that ended without a record, but for those that another process is at, and say why."""
    reasons = {}
    for config in configs:
        folder = run_folder(Path(config.outputs) / config.study, _cell(config))
        if not (folder / "record.json").is_file() and not is_held(folder):
            reasons[f"{config.study}/{_name(config)}"] = failure_of(folder) or "not finished"
    return reasons


SWEEP = Sweep(begin, unfinished)


def _done(config: TrainConfig, store: Store, bundle: EncoderBundle | None) -> RunRecord | None:
    """Read the record of a cell that is finished. ValueError if it was made with anything else, unless the config says
    that such a cell is done again."""
    folder = run_folder(Path(config.outputs) / config.study, _cell(config))
    if not (folder / "record.json").is_file():
        return None
    done = read_record(folder / "record.json")
    before = settings_of(read_config(folder / "config.yaml"))
    before |= {"data": done.data_sha256, "encoder": done.encoder_sha256}
    now = settings_of(asdict(config)) | {"data": store.content_sha256, "encoder": bundle and bundle.sha256}
    if config.overwrite and before != now:
        return None
    refuse_change(folder, before, now)
    return done


def _cell(config: TrainConfig) -> Cell:
    return Cell(config.init.name, config.fraction, config.seed, config.split_seed)


def _encoder(config: TrainConfig) -> Path:
    return bundle_folder(config.encoder) if config.encoder else Path(config.outputs) / config.study / "encoder"


def _architecture(config: TrainConfig) -> Architecture:
    return Architecture(**{key: getattr(config.model, key) for key in Architecture.__dataclass_fields__})


def _name(config: TrainConfig) -> str:
    return run_name(_cell(config))


def _labelled_store(config: TrainConfig) -> Store:
    if config.data.path is None:
        return synthetic_records(Path(config.outputs) / "data", config.data.records, config.data.seed)
    store = open_store(Path(config.data.path))
    if not store.labelled:
        raise ValueError(f"data.path={store.path}: a store without rhythms; prepare one from a labelled source")
    if len(store.rhythms) < 2:
        raise ValueError(
            f"data.path={store.path}: all rows are {store.rhythms[0]}; a classifier needs two rhythms or more"
        )
    return store


def _train(
    config: TrainConfig,
    store: Store,
    bundle: EncoderBundle | None,
    overlap: int | None,
    study_folder: Path,
    folder: Path,
) -> None:
    began_s = time.perf_counter()
    lightning.seed_everything(config.seed, verbose=False)
    weights = resolve_weights(config.init.weights) if config.init.name == "image" else None
    network, fixed = classifier_network(
        config.init.name, _architecture(config), config.model.head, len(store.rhythms), config.seed, bundle, weights
    )
    data = _inputs(config, store, fixed)
    curve = LearningCurve()
    precision = choose_precision(config.trainer.precision, config.trainer.accelerator)
    say_precision(precision, config.trainer.accelerator)
    settings = settings_of(asdict(config))
    made_with = {"data": store.content_sha256, "encoder": bundle and bundle.sha256, "weights": weights}
    resume = Resume(folder, settings | made_with | {"precision": precision} | versions(), began_s)

    def write(trainer: lightning.Trainer) -> None:
        record = RunRecord(
            study=config.study,
            **_cell(config)._asdict(),
            status="done",
            best_f1=curve.best.f1,
            best_epoch=curve.best_epoch,
            lci=curve.index.value,
            lci_flag=curve.index.flag,
            macro_f1=curve.best.macro_f1,
            rhythms=list(store.rhythms),
            f1_per_rhythm=curve.best.f1_per_rhythm,
            support_per_rhythm=[sum(row) for row in curve.best.confusion],
            confusion=curve.best.confusion,
            n_train=len(data.draw.train),
            n_test=len(data.draw.test),
            n_out_of_bag=len(data.draw.out_of_bag),
            epochs=trainer.current_epoch,
            selected_f1=curve.selected.f1,
            selected_epoch=curve.selected_epoch,
            selected_macro_f1=curve.selected.macro_f1,
            selected_f1_per_rhythm=curve.selected.f1_per_rhythm,
            selected_confusion=curve.selected.confusion,
            encoder_sha256=bundle.sha256 if bundle else None,
            test_rows_in_corpus=overlap,
            data_sha256=store.content_sha256,
            config_sha256=fingerprint(settings),
            weights=weights,
            precision=precision,
            device=device_name(config.trainer.accelerator),
            seconds=round(resume.seconds, 3),
            versions=versions(),
        )
        curve.curve.to_csv(folder / "curve.csv", index=False, lineterminator="\n")
        _predictions(store, data.draw.test, curve).to_csv(folder / "predictions.csv", index=False, lineterminator="\n")
        write_record(record, folder)
        resume.path.unlink(missing_ok=True)
        track_cell(trainer.loggers, record)
        lci = curve.index.flag or f"{curve.index.value:.3f}"
        print(
            f"{_name(config)}: best F1 {record.best_f1:.3f} (epoch {record.best_epoch}), selected F1 "
            f"{record.selected_f1:.3f} (epoch {record.selected_epoch}), LCI {lci}, {record.seconds:.1f} s",
            flush=True,
        )

    write_config(config, folder / "config.yaml")
    with tracked(
        config.logger.name,
        project=config.logger.project,
        entity=config.logger.entity,
        study=config.study,
        run_id=fingerprint(
            settings | {"study": config.study, "data": store.content_sha256, "encoder": bundle and bundle.sha256}
        )[:16],
        job_type=config.init.name,
        tags=[
            f"fraction={fraction_name(config.fraction)}",
            f"seed={config.seed}",
            *([f"split={config.split_seed}"] if config.split_seed else []),
        ],
        config=asdict(config),
        folder=study_folder,
    ) as loggers:
        if bundle:
            track_encoder(loggers, bundle)
        trainer = lightning.Trainer(
            accelerator=config.trainer.accelerator,
            devices=1,
            precision=precision,
            max_epochs=config.epochs,
            logger=loggers,
            callbacks=[
                curve,
                ModelCheckpoint(
                    folder / "checkpoints",
                    "selected",
                    monitor="oob_f1" if len(data.draw.out_of_bag) else None,  # None: the last epoch
                    mode="max",
                    save_weights_only=True,
                    enable_version_counter=False,
                ),
                *([] if command_line.in_sweep() else [EpochBar(_name(config), ("test_f1",))]),
                WriteRecord(write),
                resume,
            ],
            plugins=[WholeCheckpoints()],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=folder,
        )
        classifier = RhythmClassifier(network, config.learning_rate)
        trainer.fit(classifier, data, ckpt_path=resume.ready(_name(config)), weights_only=True)


def _predictions(store: Store, test: np.ndarray, curve: LearningCurve) -> pd.DataFrame:
    """Name what each test record is and what the best and the selected epoch took it for."""
    assert store.rhythm is not None
    named = [
        np.array(store.rhythms)[rows] for rows in (store.rhythm[test], curve.best_predicted, curve.selected_predicted)
    ]
    return pd.DataFrame(
        zip(store.record[test], store.patient[test], *named, strict=True), columns=list(PREDICTION_COLUMNS)
    )


def _inputs(config: TrainConfig, store: Store, fixed: FixedNetwork | None) -> LabelledInputs:
    """Gather what the cell trains and tests on: windows, or the features that a fixed network sees in them."""
    features = Path(config.outputs) / "features"
    if fixed:
        device = "cuda" if config.trainer.accelerator == "gpu" else "cpu"
        inputs = cached_features(fixed, lambda: labelled_windows(store), store.content_sha256, features, device)
    else:
        inputs = torch.from_numpy(labelled_windows(store))
    assert store.rhythm is not None
    every = store.rhythm if config.every_rhythm else None
    split = labelled_split(store, features, config.data.test_fraction, config.split_seed)
    draw = bootstrap(*split, labelled_groups(store, features), config.fraction, config.seed, every)
    return LabelledInputs(inputs, torch.from_numpy(store.rhythm.astype(np.int64)), draw, config.batch_size, config.seed)


def _refuse(config: TrainConfig, store: Store, bundle: EncoderBundle | None) -> int | None:
    """Refuse an encoder or weights that the cell cannot begin with; gives the test records that the encoder has seen,
    None where there is none or its corpus is not at hand."""
    features = Path(config.outputs) / "features"
    if config.init.name == "image" and config.init.weights == "imagenet":  # auto takes others
        require_image_features("imagenet", store.content_sha256, features)
    if bundle is None:
        return None
    check_architecture(bundle, _architecture(config))
    note_lead(bundle.folder, str(bundle.description["lead"]), store.lead)
    _, test = labelled_split(store, features, config.data.test_fraction, config.split_seed)
    return refuse_overlap(bundle, store, test, features, allow=config.allow_overlap)


if __name__ == "__main__":
    command_line.run("train", main, SWEEP)
