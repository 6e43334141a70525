"""A finished study read back whole: records, configs, curves and predictions of every cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecg_tl.identity import read_config
from ecg_tl.records import Cell, RunRecord, read_curve, read_predictions, read_records, run_folder
from ecg_tl.resampling import Predictions
from ecg_tl.trials import cell_name

PREDICTED = {"best_f1": "best", "selected_f1": "selected"}
"""The column of predictions.csv that each protocol's F1 comes from."""


@dataclass(frozen=True)
class Results:
    """What came out of a study. curves: test F1 (epochs,) of each cell; predictions: one row a test record."""

    folder: Path
    records: list[RunRecord]
    configs: Mapping[Cell, dict[str, Any]]
    curves: Mapping[Cell, np.ndarray]
    predictions: Mapping[Cell, pd.DataFrame]

    @property
    def rhythms(self) -> list[str]:
        """Class names over all cells, in the order of the first that has them."""
        return list(dict.fromkeys(name for record in self.records for name in record.rhythms))

    def of(self, init: str, fraction: float) -> list[RunRecord]:
        """The records of one init at one fraction."""
        return [record for record in self.records if (record.init, record.fraction) == (init, fraction)]


def read_results(study_folder: Path) -> Results:
    """Read a study. Errors as `read_records` and the other readers: the file by name, and what to do."""
    records = read_records(study_folder)
    folders = {record.cell: run_folder(study_folder, record.cell) for record in records}
    return Results(
        study_folder,
        records,
        {cell: read_config(folder / "config.yaml") for cell, folder in folders.items()},
        {cell: read_curve(folder)["test_f1"].to_numpy(np.float64) for cell, folder in folders.items()},
        {cell: read_predictions(folder) for cell, folder in folders.items()},
    )


def predictions_by_split(
    predictions: Mapping[Cell, pd.DataFrame], cells: Sequence[Cell], measure: str, rhythms: Sequence[str]
) -> list[Predictions]:
    """Gather what runs predicted at the epoch of one protocol, one entry a split, runs in the order of their seeds.

    measure: best_f1 or selected_f1; rhythms: class names, whose places are the classes. ValueError if two runs of a
    split were not tested on the same records.
    """
    number = {name: index for index, name in enumerate(rhythms)}
    gathered = []
    for split in sorted({cell.split_seed for cell in cells}):
        of_split = sorted((cell for cell in cells if cell.split_seed == split), key=lambda cell: cell.seed)
        first = predictions[of_split[0]]
        for cell in of_split[1:]:
            if not predictions[cell]["record"].equals(first["record"]):
                raise ValueError(
                    f"{cell_name(cell)}: tested on other records than {cell_name(of_split[0])}; "
                    "run it again on the same data"
                )
        gathered.append(
            Predictions(
                first["rhythm"].map(number).to_numpy(),
                first["patient"].to_numpy(),
                np.stack([predictions[cell][PREDICTED[measure]].map(number).to_numpy() for cell in of_split]),
            )
        )
    return gathered
