"""The paper's figures 3, 4 and 5: what the LCI rewards, reconstructions, learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecg_tl.figure_style import (
    MARKER,
    PAGE_INCHES,
    STYLE,
    VERMILLION,
    Look,
    add_note,
    grid_shape,
    legend_above,
    look_of,
    markers_of,
    new_figure,
    save,
)
from ecg_tl.learning_curve import changes, learning_curve_index
from ecg_tl.records import Cell
from ecg_tl.trials import in_order, init_label, percent

CROSS: Any = {"color": "0.2", "marker": "x", "markersize": 7, "markeredgewidth": 1.7, "linestyle": "none"}


def figure3(path: Path, note: str = "") -> list[Path]:
    """Show what the LCI rewards: two made-up curves with one best F1, steady and erratic (Figure 3).

    path: without ending. Writes path.png and path.svg and returns both.
    """
    with matplotlib.rc_context(STYLE):
        figure = new_figure(PAGE_INCHES, 2.9)
        axes, words = figure.subplots(1, 2, width_ratios=(1.65, 1))
        told = []
        for name, f1, init in zip(("steady", "erratic"), example_curves(), ("transfer", "random"), strict=True):
            look = look_of(init)
            rises, falls = changes(f1)
            lci = learning_curve_index(f1).value
            told.append(
                (name, look.colour, f"{rises.mean():.3f}", f"{falls.mean():.3f}", f"{f1.max():.2f}", f"{lci:.2f}")
            )
            epochs = np.arange(1, len(f1) + 1)
            axes.plot(epochs, f1, **_line(look), label=f"{name}: LCI {lci:.2f}")
            axes.plot(epochs[f1.argmax()], f1.max(), **CROSS, zorder=4)
        axes.plot([], [], **CROSS, label="best epoch of both")
        axes.set(xlabel="Epoch", ylabel="Weighted F1 on the test set", ylim=(0, 1), xlim=(0, len(epochs)))
        axes.set_title("Two made-up learning curves")
        axes.legend(loc="lower right")
        _explain_index(words, told)
        add_note(figure, note)
        return save(figure, path)


def figure4(original: np.ndarray, reconstruction: np.ndarray, rate_hz: float, path: Path, note: str = "") -> list[Path]:
    """Lay reconstructed windows over the originals, one row a window (Figure 4).

    original, reconstruction: (n, L) normalised to zero mean and unit variance; rate_hz: samples a second;
    path: without ending. Each title gives the squared error summed over the L samples. Writes path.png and
    path.svg and returns both. ValueError if the shapes differ.
    """
    original, reconstruction = np.asarray(original, np.float64), np.asarray(reconstruction, np.float64)
    if original.ndim != 2 or original.shape != reconstruction.shape or not original.size:
        raise ValueError(
            f"{path}: original {original.shape} and reconstruction {reconstruction.shape} are not the same "
            "(n, L); give one reconstruction for every window"
        )
    n, n_samples = original.shape
    time_s = np.arange(n_samples) / rate_hz
    with matplotlib.rc_context(STYLE):
        figure = new_figure(PAGE_INCHES, 0.55 + 1.35 * n)
        rows = figure.subplots(n, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, was, became in zip(rows, original, reconstruction, strict=True):
            axes.plot(time_s, was, color="0.25", linewidth=0.9, label="original")
            axes.plot(time_s, became, color=VERMILLION, linewidth=1.1, linestyle=(0, (3, 1)), label="reconstructed")
            sse = np.sum((was - became) ** 2)
            axes.set_title(f"SSE {sse:.0f} ({sse / n_samples:.3f} per sample)", loc="right")
            axes.set_xlim(0, n_samples / rate_hz)
        rows[-1].set_xlabel("Time (s)")
        figure.supylabel("Normalised amplitude (SD)", fontsize=8.5)
        figure.legend(*rows[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        add_note(figure, note)
        return save(figure, path)


def figure5(
    curves: Mapping[Cell, np.ndarray],
    path: Path,
    weights: Mapping[str, Iterable[str | None]] | None = None,
    note: str = "",
) -> list[Path]:
    """Draw the learning curves, a panel for each fraction and a line for each init (Figure 5).

    curves: test F1 (epochs,) of each cell. The line is the lowest split and seed of the init at that fraction, since
    a mean would hide its sudden drops, and a marker shows its best epoch; the band spans all its runs. weights:
    per init, the borrowed weights its runs had, said in the legend where random. path: without ending. Writes
    path.png and path.svg and returns both. ValueError if there is no curve, or one of no epoch.
    """
    if not curves:
        raise ValueError(f"{path}: no learning curve to draw; train a cell first")
    if empty := [cell for cell, f1 in curves.items() if np.ndim(f1) != 1 or not np.size(f1)]:
        raise ValueError(f"{path}: the curve of {empty[0]} has no epoch; give test F1 once per epoch, (epochs,)")
    fractions = sorted({cell.fraction for cell in curves}, reverse=True)
    inits = in_order(cell.init for cell in curves)
    rows, columns = grid_shape(len(fractions))
    with matplotlib.rc_context(STYLE):
        figure = new_figure((4.4, 6.2, PAGE_INCHES)[columns - 1], 0.8 + 2.3 * rows)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(fractions) :]:
            axes.set_visible(False)
        for place, (axes, fraction) in enumerate(zip(grid.flat, fractions, strict=False)):
            for init in inits:
                runs = [curves[cell] for cell in sorted(curves, key=_run) if cell[:2] == (init, fraction)]
                if runs:
                    _draw_init(axes, runs, look_of(init))
            axes.set(title=f"{percent(fraction)} of the training records", ylim=(0, 1))
            axes.tick_params(labelbottom=True)
            if place + columns >= len(fractions):
                axes.set_xlabel("Epoch")
        grid[0, 0].xaxis.get_major_locator().set_params(integer=True)
        grid[0, 0].set_xlim(0, max(2, *(len(f1) for f1 in curves.values())))
        figure.supylabel("Weighted F1 on the test set", fontsize=8.5)
        legend_above(figure, _legend(inits, weights or {}, curves))
        add_note(figure, note)
        return save(figure, path)


def example_curves(n_epochs: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Make the curves of figure 3, (n_epochs,) each: one steady, one of the same best that keeps falling."""
    epoch = np.arange(n_epochs)
    climb = 1 - np.exp(-epoch / 14)
    steady = climb + 0.012 * np.sin(1.9 * epoch)
    drop = np.zeros(n_epochs)
    for start, depth in ((6, 0.25), (15, 0.45), (23, 0.2), (31, 0.5), (44, 0.3), (52, 0.55), (66, 0.4)):
        since = epoch - start
        drop += np.where(since >= 0, depth * np.exp(-since / 4), 0)
    erratic = climb - drop + 0.012 * np.sin(2.3 * epoch)
    return _scaled(steady), _scaled(erratic)


def _scaled(curve: np.ndarray) -> np.ndarray:
    return 0.08 + 0.77 * curve / curve.max()


def _run(cell: Cell) -> tuple[int, int]:
    return cell.split_seed, cell.seed


def _line(look: Look) -> dict[str, Any]:
    return {"color": look.colour, "linestyle": look.line}


def _draw_init(axes: Axes, runs: list[np.ndarray], look: Look) -> None:
    n_epochs = max(len(f1) for f1 in runs)
    grid = np.full((len(runs), n_epochs), np.nan)
    for row, f1 in zip(grid, runs, strict=True):
        row[: len(f1)] = f1
    epochs = np.arange(1, n_epochs + 1)
    if len(grid) > 1:
        low, high = np.fmin.reduce(grid), np.fmax.reduce(grid)
        axes.fill_between(epochs, low, high, color=look.colour, alpha=0.15, linewidth=0, zorder=1)
    axes.plot(epochs, grid[0], **_line(look), linewidth=1.2, zorder=3)
    _mark_best(axes, epochs, grid[0], look)


def _mark_best(axes: Axes, epochs: np.ndarray, f1: np.ndarray, look: Look) -> None:
    if np.isfinite(f1).any():
        best = int(np.nanargmax(f1))
        axes.plot(epochs[best], f1[best], look.marker, color=look.colour, **MARKER, zorder=4, clip_on=False)


def _legend(
    inits: list[str], weights: Mapping[str, Iterable[str | None]], curves: Mapping[Cell, np.ndarray]
) -> list[Any]:
    handles: list[Any] = [
        Line2D([], [], **_line(look_of(init)), marker=look_of(init).marker, **MARKER, label=label)
        for init in inits
        for label in [init_label(init, weights.get(init, ()))]
    ]
    best: Any = MARKER | {"markersize": 5, "linestyle": "none", "label": "best epoch of the line"}
    handles.append(markers_of(inits, **best))
    if len({_run(cell) for cell in curves}) > 1:
        handles.append(Patch(color="0.5", alpha=0.3, linewidth=0, label="range over the runs (line: lowest seed)"))
    return handles


def _explain_index(axes: Axes, told: Sequence[tuple[str, ...]]) -> None:
    axes.set_axis_off()
    ratio = r"\dfrac{\mathrm{mean\ rise}}{\mathrm{mean\ fall} + \varepsilon}"
    formula = rf"$\mathrm{{LCI}} = {ratio} \times \mathrm{{best\ F1}}$"
    axes.text(0.5, 0.86, formula, ha="center", va="center", fontsize=10.5, transform=axes.transAxes)
    for x, (name, colour, *_) in zip((0.62, 0.92), told, strict=True):
        axes.text(x, 0.58, name, color=colour, weight="bold", ha="right", transform=axes.transAxes)
    for row, label in enumerate(("mean rise", "mean fall", "best F1", "LCI")):
        y = 0.46 - 0.12 * row
        axes.text(0.02, y, label, transform=axes.transAxes)
        for x, values in zip((0.62, 0.92), told, strict=True):
            axes.text(x, y, values[2 + row], ha="right", transform=axes.transAxes)
