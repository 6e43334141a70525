"""What all figures share: one style sheet, one look an init, the canvas, the legend, the note and the files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from ecg_tl.records import write_whole

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "figure.titlesize": 9.5,
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
    "legend.title_fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "hatch.linewidth": 0.6,
    "mathtext.fontset": "dejavusans",
    "savefig.dpi": 200,
    "svg.hashsalt": "ecg_tl",
}

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, YELLOW, BLACK = "#56B4E9", "#E69F00", "#F0E442", "#000000"
"""Okabe and Ito's colours, told apart by the colour-blind."""

RHYTHM_COLOURS = (SKY, ORANGE, GREEN, VERMILLION, BLUE, PURPLE, BLACK)
"""A rhythm's colour by its place among the rhythms, from the first again after the last."""

MARKER: Any = {"markersize": 6, "markeredgecolor": "white", "markeredgewidth": 0.7}

PAGE_INCHES = 7.2
"""Width of a figure that spans both columns of a journal's page."""


Weights = Mapping[str, Iterable[str | None]]
"""Per init, the borrowed weights that its runs had: a legend says so where they were random."""


class Look(NamedTuple):
    """How an init is drawn. Colour, dash, marker and hatch each tell it from any other, so grey print does too."""

    colour: str
    line: Any
    marker: str
    hatch: str


LOOKS = {
    "random": Look(VERMILLION, (0, (4, 1.5)), "s", "////"),
    "image": Look(GREEN, (0, (1, 1.2)), "^", "...."),
    "transfer": Look(BLUE, "solid", "o", ""),
    "frozen": Look(SKY, (0, (6, 1.2, 1, 1.2)), "D", "\\\\\\\\"),
    "frozen_random": Look(ORANGE, (0, (6, 1.2, 1, 1.2, 1, 1.2)), "v", "xxxx"),
}
OTHER_LOOK = Look(PURPLE, (0, (2, 3)), "P", "----")


def look_of(init: str) -> Look:
    """Look up how an init is drawn; one that the study does not know gets the look of all others."""
    return LOOKS.get(init, OTHER_LOOK)


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Make an empty figure that belongs to no window and lays itself out when saved."""
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def grid_shape(n_panels: int, widest: int = 3) -> tuple[int, int]:
    """Set panels out in (rows, columns) of at most `widest`, with as few empty places as that allows."""
    rows = -(-n_panels // widest)
    return rows, -(-n_panels // rows)


def legend_above(figure: Figure, handles: Sequence[Any], title: str = "") -> None:
    """Put one legend over the panels, in as many columns as fit; a further row and a title make the figure higher.

    Handles in a tuple stand side by side under one label, that of the first.
    """
    renderer: Any = FigureCanvasAgg(figure).get_renderer()
    labels = [(handle[0] if isinstance(handle, tuple) else handle).get_label() for handle in handles]
    side_by_side = {tuple: HandlerTuple(ndivide=None, pad=0)}
    place: Any = {"loc": "outside upper center", "handler_map": side_by_side, "title": title or None}
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(list(handles), labels, ncols=columns, **place)
        box = legend.get_window_extent(renderer)
        if columns == 1 or box.width <= figure.bbox.width:
            rows = -(-len(handles) // columns) + bool(title)
            figure.set_figheight(figure.get_figheight() + box.height / figure.dpi * (1 - 1 / rows))
            return
        legend.remove()


def markers_of(inits: Iterable[str], **style: Any) -> tuple[Line2D, ...]:
    """Give `legend_above` the markers of these inits, for one entry that speaks of all of them."""
    return tuple(Line2D([], [], color=look.colour, marker=look.marker, **style) for look in map(look_of, inits))


def add_note(figure: Figure, note: str) -> None:
    """Print a note small in the lower right corner, where there is one."""
    if note:
        figure.supxlabel(note, x=0.995, ha="right", fontsize=7, color="0.35")


def save(figure: Figure, path: Path) -> list[Path]:
    """Write path.png and path.svg, each whole or not at all; the same figure gives the same bytes."""
    written = []
    for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=ending, metadata=metadata)
        written.append(write_whole(path.with_name(f"{path.name}.{ending}"), buffer.getvalue()))
    return written
