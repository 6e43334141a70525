"""A labelled store as the cells of a study use it: read once a process, split once, and what an encoder saw of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from ecg_tl.audit import overlap_with
from ecg_tl.bundle import EncoderBundle
from ecg_tl.datamodules import windows_of
from ecg_tl.identity import read_config
from ecg_tl.locks import made_once
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

    def find() -> np.ndarray:
        store = open_store(path)
        return tie(store.patient, row_checksums(store.ecg), same_signal_groups(store.ecg, store.patient))

    return _kept(kept / f"groups-1-{content_sha256[:16]}.npy", find)


def _kept(path: Path, find: Callable[[], np.ndarray]) -> np.ndarray:
    """Read what was found once for all cells and left at `path`."""

    def make() -> None:
        content = io.BytesIO()
        np.save(content, find())
        write_whole(path, content.getvalue())

    return np.asarray(np.load(made_once(path, make), allow_pickle=False))


@cache
def note_lead(encoder: Path, encoder_lead: str, lead: str) -> None:
    """Say, once a process, that an encoder was pretrained on another lead."""
    if encoder_lead != lead:
        print(f"note: {encoder} was pretrained on lead {encoder_lead}, the data is {lead}", flush=True)


def rows_in_corpus(bundle: EncoderBundle, store: Store, rows: np.ndarray, kept: Path) -> np.ndarray | None:
    """Name those of `rows` that the encoder was pretrained on; None, with a note, if its corpus is not at hand.

    Comparing a large corpus takes long, so all rows of the store are compared once and those found left in `kept`.
    """
    corpus_sha256 = str(bundle.description.get("corpus_sha256"))
    found = _overlap(bundle.folder, corpus_sha256, store.path, store.content_sha256, kept)
    return None if found is None else rows[np.isin(rows, found)]


def refuse_overlap(bundle: EncoderBundle, store: Store, test: np.ndarray, kept: Path, *, allow: bool) -> int | None:
    """Count the test rows that the encoder was pretrained on; None, with a note, if its corpus is not at hand.

    ValueError if there are any and they are not allowed.
    """
    found = rows_in_corpus(bundle, store, test, kept)
    if found is None:
        return None
    if len(found) and not allow:
        named = ", ".join(store.record[found[:3]])
        raise ValueError(
            f"{bundle.folder}: pretrained on {len(found)} of the {len(test)} test records ({named}...); "
            f"pretrain without them, or give allow_overlap=true, which the record will say"
        )
    return len(found)


@lru_cache(maxsize=4)
def _overlap(encoder: Path, corpus_sha256: str, path: Path, content_sha256: str, kept: Path) -> np.ndarray | None:
    found = kept / f"overlap-1-{corpus_sha256[:16]}-{content_sha256[:16]}.npy"
    corpus = None if found.is_file() else _corpus(encoder, corpus_sha256)
    if not found.is_file() and corpus is None:
        return None

    def find() -> np.ndarray:
        assert corpus is not None
        store = open_store(path)
        return overlap_with(corpus, store, np.arange(len(store)))

    return _kept(found, find)


def _corpus(encoder: Path, corpus_sha256: str) -> Store | None:
    """Open what an encoder was pretrained on; None, with a note, if that is not at hand."""
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
    return corpus
