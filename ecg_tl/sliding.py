"""Windows of a recording however long, conditioned stretch by stretch as if it were conditioned whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from ecg_tl.rows import Cut, cut_row
from ecg_tl.sources import Recording, Signal
from ecg_tl.waveform import RATE_HZ, WINDOW, condition, resampling_ratio

STRETCH_S = 600.0
"""Seconds of windows that are held in memory."""

MARGIN_S = 16.0
"""What is read on either side and cut off again. The 0.5 Hz high-pass forgets a step to 1e-15 of it in that time."""


def windows(signal: Signal, step: int = WINDOW, stretch_s: float = STRETCH_S) -> Iterator[Cut]:
    """Cut a window of WINDOW samples at RATE_HZ out of a recording every `step` samples, from its beginning on.

    What is less than a window at the end is left out; a recording shorter than a window gives none. Samples are those
    of the recording conditioned whole to within float32's rounding, wherever stretches meet, with two exceptions: the
    recording's first and last 0.1 s may differ by 0.0001 mV (the resampling filter continues them by a line through the
    ends of what it is given), and so may, by more, seconds beside a gap longer than MARGIN_S, bridged by another line.
    A cut that `screen` refuses says why. Memory holds one stretch.
    """
    ratio = resampling_ratio(signal.rate_hz)
    # A stretch begins where a raw sample and one at RATE_HZ coincide, and where the file can be read from.
    grid = math.lcm(ratio.denominator, signal.grain)
    margin = math.ceil(MARGIN_S * signal.rate_hz)
    n_windows = (math.ceil(signal.samples * ratio) - WINDOW) // step + 1
    n_at_once = max(1, round(stretch_s * RATE_HZ) // step)
    for number in range(0, n_windows, n_at_once):
        starts = range(number * step, min(number + n_at_once, n_windows) * step, step)
        first = max(0, math.floor(starts[0] / ratio) - margin) // grid * grid
        last = min(signal.samples, math.ceil((starts[-1] + WINDOW) / ratio) + margin)
        raw_mv = signal.read_mv(first, last)
        stretch = Recording(raw_mv, signal.rate_hz, signal.lead, signal.record, signal.record)
        ecg_mv, offset = condition(raw_mv, signal.rate_hz), int(first * ratio)
        for start in starts:
            cut = cut_row(stretch, ecg_mv, start - offset, WINDOW)
            yield replace(cut, start_s=float(start / ratio) / signal.rate_hz)
