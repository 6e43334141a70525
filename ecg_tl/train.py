"""ENTRY: train one cell of a study, init x fraction x seed, or with -m a grid of them. python -m ecg_tl.train"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from ecg_tl import command_line
from ecg_tl.audit import overlap_with
from ecg_tl.bundle import EncoderBundle, bundle_folder, load_bundle
from ecg_tl.callbacks import EpochBar, LearningCurve, WriteRecord
from ecg_tl.config import TrainConfig
from ecg_tl.datamodules import LabelledInputs, windows_of
from ecg_tl.embedded import synthetic_records
from ecg_tl.features import FixedNetwork, cached_features
from ecg_tl.hardware import check_accelerator, choose_precision, device_name, use_threads, versions
from ecg_tl.identity import fingerprint, read_config, refuse_change, settings_of, write_config
from ecg_tl.initialise import PRETRAINED, classifier_network
from ecg_tl.modules import RhythmClassifier
from ecg_tl.networks import Architecture
from ecg_tl.records import PREDICTION_COLUMNS, Cell, RunRecord, fraction_name, read_record, run_folder, write_record
from ecg_tl.same_signal import same_signal_groups
from ecg_tl.spectrogram import resolve_weights
from ecg_tl.splits import bootstrap, row_checksums, stratified_split, tie
from ecg_tl.store import Store, open_store, verify_content
from ecg_tl.tracking import tracked


def main(config: TrainConfig) -> None:
    """Train a cell and write its record, or say that the same cell is done already."""
    check_accelerator(config.trainer.accelerator)
    use_threads(config.trainer.threads)
    study_folder = Path(config.outputs) / config.study
    folder = run_folder(study_folder, _cell(config))
    encoder = bundle_folder(config.encoder) if config.encoder else study_folder / "encoder"
    bundle = load_bundle(encoder) if config.init.name in PRETRAINED else None
    store = _labelled_store(config)
    config = replace(config, data=replace(config.data, path=str(store.path)))
    settings = settings_of(asdict(config))
    if (folder / "record.json").is_file():
        done = read_record(folder / "record.json")
        refuse_change(
            folder,
            settings_of(read_config(folder / "config.yaml"))
            | {"data": done.data_sha256, "encoder": done.encoder_sha256},
            settings | {"data": store.content_sha256, "encoder": bundle and bundle.sha256},
        )
        print(f"{_name(config)}: done already, best F1 {done.best_f1:.3f}; skipped", flush=True)
        return
    if bundle and bundle.description["lead"] != store.lead:
        print(f"note: {bundle.folder} was pretrained on lead {bundle.description['lead']}, the data is {store.lead}")
    overlap = _refuse_overlap(config, store, bundle) if bundle else None
    _train(config, store, bundle, overlap, settings, study_folder, folder)


def _cell(config: TrainConfig) -> Cell:
    return Cell(config.init.name, config.fraction, config.seed, config.split_seed)


def _name(config: TrainConfig) -> str:
    return run_folder(Path(), _cell(config)).relative_to("runs").as_posix()


def _labelled_store(config: TrainConfig) -> Store:
    if config.data.path is None:
        return synthetic_records(Path(config.outputs) / "data", config.data.records, config.data.seed)
    store = open_store(Path(config.data.path))
    if not store.labelled:
        raise ValueError(f"data.path={store.path}: a store without rhythms; prepare one from a labelled source")
    return store


@lru_cache(maxsize=1)
def _windows(store: tuple[Path, str]) -> tuple[np.ndarray, np.ndarray]:
    """Read a labelled store, by path and checksum, once a process: windows (N, 2048), tied groups (N,).

    Rows of one patient, of the same bytes or of the same signal are tied.
    """
    opened = open_store(store[0])
    verify_content(opened)
    return windows_of(opened), tie(
        opened.patient, row_checksums(opened.ecg), same_signal_groups(opened.ecg, opened.patient)
    )


def _train(
    config: TrainConfig,
    store: Store,
    bundle: EncoderBundle | None,
    overlap: int | None,
    settings: dict[str, Any],
    study_folder: Path,
    folder: Path,
) -> None:
    began_s = time.perf_counter()
    lightning.seed_everything(config.seed, verbose=False)
    weights = resolve_weights(config.init.weights) if config.init.name == "image" else None
    architecture = Architecture(**{key: getattr(config.model, key) for key in Architecture.__dataclass_fields__})
    network, fixed = classifier_network(
        config.init.name, architecture, config.model.head, len(store.rhythms), config.seed, bundle, weights
    )
    data = _inputs(config, store, fixed)
    curve = LearningCurve()
    precision = choose_precision(config.trainer.precision, config.trainer.accelerator)

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
            seconds=round(time.perf_counter() - began_s, 3),
            versions=versions(),
        )
        curve.curve.to_csv(folder / "curve.csv", index=False, lineterminator="\n")
        _predictions(store, data.draw.test, curve).to_csv(folder / "predictions.csv", index=False, lineterminator="\n")
        write_record(record, folder)
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
        job_type=config.init.name,
        tags=[f"fraction={fraction_name(config.fraction)}", f"seed={config.seed}"],
        config=asdict(config),
        folder=study_folder,
    ) as loggers:
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
                    monitor="oob_f1",
                    mode="max",
                    save_weights_only=True,
                    enable_version_counter=False,
                ),
                EpochBar(_name(config), ("test_f1",)),
                WriteRecord(write),
            ],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=folder,
        )
        trainer.fit(RhythmClassifier(network, config.learning_rate), data)


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
    key = (store.path, store.content_sha256)
    if fixed:
        inputs = cached_features(
            fixed, lambda: _windows(key)[0], store.content_sha256, Path(config.outputs) / "features"
        )
    else:
        inputs = torch.from_numpy(_windows(key)[0])
    assert store.rhythm is not None
    every = store.rhythm if config.every_rhythm else None
    draw = bootstrap(*_split(config, store), config.fraction, config.seed, every)
    return LabelledInputs(inputs, torch.from_numpy(store.rhythm.astype(np.int64)), draw, config.batch_size, config.seed)


def _split(config: TrainConfig, store: Store) -> tuple[np.ndarray, np.ndarray]:
    assert store.rhythm is not None
    _, groups = _windows((store.path, store.content_sha256))
    return stratified_split(store.rhythm, groups, config.data.test_fraction, config.split_seed)


def _refuse_overlap(config: TrainConfig, store: Store, bundle: EncoderBundle) -> int | None:
    """Count the test records that the encoder was pretrained on, None if its corpus is not at hand.

    ValueError if there are any, unless the config allows it.
    """
    test = _split(config, store)[1]
    key = (store.path, store.content_sha256)
    found = _in_corpus(bundle.folder, str(bundle.description.get("corpus_sha256")), key, tuple(test))
    if found and not config.allow_overlap:
        named = ", ".join(store.record[list(found[:3])])
        raise ValueError(
            f"{bundle.folder}: pretrained on {len(found)} of the {len(test)} test records ({named}...); "
            f"pretrain without them, or give allow_overlap=true, which the record will say"
        )
    return None if found is None else len(found)


@lru_cache(maxsize=1)
def _in_corpus(
    encoder: Path, corpus_sha256: str, store: tuple[Path, str], rows: tuple[int, ...]
) -> tuple[int, ...] | None:
    if not (encoder / "config.yaml").is_file():
        print(f"note: {encoder} comes without its corpus, so whether it has seen test records was not checked")
        return None
    try:
        corpus = open_store(Path(read_config(encoder / "config.yaml")["corpus"]["path"]))
        if corpus.content_sha256 != corpus_sha256:
            raise ValueError(f"{corpus.path}: not the corpus of this encoder")
    except (OSError, ValueError, KeyError) as error:
        print(f"note: whether the encoder has seen test records was not checked: {error}")
        return None
    return tuple(overlap_with(corpus, open_store(store[0]), np.array(rows)).tolist())


if __name__ == "__main__":
    command_line.run("train", main)
