from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

import ecg_tl
from ecg_tl import bundle, inference
from ecg_tl.bundle import load_bundle, save_bundle, save_classifier, takes
from ecg_tl.networks import Architecture, Decoder, Encoder, RhythmNetwork
from ecg_tl.rows import write_rows
from ecg_tl.sources.wfdb import WfdbIcu, WfdbRecords
from ecg_tl.waveform import FILTER, centre_window, normalise
from tests.fabricate import ecg_mv, wfdb_icu, wfdb_records

TINY = Architecture(width=2, latent=6, kernel=3, late_kernel=3)
DESCRIPTION = {**takes("II", FILTER), "corpus": {}}
RHYTHMS = ["SR", "SB", "AFIB"]


def an_encoder() -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(TINY)
    encoder(torch.randn(4, 2048))
    return encoder.eval()


@pytest.fixture
def encoder(tmp_path: Path) -> ecg_tl.PretrainedEncoder:
    return ecg_tl.load_encoder(save_bundle(tmp_path / "encoder", an_encoder(), None, DESCRIPTION))


@pytest.fixture
def classifier(tmp_path: Path) -> ecg_tl.PretrainedClassifier:
    network = RhythmNetwork(an_encoder(), "pooled", 3)
    scores: dict[str, Any] = {
        "rhythms": RHYTHMS,
        "selected_f1": 0.5,
        "selected_f1_interval": [0.4, 0.6],
        "best_f1": 0.6,
    }
    scores |= {"selected_f1_per_rhythm": [0.5] * 3, "support_per_rhythm": [4] * 3, "encoder_sha256": None, "data": {}}
    scores |= {"init": "random", "fraction": 1.0, "seed": 0, "precision": "32-true", "device": "x", "data_sha256": "0"}
    protocol = {"n_test": 12, "n_train": 48, "selected_epoch": 1, "epochs": 2, "batch_size": 8, "learning_rate": 0.1}
    folder = tmp_path / "classifier"
    return ecg_tl.load_classifier(save_classifier(folder, network, DESCRIPTION | scores | {"protocol": protocol}))


def test_windows_are_bit_for_bit_those_of_a_store(encoder: ecg_tl.PretrainedEncoder, tmp_path: Path) -> None:
    """An unlabelled recording's consecutive windows and a labelled one's middle, by way of files and stores."""
    folder = wfdb_icu(tmp_path / "icu", records=1, seconds=60, rate_hz=125)
    (recording,) = WfdbIcu(folder)
    store = write_rows(WfdbIcu(folder), tmp_path / "icu.h5", lead="II")
    windows = encoder.windows(recording.ecg_mv, rate_hz=125)
    assert windows.shape == (1, 7, 2048)
    np.testing.assert_array_equal(windows[0], normalise(np.asarray(store.ecg)))
    with torch.no_grad():
        expected = encoder(torch.from_numpy(normalise(np.asarray(store.ecg))))
    torch.testing.assert_close(encoder.embed(recording.ecg_mv, 125)[0], expected, rtol=1e-5, atol=1e-5)

    folder = wfdb_records(tmp_path / "labelled", records=2, seconds=10, rate_hz=300)
    store = write_rows(WfdbRecords(folder), tmp_path / "labelled.h5", lead="II")
    for row, recording in enumerate(WfdbRecords(folder)):
        middle = encoder.windows(recording.ecg_mv, 300, step_s=226 / 250)[0, 1]  # (2500 - 2048) / 2 samples in
        np.testing.assert_array_equal(middle, normalise(centre_window(np.asarray(store.ecg[row]), 2048)))


def test_a_batch_gives_what_its_signals_give(encoder: ecg_tl.PretrainedEncoder) -> None:
    signals_mv = np.stack([ecg_mv(np.random.default_rng(seed), 20, 500) for seed in range(3)])
    features = encoder.embed(torch.from_numpy(signals_mv), rate_hz=500.0, step_s=4.0)
    assert features.shape == (3, 3, 6)
    assert not features.requires_grad
    for row, signal_mv in enumerate(signals_mv):
        torch.testing.assert_close(encoder.embed(signal_mv, 500.0, 4.0)[0], features[row], rtol=1e-4, atol=1e-5)
    encoder.train()
    torch.testing.assert_close(encoder.embed(signals_mv, 500.0, 4.0), features)
    assert encoder.training


def test_probabilities_are_the_softmax_of_logits(classifier: ecg_tl.PretrainedClassifier) -> None:
    signal_mv = ecg_mv(np.random.default_rng(0), 20)
    probabilities = classifier.predict(signal_mv, rate_hz=250)
    assert classifier.rhythms == tuple(RHYTHMS)
    assert probabilities.shape == (1, 2, 3)
    with torch.no_grad():
        logits = classifier(classifier.windows(signal_mv, 250)[0])
    torch.testing.assert_close(probabilities[0], logits.exp() / logits.exp().sum(-1, keepdim=True))


GOOD = ecg_mv(np.random.default_rng(0), 10, 500)


@pytest.mark.parametrize(
    ("signal", "rate_hz", "message"),
    [
        (GOOD * 1000, 500, r"unit\? median peak-to-peak is 1\.\d+e\+03 mV.*give millivolts"),
        (GOOD / 1000, 500, r"unit\? median peak-to-peak is 0\.001\d* mV"),
        (np.zeros_like(GOOD), 500, r"median peak-to-peak is 0 mV"),
        (GOOD[:4000], 500, r"4000 samples at rate_hz=500 are 8 s, and a window has 8\.192 s"),
        (GOOD[:, None], 500, r"1 samples at rate_hz=500 .* of shape \(T,\) or \(B, T\)"),
        (np.where(np.arange(5000) == 250, np.nan, GOOD), 500, r"1 samples are NaN .* the first at 0\.500 s of row 0"),
        (GOOD[None, None], 500, r"float32 \(1, 1, 5000\); give numbers of shape"),
        (["a"], 500, r"give numbers of shape"),
        ([], 500, r"give numbers of shape"),
        (GOOD, 0, r"rate_hz=0 are nothing"),
        (GOOD, float("nan"), r"rate_hz=nan are nothing"),
    ],
)
def test_what_is_no_ecg_is_refused_with_the_reason(
    signal: ArrayLike, rate_hz: float, message: str, encoder: ecg_tl.PretrainedEncoder
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        encoder.embed(signal, rate_hz)
    assert "\n" not in str(caught.value)


def test_flat_and_saturated_windows_give_nan_and_one_warning(
    encoder: ecg_tl.PretrainedEncoder, classifier: ecg_tl.PretrainedClassifier
) -> None:
    """Five windows at 500 Hz: three without signal, of which the unit says nothing, one at a rail, one good."""
    signal_mv = ecg_mv(np.random.default_rng(0), 5 * 8.192, 500)
    signal_mv[4096 : 4 * 4096] = 0
    signal_mv[17000:17100] = 4
    both_mv = np.stack([signal_mv, ecg_mv(np.random.default_rng(1), 5 * 8.192, 500)])
    for model, give in ((encoder, encoder.embed), (classifier, classifier.predict)):
        with pytest.warns(
            UserWarning, match=r"4 of 10 windows are unusable and give NaN: flat 3, saturated 1$"
        ) as said:
            given = give(both_mv, 500)
        assert len(said) == 1
        assert said[0].filename == __file__
        assert torch.isnan(given).all(-1).tolist() == [[False, True, True, True, True], [False] * 5]
        with torch.no_grad():
            good = model(model.windows(both_mv, 500)[1])
        torch.testing.assert_close(given[1], good if model is encoder else good.softmax(-1))
    with pytest.warns(UserWarning, match=r"8 of 9 windows"):  # those that overlap, by half, are flat for seconds too
        encoder.embed(signal_mv, 500, step_s=4.096)


def test_the_unit_is_judged_row_by_row(encoder: ecg_tl.PretrainedEncoder) -> None:
    with pytest.raises(ValueError, match=r"ecg_mv, row 2: unit\? .*; give millivolts"):
        encoder.embed(np.stack([GOOD, GOOD, GOOD * 1000]), 500)


def test_a_step_below_a_sample_is_refused(encoder: ecg_tl.PretrainedEncoder) -> None:
    with pytest.raises(ValueError, match=r"step_s=0\.001: must be at least 0\.004 s"):
        encoder.embed(GOOD, 500, step_s=0.001)
    for step_s in (float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"step_s={step_s}: must be at least .* and finite"):
            encoder.embed(GOOD, 500, step_s=step_s)


def test_models_are_saved_and_come_back(
    encoder: ecg_tl.PretrainedEncoder, classifier: ecg_tl.PretrainedClassifier, tmp_path: Path
) -> None:
    """By the names that users of the Hub know, and without pickles or a second description."""
    for number, model in enumerate((encoder, classifier)):
        model.save_pretrained(tmp_path / f"again{number}")
        names = sorted(path.name for path in (tmp_path / f"again{number}").iterdir())
        assert names == ["README.md", "bundle.json", "model.safetensors"]
        again = type(model).from_pretrained(tmp_path / f"again{number}")
        assert not again.training
        windows = model.windows(GOOD, 500)[0]
        assert torch.equal(again(windows), model(windows))
        assert again.description == model.description
    assert callable(encoder.push_to_hub)


def test_a_saved_model_brings_its_card_and_leaves_somebodys_own_text(
    encoder: ecg_tl.PretrainedEncoder, classifier: ecg_tl.PretrainedClassifier, tmp_path: Path
) -> None:
    readme = tmp_path / "again" / "README.md"
    encoder.save_pretrained(readme.parent)
    assert "An encoder of ECGs" in readme.read_text()
    classifier.save_pretrained(readme.parent)
    assert "A classifier of ECG windows" in readme.read_text()
    readme.write_text("# My notes\n")
    encoder.save_pretrained(readme.parent)
    assert readme.read_text() == "# My notes\n"
    ecg_tl.load_encoder("ecg-tl-small").save_pretrained(tmp_path / "small")
    shipped = bundle.SHIPPED / "ecg-tl-small" / "README.md"
    assert (tmp_path / "small" / "README.md").read_text() == shipped.read_text()


def test_what_save_classifier_takes_can_be_saved_again_with_a_card(tmp_path: Path) -> None:
    network = RhythmNetwork(an_encoder(), "pooled", 2)
    save_classifier(tmp_path / "one", network, {"rhythms": ["SR", "SB"], "lead": "II"})
    ecg_tl.load_classifier(tmp_path / "one").save_pretrained(tmp_path / "two")
    assert ecg_tl.load_classifier(tmp_path / "two").rhythms == ("SR", "SB")
    assert "## How good it is\n\nThat is not stated." in (tmp_path / "two" / "README.md").read_text()


@pytest.mark.usefixtures("encoder", "classifier")
def test_one_kind_is_not_taken_for_the_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder: an encoder; load it as one, or export a run"):
        ecg_tl.load_classifier(tmp_path / "encoder")
    with pytest.raises(ValueError, match=r"classifier: a classifier; load it as one"):
        ecg_tl.load_encoder(tmp_path / "classifier")


def test_a_shipped_encoder_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "SHIPPED", tmp_path)
    save_bundle(tmp_path / "tiny", an_encoder(), None, DESCRIPTION)
    assert bundle.shipped_encoders() == ["tiny"]
    assert ecg_tl.load_encoder("tiny").embed(GOOD, 500).shape == (1, 1, 6)
    with pytest.raises(FileNotFoundError, match=r"other: no such folder.* no encoder of the package \(tiny\)"):
        ecg_tl.load_encoder("other")


def test_without_a_network_the_hub_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> str:
        raise OSError("cannot find the server\nand many words more")

    monkeypatch.setattr(inference, "snapshot_download", unreachable)
    with pytest.raises(FileNotFoundError) as caught:
        ecg_tl.load_encoder("owner/name")
    expected = "owner/name: no such folder here, and not to be had from the Hub (cannot find the server)"
    assert str(caught.value) == expected


def test_the_hub_is_asked_for_weights_and_description_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_bundle(tmp_path / "cache", an_encoder(), None, DESCRIPTION)
    asked: list[Any] = []

    def download(name: str, **options: Any) -> str:
        asked.append((name, options))
        return str(folder)

    monkeypatch.setattr(inference, "snapshot_download", download)
    assert ecg_tl.load_encoder("owner/name", revision="v1").lead == "II"
    assert asked == [("owner/name", {"allow_patterns": ["model.safetensors", "bundle.json"], "revision": "v1"})]


def test_a_bundle_without_decoder_is_small_and_whole(tmp_path: Path) -> None:
    save_bundle(tmp_path / "both", an_encoder(), Decoder(TINY), DESCRIPTION)
    save_bundle(tmp_path / "one", an_encoder(), None, DESCRIPTION)
    both, one = load_bundle(tmp_path / "both"), load_bundle(tmp_path / "one")
    assert one.decoder_state == {}
    assert sorted(one.encoder_state) == sorted(both.encoder_state)
    assert all(torch.equal(value, both.encoder_state[name]) for name, value in one.encoder_state.items())
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("one", "both")]
    assert sizes[0] < 0.6 * sizes[1]


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, ecg_tl; assert 'torch' not in sys.modules; ecg_tl.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert "has no attribute 'nothing'" in done.stderr
