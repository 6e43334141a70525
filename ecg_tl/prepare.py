"""ENTRY: raw recordings into a prepared store, or a look into stores. python -m ecg_tl.prepare source=NAME out=FILE"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ecg_tl import command_line
from ecg_tl import source_config as options
from ecg_tl.audit import AuditReport, audit
from ecg_tl.config import PrepareConfig
from ecg_tl.info import info
from ecg_tl.locks import held
from ecg_tl.merge import merge
from ecg_tl.rows import write_rows
from ecg_tl.sources import Source
from ecg_tl.sources.csv import PlainFiles
from ecg_tl.sources.hdf5_icu import Hdf5Icu
from ecg_tl.sources.hdf5_icu_writer import write_raw_icu
from ecg_tl.sources.ptbxl import Ptbxl
from ecg_tl.sources.shaoxing_figshare import ShaoxingFigshare
from ecg_tl.sources.shaoxing_physionet import ShaoxingPhysionet
from ecg_tl.sources.synthetic import SyntheticIcu, SyntheticRecords
from ecg_tl.sources.wfdb import WfdbIcu, WfdbRecords
from ecg_tl.splits import stratified_split, tie
from ecg_tl.store import Store, open_store


def main(config: PrepareConfig) -> None:
    """Write a store and print what is in it and what was left out; or write raw recordings, or report on stores."""
    if config.info:
        print(info(Path(config.info)))
    elif config.audit:
        print(_audit([open_store(Path(path)) for path in config.audit]).render())
    elif config.raw:
        write_raw_icu(_source(config.source), Path(config.raw), "lzf")
        print(f"written to {config.raw}")
    else:
        assert config.out is not None
        _write(config, Path(config.out))


def _audit(stores: list[Store]) -> AuditReport:
    """Audit stores, and the split that training makes of each labelled one (data.test_fraction=0.2, split_seed=0)."""
    report = audit(stores)
    splits = {
        index: stratified_split(store.rhythm, tie(store.patient, report.ties(store)), 0.2, 0)
        for index, store in enumerate(stores)
        if store.rhythm is not None
    }
    return replace(report, splits=splits)


def _write(config: PrepareConfig, out: Path) -> None:
    with held(out) as mine:
        if not mine:
            raise ValueError(f"out={out}: another process is making it; wait for it, or choose another out")
        if config.merge:
            rows = merge([open_store(Path(path)) for path in config.merge], out)
            print(f"{rows:,} windows of {len(config.merge)} stores, written to {out}")
        else:
            _write_source(config.source, out)


def _write_source(source: options.SourceConfig, out: Path) -> None:
    draw: dict[str, Any] = {}
    if isinstance(source, options.WindowDraw):
        count = source.windows_per_patient
        draw = {"windows_per_patient": None if count == "all" else int(count), "seed": source.seed}
    write_rows(
        _source(source),
        out,
        lead=getattr(source, "lead", "II"),
        window_s=getattr(source, "window_s", 10.0),
        show_progress=True,
        **draw,
    )


def _source(source: options.SourceConfig) -> Source:
    match source:
        case options.SyntheticSource():
            return SyntheticRecords(source.records, source.seed)
        case options.SyntheticIcuSource():
            return SyntheticIcu(source.patients, source.recording_s, source.seed)
        case options.WfdbSource():
            return WfdbRecords(Path(source.path), _optional(source.labels), source.lead)
        case options.WfdbIcuSource():
            return WfdbIcu(Path(source.path), source.lead, _optional(source.patients))
        case options.ShaoxingPhysionetSource():
            return ShaoxingPhysionet(Path(source.path), source.hospital, source.lead)
        case options.PtbxlSource():
            return Ptbxl(Path(source.path), source.records_hz, source.lead)
        case options.ShaoxingFigshareSource():
            return ShaoxingFigshare(Path(source.path))
        case options.Hdf5IcuSource():
            every_window = source.windows_per_patient == "all"
            return Hdf5Icu(Path(source.path), source.lead, None if every_window else source.hours_per_patient)
        case options.CsvSource():
            return PlainFiles(
                Path(source.path),
                rate_hz=source.rate_hz,
                unit=source.unit,
                lead=source.lead,
                labels=_optional(source.labels),
                patients=_optional(source.patients),
                column=source.column,
                trust_unit=source.trust_unit,
            )
        case _:
            raise AssertionError(f"no source for {source}")


def _optional(path: str | None) -> Path | None:
    return None if path is None else Path(path)


if __name__ == "__main__":
    command_line.run("prepare", main)
