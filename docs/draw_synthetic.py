"""Draw one simulated ten-second strip of each rhythm on ECG paper: python docs/draw_synthetic.py."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ecg_tl.sources.heart import draw_heart
from ecg_tl.sources.rhythms import lead_ii
from ecg_tl.sources.shaoxing import RHYTHM_NAMES
from ecg_tl.sources.synthetic import PEOPLE, digitise, noise

SEEDS = {
    "SB": 2,
    "SR": 1,
    "AFIB": 2,
    "ST": 4,
    "SVT": 2,
    "AF": 129,
    "SI": 0,
    "AT": 18,
    "AVNRT": 10,
    "AVRT": 4,
    "SAAWR": 4,
}
"""Rhythm -> seed of a patient whose strip shows the rhythm's textbook signs."""

RATE_HZ = 500.0
DURATION_S = 10.0
MM_PER_S, MM_PER_MV = 25.0, 10.0


def draw_rhythms(path: Path) -> None:
    """Write a PNG of eleven strips, lead II, 25 mm/s and 10 mm/mV."""
    matplotlib.rcParams.update({"font.size": 7, "svg.hashsalt": "0"})
    strip_mm, gap_mm = 17.0, 5.5
    width_mm, height_mm = DURATION_S * MM_PER_S + 16, len(RHYTHM_NAMES) * (strip_mm + gap_mm) + 12
    figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), dpi=110)
    for row, rhythm in enumerate(RHYTHM_NAMES):
        bottom_mm = height_mm - (row + 1) * (strip_mm + gap_mm)
        axes = figure.add_axes(
            (12 / width_mm, bottom_mm / height_mm, DURATION_S * MM_PER_S / width_mm, strip_mm / height_mm)
        )
        _draw_strip(axes, rhythm, strip_mm / MM_PER_MV)
        axes.tick_params(labelbottom=row == len(RHYTHM_NAMES) - 1)
    axes.set_xlabel("seconds")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    image.quantize(24).save(path, optimize=True)


def _draw_strip(axes: Axes, rhythm: str, height_mv: float) -> None:
    rng = np.random.default_rng(SEEDS[rhythm])
    heart = draw_heart(rng, age=PEOPLE[rhythm][0])
    ecg_mv = lead_ii(rng, heart, rhythm, DURATION_S, RATE_HZ)
    ecg_mv = digitise(ecg_mv + noise(rng, ecg_mv.size, RATE_HZ, heart.breath_hz, level=0.35))
    middle_mv = np.round((ecg_mv.max() + ecg_mv.min()) / 2, 1)
    axes.set_xlim(0, DURATION_S)
    axes.set_ylim(middle_mv - height_mv / 2, middle_mv + height_mv / 2)
    axes.set_xticks(np.arange(0, DURATION_S + 1))
    axes.set_xticks(np.arange(0, DURATION_S, 0.2), minor=True)
    axes.set_yticks([tick for tick in np.arange(-3, 3.5, 0.5) if abs(tick - middle_mv) <= height_mv / 2])
    axes.grid(which="both", color="#e8c4b8", linewidth=0.4)
    axes.grid(which="major", axis="x", color="#d99c88", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.set_ylabel("mV")
    axes.yaxis.set_label_coords(-0.031, 0.5)
    for spine in axes.spines.values():
        spine.set_color("#d99c88")
    axes.set_title(f"{rhythm}  {RHYTHM_NAMES[rhythm]}", loc="left", pad=2, fontsize=8)
    axes.plot(np.arange(ecg_mv.size) / RATE_HZ, ecg_mv, color="black", linewidth=0.7)


if __name__ == "__main__":
    draw_rhythms(Path(__file__).with_name("synthetic_rhythms.png"))
