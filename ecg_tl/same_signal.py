"""Which rows hold the same signal, whatever its gain, unit, filter or cut: pure functions on rows of samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import maximum_filter1d
from scipy.signal import oaconvolve
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ecg_tl.waveform import RATE_HZ

MIN_OVERLAP = 1500
"""Samples (6 s) that two cuts must share; then they must correlate by 0.995."""
MIN_CORRELATION = 0.995
LONG_OVERLAP = 1900
"""Samples from which 0.98 will do: distinct beats agree by chance less often the longer they are compared."""
LONG_MIN_CORRELATION = 0.98
MAX_SHARE_OF_SELF = 0.15
"""A regular rhythm resembles itself a beat later; a copy must leave at most this share of that difference."""

_FINE_SD, _WIDE_SD = 3.0, 13.0
_SEGMENT = np.arange(0, 750, 8)
_SEGMENT_SD = 20.0
_SEGMENT_CORRELATION = 0.975
_ANCHOR_REACH = 50
_SELF_LAG = 50
_TABLES, _BITS, _FINE_BITS, _NEIGHBOURS = 4, 24, 16, 24
_SLACK = 3
_LATE_PEAKS, _ROW_SPAN = 3, 1 << 24
_PARTS = 4
_ROUGH_CORRELATION = 0.85
_BLOCK_ROWS, _BLOCK_PRINTS, _BLOCK_PAIRS, _PENDING = 1024, 65_536, 1024, 500_000


def _band_pass() -> np.ndarray:
    """A difference of Gaussians: about 3 to 15 Hz, nothing at 0 Hz, and as short as half a second."""
    reach = int(4 * _WIDE_SD)
    times = np.arange(-reach, reach + 1)
    fine, wide = (np.exp(-0.5 * (times / deviation) ** 2) for deviation in (_FINE_SD, _WIDE_SD))
    return (fine / fine.sum() - wide / wide.sum()).astype(np.float32)


_KERNEL = _band_pass()
_LOST = len(_KERNEL) - 1


def _beats(ecg: np.ndarray) -> np.ndarray:
    """Keep the band of the beats: (N, L) to (N, L - 104), where no value depends on where the row was cut."""
    return oaconvolve(ecg.astype(np.float32), _KERNEL[None], mode="valid", axes=1)


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of rows of one signal. left, right: (P,) rows; correlation: (P,) where they overlap;
    lag_s: (P,) seconds from the beginning of the left row to that of the right."""

    left: np.ndarray
    right: np.ndarray
    lag_s: np.ndarray
    correlation: np.ndarray


@dataclass(frozen=True, eq=False)
class _Prints:
    """Three-second stretches that begin on a peak. row, place: (M,); segment: (M, 94) int8 of one spread."""

    row: np.ndarray
    place: np.ndarray
    segment: np.ndarray

    def codes(self, table: int) -> np.ndarray:
        """Hash every stretch: the signs of 24 random projections, then how far it lies along another."""
        directions = np.random.default_rng(table).standard_normal((len(_SEGMENT), _BITS + 1)).astype(np.float32)
        weights = (1 << np.arange(_BITS)).astype(np.float64)
        unit = _SEGMENT_SD * np.sqrt(len(_SEGMENT)) / 2 ** (_FINE_BITS - 3)
        codes = np.empty(len(self.row), dtype=np.int64)
        for start in range(0, len(codes), _BLOCK_PRINTS):
            block = slice(start, start + _BLOCK_PRINTS)
            along = self.segment[block].astype(np.float32) @ directions
            fine = np.clip(np.rint(along[:, -1] / unit) + 2 ** (_FINE_BITS - 1), 0, 2**_FINE_BITS - 1)
            codes[block] = ((along[:, :-1] > 0) @ weights * 2**_FINE_BITS + fine).astype(np.int64)
        return codes


def _prints(ecg: np.ndarray) -> _Prints:
    found: list[tuple[np.ndarray, ...]] = [(np.empty(0, int), np.empty(0, int), np.empty((0, len(_SEGMENT)), np.int8))]
    for start in range(0, len(ecg), _BLOCK_ROWS):
        beats = _beats(ecg[start : start + _BLOCK_ROWS])
        size = np.abs(beats)
        peak = maximum_filter1d(size, 2 * _ANCHOR_REACH + 1, axis=1)
        ends = beats.shape[1] - _SEGMENT[-1]
        is_anchor = (size == peak) & (size > np.median(peak, axis=1, keepdims=True) / 2)
        row, place = np.nonzero(is_anchor[:, :ends])
        segment = beats[row[:, None], place[:, None] + _SEGMENT]
        segment -= segment.mean(axis=1, keepdims=True)
        # Where there is an anchor there is a swing, and so no division by zero.
        segment *= _SEGMENT_SD / segment.std(axis=1, keepdims=True)
        found.append((row + start, place, np.clip(np.rint(segment), -127, 127).astype(np.int8)))
    row, place, segment = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _Prints(row.astype(np.int32), place.astype(np.int32), segment)


def _within_buckets(prints: _Prints) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pair every stretch with the next few of its bucket, so that a crowded bucket costs no square."""
    for table in range(_TABLES):
        codes = prints.codes(table)
        order = np.argsort(codes, kind="stable")
        bucket = codes[order] >> _FINE_BITS
        for step in range(1, _NEIGHBOURS + 1):
            shared = np.flatnonzero(bucket[step:] == bucket[:-step])
            yield order[shared], order[shared + step]


def _across_buckets(left: _Prints, right: _Prints) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pair every stretch of the left with its nearest few in the same bucket of the right."""
    for table in range(_TABLES):
        codes, others = left.codes(table), right.codes(table)
        order = np.argsort(others, kind="stable")
        others = others[order]
        place = np.searchsorted(others, codes)
        for step in range(-_NEIGHBOURS, _NEIGHBOURS):
            near = np.flatnonzero((place + step >= 0) & (place + step < len(others)))
            shared = near[others[place[near] + step] >> _FINE_BITS == codes[near] >> _FINE_BITS]
            yield shared, order[place[shared] + step]


def _alike(left: _Prints, right: _Prints, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Tell which pairs of stretches correlate."""
    alike = np.empty(len(pairs[0]), dtype=bool)
    for start in range(0, len(alike), _BLOCK_PRINTS):
        block = slice(start, start + _BLOCK_PRINTS)
        a, b = (side.segment[of[block]].astype(np.float32) for side, of in zip((left, right), pairs, strict=True))
        power = np.einsum("nd,nd->n", a, a) * np.einsum("nd,nd->n", b, b)
        alike[block] = np.einsum("nd,nd->n", a, b) >= _SEGMENT_CORRELATION * np.sqrt(power)
    return alike


def _agree_at_the_end(left: _Prints, right: _Prints, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Tell which pairs of stretches also agree at a late peak of their rows, at the same lag.

    Three seconds of many hearts look alike; this looks at the rest without reading a row again.
    """
    agree = np.zeros(len(pairs[0]), dtype=bool)
    lag = left.place[pairs[0]] - right.place[pairs[1]]
    for one, other, own, others, shift in ((left, right, *pairs, -lag), (right, left, *pairs[::-1], lag)):
        positions = other.row.astype(np.int64) * _ROW_SPAN + other.place
        begins, ends = (np.searchsorted(one.row, one.row[own], side=side) for side in ("left", "right"))
        agree |= ends - begins == 1
        for back in range(1, _LATE_PEAKS + 1):
            late = np.maximum(ends - back, 0)
            wanted = other.row[others].astype(np.int64) * _ROW_SPAN + one.place[late] + shift
            mate = np.minimum(np.searchsorted(positions, wanted - _SLACK), len(positions) - 1)
            at_lag = np.flatnonzero(~agree & (late > own) & (np.abs(positions[mate] - wanted) <= _SLACK))
            agree[at_lag] = _alike(one, other, (late[at_lag], mate[at_lag]))
    return agree


def find_same_signal(left: np.ndarray, right: np.ndarray | None = None, patient: np.ndarray | None = None) -> Matches:
    """Find the pairs of rows that hold the same signal, in any unit and gain, by at least 6 s of it.

    left: (N, L), right: (M, K), samples at 250 Hz; without right, left is searched for pairs within, which have
    left < right, and with patient (N,) no pair is of one patient. Stretches that begin on a peak are hashed,
    and a pair that shares a bucket is correlated in full: memory grows with the rows, not with their pairs.
    Rows of less than 6 s match nothing. Returns each pair once, in rising order.
    """
    others = left if right is None else right
    best: dict[tuple[int, int], tuple[float, int]] = {}
    if min(left.shape[1], others.shape[1]) < MIN_OVERLAP:
        return _as_matches(best)
    prints = _prints(left)
    other_prints = prints if right is None else _prints(others)
    owner = np.arange(len(left)) if patient is None else np.unique(patient, return_inverse=True)[1]
    pending: list[np.ndarray] = []
    for pairs in _within_buckets(prints) if right is None else _across_buckets(prints, other_prints):
        if right is None:
            kept = owner[prints.row[pairs[0]]] != owner[prints.row[pairs[1]]]
            pairs = (pairs[0][kept], pairs[1][kept])
        for agree in (_alike, _agree_at_the_end):
            kept = agree(prints, other_prints, pairs)
            pairs = (pairs[0][kept], pairs[1][kept])
        rows = [side.row[of] for side, of in zip((prints, other_prints), pairs, strict=True)]
        lag = prints.place[pairs[0]] - other_prints.place[pairs[1]]
        if right is None:
            turned = rows[0] > rows[1]
            rows, lag = [np.minimum(*rows), np.maximum(*rows)], np.where(turned, -lag, lag)
        # Neighbouring lags are looked at together, so that the anchors of one pair of rows cost one comparison.
        pending.append(np.stack([*rows, _SLACK * np.rint(lag / _SLACK).astype(np.int32)], axis=1))
        if sum(map(len, pending)) > _PENDING:
            _compare(left, others, np.concatenate(pending), best)
            pending = []
    _compare(left, others, np.concatenate(pending), best)
    return _as_matches(best)


def _as_matches(best: dict[tuple[int, int], tuple[float, int]]) -> Matches:
    pairs = sorted(best)
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    values = np.array([best[pair] for pair in pairs], dtype=np.float64).reshape(-1, 2)
    return Matches(left, right, values[:, 1] / RATE_HZ, values[:, 0])


def _compare(
    left: np.ndarray, right: np.ndarray, candidates: np.ndarray, best: dict[tuple[int, int], tuple[float, int]]
) -> None:
    """Correlate candidates (P, 3), left row, right row and lag, over all they share; add what is the same to best."""
    candidates = np.unique(candidates, axis=0)
    for start in range(0, len(candidates), _BLOCK_PAIRS):
        block = candidates[start : start + _BLOCK_PAIRS]
        rows, index = np.unique(block[:, 0], return_inverse=True)
        other_rows, other_index = np.unique(block[:, 1], return_inverse=True)
        beats, other_beats = _beats(left[rows]), _beats(right[other_rows])
        for (row, other, lag), at, other_at in zip(block.tolist(), index, other_index, strict=True):
            a, b = beats[at], other_beats[other_at]
            if _correlation(a, b, lag) < _ROUGH_CORRELATION:
                continue
            found = max((_correlation(a, b, near), near) for near in range(lag - _SLACK, lag + _SLACK + 1))
            if found > best.get((row, other), (0.0, 0)) and _is_same(a, b, *found):
                best[row, other] = found


def _overlap(a: np.ndarray, b: np.ndarray, lag: int) -> tuple[int, int]:
    """Where in a it and b, which begins `lag` samples later, are both."""
    return max(0, lag), min(len(a), len(b) + lag)


def _correlation(a: np.ndarray, b: np.ndarray, lag: int) -> float:
    """Correlate a[t] with b[t - lag] where both are; 0 if they share less than MIN_OVERLAP samples of ECG."""
    start, stop = _overlap(a, b, lag)
    if stop - start + _LOST < MIN_OVERLAP:
        return 0.0
    return _cosine(a[start:stop], b[start - lag : stop - lag])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    power = float(a @ a) * float(b @ b)
    return float(a @ b) / power**0.5 if power else 0.0


def _is_same(a: np.ndarray, b: np.ndarray, correlation: float, lag: int) -> bool:
    start, stop = _overlap(a, b, lag)
    a, b = a[start:stop], b[start - lag : stop - lag]
    least = LONG_MIN_CORRELATION if len(a) + _LOST >= LONG_OVERLAP else MIN_CORRELATION
    if correlation < least:
        return False
    # One artefact can outweigh all beats, so most of the stretch has to agree without it.
    parts = zip(np.array_split(a, _PARTS), np.array_split(b, _PARTS), strict=True)
    if np.median([_cosine(*part) for part in parts]) < least:
        return False
    return all(1 - correlation <= MAX_SHARE_OF_SELF * (1 - _self_correlation(side)) for side in (a, b))


def _self_correlation(beats: np.ndarray) -> float:
    """Correlate a stretch with itself 0.2 s or more later, over half of it or more; the highest there is."""
    samples = len(beats)
    lags = np.arange(_SELF_LAG, samples // 2)
    padded = next_fast_len(samples + samples // 2, real=True)
    product = irfft(np.abs(rfft(beats, padded)) ** 2, padded)[lags]
    power = np.concatenate(([0.0], np.cumsum(beats.astype(np.float64) ** 2)))
    shared = np.sqrt((power[-1] - power[lags]) * power[samples - lags])
    return float((product / np.maximum(shared, np.finfo(float).tiny)).max())


def same_signal_groups(ecg: np.ndarray, patient: np.ndarray | None = None) -> np.ndarray:
    """Number the groups of rows that hold the same signal, directly or through others, as a key for `tie`.

    ecg: (N, L) samples at 250 Hz; patient: (N,), if given, leaves out pairs that the patient ties already.
    Returns (N,) group numbers from 0. Rows without a beat, or under 6 s, are alone: tie by `row_checksums` too.
    """
    matches = find_same_signal(ecg, patient=patient)
    return components(len(ecg), matches.left, matches.right)


def components(n: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Number the groups of n rows that pairs (left, right) tie, directly or through others. Returns (n,)."""
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    return connected_components(graph, directed=False)[1]
