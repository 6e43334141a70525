"""Why a cell failed: a text in its folder, there until the cell is tried again."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ecg_tl.records import write_whole

_NAME = "failed.txt"


@contextmanager
def noted(folder: Path) -> Iterator[None]:
    """Leave folder/failed.txt if the block raises: the error in a line, the time, the traceback. Raises it on."""
    (folder / _NAME).unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        write_whole(folder / _NAME, f"{in_a_line(error)}\n{when}\n\n{traceback.format_exc()}")
        raise


def in_a_line(error: Exception) -> str:
    """Put an error into one line: a user's without its type, a fault of ours with it."""
    told = " ".join(str(error).split())
    return told if isinstance(error, ValueError | OSError) and told else f"{type(error).__name__}: {told}"


def failure_of(folder: Path) -> str | None:
    """Say in a line why the last attempt at a cell failed, None if it did not."""
    path = folder / _NAME
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        return None
