"""ENTRY: a finished run, or an encoder, as others use it: weights, description, model card. python -m ecg_tl.export"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ecg_tl import command_line
from ecg_tl.bundle import (
    CLASSIFIER_FORMAT,
    DESCRIBED,
    FORMAT,
    ONNX,
    EncoderBundle,
    bundle_folder,
    described,
    load_bundle,
    save_bundle,
    save_classifier,
    takes,
)
from ecg_tl.config import ExportConfig
from ecg_tl.identity import read_config
from ecg_tl.initialise import starting_network
from ecg_tl.model_card import card, write_card
from ecg_tl.networks import Architecture, Encoder, RhythmNetwork
from ecg_tl.onnx_export import save_onnx
from ecg_tl.records import RunRecord, read_predictions, read_record, whole_folder, write_whole
from ecg_tl.resampling import f1_interval
from ecg_tl.results import predictions_by_split
from ecg_tl.store import Store, open_store

_KEPT = (
    *("study", "init", "fraction", "seed", "selected_f1", "selected_f1_per_rhythm", "support_per_rhythm"),
    *("selected_confusion", "best_f1", "data_sha256", "encoder_sha256", "test_rows_in_corpus"),
    *("precision", "device", "versions"),
)
"""What of a run's record stands in the bundle as it is."""

NO_LICENCE = (
    "Whoever exported this stated no licence. Weights learned from recordings may be bound by the terms, attribution "
    "included, of the data sets named above."
)


def main(config: ExportConfig) -> None:
    """Write out/ and say what is in it."""
    out = Path(config.out)
    with whole_folder(out) as folder:
        _fill(folder, config)
        description = json.loads((folder / DESCRIBED).read_text(encoding="utf-8"))
        write_card(folder, card(out.absolute().name, description))
    print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def _fill(folder: Path, config: ExportConfig) -> None:
    licence = {"licence_note": config.licence} if config.licence else {}
    network: Encoder | RhythmNetwork
    if config.run is None:
        assert config.encoder is not None
        bundle = load_bundle(bundle_folder(config.encoder))
        network = Encoder(bundle.architecture)
        network.load_state_dict(bundle.encoder_state)
        description = {"licence_note": NO_LICENCE} | bundle.description | licence
    else:
        network, description = _trained(Path(config.run), config.store, config.encoder)
        description |= {"licence_note": NO_LICENCE} | licence
    if config.format == "onnx":
        _save_onnx(folder, network, description)
    elif isinstance(network, Encoder):
        save_bundle(folder, network, None, description)
    else:
        save_classifier(folder, network, description)


def _save_onnx(out: Path, network: Encoder | RhythmNetwork, description: dict[str, Any]) -> None:
    """Write out/model.onnx, and last the bundle.json that describes it."""
    if isinstance(network, Encoder):
        architecture, kind, output = network.architecture, FORMAT, "latent"
    else:
        architecture, kind, output = network.encoder.architecture, CLASSIFIER_FORMAT, "logits"
    weights = save_onnx(network, out / ONNX, output)
    entries = described(kind, architecture, description) | {
        "onnx": {"output": output, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    }
    write_whole(out / DESCRIBED, json.dumps(entries, indent=1, allow_nan=False) + "\n")


def _trained(run: Path, moved_store: str | None, moved_encoder: str | None) -> tuple[RhythmNetwork, dict[str, Any]]:
    """Rebuild the network of a finished run at its selected epoch, and say what it is, was made from and scored."""
    if not (run / "record.json").is_file():
        raise FileNotFoundError(f"{run / 'record.json'}: no finished run there; python -m ecg_tl.train makes one")
    record, config = read_record(run / "record.json"), read_config(run / "config.yaml")
    if record.init == "image":
        raise ValueError(
            f"{run}: init=image looks at spectrograms through GoogLeNet, and a bundle holds an encoder of windows; "
            f"export a run of another init"
        )
    if moved_encoder and record.init != "frozen":
        raise ValueError(
            f"encoder={moved_encoder}: the checkpoint of init={record.init} has all weights; leave encoder out"
        )
    model = config["model"]
    architecture = Architecture(**{key: model[key] for key in Architecture.__dataclass_fields__})
    state = _selected_state(run, record)
    if record.init.startswith("frozen"):  # which trains its head alone, as one layer
        bundle = _encoder_of(run, record, moved_encoder or config["encoder"]) if record.init == "frozen" else None
        network = starting_network(record.init, architecture, model["head"], len(record.rhythms), record.seed, bundle)
        part: nn.Module = network.head
    else:
        part = network = RhythmNetwork(Encoder(architecture), model["head"], len(record.rhythms))
    try:
        part.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
    except RuntimeError as error:
        raise ValueError(f"{run}: the checkpoint is not of this run's network ({error}); run the cell again") from error
    return network, _describe(run, record, config, _store_of(record, moved_store or config["data"]["path"]))


def _encoder_of(run: Path, record: RunRecord, named: str | None) -> EncoderBundle:
    bundle = load_bundle(bundle_folder(named) if named else run.resolve().parents[3] / "encoder")
    if bundle.sha256 != record.encoder_sha256:
        raise ValueError(f"{bundle.folder}: not the encoder that {run} began with; give that one as encoder=FOLDER")
    return bundle


def _selected_state(run: Path, record: RunRecord) -> dict[str, torch.Tensor]:
    path = run / "checkpoints" / "selected.ckpt"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; remove {run} and run the cell again")
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if checkpoint["epoch"] + 1 != record.selected_epoch:
        raise ValueError(
            f"{path}: of epoch {checkpoint['epoch'] + 1}, and the record speaks of epoch {record.selected_epoch}; "
            f"remove {run} and run the cell again"
        )
    return checkpoint["state_dict"]


def _store_of(record: RunRecord, path: str) -> Store:
    """Open the store that a run was trained on, which alone knows its lead and filter."""
    try:
        store = open_store(Path(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: the run's store is not there; give store=FILE.h5") from error
    if store.content_sha256 != record.data_sha256:
        raise ValueError(f"{store.path}: not the data that the run was trained on; give store=FILE.h5")
    return store


def _describe(run: Path, record: RunRecord, config: dict[str, Any], store: Store) -> dict[str, Any]:
    cell = record.cell
    tested = predictions_by_split({cell: read_predictions(run)}, [cell], "selected_f1", record.rhythms)
    _, low, high = f1_interval(tested, np.random.default_rng(0))
    of_record = ("split_seed", "epochs", "n_train", "n_out_of_bag", "n_test", "selected_epoch", "best_epoch")
    return {
        "rhythms": record.rhythms,
        **takes(store.lead, store.filter),
        **{name: getattr(record, name) for name in _KEPT},
        "selected_f1_interval": [low, high],
        "protocol": {name: getattr(record, name) for name in of_record}
        | {name: config[name] for name in ("batch_size", "learning_rate", "every_rhythm")}
        | {"test_fraction": config["data"]["test_fraction"]},
        "data": store.source,
    }


if __name__ == "__main__":
    command_line.run("export", main)
