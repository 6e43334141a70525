from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ecg_tl import locks
from ecg_tl.locks import held, is_held

HOLDER = """
import sys
from pathlib import Path
from ecg_tl.locks import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_one_processs_and_gone_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE_S", 0)
    path, root = tmp_path / "cell", str(Path(locks.__file__).parents[1])
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_held(path)
        with held(path) as mine:
            assert not mine
        holder.kill()
        holder.wait()
    assert not is_held(path)
    with held(path) as mine:
        assert mine
        assert is_held(path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.h5.123.rows", ".a.h5.123.partial", ".b.h5.123.rows", "a.h5"):
        (tmp_path / name).touch()
    with held(tmp_path / "a.h5") as mine:
        assert mine
    assert {path.name for path in tmp_path.iterdir()} == {".b.h5.123.rows", "a.h5"}
