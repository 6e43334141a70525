from __future__ import annotations

from pathlib import Path

import pytest

from ecg_tl.sources.record_tables import find_table


def test_a_table_is_the_path_given_or_else_the_name_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"records/mine\.csv: no such table, nor mine\.csv; name one"):
        find_table(folder, Path("mine.csv"))
    (folder / "mine.csv").touch()
    assert find_table(folder, Path("mine.csv")).samefile(folder / "mine.csv")
    Path("mine.csv").touch()
    assert find_table(folder, Path("mine.csv")).samefile(tmp_path / "mine.csv")
