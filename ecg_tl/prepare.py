"""ENTRY: turn raw recordings into a prepared store. python -m ecg_tl.prepare source=NAME source.path=DIR out=FILE.h5"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecg_tl import command_line
from ecg_tl.config import (
    PrepareConfig,
    SourceConfig,
    SyntheticIcuSource,
    SyntheticSource,
    WfdbIcuSource,
    WfdbSource,
    WindowDraw,
)
from ecg_tl.rows import write_rows
from ecg_tl.sources import Source
from ecg_tl.sources.synthetic import SyntheticIcu, SyntheticRecords
from ecg_tl.sources.wfdb import WfdbIcu, WfdbRecords


def main(config: PrepareConfig) -> None:
    """Write the store and print what is in it and what was left out."""
    options = config.source
    draw: dict[str, Any] = {}
    if isinstance(options, WindowDraw):
        count = options.windows_per_patient
        draw = {"windows_per_patient": None if count == "all" else int(count), "seed": options.seed}
    write_rows(
        _source(options),
        Path(config.out),
        lead=getattr(options, "lead", "II"),
        window_s=getattr(options, "window_s", 10.0),
        show_progress=True,
        **draw,
    )


def _source(options: SourceConfig) -> Source:
    match options:
        case SyntheticSource():
            return SyntheticRecords(options.records, options.seed)
        case SyntheticIcuSource():
            return SyntheticIcu(options.patients, options.recording_s, options.seed)
        case WfdbSource():
            return WfdbRecords(Path(options.path), _optional(options.labels), options.lead)
        case WfdbIcuSource():
            return WfdbIcu(Path(options.path), options.lead, _optional(options.patients))
        case _:
            raise AssertionError(f"no source for {options}")


def _optional(path: str | None) -> Path | None:
    return None if path is None else Path(path)


if __name__ == "__main__":
    command_line.run("prepare", main)
