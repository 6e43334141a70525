"""What went wrong, in a line; of a cell, in a text in its folder too, there until the cell is tried again."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ecg_tl.records import write_whole

_NAME = "failed.txt"

_HIDDEN = re.compile(r"\.(.+?)(\.\d+)?(\.partial|\.rows|\.lock)?")
"""What a file or folder is called until it is whole, and its lock."""

_ELSEWHERE = "name a place that exists and where you may read and write"
_REMEDIES = {
    errno.ENOENT: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.EEXIST: "a folder is wanted there; name another place",
    errno.ENOTDIR: "a file is where a folder is wanted; name another place",
    errno.EISDIR: "a folder is where a file is wanted; name another place",
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room there, or name another place",
    errno.ENAMETOOLONG: "give a shorter name",
}


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
    """Put an error into one line: a user's without its type, a fault of ours with it.

    What the system says of a path (an OSError with a number) follows the path, and what to do about it comes after.
    """
    told = _of_the_system(error) if isinstance(error, OSError) and error.errno in errno.errorcode else str(error)
    told = " ".join(told.split())
    return told if isinstance(error, ValueError | OSError) and told else f"{type(error).__name__}: {told}"


def _of_the_system(error: OSError) -> str:
    assert error.errno is not None
    path = error.filename2 or error.filename
    if path is None and (named := re.search(r"name = '([^']+)'", str(error))):  # HDF5 has it in the text alone
        path = named[1]
    said = os.strerror(error.errno) if path is not None else error.strerror or os.strerror(error.errno)
    parts = [] if path is None else [_real_name(Path(os.fsdecode(path) if isinstance(path, bytes) else str(path)))]
    remedy = _REMEDIES.get(error.errno)
    return ": ".join([*parts, f"{said}; {remedy}" if remedy else said])


def _real_name(path: Path) -> str:
    """Give the path under which a file that is being made will be known."""
    hidden = [_HIDDEN.fullmatch(part) for part in path.parts]
    return str(Path(*(m[1] if m and (m[2] or m[3]) else part for m, part in zip(hidden, path.parts, strict=True))))


def failure_of(folder: Path) -> str | None:
    """Say in a line why the last attempt at a cell failed, None if it did not."""
    path = folder / _NAME
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        return None
