"""Raw formats, one file each, all read as `Recording`s; what cannot be read is an `Exclusion`, never silence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

Sex = Literal["unknown", "male", "female"]


@dataclass(frozen=True)
class Recording:
    """One stretch of one lead of one patient, in millivolts, as the device gave it.

    ecg_mv: (T,) float32, NaN where the device gave nothing. rate_hz: samples a second. lead: the lead's name.
    rhythm: a name out of the source's `rhythms`, None in an unlabelled source. age: years, NaN if unknown.
    """

    ecg_mv: np.ndarray
    rate_hz: float
    lead: str
    patient: str
    record: str
    rhythm: str | None = None
    age: float = math.nan
    sex: Sex = "unknown"


@dataclass(frozen=True)
class Signal:
    """A recording that is read stretch by stretch, however long it is.

    samples: its length at rate_hz. read_mv(first, last): samples first to last, (last - first,) float32 millivolts, NaN
    where the device gave nothing; first is a multiple of grain. It raises Unusable where they cannot be read.
    """

    record: str
    lead: str
    rate_hz: float
    samples: int
    read_mv: Callable[[int, int], np.ndarray]
    grain: int = 1


class Unusable(ValueError):
    """A recording of which nothing can be made. reason: the same in a few words, as an Exclusion has it."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Exclusion:
    """A recording that was left out, and why, in a few words that recur ("nan", "flat", "no lead II").

    rhythm: the rhythm it would have had, where that is known.
    """

    record: str
    reason: str
    rhythm: str | None = None


class Source(Protocol):
    """A raw format. Recordings of one patient come one after another; the order is the same on every pass."""

    format: str
    rhythms: tuple[str, ...]
    """The label set in the order of the store's indices; empty in an unlabelled source."""

    def __len__(self) -> int:
        """Count what iteration will yield, recordings and exclusions together."""
        ...

    def __iter__(self) -> Iterator[Recording | Exclusion]:
        """Yield every recording, read as late as possible, or the reason why there is none."""
        ...

    def provenance(self) -> dict[str, Any]:
        """Say where the data is from, as JSON: format, files (a count), checksum (SHA-256 over the files)."""
        ...
