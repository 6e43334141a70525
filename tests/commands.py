"""The commands as a user gives them, in this process."""

from __future__ import annotations

import sys

import pytest

from ecg_tl import command_line, convert, dashboard, export, predict, prepare, pretrain, status, tables, train

ENTRIES = {
    "prepare": (prepare.main,),
    "pretrain": (pretrain.main,),
    "train": (train.main, train.SWEEP),
    "status": (status.main,),
    "tables": (tables.main, None, ("study",)),
    "export": (export.main,),
    "convert": (convert.main,),
    "predict": (predict.main,),
    "dashboard": (dashboard.main,),
}


def run(entry: str, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"ecg_tl.{entry}", *words])
        command_line.run(entry, *ENTRIES[entry])


def refused(entry: str, *words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(entry, *words)
    assert stopped.value.code == 1
