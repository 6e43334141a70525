from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize("target", [(), ("help",)])
def test_make_tells_its_targets_and_makes_none(target: tuple[str, ...]) -> None:
    command = ["make", "--no-print-directory", *target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert told[0].startswith("make tables: the whole demo study.")
    assert all(line.startswith("make ") for line in told)
