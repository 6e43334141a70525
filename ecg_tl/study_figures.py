"""Figures 6 and 7: F1 against the number of labels, and F1 of every rhythm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecg_tl.figure_style import (
    MARKER,
    PAGE_INCHES,
    STYLE,
    Weights,
    add_note,
    legend_above,
    look_of,
    markers_of,
    new_figure,
    save,
)
from ecg_tl.trials import in_order, init_label, percent

FEW_RECORDS = 5
"""A rhythm with fewer test records than this is marked: one record moves its F1 by a fifth and more."""


class Estimate(NamedTuple):
    """Mean F1 of one init at one fraction and its 95 % interval; low and high are NaN where there is none."""

    n_labels: int
    mean: float
    low: float
    high: float


def figure6(
    best: Mapping[tuple[str, float], tuple[int, float, float, float]],
    selected: Mapping[tuple[str, float], tuple[int, float, float, float]],
    path: Path,
    weights: Weights | None = None,
    note: str = "",
    no_interval: str = "",
) -> list[Path]:
    """Draw mean F1 against the number of labelled records, one line an init, by both protocols side by side (Figure 6).

    best, selected: an Estimate for each (init, fraction): the best epoch on the test set, the epoch chosen out of bag;
    one of them may be empty and then has no panel. A mean without an interval has NaN bounds and is drawn hollow;
    no_interval: why there is none, for the legend. Inits stand a little apart so that their whiskers can be told.
    weights: per init, the borrowed weights its runs had. path: without ending. Writes path.png and path.svg and returns
    both. ValueError if both are empty, or an estimate is not finite, lies outside its interval or has no label.
    """
    panels = {
        title: {key: Estimate(*estimate) for key, estimate in estimates.items()}
        for title, estimates in (("Best epoch on the test set", best), ("Epoch chosen out of bag", selected))
        if estimates
    }
    drawn = [(key, estimate) for estimates in panels.values() for key, estimate in estimates.items()]
    if not drawn:
        raise ValueError(f"{path}: no mean F1 to draw; train a cell first")
    for key, (n_labels, mean, low, high) in drawn:
        if n_labels < 1 or not np.isfinite(mean) or low > mean or high < mean or np.isfinite(low) != np.isfinite(high):
            raise ValueError(
                f"{path}: {key}: mean {mean:g} in [{low:g}, {high:g}] of {n_labels} labels cannot be drawn; give a "
                "finite mean between its bounds, both NaN without an interval, and 1 label or more"
            )
    inits = in_order(init for (init, _), _ in drawn)
    labels_of: dict[float, set[int]] = {}
    for (_, fraction), estimate in drawn:
        labels_of.setdefault(fraction, set()).add(estimate.n_labels)
    hollow = in_order(init for (init, _), estimate in drawn if np.isnan(estimate.low))
    width = PAGE_INCHES if len(panels) == 2 else PAGE_INCHES * 0.62
    with matplotlib.rc_context(STYLE):
        figure = new_figure(width, 3.2)
        row = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (title, estimates) in zip(row, panels.items(), strict=True):
            axes.set_xscale("log")
            for init, factor in zip(inits, _dodge(len(inits), labels_of), strict=True):
                _draw_estimates(axes, init, {f: e for (i, f), e in estimates.items() if i == init}, factor)
            axes.set(title=title, xlabel="Labelled training records (logarithmic)")
        _label_fractions(row, labels_of, width / len(panels) - 0.4)
        row[0].set_ylim(*_f1_limits([value for _, estimate in drawn for value in estimate[1:]]))
        row[0].set_ylabel("Weighted F1 on the test set")
        handles = _line_legend(inits, weights or {}, any(e.high > e.low for _, e in drawn))
        if hollow:
            why = f"no CI: {no_interval}" if no_interval else "no CI"
            handles.append(markers_of(hollow, **HOLLOW, label=why))
        legend_above(figure, handles)
        add_note(figure, note)
        return save(figure, path)


def figure7(
    f1: Mapping[tuple[str, float], np.ndarray],
    rhythms: Sequence[str],
    support: Sequence[int],
    path: Path,
    weights: Weights | None = None,
    note: str = "",
    protocol: str = "",
) -> list[Path]:
    """Draw the F1 of every rhythm, a panel for each fraction, a bar for each init, a dot for each run (Figure 7).

    f1: (runs, rhythms) for each (init, fraction), NaN where a run has none; support: test records of each rhythm. The
    bar is the mean. Rhythms stand from the most to the least frequent; those of fewer than FEW_RECORDS test records
    bear a dagger on a shaded ground. weights: per init, the borrowed weights its runs had. protocol: which epoch of a
    run is shown, the figure's title. path: without ending. Writes path.png and path.svg and returns both. ValueError if
    there is nothing to draw or the shapes do not match.
    """
    if not f1 or not rhythms or len(rhythms) != len(support):
        raise ValueError(
            f"{path}: F1 of {len(f1)} cells, {len(rhythms)} rhythms and {len(support)} supports cannot be drawn; "
            "give one cell or more, and one support for every rhythm"
        )
    for key, runs in f1.items():
        if np.ndim(runs) != 2 or np.shape(runs)[1] != len(rhythms) or not np.size(runs):
            raise ValueError(f"{path}: F1 of {key} has shape {np.shape(runs)}; give (runs, {len(rhythms)})")
    inits = in_order(init for init, _ in f1)
    fractions = sorted({fraction for _, fraction in f1}, reverse=True)
    order = np.argsort(-np.asarray(support), kind="stable")
    few = [place for place, rhythm in enumerate(order) if support[rhythm] < FEW_RECORDS]
    names = [f"{rhythms[i]}{'†' if support[i] < FEW_RECORDS else ''}" for i in order]
    width = min(PAGE_INCHES, max(3.6, 0.9 + len(rhythms) * max(0.5, 0.16 * len(inits))))
    wide = max(map(len, names)) * 0.075 > (width - 0.6) / len(rhythms)
    lines = [f"{name}{' ' if wide else chr(10)}(n={support[i]:,})" for name, i in zip(names, order, strict=True)]
    below = max(map(len, lines)) * 0.035 if wide else 0.2
    with matplotlib.rc_context(STYLE):
        figure = new_figure(width, 0.75 + below + 1.75 * len(fractions))
        column = figure.subplots(len(fractions), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, fraction in zip(column, fractions, strict=True):
            for place in few:
                axes.axvspan(place - 0.5, place + 0.5, facecolor="0.93", linewidth=0, zorder=0)
            for place, init in enumerate(inits):
                if (init, fraction) in f1:
                    runs = np.asarray(f1[init, fraction], np.float64)[:, order]
                    _draw_bars(axes, runs, init, place - (len(inits) - 1) / 2, 0.8 / len(inits))
            axes.set(title=f"{percent(fraction)} of the training records", ylim=(0, 1), ylabel="F1")
            axes.grid(visible=False, axis="x")
        column[-1].set_xticks(range(len(rhythms)), lines, fontsize=7.5, **(SLANTED if wide else {}))
        column[-1].set_xlabel("Rhythm (n: test records)")
        column[-1].set_xlim(-0.5, len(rhythms) - 0.5)
        n_runs = max(len(runs) for runs in f1.values())
        legend_above(figure, _bar_legend(inits, weights or {}, n_runs > 1, bool(few)), protocol)
        add_note(figure, note)
        return save(figure, path)


SLANTED: Any = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}


def _dodge(n_inits: int, labels_of: Mapping[float, set[int]]) -> np.ndarray:
    """Factors that move the inits along the logarithmic axis: their whiskers can be told, their labels not mistaken."""
    logs = np.sort([np.log10(np.mean(list(labels))) for labels in labels_of.values()])
    if len(logs) == 1:
        spread = 0.12 * (n_inits - 1) / n_inits
    else:
        spread = min(0.3 * np.diff(logs).min(), 0.02 * np.ptp(logs) * (n_inits - 1))
    return 10 ** np.linspace(-spread / 2, spread / 2, n_inits)


def _draw_estimates(axes: Axes, init: str, estimates: Mapping[float, Estimate], factor: float) -> None:
    look = look_of(init)
    if not estimates:
        return
    n_labels, mean, low, high = np.array([estimates[fraction] for fraction in sorted(estimates)], np.float64).T
    place = n_labels * factor
    axes.plot(place, mean, color=look.colour, linestyle=look.line, linewidth=1.1, zorder=2)
    several = np.isfinite(low)
    axes.fill_between(place, low, high, where=several, color=look.colour, alpha=0.1, linewidth=0, zorder=1)
    for shown, style in ((several, MARKER), (~several, HOLLOW)):
        if shown.any():
            axes.plot(place[shown], mean[shown], look.marker, color=look.colour, zorder=3, clip_on=False, **style)
    whiskers = np.stack([mean - low, high - mean])[:, several]
    axes.errorbar(
        place[several],
        mean[several],
        yerr=whiskers,
        fmt="none",
        ecolor=look.colour,
        elinewidth=1.1,
        capsize=3,
        zorder=4,
    )


HOLLOW: Any = {"markersize": 5.5, "markerfacecolor": "white", "markeredgewidth": 1.2, "linestyle": "none"}


def _label_fractions(row: Sequence[Axes], labels_of: Mapping[float, set[int]], width_inches: float) -> None:
    ticks = {round(np.mean(list(labels))): fraction for fraction, labels in sorted(labels_of.items())}
    texts = []
    for n_labels, fraction in ticks.items():
        about = "≈" if len(labels_of[fraction]) > 1 else ""
        texts.append((f"{about}{n_labels:,}", percent(fraction)))
    logs = np.log10(list(ticks))
    margin = max(0.08, 0.12 * float(np.ptp(logs)))
    left, right = min(logs) - margin, max(logs) + margin
    room = min(np.diff(np.sort(logs)), default=right - left) / (right - left) * width_inches
    crowded = room < 0.04 + 0.065 * max(len(line) for text in texts for line in text)
    row[0].set_xlim(10**left, 10**right)
    for axes in row:
        if crowded:
            axes.set_xticks(list(ticks), [f"{labels} ({share})" for labels, share in texts], rotation=90)
        else:
            axes.set_xticks(list(ticks), ["\n".join(text) for text in texts])
        axes.minorticks_off()


def _f1_limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = max(0.02, 0.06 * (high - low), (0.1 - (high - low)) / 2)
    return max(0.0, low - margin), min(1.0, high + margin)


def _line_legend(inits: Sequence[str], weights: Weights, whiskers: bool) -> list[Any]:
    handles: list[Any] = []
    for init in inits:
        look = look_of(init)
        label = init_label(init, weights.get(init, ()))
        handles.append(
            Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker, label=label, **MARKER)
        )
    if whiskers:
        tick: Any = {"marker": "|", "markersize": 9, "linestyle": "none"}
        handles.append(Line2D([], [], color="0.3", label="95 % CI of the mean", **tick))
    return handles


def _draw_bars(axes: Axes, runs: np.ndarray, init: str, place: float, width: float) -> None:
    look = look_of(init)
    centres = np.arange(runs.shape[1]) + place * width
    known = np.isfinite(runs)
    some = known.any(axis=0)
    mean = np.where(known, runs, 0).sum(axis=0)[some] / known.sum(axis=0)[some]
    axes.bar(
        centres[some], mean, width, color=look.colour, hatch=look.hatch, edgecolor="white", linewidth=0.5, zorder=2
    )
    if len(runs) > 1:
        spread = np.linspace(-0.25, 0.25, len(runs))[:, None] * width
        size = 2.4 if len(runs) <= 12 else 1.5
        axes.plot((centres + spread)[known], runs[known], markersize=size, zorder=3, **DOT)


DOT: Any = {
    "marker": "o",
    "markerfacecolor": "black",
    "markeredgecolor": "white",
    "markeredgewidth": 0.35,
    "linestyle": "none",
    "clip_on": False,
}


def _bar_legend(inits: Sequence[str], weights: Weights, dots: bool, few: bool) -> list[Any]:
    handles: list[Any] = []
    for init in inits:
        look = look_of(init)
        label = init_label(init, weights.get(init, ()))
        handles.append(Patch(facecolor=look.colour, hatch=look.hatch, edgecolor="white", label=label))
    if dots:
        handles.append(Line2D([], [], label="one run (bar: mean)", markersize=2.4, **DOT))
    if few:
        handles.append(Patch(facecolor="0.9", linewidth=0, label=f"† fewer than {FEW_RECORDS} test records"))
    return handles
