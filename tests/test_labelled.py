from __future__ import annotations

from pathlib import Path

import pytest

from ecg_tl.labelled import note_lead


def test_another_lead_is_noted_once_a_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        note_lead(tmp_path / "encoder", "II", "MLII")
        note_lead(tmp_path / "encoder", "II", "II")
    assert capsys.readouterr().out == f"note: {tmp_path / 'encoder'} was pretrained on lead II, the data is MLII\n"
