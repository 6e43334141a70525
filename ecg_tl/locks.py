"""One process at a time: a lock beside a file or folder that is being made, gone when its process is."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_PATIENCE_S = 1.0
"""A look at a lock (`is_held`) takes it for an instant, which must not pass for another process at work."""


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


@contextmanager
def held(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a file or folder that is about to be made; gives whether it was to be had.

    With wait, as long as another process holds it. What a killed process left half-written beside a file, under names
    .NAME.*.partial and .NAME.*.rows, is removed. OSError where there is no place for a lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _lock_path(path).touch()  # OSError where it cannot be made, which FileLock may take for another process at work
    lock = FileLock(_lock_path(path))
    try:
        lock.acquire(timeout=-1 if wait else _PATIENCE_S)
    except Timeout:
        yield False
        return
    try:
        for ending in ("partial", "rows"):
            for left_over in path.parent.glob(f".{glob.escape(path.name)}.*.{ending}"):
                left_over.unlink(missing_ok=True)
        yield True
    finally:
        # while it is held: who waits for it sees that its file is gone, and begins again with a new one
        _lock_path(path).unlink(missing_ok=True)
        lock.release()


def made_once(path: Path, make: Callable[[], object]) -> Path:
    """Give a file that is made where it is not there, by one process, while the others wait. make() leaves it whole."""
    if not path.is_file():
        with held(path, wait=True):
            if not path.is_file():
                make()
    return path


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock of a file or folder."""
    if not _lock_path(path).is_file():
        return False
    lock = FileLock(_lock_path(path))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False
