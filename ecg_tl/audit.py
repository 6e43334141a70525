"""What stores share: byte-identical rows and the same signal, within, across and on both sides of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecg_tl.same_signal import components, find_same_signal
from ecg_tl.splits import row_checksums
from ecg_tl.store import Store
from ecg_tl.waveform import centre_window

_SHOWN = 5


def overlap_with(corpus: Store, labelled: Store, rows: np.ndarray) -> np.ndarray:
    """Find which of a labelled store's rows are in a corpus: their middle, byte for byte, or the same signal.

    rows: (n,) indices into labelled. Returns those found, in the order of rows.
    """
    rows = np.asarray(rows)
    length = min(corpus.length, labelled.length)
    ecg = labelled.ecg[rows]
    known = row_checksums(centre_window(corpus.ecg, length))
    found = np.isin(row_checksums(centre_window(ecg, length)), known)
    found[find_same_signal(ecg, corpus.ecg).left] = True
    return rows[found]


Group = list[tuple[int, int]]
"""Rows that belong together: the index of a store, and a row of it."""


@dataclass(frozen=True, eq=False)
class AuditReport:
    """What `audit` found.

    identical, same_signal: for each store (N,) group numbers, counted over all stores: byte for byte, and the
    same signal (which takes in the former). splits: index of a store to its rows of train and of test.
    """

    stores: tuple[Store, ...]
    identical: tuple[np.ndarray, ...]
    same_signal: tuple[np.ndarray, ...]
    splits: Mapping[int, tuple[np.ndarray, np.ndarray]]

    def ties(self, store: Store) -> np.ndarray:
        """Give the (N,) group numbers of a store, as a key for `splits.tie`. ValueError if it was not audited."""
        for audited, groups in zip(self.stores, self.same_signal, strict=True):
            if audited.path == store.path and audited.content_sha256 == store.content_sha256:
                return groups
        raise ValueError(f"{store.path}: not among the stores audited; audit it with the others")

    def identical_groups(self) -> list[Group]:
        """Give every group of two or more byte-identical rows."""
        return _members(self.identical)

    def same_signal_groups(self) -> list[Group]:
        """Give every group of two or more rows of the same signal."""
        return _members(self.same_signal)

    def conflicts(self) -> list[Group]:
        """Give the groups of the same signal whose labelled rows do not have one rhythm by name."""
        return [group for group in self.same_signal_groups() if len({self.rhythm(*row) for row in group} - {None}) > 1]

    def crossing(self) -> list[Group]:
        """Give the groups of the same signal that have rows in train and in test of a split."""
        sides = {index: tuple(set(side.tolist()) for side in split) for index, split in self.splits.items()}

        def crosses(group: Group) -> bool:
            members = {index: {row for at, row in group if at == index} for index in sides}
            return any(all(side & members[index] for side in sides[index]) for index in sides)

        return [group for group in self.same_signal_groups() if crosses(group)]

    def rhythm(self, index: int, row: int) -> str | None:
        """Name the rhythm of a row, None if its store is unlabelled."""
        store = self.stores[index]
        return None if store.rhythm is None else store.rhythms[store.rhythm[row]]

    def render(self) -> str:
        """Say in a few lines what was found, with the first groups by name."""
        count = sum(map(len, self.stores))
        lines = [f"audit of {count:,} rows in " + ", ".join(str(store.path) for store in self.stores)]
        for title, groups in (
            ("byte-identical rows", self.identical_groups()),
            ("same signal, identical or not", self.same_signal_groups()),
        ):
            across = sum(len({index for index, _ in group}) > 1 for group in groups)
            rows = sum(map(len, groups))
            lines.append(f"{title}: {rows:,} rows in {len(groups):,} groups, {across:,} of them across stores")
        lines += self._named(self.same_signal_groups())
        conflicts = self.conflicts()
        lines += [f"same signal with different rhythms: {len(conflicts):,} groups", *self._named(conflicts)]
        if self.splits:
            crossing = self.crossing()
            lines += [f"same signal in train and in test: {len(crossing):,} groups", *self._named(crossing)]
        return "\n".join(lines)

    def _named(self, groups: list[Group]) -> list[str]:
        lines = ["  " + " = ".join(self._name(*row) for row in group[:_SHOWN]) for group in groups[:_SHOWN]]
        return lines + ([f"  and {len(groups) - _SHOWN:,} more"] if len(groups) > _SHOWN else [])

    def _name(self, index: int, row: int) -> str:
        store = self.stores[index]
        where = f"{store.path.name}:" if len(self.stores) > 1 else ""
        rhythm = self.rhythm(index, row)
        return f"{where}{store.record[row]} at {store.start_s[row]:g} s" + (f" ({rhythm})" if rhythm else "")


def _members(groups: Sequence[np.ndarray]) -> list[Group]:
    number = np.concatenate(groups)
    index = np.repeat(np.arange(len(groups)), [len(of_store) for of_store in groups])
    row = np.concatenate([np.arange(len(of_store)) for of_store in groups])
    order = np.argsort(number, kind="stable")
    cuts = np.flatnonzero(np.diff(number[order])) + 1
    parts = [part for part in np.split(order, cuts) if len(part) > 1]
    return sorted([(int(index[place]), int(row[place])) for place in part] for part in parts)


def audit(stores: Sequence[Store], splits: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None) -> AuditReport:
    """Look for rows that are the same, byte for byte or as a signal, within and across stores.

    splits: index into stores, to the rows of its train and of its test. Different windows of one patient in one
    store are compared only byte for byte, since a split by patient keeps them together anyway.
    ValueError if there is no store.
    """
    if not stores:
        raise ValueError("0 stores to audit; name at least one")
    starts = np.concatenate(([0], np.cumsum([len(store) for store in stores])))
    checksums = np.concatenate([row_checksums(store.ecg) for store in stores])
    _, first, identical = np.unique(checksums, return_index=True, return_inverse=True)
    left, right = [np.arange(starts[-1])], [first[identical]]
    for index, store in enumerate(stores):
        for other in range(index, len(stores)):
            if other == index:
                matches = find_same_signal(store.ecg, patient=store.patient)
            else:
                matches = find_same_signal(store.ecg, stores[other].ecg)
            left.append(matches.left + starts[index])
            right.append(matches.right + starts[other])
    same = components(int(starts[-1]), np.concatenate(left), np.concatenate(right))
    cuts = starts[1:-1]
    return AuditReport(tuple(stores), tuple(np.split(identical, cuts)), tuple(np.split(same, cuts)), dict(splits or {}))
