"""The paper's figures 3, 4 and 5, drawn the same way each time: PNG to look at, SVG to print."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecg_tl.learning_curve import changes, learning_curve_index
from ecg_tl.records import Cell, write_whole
from ecg_tl.trials import in_order, init_label, percent

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "mathtext.fontset": "dejavusans",
    "savefig.dpi": 200,
    "svg.hashsalt": "ecg_tl",
}

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
"""Okabe and Ito's colours, told apart by the colour-blind."""

_LINES: dict[str, tuple[str, Any]] = {
    "random": (ORANGE, (0, (4, 1.5))),
    "image": (GREEN, (0, (1, 1.2))),
    "transfer": (BLUE, "solid"),
}
_OTHER_LINE: tuple[str, Any] = (PURPLE, (0, (5, 1.5, 1, 1.5)))


def figure3(path: Path, note: str = "") -> list[Path]:
    """Show what the LCI rewards: two made-up curves with one best F1, steady and erratic (Figure 3).

    path: without ending. Writes path.png and path.svg and returns both.
    """
    with matplotlib.rc_context(STYLE):
        figure = _figure(7.0, 2.9)
        axes, words = figure.subplots(1, 2, width_ratios=(1.65, 1))
        told = []
        for name, f1, (colour, line) in zip(
            ("steady", "erratic"), example_curves(), (_LINES["transfer"], _LINES["random"]), strict=True
        ):
            rises, falls = changes(f1)
            lci = learning_curve_index(f1).value
            told.append((name, colour, f"{rises.mean():.3f}", f"{falls.mean():.3f}", f"{f1.max():.2f}", f"{lci:.2f}"))
            epochs = np.arange(1, len(f1) + 1)
            axes.plot(epochs, f1, color=colour, linestyle=line, label=f"{name}: LCI {lci:.2f}")
            _mark_best(axes, epochs, f1, colour)
        axes.plot([], [], color="0.2", marker="x", linestyle="none", label="best epoch of both")
        axes.set(xlabel="Epoch", ylabel="Weighted F1 on the test set", ylim=(0, 1), xlim=(0, len(epochs)))
        axes.set_title("Two made-up learning curves")
        axes.legend(loc="lower right")
        _explain_index(words, told)
        _add_note(figure, note)
        return _save(figure, path)


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
        figure = _figure(7.0, 0.55 + 1.35 * n)
        rows = figure.subplots(n, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, was, became in zip(rows, original, reconstruction, strict=True):
            axes.plot(time_s, was, color="0.25", linewidth=0.9, label="original")
            axes.plot(time_s, became, color=ORANGE, linewidth=1.1, linestyle=(0, (3, 1)), label="reconstructed")
            sse = np.sum((was - became) ** 2)
            axes.set_title(f"SSE {sse:.0f} ({sse / n_samples:.3f} per sample)", loc="right")
            axes.set_xlim(0, n_samples / rate_hz)
        rows[-1].set_xlabel("Time (s)")
        figure.supylabel("Normalised amplitude (SD)", fontsize=8.5)
        figure.legend(*rows[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        _add_note(figure, note)
        return _save(figure, path)


def figure5(
    curves: Mapping[Cell, np.ndarray],
    path: Path,
    weights: Mapping[str, Iterable[str | None]] | None = None,
    note: str = "",
) -> list[Path]:
    """Draw the learning curves, a panel for each fraction and a line for each init (Figure 5).

    curves: test F1 (epochs,) of each (init, fraction, seed). The line is the lowest seed of the init at that
    fraction, since a mean would hide its sudden drops, and a cross marks its best epoch; the band spans all
    seeds. weights: per init, the borrowed weights its runs had, said in the legend where random. path:
    without ending. Writes path.png and path.svg and returns both. ValueError if there is no curve.
    """
    if not curves:
        raise ValueError(f"{path}: no learning curve to draw; train a cell first")
    fractions = sorted({fraction for _, fraction, _ in curves}, reverse=True)
    inits = in_order(init for init, _, _ in curves)
    with matplotlib.rc_context(STYLE):
        figure = _figure(max(2.35 * len(fractions), 4.0), 3.1)
        panels = figure.subplots(1, len(fractions), sharex=True, sharey=True, squeeze=False)[0]
        for axes, fraction in zip(panels, fractions, strict=True):
            for init in inits:
                of_init = {seed: f1 for (i, f, seed), f1 in sorted(curves.items()) if (i, f) == (init, fraction)}
                if of_init:
                    _draw_init(axes, list(of_init.values()), *_LINES.get(init, _OTHER_LINE))
            axes.set(title=f"{percent(fraction)} of the training records", xlabel="Epoch", ylim=(0, 1))
        panels[0].set_ylabel("Weighted F1 on the test set")
        panels[0].set_xlim(0, max(2, *(len(f1) for f1 in curves.values())))
        figure.legend(handles=_legend(inits, weights or {}, curves), loc="outside upper center", ncols=3)
        _add_note(figure, note)
        return _save(figure, path)


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


def _draw_init(axes: Axes, f1_of_seeds: list[np.ndarray], colour: str, line: Any) -> None:
    n_epochs = max(len(f1) for f1 in f1_of_seeds)
    grid = np.full((len(f1_of_seeds), n_epochs), np.nan)
    for row, f1 in zip(grid, f1_of_seeds, strict=True):
        row[: len(f1)] = f1
    epochs = np.arange(1, n_epochs + 1)
    if len(grid) > 1:
        low, high = np.fmin.reduce(grid), np.fmax.reduce(grid)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0, zorder=1)
    axes.plot(epochs, grid[0], color=colour, linestyle=line, linewidth=1.2, zorder=3)
    _mark_best(axes, epochs, grid[0], colour)


def _mark_best(axes: Axes, epochs: np.ndarray, f1: np.ndarray, colour: str) -> None:
    if np.isfinite(f1).any():
        best = int(np.nanargmax(f1))
        for width, shade in ((3.2, "white"), (1.7, colour)):
            axes.plot(
                epochs[best],
                f1[best],
                marker="x",
                markersize=7 + (width > 2),
                markeredgewidth=width,
                color=shade,
                zorder=4,
                clip_on=False,
            )


def _legend(
    inits: list[str], weights: Mapping[str, Iterable[str | None]], curves: Mapping[Cell, np.ndarray]
) -> list[Any]:
    handles: list[Any] = []
    for init in inits:
        colour, line = _LINES.get(init, _OTHER_LINE)
        label = init_label(init, weights.get(init, ()))
        handles.append(Line2D([], [], color=colour, linestyle=line, label=label))
    handles.append(Line2D([], [], color="0.2", marker="x", linestyle="none", label="best epoch of the line"))
    if len({seed for _, _, seed in curves}) > 1:
        label = "range over the seeds (line: the lowest)"
        handles.append(Patch(color="0.5", alpha=0.3, linewidth=0, label=label))
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


def _figure(width_inches: float, height_inches: float) -> Figure:
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _add_note(figure: Figure, note: str) -> None:
    if note:
        figure.supxlabel(note, x=0.995, ha="right", fontsize=7, color="0.35")


def _save(figure: Figure, path: Path) -> list[Path]:
    """Write path.png and path.svg, each whole or not at all; the same figure gives the same bytes."""
    written = []
    for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=ending, metadata=metadata)
        written.append(write_whole(path.with_name(f"{path.name}.{ending}"), buffer.getvalue()))
    return written
