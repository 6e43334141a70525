"""Raw recordings to a prepared store: condition, cut, screen, write, and say what was left out and why."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ecg_tl.sources import Exclusion, Recording, Source
from ecg_tl.store import Store, StoreWriter, open_store
from ecg_tl.waveform import FILTER, RATE_HZ, WINDOW, condition, resampling_ratio, screen

DRAWS_PER_WINDOW = 10
"""How many random windows are looked at for one that is kept, on average over a patient, before giving up."""

SETTINGS = "settings"
"""Key of a store's source: what it was asked to be, where a command made it."""

EXCLUDED_PER_RHYTHM = "excluded_per_rhythm"
"""Key of a labelled store's source: {reason: {rhythm: count}} of recordings that were not kept, where known."""

MANY_LOST = 0.05
"""Share of a rhythm's recordings that may be left out without a warning."""

TELLTALE_RECORDINGS, TELLTALE_SHARE = 5, 0.9
"""So many recordings left out for one reason, and such a share of them in one rhythm: the reason tells the rhythm."""


_NAMED = 3
"""So many records are named for each reason; the store lists them all."""


@dataclass(frozen=True)
class Cut:
    """A stretch of a recording: ecg_mv (L,) at RATE_HZ from start_s on, and why it is unfit, if it is."""

    recording: Recording
    start_s: float
    ecg_mv: np.ndarray
    unfit: str | None


def write_rows(
    source: Source,
    out: Path,
    *,
    lead: str,
    window_s: float = 10.0,
    windows_per_patient: int | None = None,
    seed: int = 0,
    show_progress: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Store:
    """Turn a source into the store `out`, which appears whole or not at all, and open it.

    A labelled recording gives one row, its middle window_s seconds. An unlabelled patient gives
    windows_per_patient windows of WINDOW samples, drawn at random over all of the patient's time, or, if that
    is None, all consecutive ones; the draw depends on seed and on nothing of other patients. What `screen`
    refuses is listed in the store. With show_progress, a terminal shows a bar, and a summary is printed. settings
    are noted in the store, so that the same is not done twice.
    ValueError if out exists, a number is out of range, a recording is of another lead, or nothing is fit.
    """
    length = round(window_s * RATE_HZ) if source.rhythms else WINDOW
    if out.exists():
        raise ValueError(f"out={out} exists; remove it or choose another out")
    if length < 1:
        raise ValueError(f"window_s={window_s:g} is no length of time; give the seconds of a row, like 10")
    if windows_per_patient is not None and windows_per_patient < 1:
        raise ValueError(f"windows_per_patient={windows_per_patient} is none; give 1 or more, or all")
    provenance = source.provenance() | ({} if settings is None else {SETTINGS: dict(settings)})
    with StoreWriter(out, length, lead, source.rhythms, provenance, FILTER) as writer:
        items = _of_lead(_shown(source, out.name, show_progress), lead)
        if source.rhythms:
            provenance[EXCLUDED_PER_RHYTHM] = _write(_middles(items, length), writer)
        else:
            _write(_windows(items, windows_per_patient, seed), writer)
    store = open_store(out)
    if show_progress:
        print(summarise(store))
    return store


def _shown(source: Source, name: str, show_progress: bool) -> Iterator[Recording | Exclusion]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not (show_progress and console.is_terminal)) as progress:
        yield from progress.track(source, total=len(source), description=name)


def _of_lead(items: Iterable[Recording | Exclusion], lead: str) -> Iterator[Recording | Exclusion]:
    for item in items:
        if isinstance(item, Recording) and item.lead.casefold() != lead.casefold():
            raise ValueError(f"{item.record}: lead {item.lead}, and lead={lead} was asked for; set lead={item.lead}")
        yield item


def _write(cuts: Iterable[Cut | Exclusion], writer: StoreWriter) -> dict[str, dict[str, int]]:
    """Write what is fit, note what is not, and count the latter by reason and rhythm."""
    counts: dict[str, Counter[str]] = {}
    for cut in cuts:
        if isinstance(cut, Exclusion):
            writer.exclude(cut.record, cut.reason)
            if cut.rhythm is not None:
                counts.setdefault(cut.reason, Counter())[cut.rhythm] += 1
            continue
        recording = cut.recording
        if cut.unfit is not None:
            writer.exclude(recording.record, cut.unfit)
            counts.setdefault(cut.unfit, Counter())[recording.rhythm or ""] += 1
        else:
            writer.append(
                cut.ecg_mv,
                recording.patient,
                recording.record,
                cut.start_s,
                recording.rhythm,
                recording.age,
                recording.sex,
            )
    return {reason: dict(per_rhythm) for reason, per_rhythm in counts.items()}


def _middles(items: Iterable[Recording | Exclusion], length: int) -> Iterator[Cut | Exclusion]:
    """Cut the middle out of every recording."""
    for item in items:
        if isinstance(item, Exclusion):
            yield item
        elif (ecg_mv := _condition(item, length)) is None:
            yield _too_short(item)
        else:
            yield cut_row(item, ecg_mv, (ecg_mv.size - length) // 2, length)


def _windows(items: Iterable[Recording | Exclusion], per_patient: int | None, seed: int) -> Iterator[Cut | Exclusion]:
    """Cut windows out of the recordings of one patient after another; for a draw, one patient's are in memory."""
    for group in _by_patient(items) if per_patient is not None else _one_by_one(items):
        if isinstance(group, Exclusion):
            yield group
            continue
        conditioned: list[tuple[Recording, np.ndarray]] = []
        for recording in group:
            if (ecg_mv := _condition(recording, WINDOW)) is None:
                yield _too_short(recording)
            else:
                conditioned.append((recording, ecg_mv))
        if per_patient is None:
            for recording, ecg_mv in conditioned:
                for start in range(0, ecg_mv.size - WINDOW + 1, WINDOW):
                    yield cut_row(recording, ecg_mv, start, WINDOW)
        elif conditioned:
            yield from _draw(conditioned, per_patient, _generator(seed, group[0].patient))


def _one_by_one(items: Iterable[Recording | Exclusion]) -> Iterator[list[Recording] | Exclusion]:
    for item in items:
        yield item if isinstance(item, Exclusion) else [item]


def _by_patient(items: Iterable[Recording | Exclusion]) -> Iterator[list[Recording] | Exclusion]:
    group: list[Recording] = []
    seen: set[str] = set()
    for item in items:
        if isinstance(item, Exclusion):
            yield item
            continue
        if group and group[0].patient != item.patient:
            yield group
            group = []
        assert group or item.patient not in seen, f"{item.patient}: recordings of one patient must come together"
        seen.add(item.patient)
        group.append(item)
    if group:
        yield group


def _generator(seed: int, patient: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(patient.encode()).digest()])


def _draw(
    conditioned: list[tuple[Recording, np.ndarray]], count: int, random: np.random.Generator
) -> Iterator[Cut | Exclusion]:
    """Draw windows, every start equally likely, until `count` are fit or too many were not."""
    starts = np.array([ecg_mv.size - WINDOW + 1 for _, ecg_mv in conditioned])
    ends = starts.cumsum()
    fit = 0
    for _ in range(count * DRAWS_PER_WINDOW):
        place = int(random.integers(ends[-1]))
        index = int(np.searchsorted(ends, place, side="right"))
        cut = cut_row(*conditioned[index], place - int(ends[index] - starts[index]), WINDOW)
        yield cut
        fit += cut.unfit is None
        if fit == count:
            return
    yield Exclusion(conditioned[0][0].record, "too few fit windows")


def _condition(recording: Recording, length: int) -> np.ndarray | None:
    """Condition a recording, or give None if it is too short for a row or for the filter."""
    samples = recording.ecg_mv.size * RATE_HZ / recording.rate_hz
    if samples <= max(length - 1, RATE_HZ / FILTER["cutoff_hz"]):
        return None
    ecg_mv = condition(recording.ecg_mv, recording.rate_hz)
    return None if ecg_mv.size < length else ecg_mv


def _too_short(recording: Recording) -> Cut:
    return Cut(recording, 0.0, np.empty(0, np.float32), "too short")


def cut_row(recording: Recording, ecg_mv: np.ndarray, start: int, length: int) -> Cut:
    """Cut one row out of a conditioned recording; it is to be fit there and in the raw stretch it covers."""
    rate_hz = recording.rate_hz
    first, last = (place / resampling_ratio(rate_hz) for place in (start, start + length))
    raw_mv = recording.ecg_mv[math.floor(first) : math.ceil(last)]
    row_mv = ecg_mv[start : start + length]
    return Cut(recording, float(first) / rate_hz, row_mv, screen(raw_mv, rate_hz) or screen(row_mv, RATE_HZ))


def summarise(store: Store) -> str:
    """Say in a few lines what a store holds, what was left out and why, and where it is."""
    patients = len(np.unique(store.patient))
    seconds = store.length / store.rate_hz
    lines = [f"{len(store):,} rows of {seconds:g} s from {patients:,} patients, lead {store.lead}"]
    if store.rhythm is not None:
        counts = np.bincount(store.rhythm, minlength=len(store.rhythms))
        pairs = zip(store.rhythms, counts, strict=True)
        lines.append("rhythms: " + ", ".join(f"{rhythm} {count:,}" for rhythm, count in pairs))
    per_rhythm = store.source.get(EXCLUDED_PER_RHYTHM, {})
    lines.append(f"left out: {len(store.excluded):,}")
    for reason, count in Counter(reason for _, reason in store.excluded).most_common():
        known = ", ".join(f"{rhythm} {number:,}" for rhythm, number in sorted(per_rhythm.get(reason, {}).items()))
        records = list(dict.fromkeys(record for record, why in store.excluded if why == reason))
        named = ", ".join(records[:_NAMED]) + (f" and {len(records) - _NAMED:,} more" if records[_NAMED:] else "")
        lines.append(f"  {reason} {count:,}" + (f" ({known})" if known else "") + f": {named}")
    if store.rhythm is not None:
        kept = {rhythm: int(count) for rhythm, count in zip(store.rhythms, counts, strict=True)}
        lines.extend(f"WARNING: {warning}" for warning in _warnings(kept, per_rhythm))
    return "\n".join([*lines, f"written to {store.path}"])


def _warnings(kept: Mapping[str, int], excluded: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Warn of rhythms that lose many recordings, and of reasons that all but name a rhythm.

    kept: recordings per rhythm. excluded: {reason: {rhythm: recordings left out}}.
    """
    lost: Counter[str] = Counter()
    for per_rhythm in excluded.values():
        lost.update(per_rhythm)
    found = {rhythm: kept.get(rhythm, 0) + lost[rhythm] for rhythm in {**kept, **lost}}
    for rhythm, number in found.items():
        if lost[rhythm] > MANY_LOST * number:
            share = f"{lost[rhythm]:,} of {number:,} recordings ({100 * lost[rhythm] / number:.1f} %)"
            yield f"{rhythm} loses {share}; what is kept may not be like what was recorded"
    for reason, per_rhythm in excluded.items():
        rhythm, count = max(per_rhythm.items(), key=lambda item: item[1])
        total, usual_share = sum(per_rhythm.values()), found[rhythm] / sum(found.values())
        # Where nearly all recordings are of one rhythm, so is what is left out.
        if total >= TELLTALE_RECORDINGS and count / total >= TELLTALE_SHARE > usual_share:
            yield f"{count:,} of {total:,} left out as {reason!r} are {rhythm}: let in, it would have told the rhythm"
