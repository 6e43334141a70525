"""What every YAML under conf/ is checked against. Dataclasses hold types and checks, the YAML holds the values.

Only the entries see this module: below them a function takes plain arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from ecg_tl.checks import a_name, at_least, one_of, positive
from ecg_tl.group_config import CorpusConfig, DataConfig, InitConfig, LoggerConfig, ModelConfig, TrainerConfig
from ecg_tl.processes import share_of_batch
from ecg_tl.source_config import SOURCES, SourceConfig


@dataclass
class PrepareConfig:
    """python -m ecg_tl.prepare: make a store (out, of a source or merged), or raw recordings, or look into stores."""

    source: SourceConfig = MISSING
    out: str | None = MISSING
    raw: str | None = MISSING
    info: str | None = MISSING
    audit: list[str] | None = MISSING
    merge: list[str] | None = MISSING

    def __post_init__(self) -> None:
        if self.merge is not None and self.out is None:
            raise ValueError("merge: give out=FILE.h5 for what comes out of it")
        if sum(value is not None for value in (self.out, self.raw, self.info, self.audit)) != 1:
            raise ValueError(
                "out: give exactly one of out=FILE.h5 (of source=NAME, or merge=[A.h5,B.h5] with it), raw=FILE.h5, "
                "info=FILE.h5 and audit=[A.h5,B.h5]"
            )
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
    overwrite: bool = MISSING
    model: ModelConfig = MISSING
    trainer: TrainerConfig = MISSING
    logger: LoggerConfig = MISSING

    def __post_init__(self) -> None:
        a_name("study", self.study)
        at_least("seed", self.seed, 0)
        at_least("split_seed", self.split_seed, 0)
        at_least("epochs", self.epochs, 1)
        at_least("batch_size", self.batch_size, 2)
        positive("learning_rate", self.learning_rate)


@dataclass
class PretrainConfig(StudyConfig):
    """python -m ecg_tl.pretrain."""

    corpus: CorpusConfig = MISSING
    out: str | None = MISSING
    patience: int = MISSING
    schedule: str = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("schedule", self.schedule, ("one_cycle", "constant"))
        at_least("patience", self.patience, 1)
        share_of_batch(self.batch_size, self.trainer.devices, self.trainer.nodes)


@dataclass
class TrainConfig(StudyConfig):
    """python -m ecg_tl.train: one cell of a study."""

    init: InitConfig = MISSING
    fraction: float = MISSING
    data: DataConfig = MISSING
    encoder: str | None = MISSING
    allow_overlap: bool = MISSING
    every_rhythm: bool = MISSING
    gpus_per_cell: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("gpus_per_cell", self.gpus_per_cell, 0)
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction:g}: must lie above 0 and at most at 1")
        for key in ("devices", "nodes"):
            if (value := getattr(self.trainer, key)) > 1:
                raise ValueError(f"trainer.{key}={value}: one process trains a cell; share the cells out instead (-m)")


@dataclass
class TablesConfig:
    """python -m ecg_tl.tables; study names one study, or two to compare, joined by a comma."""

    study: str = MISSING
    outputs: str = MISSING
    trials: str | None = MISSING
    target_f1: float | None = MISSING

    def __post_init__(self) -> None:
        names = self.study.split(",")
        for name in names:
            a_name("study", name)
        if len(names) > 2 or len(set(names)) < len(names):
            raise ValueError(f"study={self.study}: give one study, or two different ones to compare")
        if self.target_f1 is not None and not 0 < self.target_f1 < 1:
            raise ValueError(f"target_f1={self.target_f1:g}: must lie between 0 and 1")


@dataclass
class StatusConfig:
    """python -m ecg_tl.status."""

    study: str = MISSING
    outputs: str = MISSING
    format: str = MISSING

    def __post_init__(self) -> None:
        a_name("study", self.study)
        one_of("format", self.format, ("table", "json"))


@dataclass
class DashboardConfig:
    """python -m ecg_tl.dashboard."""

    entity: str | None = MISSING
    project: str = MISSING
    study: str | None = MISSING
    dry_run: bool = MISSING

    def __post_init__(self) -> None:
        a_name("project", self.project)
        if self.entity is None and not self.dry_run:
            raise ValueError("entity: whose workspace? give entity=NAME, your user or team in W&B, or dry_run=true")


@dataclass
class ExportConfig:
    """python -m ecg_tl.export: a finished run, or an encoder without its decoder, as others use it.

    Beside run, encoder names the one that a frozen run began with.
    """

    run: str | None = MISSING
    encoder: str | None = MISSING
    out: str = MISSING
    format: str = MISSING
    store: str | None = MISSING
    licence: str | None = MISSING

    def __post_init__(self) -> None:
        one_of("format", self.format, ("safetensors", "onnx"))
        if self.run is None and self.encoder is None:
            raise ValueError("run: give run=RUN_FOLDER, for a classifier, or encoder=FOLDER")


@dataclass
class ConvertConfig:
    """python -m ecg_tl.convert: the authors' weights as a bundle."""

    checkpoint: str = MISSING
    out: str = MISSING
    lead: str = MISSING


@dataclass
class BundlePath:
    """The folder of a bundle."""

    path: str = MISSING


@dataclass
class PredictConfig:
    """python -m ecg_tl.predict; rate_hz, unit, lead and column say what files do not say of themselves."""

    model: BundlePath = MISSING
    input: str = MISSING
    out: str | None = MISSING
    format: str = MISSING
    figure: str | None = MISSING
    rate_hz: float | None = MISSING
    unit: str | None = MISSING
    lead: str | None = MISSING
    column: int | None = MISSING
    trust_unit: bool = MISSING
    step_s: float | None = MISSING
    batch_size: int = MISSING
    trainer: TrainerConfig = MISSING

    def __post_init__(self) -> None:
        one_of("format", self.format, ("csv", "json"))
        at_least("batch_size", self.batch_size, 1)
        if self.rate_hz is not None:
            positive("rate_hz", self.rate_hz)
        if self.unit is not None:
            one_of("unit", self.unit, ("mV", "uV", "V"))
        if self.step_s is not None:
            positive("step_s", self.step_s)
            at_least("step_s", self.step_s, 0.004)
        if self.figure is not None and Path(self.figure).suffix.lower() not in ("", ".png", ".svg"):
            raise ValueError(f"figure={self.figure}: drawn as .png and .svg; name one of them, or neither")
        if self.out is not None and self.out.endswith((".csv", ".json")) and not self.out.endswith(self.format):
            raise ValueError(f"out={self.out}: its name says another format than format={self.format}; change one")


ENTRIES: dict[str, type] = {
    "prepare": PrepareConfig,
    "pretrain": PretrainConfig,
    "train": TrainConfig,
    "tables": TablesConfig,
    "status": StatusConfig,
    "dashboard": DashboardConfig,
    "export": ExportConfig,
    "convert": ConvertConfig,
    "predict": PredictConfig,
}


def register() -> None:
    """Make every schema known to Hydra, as schema_<entry> and source/schema_<source>, and what conf/ computes."""
    OmegaConf.register_new_resolver("whole", lambda number: int(number) or None, replace=True)
    store = ConfigStore.instance()
    for name, schema in ENTRIES.items():
        store.store(name=f"schema_{name}", node=schema)
    for name, source in SOURCES.items():
        store.store(group="source", name=f"schema_{name}", node=source)
