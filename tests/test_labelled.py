from __future__ import annotations

from pathlib import Path

import pytest

from ecg_tl import labelled
from ecg_tl.labelled import labelled_groups, labelled_split, note_lead
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
