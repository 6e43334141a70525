"""ENTRY: what rhythm a trained model takes recordings for, window by window. python -m ecg_tl.predict"""

from __future__ import annotations

import csv
import itertools
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import nn

from ecg_tl import command_line
from ecg_tl.bundle import bundle_folder, load_classifier_bundle
from ecg_tl.config import PredictConfig
from ecg_tl.hardware import Precision, check_accelerator, choose_precision, device_name, use_threads
from ecg_tl.predict_input import Said, Window, open_input
from ecg_tl.strip import MAX_RECORDS, UNUSABLE, Timeline, strip_figure
from ecg_tl.waveform import RATE_HZ, WINDOW, normalise


@dataclass(frozen=True)
class Prediction:
    """What a window was taken for: a probability a rhythm, or why there is none."""

    record: str
    start_s: float
    probabilities: np.ndarray | None
    unfit: str | None

    def row(self, rhythms: tuple[str, ...]) -> list[str]:
        """Give record, start_s, rhythm, probability, one probability a rhythm, reason, as text."""
        where = [self.record, f"{self.start_s:.3f}"]
        if self.probabilities is None:
            return [*where, UNUSABLE, "", *[""] * len(rhythms), self.unfit or ""]
        each = [f"{probability:.4f}" for probability in self.probabilities]
        most = int(self.probabilities.argmax())
        return [*where, rhythms[most], each[most], *each, ""]

    def entry(self, rhythms: tuple[str, ...]) -> str:
        """Give the same as a JSON object, null where there is nothing."""
        record, start_s, rhythm, probability, *each, reason = self.row(rhythms)
        usable = self.probabilities is not None
        return json.dumps(
            {
                "record": record,
                "start_s": float(start_s),
                "rhythm": rhythm,
                "probability": float(probability) if usable else None,
                "probabilities": dict(zip(rhythms, map(float, each), strict=True)) if usable else None,
                "reason": reason or None,
            }
        )


def main(config: PredictConfig) -> None:
    """Write a line a window, and draw them if asked."""
    check_accelerator(config.trainer.accelerator)
    use_threads(config.trainer.threads)
    out = Path(config.out) if config.out else None
    if out and out.exists():
        raise ValueError(f"out={out} exists; remove it or choose another out")
    figure = Path(config.figure) if config.figure else None
    figure = figure and (figure.with_suffix("") if figure.suffix else figure)
    for drawn in [figure.with_name(f"{figure.name}{ending}") for ending in (".png", ".svg")] if figure else []:
        if drawn.exists():
            raise ValueError(f"figure={config.figure}: {drawn} exists; remove it or choose another figure")
    bundle = load_classifier_bundle(bundle_folder(config.model.path))
    rhythms, model_lead = tuple(bundle.description["rhythms"]), str(bundle.description["lead"])
    said = Said(config.rate_hz, config.unit, config.lead, config.column, config.trust_unit)
    given = open_input(Path(config.input), said, model_lead)
    if figure and given.records > MAX_RECORDS:
        raise ValueError(f"figure: {given.records} recordings, and a figure shows 1 to {MAX_RECORDS}; name fewer")
    if given.lead.casefold() != model_lead.casefold():
        print(f"note: the model was trained on lead {model_lead}, this is lead {given.lead}", file=sys.stderr)
    step = WINDOW if config.step_s is None else round(config.step_s * RATE_HZ)
    device = "cuda" if config.trainer.accelerator == "gpu" else "cpu"
    precision = choose_precision(config.trainer.precision, config.trainer.accelerator)
    timelines: dict[str, Timeline] = {}
    reasons: Counter[str] = Counter()
    began_s = time.perf_counter()
    with _written(out) as file:
        write, end = _writer(file, config.format, rhythms)
        for prediction in predict(bundle.network, given.windows(step), config.batch_size, device, precision):
            write(prediction)
            reasons[prediction.unfit or ""] += 1
            if figure:
                _add(timelines.setdefault(prediction.record, Timeline()), prediction)
        end()
    seconds, n_windows = time.perf_counter() - began_s, reasons.total()
    unfit = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common() if reason) or "none"
    written = [str(out)] if out else []
    if figure:
        note = f"lead {given.lead}; model {Path(config.model.path).name}, trained on lead {model_lead}"
        written += map(str, strip_figure(timelines, rhythms, step / RATE_HZ, figure, note))
    computed = f"{precision} on {device_name(config.trainer.accelerator)}"
    print(
        f"{n_windows:,} windows of {given.records:,} recordings in {seconds:.1f} s "
        f"({n_windows / seconds:,.0f} a second, {computed}), unusable: {unfit}"
        + (f"; written to {', '.join(written)}" if written else ""),
        file=sys.stdout if out else sys.stderr,
    )


def predict(
    network: nn.Module, windows: Iterable[Window], batch_size: int, device: str, precision: Precision
) -> Iterator[Prediction]:
    """Classify windows, batch_size at a time, in the order in which they come; unfit ones pass through.

    On a CPU each core works at a batch of its own, which wastes less of them than all working at one. Two batches a
    core are held at once, and the recording is read meanwhile.
    """
    network = network.to(device).eval()

    def answers(batch: list[Window]) -> np.ndarray:
        fit = [window.ecg for window in batch if window.ecg is not None]
        if not fit:
            return np.empty((0, 0), np.float32)
        inputs = torch.from_numpy(normalise(np.stack(fit))).to(device)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
            return network(inputs).float().softmax(-1).cpu().numpy()

    workers, threads = (torch.get_num_threads(), 1) if device == "cpu" else (1, torch.get_num_threads())
    remaining = iter(windows)
    with ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, threads)) as pool:
        under_way: deque[tuple[list[Window], Future[np.ndarray]]] = deque()
        while True:
            while len(under_way) < 2 * workers and (batch := list(itertools.islice(remaining, batch_size))):
                under_way.append((batch, pool.submit(answers, batch)))
            if not under_way:
                return
            batch, future = under_way.popleft()
            given = iter(future.result())
            for window in batch:
                answer = None if window.ecg is None else next(given)
                yield Prediction(window.record, window.start_s, answer, window.unfit)


@contextmanager
def _written(out: Path | None) -> Iterator[TextIO]:
    """Open what is written line by line and appears under its name when the block ends well; None: standard output."""
    if out is None:
        yield sys.stdout
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _writer(
    file: TextIO, kind: str, rhythms: tuple[str, ...]
) -> tuple[Callable[[Prediction], object], Callable[[], object]]:
    """Begin a CSV or a JSON array; give what adds a prediction, and what ends it."""
    if kind == "csv":
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["record", "start_s", "rhythm", "probability", *rhythms, "reason"])
        return lambda prediction: table.writerow(prediction.row(rhythms)), lambda: None
    separators = itertools.chain("[", itertools.repeat(","))
    return (
        lambda prediction: file.write(f"{next(separators)}\n{prediction.entry(rhythms)}"),
        lambda: file.write("\n]\n"),
    )


def _add(line: Timeline, prediction: Prediction) -> None:
    probabilities = prediction.probabilities
    line.start_s.append(prediction.start_s)
    line.rhythm.append(None if probabilities is None else int(probabilities.argmax()))
    line.probability.append(np.nan if probabilities is None else float(probabilities.max()))


if __name__ == "__main__":
    command_line.run("predict", main)
