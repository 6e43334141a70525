"""Studies as training leaves them, made up without training: records, curves, configs and predictions that agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf
from sklearn.metrics import confusion_matrix, f1_score

from ecg_tl.command_line import defaults
from ecg_tl.learning_curve import learning_curve_index
from ecg_tl.records import CURVE_COLUMNS, PREDICTION_COLUMNS, Cell, run_folder, write_record
from tests.test_records import record_of

RHYTHMS = ("SR", "SB", "AFIB")
SUPPORT = (20, 12, 3)


def right(cell: Cell) -> float:
    """The share of test records that a cell gets right, unless told otherwise: transfer leads, most with few labels."""
    lead = {"transfer": 0.15, "image": -0.1, "frozen": 0.05}.get(cell.init, 0.0)
    return 0.7 + 0.1 * np.log10(cell.fraction) + lead * (1.2 - cell.fraction)


def study(
    folder: Path,
    inits: Sequence[str] = ("random", "image", "transfer"),
    fractions: Sequence[float] = (1.0, 0.25),
    seeds: Sequence[int] = (0, 1, 2),
    splits: Sequence[int] = (0,),
    *,
    missing: Collection[Cell] = (),
    collapsed: Collection[Cell] = (),
    share_right: Callable[[Cell], float] = right,
    settings: dict[str, object] | None = None,
    **entries: object,
) -> Path:
    """Write a study of these cells into `folder`. collapsed: cells that answer the first rhythm, whatever they see.

    settings: dotted keys of the config that differ from its defaults. entries: of the record.
    """
    for split in splits:
        for init in inits:
            for fraction in fractions:
                for seed in seeds:
                    cell = Cell(init, fraction, seed, split)
                    if cell not in missing:
                        _write(folder, cell, cell in collapsed, share_right(cell), settings or {}, entries)
    return folder


@cache
def _defaults() -> dict[str, Any]:
    return defaults("train")


def _write(
    folder: Path,
    cell: Cell,
    is_collapsed: bool,
    share_right: float,
    settings: dict[str, object],
    entries: dict[str, object],
) -> None:
    generator = np.random.default_rng([cell.seed, cell.split_seed, round(1000 * cell.fraction), len(cell.init)])
    rhythm = np.repeat(np.arange(len(RHYTHMS)), SUPPORT)
    wrong = (rhythm + generator.integers(1, len(RHYTHMS), rhythm.size)) % len(RHYTHMS)
    best = np.where(generator.uniform(size=rhythm.size) < share_right, rhythm, wrong)
    selected = np.where(generator.uniform(size=rhythm.size) < 0.1, wrong, best)
    if is_collapsed:
        best = selected = np.zeros_like(rhythm)
    f1 = {name: f1_score(rhythm, said, average="weighted") for name, said in (("best", best), ("selected", selected))}
    curve = np.full(6, f1["best"]) if is_collapsed else np.array([0.2, 0.5, 0.45, 0, 0.4, 0]) * f1["best"]
    if not is_collapsed:
        curve[3], curve[5] = f1["best"], min(f1["selected"], f1["best"] - 0.001)
    index = learning_curve_index(curve)
    record = dataclasses.replace(
        record_of(
            cell.init,
            cell.fraction,
            cell.seed,
            split_seed=cell.split_seed,
            study=folder.name,
            best_f1=float(curve.max()),
            best_epoch=4,
            lci=index.value,
            lci_flag=index.flag,
            rhythms=list(RHYTHMS),
            support_per_rhythm=list(SUPPORT),
            macro_f1=float(f1_score(rhythm, best, average="macro")),
            f1_per_rhythm=f1_score(rhythm, best, average=None).tolist(),
            confusion=confusion_matrix(rhythm, best).tolist(),
            selected_f1=float(f1["selected"]),
            selected_epoch=6,
            selected_macro_f1=float(f1_score(rhythm, selected, average="macro")),
            selected_f1_per_rhythm=f1_score(rhythm, selected, average=None).tolist(),
            selected_confusion=confusion_matrix(rhythm, selected).tolist(),
            n_train=round(140 * cell.fraction),
            n_test=rhythm.size,
            epochs=6,
            weights="random" if cell.init == "image" else None,
        ),
        **entries,
    )
    run = run_folder(folder, cell)
    run.mkdir(parents=True)
    frame = pd.DataFrame({"epoch": np.arange(1, 7), "train_loss": 1.0, "test_loss": 1.0, "test_f1": curve})
    frame.assign(learning_rate=0.005)[list(CURVE_COLUMNS)].to_csv(run / "curve.csv", index=False)
    names = np.array(RHYTHMS)
    records = [f"{cell.split_seed}-{number:03d}" for number in range(rhythm.size)]
    rows = zip(records, records, names[rhythm], names[best], names[selected], strict=True)
    pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS)).to_csv(run / "predictions.csv", index=False)
    config = OmegaConf.create(_defaults())
    resolved = {
        "study": folder.name,
        "init.name": cell.init,
        "fraction": cell.fraction,
        "seed": cell.seed,
        "split_seed": cell.split_seed,
        "data.path": "gone.h5",
        **settings,
    }
    for key, value in resolved.items():
        OmegaConf.update(config, key, value)
    OmegaConf.save(config, run / "config.yaml")
    write_record(record, run)
