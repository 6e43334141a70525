"""Draws every figure of a study from its results, and says in words what each shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecg_tl.bundle import load_bundle
from ecg_tl.confusion_figure import figure8
from ecg_tl.datamodules import windows_of
from ecg_tl.features import FixedNetwork, cached_features
from ecg_tl.figures import figure3, figure5
from ecg_tl.latent_map import figure9
from ecg_tl.networks import Encoder
from ecg_tl.report import Drawing
from ecg_tl.results import Results
from ecg_tl.rhythm_tables import support
from ecg_tl.store import Store
from ecg_tl.study_figures import figure6, figure7
from ecg_tl.trial_columns import PROTOCOLS, Column, columns_of, mean_interval, why_no_interval
from ecg_tl.trials import trials_of

Estimates = dict[tuple[str, float], tuple[int, float, float, float]]


def draw_study(results: Results, folder: Path, encoders: Iterable[Path], note: str) -> list[Drawing]:
    """Draw figures 3 to 8 of a study into `folder`; figure 4 is what pretraining left beside its encoder."""
    weights = {record.init: {record.weights} for record in results.records}
    drawings = []

    def drawn(number: int, title: str, shows: str) -> None:
        drawings.append(Drawing(folder / f"figure{number}", f"Figure {number}. {title}", shows))

    figure3(folder / "figure3")
    drawn(
        3,
        "What the learning curve index rewards",
        "Two made-up curves with the same best F1: the one that climbs steadily has the higher index.",
    )
    for path in sorted(path for encoder in encoders for path in encoder.glob("figure4.*")):
        shutil.copyfile(path, folder / path.name)
    if (folder / "figure4.png").is_file():
        drawn(4, "Reconstructions", "Windows of held-out patients and what the autoencoder gives back for them.")
    figure5(results.curves, folder / "figure5", weights, note)
    drawn(
        5,
        "Learning curves",
        "Test F1 after every epoch, a panel for each fraction. Lines: each init's lowest seed; bands: all its runs.",
    )
    best, selected = (_columns_of_runs(results, measure) for measure in PROTOCOLS)
    figure6(
        _estimates(results, best),
        _estimates(results, selected),
        folder / "figure6",
        weights,
        note,
        why_no_interval([*best, *selected]),
    )
    drawn(
        6,
        "F1 against labels",
        "Mean F1 of each init for each number of labelled records, with its 95 % interval, by both protocols.",
    )
    counts = support(results)
    per_rhythm = {
        (column.init, column.fraction): np.array(
            [
                [dict(zip(r.rhythms, r.selected_f1_per_rhythm, strict=True)).get(name, np.nan) for name in counts]
                for r in results.of(column.init, column.fraction)
            ]
        )
        for column in best
    }
    n_test = [min(n_test) for n_test in counts.values()]
    chosen = PROTOCOLS["selected_f1"]
    figure7(per_rhythm, list(counts), n_test, folder / "figure7", weights, note, chosen)
    drawn(
        7,
        "F1 of every rhythm",
        f"{chosen}. Bars: mean over runs; dots: runs. Rare rhythms are marked.",
    )
    largest = max(record.fraction for record in results.records)
    confusion = {
        init: np.array([_in_order(r.rhythms, r.selected_confusion, list(counts)) for r in results.of(init, largest)])
        for init, fraction in per_rhythm
        if fraction == largest
    }
    figure8(confusion, list(counts), largest, folder / "figure8", weights, note, chosen)
    drawn(
        8,
        "Confusion matrices",
        f"{chosen}. True rhythm by row, predicted by column, summed over runs, share of the true rhythm.",
    )
    return drawings


def draw_latent_map(encoder: Path, store: Store, features: Path, folder: Path, note: str) -> Drawing:
    """Draw figure 9, the encoder's features of a labelled store, kept in the folder `features` for the next time.

    Errors as `load_bundle`; ValueError if the features have no two components.
    """
    assert store.rhythm is not None
    bundle = load_bundle(encoder)

    def build() -> nn.Module:
        network = Encoder(bundle.architecture)
        network.load_state_dict(bundle.encoder_state)
        return network

    fixed = FixedNetwork(f"latent-{bundle.sha256[:16]}", bundle.architecture.latent, build)
    latent = cached_features(fixed, lambda: windows_of(store), store.content_sha256, features)
    figure9(
        latent.to(torch.float64).numpy(),
        store.rhythm,
        store.rhythms,
        folder / "figure9",
        np.random.default_rng(0),
        note=note,
    )
    return Drawing(
        folder / "figure9",
        "Figure 9. Latent map",
        "Where the pretrained encoder, before it has seen a label, puts the labelled records, coloured by rhythm.",
    )


def _columns_of_runs(results: Results, measure: str) -> list[Column]:
    """Columns of a protocol's F1 that have a run, complete or not."""
    columns = columns_of(trials_of(results.records), measure)
    return [column for column in columns if results.of(column.init, column.fraction)]


def _estimates(results: Results, columns: Iterable[Column]) -> Estimates:
    estimates: Estimates = {}
    for column in columns:
        n_labels = round(float(np.mean([record.n_train for record in results.of(column.init, column.fraction)])))
        # an incomplete column has no interval, yet its runs can be seen
        estimates[column.init, column.fraction] = (n_labels, float(column.counted.mean()), *mean_interval(column)[1:])
    return estimates


def _in_order(rhythms: list[str], confusion: list[list[int]], order: list[str]) -> np.ndarray:
    """Lay a confusion matrix out in another order of its rhythms; those that it lacks get no count."""
    laid = np.zeros((len(order), len(order)), dtype=np.int64)
    places = [order.index(name) for name in rhythms]
    laid[np.ix_(places, places)] = confusion
    return laid
