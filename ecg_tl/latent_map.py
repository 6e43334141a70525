"""Figure 9: where an encoder puts the rhythms, on the two axes along which its features differ most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.lines import Line2D

from ecg_tl.figure_style import RHYTHM_COLOURS, STYLE, add_note, new_figure, save

_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
"""A rhythm's colour and marker go together; beyond seven rhythms they come again hollow, then half filled."""


def pca(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project features on the two directions of greatest variance, by singular value decomposition.

    features: (N, D). Returns scores (N, 2), centred, and the share of the variance that each explains, (2,). The
    largest weight of either direction is positive, so that a map does not flip from one run to the next. ValueError if
    there are fewer than two rows or columns, values that are not finite, or rows that are all the same.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or min(features.shape) < 2:
        raise ValueError(f"features: shape {features.shape} has no two directions; give (N, D), both 2 or more")
    if not np.isfinite(features).all():
        raise ValueError("features: NaN or infinite values; leave these rows out")
    centred = features - features.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    variance = singular**2
    if singular[0] <= np.finfo(np.float64).eps * max(features.shape) * np.abs(features).max():
        raise ValueError(f"features: all {len(features)} rows are the same; give the features of different windows")
    largest = np.abs(right[:2]).argmax(axis=1)
    signs = np.sign(right[[0, 1], largest])
    return left[:, :2] * singular[:2] * signs, variance[:2] / variance.sum()


def thin_out(rhythm: np.ndarray, n_max: int, generator: np.random.Generator) -> np.ndarray:
    """Choose about n_max rows so that every rhythm keeps its share, and at least one row.

    rhythm: (N,) index of each row's rhythm. Returns row numbers, rising; all of them where N is n_max or less.
    """
    if len(rhythm) <= n_max:
        return np.arange(len(rhythm))
    kept = []
    for index in np.unique(rhythm):
        rows = np.flatnonzero(rhythm == index)
        kept.append(generator.choice(rows, max(1, len(rows) * n_max // len(rhythm)), replace=False))
    return np.sort(np.concatenate(kept))


def figure9(
    features: np.ndarray,
    rhythm: np.ndarray,
    rhythms: Sequence[str],
    path: Path,
    generator: np.random.Generator,
    n_max: int = 2000,
    note: str = "",
) -> list[Path]:
    """Draw an encoder's features on their first two principal components, by rhythm (Figure 9).

    features: (N, D); rhythm: (N,) index into rhythms. The components come from all N rows, at most about n_max are
    drawn, and the rarest rhythm comes last, so that none covers it. path: without ending. Writes path.png and path.svg
    and returns both. ValueError if lengths or indices do not match, or there are no components.
    """
    rhythm = np.asarray(rhythm)
    if rhythm.ndim != 1 or len(rhythm) != len(features) or not np.isin(rhythm, np.arange(len(rhythms))).all():
        raise ValueError(
            f"{path}: features {np.shape(features)}, rhythm {rhythm.shape} and {len(rhythms)} rhythm names do not "
            "match; give every row an index of a name"
        )
    try:
        scores, explained = pca(features)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    counts = np.bincount(rhythm, minlength=len(rhythms))
    rows = thin_out(rhythm, n_max, generator)
    handles = []
    with matplotlib.rc_context(STYLE):
        figure = new_figure(6.0, 4.4)
        axes = figure.subplots()
        for index in sorted(np.flatnonzero(counts).tolist(), key=lambda i: (-counts[i], i)):
            shown = rows[rhythm[rows] == index]
            size = 6.5 if len(shown) < 20 else 4.2
            axes.plot(scores[shown, 0], scores[shown, 1], markersize=size, **_look(index))
            label = f"{rhythms[index]} (n={counts[index]:,})"
            handles.append(Line2D([], [], markersize=6, label=label, **_look(index)))
        axes.set_aspect("equal", adjustable="datalim")
        axes.locator_params(nbins=8)
        for axis, share, name in zip((axes.xaxis, axes.yaxis), explained, ("first", "second"), strict=True):
            axis.set_label_text(f"{name.capitalize()} principal component ({share * 100:.1f} % of the variance)")
        title = (
            f"{len(rows):,} of {len(rhythm):,} records drawn" if len(rows) < len(rhythm) else f"{len(rows):,} records"
        )
        figure.legend(
            handles=handles,
            loc="outside right upper",
            title=title,
            title_fontsize=8,
            alignment="left",
            handlelength=1.5,
        )
        add_note(figure, note)
        return save(figure, path)


def _look(index: int) -> dict[str, Any]:
    turn, place = divmod(index, len(RHYTHM_COLOURS))
    colour = RHYTHM_COLOURS[place]
    look: dict[str, Any] = {"color": colour, "marker": _MARKERS[place], "linestyle": "none"}
    return (
        look
        | (
            {"markeredgecolor": "white", "markeredgewidth": 0.4},
            {"markerfacecolor": "white", "markeredgewidth": 0.9},
            {"fillstyle": "left", "markerfacecoloralt": "white", "markeredgewidth": 0.9},
        )[turn % 3]
    )
