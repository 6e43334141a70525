"""The learning curve index and what it is made of: pure functions on one curve of test F1."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

NEVER_FALLS = "never falls"


class LearningCurveIndex(NamedTuple):
    """LCI of one curve. value is None where there is no index, infinite where the curve never falls."""

    value: float | None
    flag: str
    """"", "never falls", "never rises", "flat", "one epoch" or "not finite"."""


def changes(f1: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Split the changes from epoch to epoch into rises and falls, both positive; no change is neither.

    f1: (epochs,). Returns two arrays, each of as many values as the curve has rises, or falls.
    """
    steps = np.diff(np.asarray(f1, dtype=np.float64))
    return steps[steps > 0], -steps[steps < 0]


def learning_curve_index(f1: ArrayLike, eps: float = float(np.finfo(np.float64).eps)) -> LearningCurveIndex:
    """Say how steadily a curve climbs and how high: mean rise / (mean fall + eps) * best F1 (paper, II.4.3).

    f1: (epochs,), test F1 after every epoch. A curve that never falls would score mean rise * best F1 / eps,
    which means nothing: it gets infinity and the flag "never falls". One that only falls gets 0.
    ValueError if the curve is empty or not one-dimensional.
    """
    curve = np.asarray(f1, dtype=np.float64)
    if curve.ndim != 1 or curve.size == 0:
        raise ValueError(f"f1: shape {curve.shape} is not a learning curve; give test F1 once per epoch, (epochs,)")
    if not np.isfinite(curve).all():
        return LearningCurveIndex(None, "not finite")
    if curve.size == 1:
        return LearningCurveIndex(None, "one epoch")
    rises, falls = changes(curve)
    if not rises.size and not falls.size:
        return LearningCurveIndex(None, "flat")
    if not falls.size:
        return LearningCurveIndex(math.inf, NEVER_FALLS)
    if not rises.size:
        return LearningCurveIndex(0.0, "never rises")
    return LearningCurveIndex(float(rises.mean() / (falls.mean() + eps) * curve.max()), "")
