"""What every YAML under conf/ is checked against. Dataclasses hold types and checks, the YAML holds the values.

Only the entries see this module: below them a function takes plain arguments.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


def nearest(word: str, words: Iterable[str]) -> str:
    """Find the known word that a misspelt one most likely meant."""
    return max(sorted(words), key=lambda known: difflib.SequenceMatcher(None, word, known).ratio())


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{key}={value}: not one of {', '.join(allowed)}; did you mean {nearest(value, allowed)}?")


def _at_least(key: str, value: float, limit: float) -> None:
    if not value >= limit:
        raise ValueError(f"{key}={value}: must be at least {limit}")


def _positive(key: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{key}={value}: must be a number above 0")


def _a_name(key: str, value: str) -> None:
    if not value or any(sign in value for sign in "/\\:*?\"<>|'") or value.startswith("."):
        raise ValueError(f"{key}={value!r}: names a folder; use letters, digits, '-', '_' and '.'")


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
        _at_least("source.records", self.records, 55)
        _at_least("source.seed", self.seed, 0)
        _at_least("source.window_s", self.window_s, 1)


@dataclass
class WindowDraw(SourceConfig):
    """How windows are drawn from long recordings: so many at random for each patient, or all of them."""

    windows_per_patient: int | str = MISSING
    seed: int = MISSING

    def __post_init__(self) -> None:
        _at_least("source.seed", self.seed, 0)
        if self.windows_per_patient == "all":
            return
        if isinstance(self.windows_per_patient, str):
            raise ValueError(f"source.windows_per_patient={self.windows_per_patient}: give a number or all")
        _at_least("source.windows_per_patient", self.windows_per_patient, 1)


@dataclass
class SyntheticIcuSource(WindowDraw):
    """Embedded ICU recordings."""

    patients: int = MISSING
    recording_s: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least("source.patients", self.patients, 2)
        _at_least("source.recording_s", self.recording_s, 10)


@dataclass
class WfdbSource(SourceConfig):
    """A folder of WFDB records and a CSV of their rhythms; labels names the CSV where it is not plain."""

    path: str = MISSING
    labels: str | None = MISSING
    lead: str = MISSING
    window_s: float = MISSING

    def __post_init__(self) -> None:
        _at_least("source.window_s", self.window_s, 1)


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
        _at_least("source.window_s", self.window_s, 1)


@dataclass
class ShaoxingPhysionetSource(ShaoxingFigshareSource):
    """The PhysioNet copy, or its Challenge 2021 form."""

    lead: str = MISSING
    hospital: str = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("source.hospital", self.hospital, ("shaoxing", "ningbo", "all"))


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
            _at_least("source.hours_per_patient", self.hours_per_patient, 1 / 6)


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
        _positive("source.rate_hz", self.rate_hz)
        _one_of("source.unit", self.unit, ("mV", "uV", "V"))
        _at_least("source.window_s", self.window_s, 1)


@dataclass
class DataConfig:
    """The labelled set: a store, or the embedded synthetic one of so many records."""

    path: str | None = MISSING
    records: int = MISSING
    seed: int = MISSING
    test_fraction: float = MISSING

    def __post_init__(self) -> None:
        _at_least("data.records", self.records, 55)
        _at_least("data.seed", self.seed, 0)
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"data.test_fraction={self.test_fraction}: must lie between 0 and 1")


@dataclass
class CorpusConfig:
    """The unlabelled set: a store, or the embedded synthetic one of so many patients."""

    path: str | None = MISSING
    patients: int = MISSING
    windows_per_patient: int = MISSING
    seed: int = MISSING
    test_fraction: float = MISSING

    def __post_init__(self) -> None:
        _at_least("corpus.patients", self.patients, 2)
        _at_least("corpus.windows_per_patient", self.windows_per_patient, 1)
        _at_least("corpus.seed", self.seed, 0)
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"corpus.test_fraction={self.test_fraction}: must lie between 0 and 1")


@dataclass
class ModelConfig:
    """The network; `ecg_tl.networks.Architecture` says what the entries mean."""

    kind: str = MISSING
    width: int = MISSING
    latent: int = MISSING
    kernel: int = MISSING
    late_kernel: int = MISSING
    head: str = MISSING

    def __post_init__(self) -> None:
        _one_of("model.kind", self.kind, ("residual", "released"))
        _one_of("model.head", self.head, ("pooled", "latent"))
        for name in ("width", "latent", "kernel", "late_kernel"):
            _at_least(f"model.{name}", getattr(self, name), 1)
        for name in ("kernel", "late_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"model.{name}={getattr(self, name)}: must be odd, so that a window keeps its length")


@dataclass
class InitConfig:
    """What a classifier starts from. weights: where GoogLeNet's come from; a sweep over inits gives it to all."""

    name: str = MISSING
    weights: str = MISSING

    def __post_init__(self) -> None:
        _one_of("init", self.name, ("transfer", "random", "image"))
        _one_of("init.weights", self.weights, ("imagenet", "random", "auto"))


@dataclass
class TrainerConfig:
    """Where and how numbers are computed; precision as Lightning spells it, or auto."""

    accelerator: str = MISSING
    precision: str = MISSING
    threads: int | None = MISSING

    def __post_init__(self) -> None:
        _one_of("trainer.accelerator", self.accelerator, ("cpu", "gpu"))
        _one_of("trainer.precision", self.precision, ("auto", "32-true", "bf16-mixed"))
        if self.threads is not None:
            _at_least("trainer.threads", self.threads, 1)


@dataclass
class LoggerConfig:
    """Where runs are watched. csv: nowhere but in the study's own folder, whose curve.csv every run writes."""

    name: str = MISSING
    project: str | None = None
    entity: str | None = None

    def __post_init__(self) -> None:
        _one_of("logger", self.name, ("wandb", "csv"))


@dataclass
class PrepareConfig:
    """python -m ecg_tl.prepare: make a store (out), or raw ICU recordings (raw), or look into stores (info, audit)."""

    source: SourceConfig = MISSING
    out: str | None = MISSING
    raw: str | None = MISSING
    info: str | None = MISSING
    audit: list[str] | None = MISSING

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.out, self.raw, self.info, self.audit)) != 1:
            raise ValueError("out: give exactly one of out=FILE.h5, raw=FILE.h5, info=FILE.h5 and audit=[A.h5,B.h5]")
        for key, path in (("out", self.out), ("raw", self.raw)):
            if path is not None and not path.endswith((".h5", ".hdf5")):
                raise ValueError(f"{key}={path}: an HDF5 file; let its name end with .h5")
        if self.raw is not None and self.source.name != "synthetic_icu":
            raise ValueError(
                f"raw={self.raw}: only source=synthetic_icu makes raw recordings; this is {self.source.name}"
            )


@dataclass
class StudyConfig:
    """What pretraining and training share."""

    study: str = MISSING
    outputs: str = MISSING
    seed: int = MISSING
    split_seed: int = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    learning_rate: float = MISSING
    model: ModelConfig = MISSING
    trainer: TrainerConfig = MISSING
    logger: LoggerConfig = MISSING

    def __post_init__(self) -> None:
        _a_name("study", self.study)
        _at_least("seed", self.seed, 0)
        _at_least("split_seed", self.split_seed, 0)
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 2)
        _positive("learning_rate", self.learning_rate)


@dataclass
class PretrainConfig(StudyConfig):
    """python -m ecg_tl.pretrain."""

    corpus: CorpusConfig = MISSING
    out: str | None = MISSING
    patience: int = MISSING
    schedule: str = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("schedule", self.schedule, ("one_cycle", "constant"))
        _at_least("patience", self.patience, 1)


@dataclass
class TrainConfig(StudyConfig):
    """python -m ecg_tl.train: one cell of a study."""

    init: InitConfig = MISSING
    fraction: float = MISSING
    data: DataConfig = MISSING
    encoder: str | None = MISSING
    allow_overlap: bool = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction:g}: must lie above 0 and at most at 1")


@dataclass
class TablesConfig:
    """python -m ecg_tl.tables."""

    study: str = MISSING
    outputs: str = MISSING
    trials: str | None = MISSING

    def __post_init__(self) -> None:
        _a_name("study", self.study)


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

ENTRIES: dict[str, type] = {
    "prepare": PrepareConfig,
    "pretrain": PretrainConfig,
    "train": TrainConfig,
    "tables": TablesConfig,
}


def register() -> None:
    """Make every schema known to Hydra, as schema_<entry> and source/schema_<source>."""
    store = ConfigStore.instance()
    for name, schema in ENTRIES.items():
        store.store(name=f"schema_{name}", node=schema)
    for name, source in SOURCES.items():
        store.store(group="source", name=f"schema_{name}", node=source)
