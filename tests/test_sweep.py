from __future__ import annotations

import pytest

from ecg_tl.sweep import Sweep


def test_cells_that_failed_for_one_reason_are_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {"s/image/1/0": "no weights", "s/random/1/0": "killed", "s/image/1/1": "no weights"}
    with pytest.raises(SystemExit) as stop:
        Sweep(lambda *_: None, lambda _: reasons).report([0, 1, 2, 3])
    assert stop.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: 3 of 4 cells failed",
        "  s/image/1/0, s/image/1/1: no weights",
        "  s/random/1/0: killed",
    ]
