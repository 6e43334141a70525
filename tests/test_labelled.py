from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg_tl import labelled
from ecg_tl.bundle import EncoderBundle
from ecg_tl.labelled import labelled_groups, labelled_split, note_lead, rows_in_corpus
from ecg_tl.networks import Architecture
from tests.fabricate import labelled_store


def test_another_lead_is_noted_once_a_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        note_lead(tmp_path / "encoder", "II", "MLII")
        note_lead(tmp_path / "encoder", "II", "II")
    assert capsys.readouterr().out == f"note: {tmp_path / 'encoder'} was pretrained on lead II, the data is MLII\n"


def test_groups_are_found_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = labelled_store(tmp_path / "s.h5", records=30)
    groups = labelled_groups(store, tmp_path / "kept")
    split = labelled_split(store, tmp_path / "kept", 0.2, 0)
    labelled._groups.cache_clear()  # as in another process
    monkeypatch.setattr(labelled, "same_signal_groups", None)
    assert labelled_groups(store, tmp_path / "kept").tolist() == groups.tolist() == list(range(30))
    for mine, theirs in zip(labelled_split(store, tmp_path / "kept", 0.2, 0), split, strict=True):
        assert mine.tolist() == theirs.tolist()
    labelled._groups.cache_clear()
    with pytest.raises(TypeError):
        labelled_groups(store, tmp_path / "elsewhere")


def test_what_an_encoder_has_seen_is_found_once_for_all_processes_and_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, corpus = labelled_store(tmp_path / "s.h5", records=30), labelled_store(tmp_path / "c.h5", records=12)
    (tmp_path / "config.yaml").write_text(f"corpus: {{path: {corpus.path}}}\n")
    described = {"corpus_sha256": corpus.content_sha256}
    bundle = EncoderBundle(tmp_path, Architecture(), {}, {}, "", described)
    assert np.array_equal(store.ecg[:12], corpus.ecg)  # what this test rests on
    seen = rows_in_corpus(bundle, store, np.array([3, 11, 12, 29]), tmp_path / "kept")
    assert seen is not None
    assert seen.tolist() == [3, 11]
    labelled._overlap.cache_clear()  # as in another process
    corpus.path.unlink()
    monkeypatch.setattr(labelled, "overlap_with", None)
    seen = rows_in_corpus(bundle, store, np.array([0, 20]), tmp_path / "kept")
    assert seen is not None
    assert seen.tolist() == [0]
    assert capsys.readouterr().out == ""
    assert rows_in_corpus(bundle, store, np.array([0]), tmp_path / "elsewhere") is None
    assert "was not checked" in capsys.readouterr().out
