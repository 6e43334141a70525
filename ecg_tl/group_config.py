"""What the groups of conf/ are checked against that several entries share: data, corpus, model, init and so on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from omegaconf import MISSING

from ecg_tl.checks import at_least, one_of


@dataclass
class DataConfig:
    """The labelled set: a store, or the embedded synthetic one of so many records."""

    path: str | None = MISSING
    records: int = MISSING
    seed: int = MISSING
    test_fraction: float = MISSING

    def __post_init__(self) -> None:
        at_least("data.records", self.records, 55)
        at_least("data.seed", self.seed, 0)
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
        at_least("corpus.patients", self.patients, 2)
        at_least("corpus.windows_per_patient", self.windows_per_patient, 1)
        at_least("corpus.seed", self.seed, 0)
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
        one_of("model.kind", self.kind, ("residual", "released"))
        one_of("model.head", self.head, ("pooled", "latent"))
        for name in ("width", "latent", "kernel", "late_kernel"):
            at_least(f"model.{name}", getattr(self, name), 1)
        for name in ("kernel", "late_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"model.{name}={getattr(self, name)}: must be odd, so that a window keeps its length")


@dataclass
class InitConfig:
    """What a classifier starts from. weights: where GoogLeNet's come from; a sweep over inits gives it to all."""

    name: str = MISSING
    weights: str = MISSING

    def __post_init__(self) -> None:
        one_of("init", self.name, ("transfer", "random", "image", "frozen", "frozen_random"))
        one_of("init.weights", self.weights, ("imagenet", "random", "auto"))


@dataclass
class TrainerConfig:
    """Where and how numbers are computed; precision and strategy as Lightning spells them, or auto."""

    accelerator: str = MISSING
    precision: str = MISSING
    threads: int | None = MISSING
    devices: int = MISSING
    nodes: int = MISSING
    strategy: str = MISSING

    def __post_init__(self) -> None:
        one_of("trainer.accelerator", self.accelerator, ("cpu", "gpu"))
        one_of("trainer.precision", self.precision, ("auto", "32-true", "bf16-mixed"))
        if self.threads is not None:
            at_least("trainer.threads", self.threads, 1)
        at_least("trainer.devices", self.devices, 1)
        at_least("trainer.nodes", self.nodes, 1)
        one_of("trainer.strategy", self.strategy, ("auto", "ddp"))


@dataclass
class LoggerConfig:
    """Where runs are watched. csv: nowhere but in the study's own folder, whose curve.csv every cell writes."""

    name: str = MISSING
    project: str | None = None
    entity: str | None = None

    def __post_init__(self) -> None:
        one_of("logger", self.name, ("wandb", "tensorboard", "csv"))
        if self.name == "tensorboard" and find_spec("tensorboard") is None:
            raise ValueError("logger=tensorboard: not installed; pip install -e '.[tensorboard]', or give logger=csv")
