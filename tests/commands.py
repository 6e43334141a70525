"""The commands as a user gives them, in this process."""

from __future__ import annotations

import importlib
import sys

import pytest

from ecg_tl import command_line


def run(entry: str, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"ecg_tl.{entry}", *words])
        command_line.run(entry, importlib.import_module(f"ecg_tl.{entry}").main)


def refused(entry: str, *words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(entry, *words)
    assert stopped.value.code == 1
