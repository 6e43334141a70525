"""Several unlabelled stores as one corpus, each row as it was, for pretraining on more than one set of recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ecg_tl.rows import SETTINGS
from ecg_tl.store import SEXES, Store, StoreWriter
from ecg_tl.waveform import WINDOW, centre_window

_BLOCK_ROWS = 1024


def merge(stores: Sequence[Store], out: Path) -> int:
    """Write the rows of all stores, the middle 2,048 samples of each, as one unlabelled store; returns how many.

    A source's checksum goes before its patients and records: patient 100 of two sets stays two, while two leads of the
    same files have the same patients. Rhythms are left behind. Where the leads differ, the store's lead names them all,
    joined by "+". ValueError for fewer than two stores, rows that are too short, or filters that differ;
    FileExistsError if out exists.
    """
    if len(stores) < 2:
        raise ValueError(f"merge: {len(stores)} store; give two or more, merge=[A.h5,B.h5]")
    if out.exists():
        raise FileExistsError(f"{out} exists; remove it or choose another out")
    for store in stores:
        if store.length < WINDOW:
            raise ValueError(f"{store.path}: rows of {store.length} samples; a corpus has {WINDOW}, prepare it again")
        if store.filter != stores[0].filter:
            raise ValueError(f"{store.path}: filtered otherwise than {stores[0].path}; prepare both with one version")
    parts: dict[str, dict[str, Any]] = {}
    for store in stores:
        part = parts.setdefault(_name(store), {**store.source, "leads": [], "contents": []})
        part["leads"].append(store.lead)
        part["contents"].append(store.content_sha256)
    source = {"format": "merged", "parts": parts, SETTINGS: {"merge": [store.content_sha256 for store in stores]}}
    leads = "+".join(dict.fromkeys(store.lead for store in stores))
    with StoreWriter(out, WINDOW, leads, (), source, stores[0].filter) as writer:
        for store in stores:
            name = _name(store)
            offset_s = (store.length - WINDOW) // 2 / store.rate_hz
            for first, stop in _runs(store):
                writer.append(
                    centre_window(store.ecg_mv(slice(first, stop)), WINDOW),
                    f"{name}/{store.patient[first]}",
                    f"{name}/{store.record[first]}",
                    store.start_s[first:stop] + offset_s,
                    age=float(store.age[first]),
                    sex=SEXES[int(store.sex[first])],
                )
            for record, reason in store.excluded:
                writer.exclude(f"{name}/{record}", reason)
        return len(writer)


def _runs(store: Store) -> Iterator[tuple[int, int]]:
    """Cut the rows into stretches of one record of one person: the first row, and one after the last."""
    changes = np.zeros(max(0, len(store) - 1), dtype=bool)
    for column in (store.patient, store.record, store.sex, np.nan_to_num(store.age, nan=-1)):
        changes |= column[1:] != column[:-1]
    for first, stop in pairwise([0, *(np.flatnonzero(changes) + 1).tolist(), len(store)]):
        yield from ((start, min(start + _BLOCK_ROWS, stop)) for start in range(first, stop, _BLOCK_ROWS))


def _name(store: Store) -> str:
    checksum = str(store.source.get("checksum") or store.content_sha256)
    return f"{store.source.get('format')}-{checksum[:8]}"
