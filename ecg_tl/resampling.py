"""Bootstrap over test records: how far a run's F1, or the gap between inits, hangs on who was in the test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg_tl.statistics import Interval

RESAMPLES = 2000


@dataclass(frozen=True)
class Predictions:
    """What runs of one test set said of it.

    rhythm: (records,) true class. patient: (records,), records of one patient are drawn together. predicted: (runs,
    records) class.
    """

    rhythm: np.ndarray
    patient: np.ndarray
    predicted: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.rhythm)
        if self.predicted.ndim != 2 or self.predicted.shape[1] != n or len(self.patient) != n or not n:
            raise ValueError(
                f"predicted {self.predicted.shape}, rhythm ({n},), patient ({len(self.patient)},): give predicted as "
                "(runs, records) of the same records"
            )


def weighted_f1(rhythm: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Support-weighted F1 under each of several weightings of the records; a class that is in neither counts nothing.

    rhythm, predicted: (records,) class. weight: (resamples, records). Returns (resamples,).
    """
    classes = np.unique(np.concatenate([rhythm, predicted]))
    true, said = rhythm[:, None] == classes, predicted[:, None] == classes
    support, called, hits = (weight @ hot.astype(np.float64) for hot in (true, said, true & said))
    both = support + called
    f1 = np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)
    return (support * f1).sum(axis=1) / support.sum(axis=1)


def f1_interval(
    splits: Sequence[Predictions],
    generator: np.random.Generator,
    against: Sequence[Predictions] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Give mean weighted F1 over runs with a nested percentile bootstrap interval: splits, runs in them, patients.

    splits: one for each test set; with one split of one run, only patients are drawn again, and the interval is that
    run's own. against: the same test sets, runs paired with those of `splits` (same draws): what is given is the
    difference of the means, splits minus against, every resample drawing the same runs and patients for both.
    ValueError if the two do not match.
    """
    if against is not None and [_shape(split) for split in against] != [_shape(split) for split in splits]:
        raise ValueError("against: other test sets or another number of runs; give pairs of the same draws")
    values, means = [], []
    for place, split in enumerate(splits):
        _, member = np.unique(split.patient, return_inverse=True)
        n_patients, n_runs = member.max() + 1, len(split.predicted)
        drawn = generator.multinomial(n_patients, np.full(n_patients, 1 / n_patients), size=resamples)
        weight = np.concatenate([np.ones((1, len(member))), drawn[:, member]])
        f1 = _f1_of_runs(split, weight)
        if against is not None:
            f1 = f1 - _f1_of_runs(against[place], weight)
        runs = generator.multinomial(n_runs, np.full(n_runs, 1 / n_runs), size=resamples) / n_runs
        values.append((f1[1:] * runs).sum(axis=1))
        means.append(f1[0].mean())
    share = generator.multinomial(len(splits), np.full(len(splits), 1 / len(splits)), size=resamples) / len(splits)
    resampled = (np.stack(values, axis=1) * share).sum(axis=1)
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(np.mean(means)), float(low), float(high))


def _shape(split: Predictions) -> tuple[int, bytes]:
    return len(split.predicted), np.asarray(split.rhythm).tobytes()


def _f1_of_runs(split: Predictions, weight: np.ndarray) -> np.ndarray:
    return np.stack([weighted_f1(split.rhythm, predicted, weight) for predicted in split.predicted], axis=1)
