"""The paper's figures beside ours: which columns may stand there, and why the others may not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from ecg_tl.cohorts import PAPER_RHYTHMS
from ecg_tl.records import RunRecord
from ecg_tl.sources.shaoxing import RHYTHM_COUNTS
from ecg_tl.statistics import mean_sd
from ecg_tl.trials import published_trials

PAPER_SOURCE = "shaoxing_figshare"
PAPER_LEAD = "II"
SPREADS = 2


class Theirs(NamedTuple):
    """One column of the paper's tables, or why there is none to compare with: mean is None then."""

    theirs: str
    mean: float | None = None
    sd: float = math.nan

    def difference(self, ours: float) -> str:
        """Ours minus theirs, a dash where nothing can be compared."""
        return "–" if self.mean is None or math.isnan(ours) else f"{ours - self.mean:+.3f}"

    def within(self, ours: float) -> str:
        """Whether our mean lies within two of their SDs of their mean."""
        if self.mean is None or math.isnan(ours):
            return "–"
        return "yes" if abs(ours - self.mean) <= SPREADS * self.sd else "no"


@dataclass(frozen=True)
class Published:
    """What the paper prints, and for which inits it may not be compared; "" as a key stands for all of them."""

    reasons: Mapping[str, str] = field(default_factory=dict)
    trials: pd.DataFrame = field(default_factory=published_trials)
    heading: str = "Beside the paper"

    @property
    def notes(self) -> tuple[str, ...]:
        """What stands under a table that prints these figures."""
        reason = self.reasons.get("")
        told = f"not comparable here ({reason})" if reason else "the same eleven rhythms and recordings, another corpus"
        return (f"Paper: Jang, Kim & Yoon 2021, tables 2 and 3, ten trials a column; {told}.",)

    def beside(self, init: str, fraction: float, measure: str) -> Theirs:
        """Give the paper's figure for one column, or the reason why none may stand there."""
        trials = self.trials
        values = trials.loc[(trials["init"] == init) & (trials["fraction"] == fraction), measure].dropna()
        if values.empty:
            return Theirs("not in the paper")
        mean, sd = mean_sd(values)
        if reason := self.reasons.get("") or self.reasons.get(init):
            return Theirs(f"– ({reason})")
        return Theirs(f"{mean:.3f} ± {sd:.3f}", mean, sd)


def published_beside(records: Sequence[RunRecord], source_formats: Mapping[str, str], leads: set[str]) -> Published:
    """Decide what of a study may stand beside the paper's figures: its class set, recordings and lead, or nothing.

    source_formats: of each data_sha256 among the records, the format its store was prepared from ("" unknown).
    """
    reasons: dict[str, str] = {}
    classes = {tuple(record.rhythms) for record in records}
    formats = {source_formats.get(record.data_sha256, "") for record in records}
    if "" in formats:
        reasons[""] = "recordings not at hand"
    elif formats != {PAPER_SOURCE}:
        reasons[""] = "synthetic data" if "synthetic" in formats else "other recordings"
    elif any(set(rhythms) != set(RHYTHM_COUNTS) for rhythms in classes):
        reasons[""] = f"not the paper's {PAPER_RHYTHMS} classes"
    elif leads != {PAPER_LEAD}:
        reasons[""] = f"lead {', '.join(sorted(leads))}, the paper has {PAPER_LEAD}"
    for record in records:
        if record.weights == "random":
            reasons[record.init] = "random weights"
    return Published(reasons)
