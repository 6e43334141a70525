"""ENTRY: raw recordings into a prepared store, or a look into stores. python -m ecg_tl.prepare source=NAME out=FILE"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ecg_tl import command_line
from ecg_tl import source_config as options
from ecg_tl.audit import AuditReport, audit
from ecg_tl.config import PrepareConfig
from ecg_tl.identity import differences
from ecg_tl.info import info
from ecg_tl.locks import held
from ecg_tl.merge import merge
from ecg_tl.rows import SETTINGS, write_rows
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

_TABLES = ("labels", "patients")
"""Options of sources that name tables, which go by their names: what is in them is compared by checksum."""


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
            _merge([open_store(Path(path)) for path in config.merge], out)
        else:
            _write_source(config.source, out)


def _merge(stores: list[Store], out: Path) -> None:
    if not _done(out, {"merge": [store.content_sha256 for store in stores]}):
        print(f"{merge(stores, out):,} windows of {len(stores)} stores, written to {out}")
        for store in stores:
            if store.labelled:
                print(f"note: {store.path} is labelled; its rhythms are left behind, its records are in the corpus now")


def _write_source(config: options.SourceConfig, out: Path) -> None:
    source = _source(config)
    settings = {
        key: Path(value).name if key in _TABLES and isinstance(value, str) else value  # patients may be a number
        for key, value in asdict(config).items()
        if key != "path"
    }
    if _done(out, settings, source):
        return
    draw: dict[str, Any] = {}
    if isinstance(config, options.WindowDraw):
        count = config.windows_per_patient
        draw = {"windows_per_patient": None if count == "all" else int(count), "seed": config.seed}
    write_rows(
        source,
        out,
        lead=getattr(config, "lead", "II"),
        window_s=getattr(config, "window_s", 10.0),
        show_progress=True,
        settings=settings,
        **draw,
    )


def _done(out: Path, settings: dict[str, Any], source: Source | None = None) -> bool:
    """Whether `out` is there and is what would be written. ValueError if it is anything else."""
    if not out.exists():
        return False
    store = open_store(out)
    if changed := differences(store.source.get(SETTINGS, {}), settings):
        raise ValueError(f"out={out} exists, made with other settings ({changed}); remove it or choose another out")
    if source and source.provenance().get("checksum") != store.source.get("checksum"):
        raise ValueError(f"out={out} exists, made of other files; remove it or choose another out")
    print(f"{out}: prepared already, {len(store):,} rows; skipped")
    return True


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
