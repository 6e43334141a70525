"""Write an unlabelled source in the layout that `hdf5_icu` reads, so that any size of it can be tried."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

from ecg_tl.sources import Recording, Source

_MV_PER_UNIT = 0.001
_MISSING = -32768


def write_raw_icu(source: Source, path: Path, compression: str | None = None) -> None:
    """Write an unlabelled source as a file that `Hdf5Icu` reads, a group a patient; it appears whole or not at all.

    Samples become int16 microvolts, those beyond +-32.767 mV the nearest it holds. compression: None, gzip or
    lzf. ValueError if path exists or the source is labelled.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"{path} exists; remove it or choose another file")
    if source.rhythms:
        raise ValueError(f"{path}: source {source.format} is labelled, and this layout has no rhythms; choose another")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with h5py.File(partial, "w") as file:
            file.attrs.update(mv_per_unit=_MV_PER_UNIT, unit="mV", missing=_MISSING)
            for item in source:
                if isinstance(item, Recording):
                    _write_segment(file.require_group(item.patient), item, compression)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_segment(group: h5py.Group, item: Recording, compression: str | None) -> None:
    steps = np.clip(np.rint(item.ecg_mv.astype(np.float64) / _MV_PER_UNIT), -32767, 32767)
    values = np.where(np.isnan(steps), _MISSING, steps).astype("<i2")
    segment = group.create_dataset(
        item.record.replace("/", "_"), data=values, compression=compression, shuffle=compression is not None
    )
    segment.attrs.update(rate_hz=item.rate_hz, lead=item.lead)
    if "sex" not in group.attrs:
        group.attrs["sex"] = item.sex
        if math.isfinite(item.age):
            group.attrs["age"] = item.age
