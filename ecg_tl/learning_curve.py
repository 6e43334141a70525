"""The learning curve index and its kin: pure functions on one curve of test F1, over epochs or over labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

NEVER_FALLS = "never falls"
COLLAPSE_MARGIN = 0.02
"""A run that never passes the majority answer by more than this has learned nothing."""


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
    curve = _curve(f1)
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


def area_under_curve(f1: ArrayLike) -> float:
    """Mean height of a curve between its first and its last epoch, by trapezoids; F1 itself where there is one epoch.

    f1: (epochs,). ValueError as `learning_curve_index`.
    """
    curve = _curve(f1)
    return float(np.trapezoid(curve) / (curve.size - 1)) if curve.size > 1 else float(curve[0])


def epochs_to(f1: ArrayLike, share: float = 0.95) -> int:
    """Count the epochs until a curve first comes to `share` of its best. f1: (epochs,). ValueError as above."""
    curve = _curve(f1)
    return 1 + int(np.argmax(curve >= share * curve.max()))


def largest_drop(f1: ArrayLike) -> float:
    """Largest fall from one epoch to the next; 0 where the curve never falls. f1: (epochs,). ValueError as above."""
    return max(0.0, float(np.max(-np.diff(_curve(f1)), initial=0.0)))


def majority_f1(support: ArrayLike) -> float:
    """Weighted F1 of always answering the most frequent class: share * 2 share / (1 + share).

    support: (classes,) test records of each.
    """
    counts = np.asarray(support, dtype=np.float64)
    share = counts.max() / counts.sum()
    return float(2 * share**2 / (1 + share))


def collapsed(f1: ArrayLike, support: ArrayLike, margin: float = COLLAPSE_MARGIN) -> bool:
    """Whether a curve never passes the majority answer by more than `margin`. f1 (epochs,), support (classes,)."""
    return bool(_curve(f1).max() <= majority_f1(support) + margin)


class LabelsNeeded(NamedTuple):
    """How many labels reach a given F1: "" interpolated, "at most" where the fewest tried do, "never" where none do."""

    n_labels: float
    flag: str


def labels_needed(n_labels: Sequence[float], f1: Sequence[float], target_f1: float) -> LabelsNeeded:
    """Interpolate how many labels reach `target_f1`, straight between fractions on a logarithmic axis of labels.

    n_labels, f1: (fractions,), any order. The first crossing from below counts. n_labels is NaN for "never".
    """
    order = np.argsort(n_labels)
    labels, heights = np.asarray(n_labels, np.float64)[order], np.asarray(f1, np.float64)[order]
    if heights[0] >= target_f1:
        return LabelsNeeded(float(labels[0]), "at most")
    reached = np.flatnonzero(heights >= target_f1)
    if not reached.size:
        return LabelsNeeded(math.nan, "never")
    above, below = reached[0], reached[0] - 1
    way = (target_f1 - heights[below]) / (heights[above] - heights[below])
    return LabelsNeeded(float(labels[below] * (labels[above] / labels[below]) ** way), "")


def _curve(f1: ArrayLike) -> np.ndarray:
    curve = np.asarray(f1, dtype=np.float64)
    if curve.ndim != 1 or curve.size == 0:
        raise ValueError(f"f1: shape {curve.shape} is not a learning curve; give test F1 once per epoch, (epochs,)")
    return curve
