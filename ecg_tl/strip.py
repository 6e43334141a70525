"""A strip figure: what rhythm a recording was taken for, from its beginning to its end, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from ecg_tl.figure_style import PAGE_INCHES, RHYTHM_COLOURS, STYLE, add_note, new_figure, save
from ecg_tl.waveform import RATE_HZ, WINDOW

MAX_RECORDS = 12
"""More recordings than this are no figure that one can read."""

HAIR = 1e-3
"""The part of the time axis that a probability takes at least: what is shorter than a pixel may not be drawn at all."""

UNUSABLE = "unusable"


@dataclass
class Timeline:
    """Windows of one recording: start_s, the index of their rhythm, None where unusable, and its
    probability, NaN there."""

    start_s: list[float] = field(default_factory=list)
    rhythm: list[int | None] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)


def strip_figure(
    timelines: Mapping[str, Timeline], rhythms: Sequence[str], step_s: float, path: Path, note: str = ""
) -> list[Path]:
    """Draw for each recording a row a rhythm, with a bar where it was found, and below the probability of what was.

    timelines: by the recording's name. step_s: seconds from one window to the next. A bar is as long, but no longer
    than a window: what lies between windows was not looked at and stays empty, and the time axis says so. Rhythms that
    occur nowhere have no row. path: without ending. Writes path.png and path.svg and returns both. ValueError if there
    is no recording, or more than MAX_RECORDS.
    """
    if not 0 < len(timelines) <= MAX_RECORDS:
        raise ValueError(f"figure: {len(timelines)} recordings, and a figure shows 1 to {MAX_RECORDS}; name fewer")
    found = {rhythm for line in timelines.values() for rhythm in line.rhythm}
    rows: list[int | None] = [index for index in range(len(rhythms)) if index in found]
    rows += [None] if None in found else []
    shown_s = min(step_s, WINDOW / RATE_HZ)
    apart = f"; {shown_s:g} s looked at every {step_s:g} s" if shown_s < step_s else ""
    with matplotlib.rc_context(STYLE):
        heights = [0.5 + 0.17 * len(rows), 0.6] * len(timelines)
        figure = new_figure(PAGE_INCHES, sum(heights) + 0.25 * len(timelines) + 0.4)
        panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for number, (record, line) in enumerate(timelines.items()):
            strip, probability = panels[2 * number : 2 * number + 2]
            unit_s, unit = _unit_of_time(max(line.start_s) + shown_s)
            starts, width = np.array(line.start_s) / unit_s, shown_s / unit_s
            _draw_strip(strip, line, rows, rhythms, starts, width)
            strip.set_title(record, loc="left")
            seen = max(width, HAIR * (starts.max() + width))
            probability.hlines(line.probability, starts, starts + seen, color="0.25", linewidth=1.2)
            probability.set_ylim(0, 1.05)
            probability.set_yticks((0, 0.5, 1))
            probability.set_ylabel("probability")
            probability.set_xlabel(f"time ({unit}{apart})")
            for axes in (strip, probability):
                axes.set_xlim(0, starts.max() + width)
        add_note(figure, note)
        return save(figure, path)


def _unit_of_time(seconds: float) -> tuple[float, str]:
    if seconds > 3 * 3600:
        return 3600.0, "h"
    return (60.0, "min") if seconds > 180 else (1.0, "s")


def _draw_strip(
    axes: Axes, line: Timeline, rows: Sequence[int | None], rhythms: Sequence[str], starts: np.ndarray, width: float
) -> None:
    for place, row in enumerate(rows):
        spans = [(start, width) for start, rhythm in zip(starts, line.rhythm, strict=True) if rhythm == row]
        colour = "0.6" if row is None else RHYTHM_COLOURS[row % len(RHYTHM_COLOURS)]
        axes.broken_barh(spans, (place - 0.4, 0.8), facecolor=colour, edgecolor=colour, linewidth=0.3)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [UNUSABLE if row is None else rhythms[row] for row in rows])
    axes.tick_params(labelbottom=False)
