"""Finished runs through the export command: what comes out answers as the run did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score

import ecg_tl
from ecg_tl.bundle import load_bundle, save_bundle
from ecg_tl.datamodules import windows_of
from ecg_tl.networks import Architecture, Encoder, RhythmNetwork
from ecg_tl.records import read_predictions
from ecg_tl.store import open_store
from tests.commands import refused, run
from tests.fabricate import ecg_mv, icu_store, labelled_store

TINY = ("model.width=2", "model.kernel=3", "model.late_kernel=3", "batch_size=16", "trainer.precision=32-true")
INITS = ("transfer", "random", "frozen", "frozen_random")


def cell(root: Path, init: str) -> Path:
    return root / "outputs" / "s" / "runs" / init / "1" / "0"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one finished run an init; that of image is another's, renamed.

    The networks hardly learn, and the test set is balanced: while they call all records by one name, test F1 stays
    as it was in the first epoch, the best then, and records out of bag, which are not balanced, choose a later one.
    """
    root = tmp_path_factory.mktemp("export")
    labelled_store(root / "data.h5", records=60)
    icu_store(root / "icu.h5", patients=4, windows_per_patient=4)
    common = (f"outputs={root / 'outputs'}", "study=s", "logger=csv", *TINY)
    run("pretrain", *common, f"corpus.path={root / 'icu.h5'}", "epochs=1")
    words = (f"init={','.join(INITS)}", "epochs=6", "learning_rate=0.02")
    run("train", "-m", *common, f"data.path={root / 'data.h5'}", *words)
    image = cell(root, "image")
    shutil.copytree(cell(root, "random"), image)
    record = json.loads((image / "record.json").read_text())
    (image / "record.json").write_text(json.dumps(record | {"init": "image"}))
    return root


def network_of(root: Path, init: str) -> RhythmNetwork:
    """Put a run's network together by hand: of a fixed encoder the checkpoint holds the head alone."""
    torch.manual_seed(0)
    network = RhythmNetwork(Encoder(Architecture(width=2, kernel=3, late_kernel=3)), "pooled", 3)
    checkpoint = torch.load(cell(root, init) / "checkpoints" / "selected.ckpt", weights_only=True)
    state = {name.removeprefix("network."): value for name, value in checkpoint["state_dict"].items()}
    if not init.startswith("frozen"):
        network.load_state_dict(state)
        return network.eval()
    network.head.load_state_dict(state)
    if init == "frozen":
        tensors = load_file(root / "outputs" / "s" / "encoder" / "model.safetensors")
        parts = [(name.partition("."), value) for name, value in tensors.items()]
        network.encoder.load_state_dict({name: value for (part, _, name), value in parts if part == "encoder"})
    return network.eval()


def test_some_run_chose_another_epoch_than_the_best(root: Path) -> None:
    """Else what follows could take the one for the other."""
    records = [json.loads((cell(root, init) / "record.json").read_text()) for init in INITS]
    assert [record["init"] for record in records if record["selected_epoch"] != record["best_epoch"]]
    assert any(
        not said["best"].equals(said["selected"]) for said in (read_predictions(cell(root, init)) for init in INITS)
    )


@pytest.mark.parametrize("init", INITS)
def test_what_is_exported_says_of_the_test_records_what_the_run_said(init: str, root: Path, tmp_path: Path) -> None:
    folder, store = cell(root, init), open_store(root / "data.h5")
    run("export", f"run={folder}", f"out={tmp_path / 'out'}")
    classifier = ecg_tl.load_classifier(tmp_path / "out")
    predictions = read_predictions(folder)
    rows = [store.record.tolist().index(record) for record in predictions["record"]]
    windows = torch.from_numpy(windows_of(store)[rows])
    with torch.no_grad():
        logits = classifier(windows)
        torch.testing.assert_close(logits, network_of(root, init)(windows))
    assert logits.std(0).min() > 1e-4  # else any encoder would do
    assert [classifier.rhythms[index] for index in logits.argmax(-1)] == predictions["selected"].tolist()

    record, bundle = (json.loads(path.read_text()) for path in (folder / "record.json", tmp_path / "out/bundle.json"))
    for entry in ("rhythms", "selected_f1", "best_f1", "data_sha256", "encoder_sha256"):
        assert bundle[entry] == record[entry]
    expected = f1_score(predictions["rhythm"], predictions["selected"], average="weighted", zero_division=0)
    low, high = bundle["selected_f1_interval"]
    assert low <= expected <= high
    assert (bundle["protocol"]["n_test"], bundle["protocol"]["learning_rate"], bundle["lead"]) == (12, 0.02, "II")
    text = (tmp_path / "out" / "README.md").read_text()
    assert f"Weighted F1 {record['selected_f1']:.3f} (95 % interval {low:.3f} to {high:.3f}" in text
    assert "no medical device" in text


def test_onnx_computes_what_torch_computes_in_any_batch(root: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    run("export", f"run={cell(root, 'random')}", f"out={tmp_path / 'torch'}")
    run("export", f"run={cell(root, 'random')}", f"out={tmp_path / 'onnx'}", "format=onnx")
    names = sorted(path.name for path in (tmp_path / "onnx").iterdir())
    assert names == ["README.md", "bundle.json", "model.onnx"]
    model = ecg_tl.load_classifier(tmp_path / "torch")
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    for n_windows in (1, 3, 8):
        windows = torch.randn(n_windows, 2048)
        (given,) = session.run(["logits"], {"windows": windows.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(given, model(windows), rtol=0, atol=1e-4)
    example = (tmp_path / "onnx" / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    names = {"ecg_mv": ecg_mv(np.random.default_rng(0), 20, 500)}
    exec(example.replace("PATH", str(tmp_path / "onnx")), names)
    assert names["logits"].shape == (2, 3)


@pytest.mark.slow
def test_an_encoder_is_exported_as_onnx_too(root: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    run("export", f"encoder={root / 'outputs/s/encoder'}", f"out={tmp_path / 'onnx'}", "format=onnx")
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    windows = torch.randn(3, 2048)
    (given,) = session.run(["latent"], {"windows": windows.numpy()})
    with torch.no_grad():
        expected = ecg_tl.load_encoder(root / "outputs/s/encoder")(windows)
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4)


def test_an_encoder_is_exported_without_its_decoder_and_trains_on(root: Path, tmp_path: Path) -> None:
    before = load_bundle(root / "outputs" / "s" / "encoder")
    run("export", f"encoder={before.folder}", f"out={tmp_path / 'small'}", "licence=CC0")
    after = load_bundle(tmp_path / "small")
    assert (after.decoder_state, after.description["licence_note"]) == ({}, "CC0")
    assert after.description["test_sse"] == before.description["test_sse"]
    assert all(torch.equal(value, before.encoder_state[name]) for name, value in after.encoder_state.items())
    card = (tmp_path / "small" / "README.md").read_text()
    assert f"(SSE) of {before.description['test_sse']:.0f} a window" in card
    assert "CC0" in card
    study = (f"outputs={tmp_path}", "study=t", "logger=csv", *TINY, f"data.path={root / 'data.h5'}", "epochs=6")
    run("train", *study, f"encoder={tmp_path / 'small'}", "learning_rate=0.02")
    again = tmp_path / "t/runs/transfer/1/0/curve.csv"
    assert again.read_text() == (cell(root, "transfer") / "curve.csv").read_text()


def test_a_shipped_encoder_trains_by_its_name(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ecg_tl.bundle.SHIPPED", tmp_path / "shipped")
    run("export", f"encoder={root / 'outputs/s/encoder'}", f"out={tmp_path / 'shipped' / 'tiny'}")
    study = (f"outputs={tmp_path}", "study=t", "logger=csv", *TINY, f"data.path={root / 'data.h5'}", "epochs=1")
    run("train", *study, "encoder=tiny")
    record = json.loads((tmp_path / "t/runs/transfer/1/0/record.json").read_text())
    assert record["encoder_sha256"] == load_bundle(tmp_path / "shipped" / "tiny").sha256
    assert record["test_rows_in_corpus"] is None
    said = capsys.readouterr().out
    assert "tiny comes without its corpus, so whether it has seen test records was not checked" in said
    run("tables", f"outputs={tmp_path}", "study=t")
    assert "table 1 is without the corpus: tiny comes without it\n" in capsys.readouterr().out
    assert "encoder=tiny" in (tmp_path / "t" / "tables" / "report.html").read_text()
    refused("train", *study, "encoder=tinny", "study=typo")
    assert "tinny/bundle.json: no pretrained encoder there; " in (error := capsys.readouterr().err)
    assert error.endswith("give encoder=DIR, or encoder=tiny\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run={run}/image/1/0", "out={out}/o"), "init=image looks at spectrograms through GoogLeNet"),
        (("run={run}/random/1/9", "out={out}/o"), "random/1/9/record.json: no finished run there"),
        (("run={run}/random/1/0", "out={out}"), "exists; remove it or choose another out"),
        (("out={out}/o",), "run: give run=RUN_FOLDER, for a classifier, or encoder=FOLDER"),
        (("run={run}/random/1/0", "out={out}/o", "store={root}/icu.h5"), "icu.h5: not the data that the run was"),
        (("run={run}/transfer/1/0", "out={out}/o", "encoder=e"), "encoder=e: the checkpoint of init=transfer has all"),
        (("run={run}/random/1/0", "out={out}/o", "format=onx"), "format=onx: not one of safetensors, onnx"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_nothing(
    words: tuple[str, ...], message: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"run": root / "outputs/s/runs", "out": tmp_path, "root": root}
    refused("export", *(word.format(**places) for word in words))
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_nothing_and_can_be_repeated(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise RuntimeError("no such operator")

    encoder = (f"encoder={root / 'outputs/s/encoder'}", f"out={tmp_path / 'out'}")
    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", die)
        refused("export", *encoder, "format=onnx")
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr("ecg_tl.export.write_card", die)
        refused("export", *encoder)
    assert not list(tmp_path.iterdir())
    run("export", *encoder)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "bundle.json",
        "model.safetensors",
    ]
    assert (tmp_path / "out" / "README.md").read_text().count("\n# out\n") == 1


def test_a_frozen_run_needs_the_very_encoder_that_it_began_with_and_no_other_run_does(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for init in ("frozen", "transfer"):
        shutil.copytree(cell(root, init), tmp_path / "s" / "runs" / init / "1" / "0")
    frozen, transfer = (f"run={tmp_path / 's' / 'runs' / init / '1' / '0'}" for init in ("frozen", "transfer"))
    refused("export", frozen, f"out={tmp_path / 'out'}")
    assert "s/encoder/bundle.json: no pretrained encoder there" in capsys.readouterr().err
    run("export", transfer, f"out={tmp_path / 'transfer'}")
    encoder, other = root / "outputs" / "s" / "encoder", Encoder(Architecture(width=2, kernel=3, late_kernel=3))
    save_bundle(tmp_path / "s" / "encoder", other, None, {"lead": "II"})
    refused("export", frozen, f"out={tmp_path / 'out'}")
    assert "give that one as encoder=FOLDER" in capsys.readouterr().err
    run("export", frozen, f"out={tmp_path / 'out'}", f"encoder={encoder}")
    classifier, windows = ecg_tl.load_classifier(tmp_path / "out"), torch.randn(4, 2048)
    with torch.no_grad():
        torch.testing.assert_close(classifier(windows), network_of(root, "frozen")(windows))
