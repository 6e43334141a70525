"""What conf/source/*.yaml is checked against: each raw format has its own options. Seen only by entries."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from ecg_tl.checks import at_least, one_of, positive


@dataclass
class SourceConfig:
    """A raw format; each has its own options below, so that one that it does not read is an error."""

    name: str = MISSING


@dataclass
class SyntheticSource(SourceConfig):
    """Embedded labelled records."""

    records: int = MISSING
    seed: int = MISSING
    window_s: float = MISSING

    def __post_init__(self) -> None:
        at_least("source.records", self.records, 55)
        at_least("source.seed", self.seed, 0)
        at_least("source.window_s", self.window_s, 1)


@dataclass
class WindowDraw(SourceConfig):
    """How windows are drawn from long recordings: so many at random for each patient, or all of them."""

    windows_per_patient: int | str = MISSING
    seed: int = MISSING

    def __post_init__(self) -> None:
        at_least("source.seed", self.seed, 0)
        if self.windows_per_patient == "all":
            return
        if isinstance(self.windows_per_patient, str):
            raise ValueError(f"source.windows_per_patient={self.windows_per_patient}: give a number or all")
        at_least("source.windows_per_patient", self.windows_per_patient, 1)


@dataclass
class SyntheticIcuSource(WindowDraw):
    """Embedded ICU recordings."""

    patients: int = MISSING
    recording_s: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("source.patients", self.patients, 2)
        at_least("source.recording_s", self.recording_s, 10)


@dataclass
class WfdbSource(SourceConfig):
    """A folder of WFDB records and a CSV of their rhythms; labels names the CSV where it is not plain."""

    path: str = MISSING
    labels: str | None = MISSING
    lead: str = MISSING
    window_s: float = MISSING

    def __post_init__(self) -> None:
        at_least("source.window_s", self.window_s, 1)


@dataclass
class WfdbIcuSource(WindowDraw):
    """A folder of long WFDB recordings; patients names a CSV of who is recorded where one is needed."""

    path: str = MISSING
    patients: str | None = MISSING
    lead: str = MISSING


@dataclass
class ShaoxingFigshareSource(SourceConfig):
    """The figshare copy of the Shaoxing database."""

    path: str = MISSING
    window_s: float = MISSING

    def __post_init__(self) -> None:
        at_least("source.window_s", self.window_s, 1)


@dataclass
class ShaoxingPhysionetSource(ShaoxingFigshareSource):
    """The PhysioNet copy, or its Challenge 2021 form."""

    lead: str = MISSING
    hospital: str = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("source.hospital", self.hospital, ("shaoxing", "ningbo", "all"))


@dataclass
class PtbxlSource(ShaoxingFigshareSource):
    """PTB-XL."""

    lead: str = MISSING
    records_hz: int = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.records_hz not in (100, 500):
            raise ValueError(f"source.records_hz={self.records_hz}: PTB-XL has files of 100 and of 500 Hz")


@dataclass
class Hdf5IcuSource(WindowDraw):
    """ICU recordings in the HDF5 layout that `ecg_tl.sources.hdf5_icu` describes; a longer stay is sampled."""

    path: str = MISSING
    lead: str = MISSING
    hours_per_patient: float | None = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hours_per_patient is not None:
            at_least("source.hours_per_patient", self.hours_per_patient, 1 / 6)


@dataclass
class CsvSource(WindowDraw):
    """Own recordings as CSV or NPY; what they are is for the user to say."""

    path: str = MISSING
    rate_hz: float = MISSING
    unit: str = MISSING
    lead: str = MISSING
    labels: str | None = MISSING
    patients: str | None = MISSING
    column: int | None = MISSING
    window_s: float = MISSING
    trust_unit: bool = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("source.rate_hz", self.rate_hz)
        one_of("source.unit", self.unit, ("mV", "uV", "V"))
        at_least("source.window_s", self.window_s, 1)


SOURCES: dict[str, type[SourceConfig]] = {
    "synthetic": SyntheticSource,
    "synthetic_icu": SyntheticIcuSource,
    "wfdb": WfdbSource,
    "wfdb_icu": WfdbIcuSource,
    "shaoxing_figshare": ShaoxingFigshareSource,
    "shaoxing_physionet": ShaoxingPhysionetSource,
    "ptbxl": PtbxlSource,
    "hdf5_icu": Hdf5IcuSource,
    "csv": CsvSource,
}
