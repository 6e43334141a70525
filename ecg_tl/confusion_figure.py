"""Figure 8: which rhythms a study's networks take for which others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ecg_tl.figure_style import PAGE_INCHES, STYLE, Weights, add_note, grid_shape, new_figure, save
from ecg_tl.trials import in_order, init_label, percent

BAR_GAP_INCHES = 0.17
"""Room between the colour bar and what stands below it."""

BOXED: Any = {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}


def figure8(
    confusion: Mapping[str, np.ndarray],
    rhythms: Sequence[str],
    fraction: float,
    path: Path,
    weights: Weights | None = None,
    note: str = "",
    protocol: str = "",
) -> list[Path]:
    """Draw who is taken for whom at one fraction, a panel for each init (Figure 8).

    confusion: counts (runs, rhythms, rhythms) for each init, rows true, columns predicted. They are summed over the
    runs; colour and text are shares of a row in per cent, with the count below where there is room. A row of no record
    stays empty. weights: per init, the borrowed weights its runs had. protocol: which epoch of a run is shown, for the
    title. path: without ending. Writes path.png and path.svg and returns both. ValueError if there is nothing to draw
    or a shape does not match.
    """
    n = len(rhythms)
    if not confusion or not n:
        raise ValueError(f"{path}: {len(confusion)} confusions of {n} rhythms cannot be drawn; train a cell first")
    for init, counts in confusion.items():
        if np.ndim(counts) != 3 or np.shape(counts)[1:] != (n, n) or not np.size(counts):
            raise ValueError(f"{path}: confusion of {init} has shape {np.shape(counts)}; give (runs, {n}, {n})")
    inits = in_order(confusion)
    rows, columns = grid_shape(len(inits))
    longest = max(map(len, rhythms)) * 0.066
    panel = min(2.7, max(1.5, 0.42 * n), (PAGE_INCHES - 0.45 - longest) / columns - 0.12)
    upright = longest < panel / n
    with matplotlib.rc_context(STYLE | BOXED):
        width = max(3.4, 0.45 + longest + columns * (panel + 0.12))
        figure = new_figure(width, 2 + rows * (panel + longest + 1))
        engine: Any = figure.get_layout_engine()
        engine.set(h_pad=0.07)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(inits) :]:
            axes.set_visible(False)
        for axes, init in zip(grid.flat, inits, strict=False):
            image = _draw_confusion(axes, np.asarray(confusion[init]).sum(axis=0), panel / n)
            axes.set(title=init_label(init, (weights or {}).get(init, ())), xlabel="Predicted rhythm")
            axes.tick_params(labelbottom=True, length=0, labelsize=7)
            axes.tick_params(axis="x", labelrotation=0 if upright else 90)
        grid[0, 0].set_xticks(range(n), rhythms)
        grid[0, 0].set_yticks(range(n), rhythms)
        for axes in grid[:, 0]:
            axes.set_ylabel("True rhythm")
        trained = f"Trained on {percent(fraction)} of the training records"
        figure.suptitle(f"{protocol}\n{trained}" if protocol else trained)
        side = (width - 0.45 - longest) / columns - 0.12
        height = rows * side + (rows - 1) * (0.6 + (0 if upright else longest))
        bar = figure.colorbar(image, ax=grid, location="top", shrink=0.6, aspect=40, pad=BAR_GAP_INCHES / height)
        bar.set_label("Share of the true rhythm's records (%)", labelpad=7)
        add_note(figure, note)
        _square(figure, grid[0, 0], rows)
        return save(figure, path)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Divide every row of a confusion matrix by its sum: (n, n) counts to shares, NaN in a row of no record."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def _draw_confusion(axes: Axes, counts: np.ndarray, cell_inches: float) -> Any:
    shares = row_shares(counts)
    image = axes.imshow(shares * 100, cmap="Blues", norm=Normalize(0, 100), aspect="auto")
    roomy = cell_inches >= 0.33
    longest = len(f"({counts.max():,})") if roomy else 3
    size = min(7.5, cell_inches * 72 * min(0.47, 1.45 / longest))
    for (true, predicted), share in np.ndenumerate(shares):
        if share > 0:
            text = f"{share * 100:.0f}" if share > 0.005 else "<1"
            if roomy:
                text += f"\n({counts[true, predicted]:,})"
            colour = "white" if share > 0.62 else "black"
            place: Any = {"ha": "center", "va": "center", "in_layout": False}
            axes.text(predicted, true, text, fontsize=size, color=colour, **place)
    return image


def _square(figure: Figure, panel: Axes, n_rows: int) -> None:
    """Set the figure's height so that its panels are as high as its width lets them be wide."""
    engine: Any = figure.get_layout_engine()
    for _ in range(2):
        engine.execute(figure)
        size = panel.get_position().size * figure.get_size_inches()
        figure.set_figheight(figure.get_figheight() + n_rows * (size[0] - size[1]))
