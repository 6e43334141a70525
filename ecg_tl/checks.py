"""Refusals that name the key, its value, the limit and the nearest right word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str:
    """Find the known word that a misspelt one most likely meant."""
    return max(sorted(words), key=lambda known: difflib.SequenceMatcher(None, word, known).ratio())


def one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among those allowed; ValueError names the nearest."""
    if value not in allowed:
        raise ValueError(f"{key}={value}: not one of {', '.join(allowed)}; did you mean {nearest(value, allowed)}?")


def at_least(key: str, value: float, limit: float) -> None:
    """Refuse a number below the limit, or no number."""
    if not value >= limit:
        raise ValueError(f"{key}={value}: must be at least {limit}")


def positive(key: str, value: float) -> None:
    """Refuse a number that is not above 0 and finite."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{key}={value}: must be a number above 0")


def a_name(key: str, value: str) -> None:
    """Refuse a word that cannot name a folder."""
    if not value or any(sign in value for sign in "/\\:*?\"<>|'") or value.startswith("."):
        raise ValueError(f"{key}={value!r}: names a folder; use letters, digits, '-', '_' and '.'")
