"""Who is trained on and who is tested: splits by group, and the bootstrap draw of one seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Draw:
    """The rows of a labelled store that one cell uses.

    train: (round(fraction * n),) rows, with repeats. out_of_bag: training rows of groups that the draw left out, at
    most as many as test. test: rows.
    """

    train: np.ndarray
    out_of_bag: np.ndarray
    test: np.ndarray


def row_checksums(ecg: np.ndarray) -> np.ndarray:
    """Give each row of (N, L) samples its SHA-256, so that byte-identical rows are known. Returns (N,) str."""
    return np.array([hashlib.sha256(row.tobytes()).hexdigest() for row in ecg])


def tie(*keys: np.ndarray) -> np.ndarray:
    """Number the groups of rows that share any key, directly or through others.

    keys: each (N,), such as patients' names or rows' checksums. Returns (N,) group numbers from 0.
    """
    n = len(keys[0])
    left, right = [], []
    for key in keys:
        _, first, member = np.unique(key, return_index=True, return_inverse=True)
        left.append(np.arange(n))
        right.append(first[member])
    links = (np.concatenate(left), np.concatenate(right))
    graph = coo_array((np.ones(len(links[0]), dtype=np.int8), links), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def split_by_group(groups: np.ndarray, test_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into train and test so that no group is on both sides.

    groups: (N,). Returns rows of train and of test, rising. ValueError if fewer than two groups.
    """
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"{len(names)} patient: a split by patient needs at least 2; prepare more recordings")
    n_test = min(max(round(test_fraction * len(names)), 1), len(names) - 1)
    in_test = np.zeros(len(names), dtype=bool)
    in_test[np.random.default_rng(seed).permutation(len(names))[:n_test]] = True
    return np.flatnonzero(~in_test[member]), np.flatnonzero(in_test[member])


def stratified_split(
    rhythm: np.ndarray, groups: np.ndarray, test_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows by group with each rhythm's share kept, a group counting for the rarest rhythm among its rows.

    rhythm, groups: (N,). Returns rows of train and of test, rising. A rhythm of two groups or more is on both sides.
    ValueError if no group could be given to one of the sides.
    """
    names, first, member = np.unique(groups, return_index=True, return_inverse=True)
    sizes = np.bincount(member)
    counts = np.bincount(rhythm)
    stratum = rhythm[first].copy()
    for row in np.flatnonzero(counts[rhythm] < counts[stratum[member]]):
        if counts[rhythm[row]] < counts[stratum[member[row]]]:
            stratum[member[row]] = rhythm[row]
    rng = np.random.default_rng(seed)
    in_test = np.zeros(len(names), dtype=bool)
    for label in np.unique(stratum):
        candidates = rng.permutation(np.flatnonzero(stratum == label))
        wanted = test_fraction * sizes[candidates].sum()
        taken = 0
        for group in candidates[:-1]:
            if taken and taken + sizes[group] / 2 > wanted:
                continue
            in_test[group] = True
            taken += sizes[group]
    if in_test.all() or not in_test.any():
        raise ValueError(f"{len(names)} groups of records: too few for a test set; prepare more records")
    return np.flatnonzero(~in_test[member]), np.flatnonzero(in_test[member])


def bootstrap(
    train: np.ndarray,
    test: np.ndarray,
    groups: np.ndarray,
    fraction: float,
    seed: int,
    every: np.ndarray | None = None,
) -> Draw:
    """Draw round(fraction * n) training rows with replacement; the rest, cut to the test set's size, is out of bag.

    train, test: rows of the two sides. groups: (N,) of each row of the store; a row whose group was drawn from is not
    out of bag. The draw depends on fraction and seed alone, never on the init. every: the rhythm of each row of the
    store; given, each rhythm among the training rows is drawn at least once. ValueError if the draw would hold no
    record, or has not the room for each rhythm.
    """
    rng = np.random.default_rng(seed)
    size = round(fraction * len(train))
    if size < 1:
        raise ValueError(f"fraction={fraction:g}: no record of {len(train)} left to train on; raise it")
    drawn = rng.integers(0, len(train), size)
    if every is not None:
        drawn = _with_every(drawn, every[train], rng)
    left_out = np.flatnonzero(~np.isin(groups[train], groups[train[drawn]]))
    left_out = rng.permutation(left_out)[: len(test)]
    return Draw(train[drawn], train[np.sort(left_out)], test)


def _with_every(drawn: np.ndarray, rhythm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put one row of each rhythm that was not drawn in the place of one of the rhythm drawn most often."""
    drawn = drawn.copy()
    present = np.unique(rhythm)
    if len(drawn) < len(present):
        raise ValueError(
            f"every_rhythm=true: {len(drawn)} records drawn cannot hold {len(present)} rhythms; raise fraction"
        )
    for label in np.setdiff1d(present, rhythm[drawn]):
        commonest = np.bincount(rhythm[drawn]).argmax()
        place = rng.choice(np.flatnonzero(rhythm[drawn] == commonest))
        drawn[place] = rng.choice(np.flatnonzero(rhythm == label))
    return drawn
