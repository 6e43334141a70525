"""The way of the data through the commands a user types, on fabricated sets and with a tiny network."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ecg_tl import spectrogram, train
from ecg_tl.asked import note_asked
from ecg_tl.bundle import load_bundle, save_bundle
from ecg_tl.failures import noted
from ecg_tl.initialise import INITS, PRETRAINED, classifier_network
from ecg_tl.learning_curve import learning_curve_index
from ecg_tl.networks import Architecture, Decoder
from ecg_tl.records import Cell, read_predictions, read_records, run_folder
from ecg_tl.store import StoreWriter, open_store
from ecg_tl.waveform import FILTER, WINDOW, centre_window
from tests.commands import refused, run
from tests.fabricate import icu_store, labelled_store, wfdb_icu, wfdb_records
from tests.fabricate_study import study

TINY = ("model.width=2", "model.kernel=3", "model.late_kernel=3", "batch_size=16", "trainer.precision=32-true")
CELLS = (
    "init=transfer,random,image,frozen,frozen_random",
    "fraction=1,0.5",
    "seed=range(2)",
    "init.weights=random",
    "epochs=3",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both stores and a finished study: pretraining, twenty cells, tables."""
    root = tmp_path_factory.mktemp("study")
    labelled_store(root / "data.h5", records=60)
    icu_store(root / "icu.h5", patients=8, windows_per_patient=6)
    outputs = f"outputs={root / 'outputs'}"
    run("pretrain", outputs, "study=s", *TINY, f"corpus.path={root / 'icu.h5'}", "epochs=2")
    run("train", "-m", outputs, "study=s", *TINY, f"data.path={root / 'data.h5'}", *CELLS)
    run("tables", outputs, "study=s")
    return root


def cell(root: Path, *words: str) -> tuple[str, ...]:
    return (f"outputs={root / 'outputs'}", "study=s", *TINY, f"data.path={root / 'data.h5'}", "epochs=3", *words)


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def test_every_cell_has_its_own_folder_and_a_whole_record(root: Path) -> None:
    records = read_records(root / "outputs" / "s")
    assert {record.cell for record in records} == {
        (init, fraction, seed, 0) for init in INITS for fraction in (1, 0.5) for seed in (0, 1)
    }
    encoder = load_bundle(root / "outputs" / "s" / "encoder")
    store = open_store(root / "data.h5")
    for record in records:
        assert record.status == "done"
        assert record.data_sha256 == store.content_sha256
        assert record.encoder_sha256 == (encoder.sha256 if record.init in PRETRAINED else None)
        assert record.weights == ("random" if record.init == "image" else None)
        assert (record.n_train, record.n_test, record.epochs) == (48 * record.fraction, 12, 3)
        assert record.precision == "32-true"
        assert sum(record.support_per_rhythm) == np.sum(record.confusion) == np.sum(record.selected_confusion) == 12


def test_a_record_follows_from_its_curve(root: Path) -> None:
    for path in (root / "outputs" / "s" / "runs").glob("*/*/*/record.json"):
        record = json.loads(path.read_text())
        curve = pd.read_csv(path.parent / "curve.csv")
        assert list(curve) == ["epoch", "train_loss", "test_loss", "test_f1", "learning_rate"]
        assert curve["epoch"].tolist() == [1, 2, 3]
        assert record["best_f1"] == pytest.approx(curve["test_f1"].max())
        assert record["best_epoch"] == 1 + curve["test_f1"].argmax()
        assert record["selected_f1"] == pytest.approx(curve["test_f1"][record["selected_epoch"] - 1])
        index = learning_curve_index(curve["test_f1"].to_numpy())
        assert record["lci_flag"] == index.flag
        if index.flag == "":
            assert record["lci"] == pytest.approx(index.value)
        assert set(curve["learning_rate"]) == {0.005}
        support = np.array(record["support_per_rhythm"])
        weighted = (support * np.array(record["f1_per_rhythm"])).sum() / support.sum()
        assert record["best_f1"] == pytest.approx(weighted, abs=1e-6)


def test_predictions_give_the_confusions_of_the_record(root: Path) -> None:
    for path in (root / "outputs" / "s" / "runs").glob("*/*/*/record.json"):
        record, predictions = json.loads(path.read_text()), read_predictions(path.parent)
        for column, confusion in (("best", "confusion"), ("selected", "selected_confusion")):
            counted = np.zeros((3, 3), dtype=int)
            for was, said in zip(predictions["rhythm"], predictions[column], strict=True):
                counted[record["rhythms"].index(was), record["rhythms"].index(said)] += 1
            assert counted.tolist() == record[confusion]


def test_another_split_is_another_cell(root: Path, tmp_path: Path) -> None:
    run("train", "-m", *cell(root, "init=random", "split_seed=0,1"), f"outputs={tmp_path}")
    first, second = read_records(tmp_path / "s")
    assert (first.split_seed, second.split_seed) == (0, 1)
    tested = [
        set(read_predictions(tmp_path / "s" / "runs" / "random" / "1" / name)["record"]) for name in ("0", "0-split1")
    ]
    assert tested[0] != tested[1]


def test_every_rhythm_is_part_of_what_a_cell_was(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused("train", *cell(root, "init=random", "every_rhythm=true"))
    assert "every_rhythm: False -> True" in capsys.readouterr().err


def test_a_frozen_encoder_keeps_the_weights_and_statistics_of_its_bundle(root: Path) -> None:
    folder = root / "outputs" / "s" / "runs" / "frozen" / "1" / "0"
    state = torch.load(folder / "checkpoints" / "selected.ckpt", weights_only=True)["state_dict"]
    assert sorted(state) == ["network.bias", "network.weight"]
    features = sorted(path.name for path in (root / "outputs" / "features").glob("*.safetensors"))
    assert [name.partition("-")[0] for name in features] == ["encoder"] * 3 + ["googlenet", "latent"]


def test_a_checkpoint_holds_the_selected_epoch(root: Path) -> None:
    folder = root / "outputs" / "s" / "runs" / "random" / "1" / "0"
    checkpoint = torch.load(folder / "checkpoints" / "selected.ckpt", weights_only=True)
    assert checkpoint["epoch"] + 1 == json.loads((folder / "record.json").read_text())["selected_epoch"]


def test_the_inits_of_a_seed_share_draw_and_test_set(root: Path) -> None:
    by_cell = {record.cell: record for record in read_records(root / "outputs" / "s")}
    for fraction in (1, 0.5):
        for seed in (0, 1):
            cells = [by_cell[init, fraction, seed, 0] for init in INITS]
            assert len({tuple(record.support_per_rhythm) for record in cells}) == 1
            assert len({record.n_out_of_bag for record in cells}) == 1


def test_the_same_sweep_again_skips_what_is_done(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(root / "outputs" / "s" / "runs")
    run("train", "-m", *cell(root, *CELLS[:-1]))
    assert capsys.readouterr().out.count("done already") == 20
    assert files_of(root / "outputs" / "s" / "runs") == before


def test_a_finished_cell_is_not_taken_for_one_with_other_settings(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused("train", *cell(root, "init=random", "epochs=4", "learning_rate=0.001"))
    error = capsys.readouterr().err
    assert "finished with other settings (epochs: 3 -> 4, learning_rate: 0.005 -> 0.001); give study=" in error


def test_a_finished_cell_is_not_taken_for_one_on_other_data(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled_store(tmp_path / "other.h5", records=60, seed=1)
    refused("train", *cell(root, "init=random", f"data.path={tmp_path / 'other.h5'}"))
    assert "finished with other settings (data: " in capsys.readouterr().err


def test_a_moved_store_of_the_same_content_is_the_same_data(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moved.h5").write_bytes((root / "data.h5").read_bytes())
    run("train", *cell(root, "init=random", f"data.path={tmp_path / 'moved.h5'}"))
    assert "random/1/0: done already" in capsys.readouterr().out


def test_pretraining_says_what_it_made(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "outputs" / "s" / "encoder"
    description = json.loads((folder / "bundle.json").read_text())
    assert description["architecture"] == {
        "kind": "residual",
        "width": 2,
        "latent": 60,
        "kernel": 3,
        "late_kernel": 3,
    }
    assert (description["rate_hz"], description["window"], description["lead"]) == (250, 2048, "II")
    assert description["corpus_sha256"] == open_store(root / "icu.h5").content_sha256
    assert description["test_sse"] == pytest.approx(2048 * description["test_mse"])
    assert (description["n_train"], description["n_test"]) == (36, 12)
    assert (folder / "figure4.png").stat().st_size > 1000
    before = files_of(folder)
    words = (f"outputs={root / 'outputs'}", "study=s", *TINY, f"corpus.path={root / 'icu.h5'}")
    run("pretrain", *words, "epochs=2")
    assert "pretrained already" in capsys.readouterr().out
    refused("pretrain", *words, "epochs=5")
    assert "epochs: 2 -> 5" in capsys.readouterr().err
    assert files_of(folder) == before


def test_pretraining_that_diverges_says_so_and_leaves_no_bundle(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (f"outputs={tmp_path}", "study=s", *TINY, f"corpus.path={root / 'icu.h5'}", "epochs=2")
    refused("pretrain", *words, "learning_rate=1e9")
    assert "learning_rate=1e+09: the squared error became" in capsys.readouterr().err
    assert not (tmp_path / "s" / "encoder" / "bundle.json").exists()


def test_the_bundle_is_the_best_checkpoint(root: Path) -> None:
    folder = root / "outputs" / "s" / "encoder"
    state = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    bundle = load_bundle(folder)
    assert all(torch.equal(value, state[f"encoder.{name}"]) for name, value in bundle.encoder_state.items())
    assert all(torch.equal(value, state[f"decoder.{name}"]) for name, value in bundle.decoder_state.items())


def test_transfer_of_the_random_start_is_the_random_run(root: Path, tmp_path: Path) -> None:
    """With an encoder that is random's own start, transfer gives its curve bit for bit: nothing else differs."""
    architecture = Architecture(width=2, kernel=3, late_kernel=3)
    start, _ = classifier_network("random", architecture, "pooled", 3, 0, None)
    save_bundle(tmp_path / "start", start.encoder, Decoder(architecture), {"lead": "II"})
    for init in ("random", "transfer"):
        words = cell(root, f"init={init}", f"encoder={tmp_path / 'start'}", "study=same")
        run("train", *words, f"outputs={tmp_path}")
    curves = [
        (tmp_path / "same" / "runs" / init / "1" / "0" / "curve.csv").read_text() for init in ("random", "transfer")
    ]
    assert curves[0] == curves[1]
    assert curves[0] != (root / "outputs" / "s" / "runs" / "transfer" / "1" / "0" / "curve.csv").read_text()


def test_a_cell_again_elsewhere_is_the_same_run(root: Path, tmp_path: Path) -> None:
    run("train", *cell(root, "init=random", "fraction=0.5", "seed=1"), f"outputs={tmp_path}")
    curve = Path("s/runs/random/0.5/1/curve.csv")
    assert (tmp_path / curve).read_text() == (root / "outputs" / curve).read_text()


def test_training_leaves_the_frozen_network_bit_for_bit_as_it_was(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[torch.nn.Module] = []
    states: list[dict[str, torch.Tensor]] = []
    build = spectrogram.googlenet_features

    def remember(weights: spectrogram.Weights) -> torch.nn.Module:
        networks.append(build(weights))
        states.append({name: value.clone() for name, value in networks[-1].state_dict().items()})
        return networks[-1]

    monkeypatch.setattr(spectrogram, "googlenet_features", remember)
    run("train", *cell(root, "init=image", "init.weights=random"), f"outputs={tmp_path}")
    (network,), (before,) = networks, states
    after = network.state_dict()
    assert any("running_mean" in name for name in after)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_cell_that_is_interrupted_leaves_no_record_and_the_same_command_does_it_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*cell(root, "init=random"), f"outputs={tmp_path}")
    runs = tmp_path / "s" / "runs" / "random" / "1" / "0"

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train.EpochBar, "on_train_epoch_end", interrupt)
        with pytest.raises(SystemExit) as stopped:
            run("train", *words)
    assert stopped.value.code == 130
    assert not (runs / "record.json").exists()
    assert not (runs / "curve.csv").exists()
    run("train", *words)
    curve = Path("s/runs/random/1/0/curve.csv")
    assert (tmp_path / curve).read_text() == (root / "outputs" / curve).read_text()


def test_tables_figures_and_report_are_there_and_say_random_weights(root: Path) -> None:
    folder = root / "outputs" / "s" / "tables"
    names = {path.name for path in folder.iterdir()}
    assert names == {f"table{n}.{ending}" for n in range(1, 8) for ending in ("md", "csv", "tex")} | {
        f"figure{n}.{ending}" for n in range(3, 10) for ending in ("png", "svg")
    } | {"report.html"}
    table1, table2, report = ((folder / name).read_text() for name in ("table1.md", "table2.md", "report.html"))
    assert "| Patients | 8 | 60 |" in table1
    assert "image (random weights)" in table2
    assert "3 rhythm classes where the paper has 11" in table2
    assert "Epoch chosen on out-of-bag records" in table2
    assert report.count("<figure>") == 7
    assert "None: every cell that was asked for has its record." in report
    assert open_store(root / "data.h5").content_sha256 in report


def test_the_reports_commands_ask_for_what_was_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = (root / "outputs" / "s" / "tables" / "report.html").read_text()
    lines = [shlex.split(html.unescape(line)) for line in report.splitlines() if "python -m ecg_tl." in line]
    commands = {words[2].partition(".")[2]: words[3:] for words in lines if words[:2] == ["python", "-m"]}
    assert set(commands) == {"pretrain", "train", "tables"}
    for entry, done in (("pretrain", "pretrained already"), ("train", "done already")):
        run(entry, *commands[entry], f"outputs={root / 'outputs'}")
        assert capsys.readouterr().out.count(done) == (1 if entry == "pretrain" else 20)


def test_tables_name_a_cell_that_is_not_there(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("transfer/1/0", "transfer/1/1", "random/1/0"):
        for file in ("record.json", "curve.csv", "config.yaml", "predictions.csv"):
            target = tmp_path / "gap" / "runs" / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((root / "outputs" / "s" / "runs" / name / file).read_bytes())
    run("tables", f"outputs={tmp_path}", "study=gap")
    told = capsys.readouterr().out
    assert "missing: init=random fraction=1 seed=1" in told
    assert "table 1 is without the corpus" in told
    assert "– (1 of 2)" in (tmp_path / "gap" / "tables" / "table2.md").read_text()
    assert "init=random fraction=1 seed=1</code>" in (tmp_path / "gap" / "tables" / "report.html").read_text()


def test_the_report_says_why_a_cell_that_was_asked_for_is_not_there(tmp_path: Path) -> None:
    failed, unasked = Cell("random", 1.0, 1), Cell("frozen", 0.5, 0)
    study(tmp_path / "a", ("random", "transfer"), (1.0,), missing={failed})
    note_asked(tmp_path / "a", [unasked])
    with pytest.raises(RuntimeError), noted(run_folder(tmp_path / "a", failed)):
        raise RuntimeError("out of memory")
    run("tables", f"outputs={tmp_path}", "study=a")
    report = (tmp_path / "a" / "tables" / "report.html").read_text()
    assert "2 without a record" in report
    assert 'init=random fraction=1 seed=1</code> <span class="bad">RuntimeError: out of memory</span>' in report
    assert 'init=frozen fraction=0.5 seed=0</code> <span class="bad">missing</span>' in report


def test_two_studies_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path / "a", ("random", "transfer"))
    study(tmp_path / "b", ("random",), settings={"epochs": 6})
    run("tables", f"outputs={tmp_path}", "study=a,b")
    assert "Set otherwise in the second: epochs: 150 -> 6." in capsys.readouterr().out
    assert (tmp_path / "a" / "tables" / "table8_b.tex").is_file()
    refused("tables", f"outputs={tmp_path}", "study=a,c")
    assert "c/runs: no finished run" in capsys.readouterr().err


def test_trials_from_a_file_make_the_same_tables(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("init,fraction,seed,best_f1,lci\nrandom,1,0,0.5,1.25\ntransfer,1,0,0.75,\n")
    run("tables", f"outputs={tmp_path}", "study=mine", f"trials={tmp_path / 't.csv'}")
    assert "| 0 | 0.500 | 0.750 |" in (tmp_path / "mine" / "tables" / "table2.md").read_text()
    assert "whether they share a training draw" in (tmp_path / "mine" / "tables" / "table4.md").read_text()


def test_without_an_encoder_transfer_names_the_command(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused("train", *cell(root), f"outputs={tmp_path}")
    error = capsys.readouterr().err
    assert "s/encoder/bundle.json: no pretrained encoder there; python -m ecg_tl.pretrain makes one" in error
    assert not list(tmp_path.glob("s/runs/**/record.json"))


@pytest.mark.parametrize("sweep", [(), ("-m",)])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("encoder=ecg-tl-smal",), "ecg-tl-smal/bundle.json: no pretrained encoder there"),
        (("encoder=ecg-tl-small",), "this encoder has width=16 and model.width=2 was asked for"),
    ],
)
def test_an_encoder_that_is_refused_leaves_nothing(
    words: tuple[str, ...],
    message: str,
    sweep: tuple[str, ...],
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused("train", *sweep, *cell(root, *words), f"outputs={tmp_path}")
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_records_of_one_rhythm_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = labelled_store(tmp_path / "one.h5", records=12, rhythms=("N",))
    refused("train", f"data.path={store.path}", "init=random", f"outputs={tmp_path / 'o'}", *TINY)
    assert f"data.path={store.path}: all rows are N; a classifier needs two rhythms or more" in capsys.readouterr().err


def test_an_encoder_that_has_learned_nothing_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (f"outputs={tmp_path}", "study=s", *TINY, f"corpus.path={root / 'icu.h5'}", "epochs=1")
    run("pretrain", *words, "learning_rate=1e-9")
    assert "WARNING: this encoder has learned next to nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.h5", "no such store; name one that is there, or make it: python -m ecg_tl.prepare source="),
        ("text.h5", "not an HDF5 file"),
        ("icu.h5", "without rhythms"),
    ],
)
def test_a_wrong_data_path_is_named(
    name: str, message: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "text.h5").write_text("not a store")
    refused("train", *cell(root, "init=random", f"data.path={root / name}"), f"outputs={tmp_path}")
    error = capsys.readouterr().err
    assert name in error
    assert message in error
    assert not list(tmp_path.iterdir())


def test_a_changed_store_is_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((root / "data.h5").read_bytes())
    offset = open_store(root / "data.h5").ecg.offset
    content[offset] ^= 1
    (tmp_path / "changed.h5").write_bytes(bytes(content))
    refused("train", *cell(root, "init=random", f"data.path={tmp_path / 'changed.h5'}"), f"outputs={tmp_path}")
    assert "changed.h5: its content does not match its checksum" in capsys.readouterr().err


def test_an_encoder_that_has_seen_the_test_records_is_refused_unless_allowed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = open_store(root / "data.h5")
    with StoreWriter(tmp_path / "seen.h5", WINDOW, "II", (), {"format": "fabricated"}, FILTER) as writer:
        for row in range(len(labelled)):
            window_mv = 1.7 * centre_window(labelled.ecg_mv(row), WINDOW)
            writer.append(window_mv, str(labelled.patient[row]), str(labelled.record[row]), 0.0)
    outputs = f"outputs={tmp_path}"
    run("pretrain", outputs, "study=s", *TINY, f"corpus.path={tmp_path / 'seen.h5'}", "epochs=1")
    refused("train", *cell(root), outputs)
    assert "encoder: pretrained on 12 of the 12 test records" in capsys.readouterr().err
    assert not (tmp_path / "s" / "runs").exists()
    run("train", *cell(root), outputs, "allow_overlap=true")
    (record,) = read_records(tmp_path / "s")
    assert record.test_rows_in_corpus == 12
    (clean,) = [r for r in read_records(root / "outputs" / "s") if r.cell == record.cell]
    assert clean.test_rows_in_corpus == 0


def test_prepare_looks_into_stores_and_writes_raw_recordings(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("prepare", f"info={root / 'data.h5'}")
    assert "SR" in capsys.readouterr().out
    run("prepare", f"audit=[{root / 'data.h5'},{root / 'icu.h5'}]")
    assert "data.h5" in capsys.readouterr().out
    raw, out = tmp_path / "raw.h5", tmp_path / "out.h5"
    run("prepare", "source=synthetic_icu", "source.patients=2", "source.recording_s=40", f"raw={raw}")
    run("prepare", "source=hdf5_icu", f"source.path={raw}", f"out={out}", "source.windows_per_patient=all")
    assert len(np.unique(open_store(out).patient)) == 2


def test_prepare_from_raw_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wfdb_records(tmp_path / "records", records=6)
    wfdb_icu(tmp_path / "icu", records=3, seconds=60)
    run("prepare", "source=wfdb", f"source.path={tmp_path / 'records'}", f"out={tmp_path / 'records.h5'}")
    run(
        "prepare",
        "source=wfdb_icu",
        f"source.path={tmp_path / 'icu'}",
        f"out={tmp_path / 'icu.h5'}",
        "source.windows_per_patient=all",
    )
    records, icu = open_store(tmp_path / "records.h5"), open_store(tmp_path / "icu.h5")
    assert (records.rhythms, len(records), records.length) == (("SB", "SR"), 6, 2500)
    assert (icu.labelled, len(icu), icu.length) == (False, 3 * 7, 2048)
    assert "6 rows of 10 s from 6 patients" in capsys.readouterr().out
    refused("prepare", "source=synthetic", f"out={tmp_path / 'records.h5'}")
    assert "records.h5 exists, made with other settings (" in capsys.readouterr().err


def test_prepare_makes_the_embedded_sets(tmp_path: Path) -> None:
    run("prepare", "source=synthetic", "source.records=60", f"out={tmp_path / 'r.h5'}")
    run(
        "prepare",
        "source=synthetic_icu",
        "source.patients=3",
        "source.recording_s=60",
        "source.windows_per_patient=4",
        f"out={tmp_path / 'i.h5'}",
    )
    assert len(open_store(tmp_path / "r.h5").rhythms) == 11
    assert len(np.unique(open_store(tmp_path / "i.h5").patient)) == 3


def test_a_study_without_files_uses_the_embedded_sets(tmp_path: Path) -> None:
    outputs = f"outputs={tmp_path}"
    sizes = ("data.records=60",)
    run("pretrain", outputs, "study=e", *TINY, "corpus.patients=4", "corpus.windows_per_patient=4", "epochs=1")
    run("train", outputs, "study=e", *TINY, *sizes, "epochs=1")
    made = files_of(tmp_path / "data")
    run("train", outputs, "study=e", *TINY, *sizes, "epochs=1", "init=random")
    assert files_of(tmp_path / "data") == made
    assert len(made) == 2
    run("tables", outputs, "study=e")
    assert "Synthetic data" in (tmp_path / "e" / "tables" / "table2.md").read_text()


def test_a_cell_that_diverges_is_no_result(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused("train", *cell(root, "init=random", "learning_rate=1e20"), f"outputs={tmp_path}")
    assert re.search(r"learning_rate=1e\+20: the \w+ loss became \w+ in epoch 1; lower it", capsys.readouterr().err)
    assert not (tmp_path / "s" / "runs" / "random" / "1" / "0" / "record.json").exists()


@pytest.mark.filterwarnings("error:Total length")
def test_where_no_record_is_out_of_bag_the_last_epoch_is_selected(tmp_path: Path) -> None:
    """Two records a patient, and so many draws that every patient is drawn from."""
    store = labelled_store(tmp_path / "data.h5", records=12)
    groups = np.arange(12) % 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "labelled_groups", lambda *_: groups)
        run("train", f"outputs={tmp_path}", "study=s", *TINY, f"data.path={store.path}", "init=random", "epochs=3")
    record = read_records(tmp_path / "s")[0]
    assert (record.n_out_of_bag, record.selected_epoch) == (0, 3)
    assert (tmp_path / "s" / "runs" / "random" / "1" / "0" / "checkpoints" / "selected.ckpt").is_file()
