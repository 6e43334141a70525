"""A labelled store as the cells of a study use it: read once a process, split once, and what an encoder saw of it."""

from __future__ import annotations

import io
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from ecg_tl.audit import overlap_with
from ecg_tl.bundle import EncoderBundle
from ecg_tl.datamodules import windows_of
from ecg_tl.identity import read_config
from ecg_tl.locks import held
from ecg_tl.records import write_whole
from ecg_tl.same_signal import same_signal_groups
from ecg_tl.splits import row_checksums, stratified_split, tie
from ecg_tl.store import Store, open_store, verify_content


def labelled_windows(store: Store) -> np.ndarray:
    """Give the windows of a labelled store, (N, 2048) float32, read and verified once a process."""
    return _windows(store.path, store.content_sha256)


def labelled_split(store: Store, kept: Path, test_fraction: float, split_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the rows of train and of test, each of the `labelled_groups` on one side."""
    assert store.rhythm is not None
    return stratified_split(store.rhythm, labelled_groups(store, kept), test_fraction, split_seed)


def labelled_groups(store: Store, kept: Path) -> np.ndarray:
    """Number the groups, (N,), that a split keeps together: rows of one patient, of the same bytes or of one signal.

    Which rows show one signal takes long to find in a large store, so it is found once and left in the folder `kept`.
    """
    return _groups(store.path, store.content_sha256, kept)


@lru_cache(maxsize=1)
def _windows(path: Path, content_sha256: str) -> np.ndarray:  # noqa: ARG001 - part of the cache's key
    store = open_store(path)
    verify_content(store)
    return windows_of(store)


@lru_cache(maxsize=1)
def _groups(path: Path, content_sha256: str, kept: Path) -> np.ndarray:
    _windows(path, content_sha256)  # verifies the store
    found = kept / f"groups-1-{content_sha256[:16]}.npy"
    if not found.is_file():
        with held(found, wait=True):
            if not found.is_file():
                store, content = open_store(path), io.BytesIO()
                signals = same_signal_groups(store.ecg, store.patient)
                np.save(content, tie(store.patient, row_checksums(store.ecg), signals))
                write_whole(found, content.getvalue())
    return np.asarray(np.load(found, allow_pickle=False))


@cache
def note_lead(encoder: Path, encoder_lead: str, lead: str) -> None:
    """Say, once a process, that an encoder was pretrained on another lead."""
    if encoder_lead != lead:
        print(f"note: {encoder} was pretrained on lead {encoder_lead}, the data is {lead}", flush=True)


def rows_in_corpus(bundle: EncoderBundle, store: Store, rows: np.ndarray) -> np.ndarray | None:
    """Name those of `rows` that the encoder was pretrained on; None, with a note, if its corpus is not at hand."""
    corpus_sha256 = str(bundle.description.get("corpus_sha256"))
    found = _overlap(bundle.folder, corpus_sha256, store.path, store.content_sha256, tuple(rows.tolist()))
    return None if found is None else np.array(found, dtype=np.int64)


@lru_cache(maxsize=16)  # a sweep may go round several splits
def _overlap(
    encoder: Path,
    corpus_sha256: str,
    path: Path,
    content_sha256: str,  # noqa: ARG001 - part of the cache's key
    rows: tuple[int, ...],
) -> tuple[int, ...] | None:
    if not (encoder / "config.yaml").is_file():
        print(f"note: {encoder} comes without its corpus, so whether it has seen test records was not checked")
        return None
    try:
        corpus = open_store(Path(read_config(encoder / "config.yaml")["corpus"]["path"]))
        if corpus.content_sha256 != corpus_sha256:
            raise ValueError(f"{corpus.path}: not the corpus of this encoder")
    except (OSError, ValueError, KeyError) as error:
        print(f"note: whether the encoder has seen test records was not checked: {error}")
        return None
    return tuple(overlap_with(corpus, open_store(path), np.array(rows)).tolist())
