"""Predictions through the command, on every kind of input, against the model asked directly."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import ecg_tl
from ecg_tl.bundle import save_bundle, save_classifier
from ecg_tl.figure_style import STYLE
from ecg_tl.networks import Architecture, Encoder, RhythmNetwork
from ecg_tl.predict import predict
from ecg_tl.predict_input import Said, Window, open_input
from ecg_tl.sliding import windows
from ecg_tl.sources import Signal
from ecg_tl.store import to_units
from ecg_tl.strip import Timeline, strip_figure
from ecg_tl.waveform import FILTER, centre_window, normalise
from tests.commands import refused, run
from tests.drawing import unsaved
from tests.fabricate import ecg_mv, labelled_store, wfdb_records, write_wfdb

RHYTHMS = ["SR", "SB", "AFIB"]
COLUMNS = ["record", "start_s", "rhythm", "probability", *RHYTHMS, "reason"]
SIGNAL_MV = ecg_mv(np.random.default_rng(0), 40, 360)
WITH_A_GAP_MV = np.where(np.arange(SIGNAL_MV.size) == 4000, np.nan, SIGNAL_MV)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = RhythmNetwork(Encoder(Architecture(width=2, latent=6, kernel=3, late_kernel=3)), "pooled", 3)
    network(torch.randn(8, 2048))
    torch.nn.init.normal_(network.head.weight, std=3)
    description = {"rhythms": RHYTHMS, "lead": "II", "rate_hz": 250.0, "window": 2048, "filter": FILTER}
    return save_classifier(tmp_path / "model", network, description)


def predicted(model: Path, *words: str) -> pd.DataFrame:
    out = model.parent / "out.csv"
    run("predict", f"model={model}", f"out={out}", "trainer.precision=32-true", *words)
    return pd.read_csv(out, keep_default_na=False, dtype={"record": str})


def check(table: pd.DataFrame, probabilities: np.ndarray) -> None:
    assert list(table) == COLUMNS
    np.testing.assert_allclose(table[RHYTHMS].astype(float), probabilities, atol=1e-4)
    assert table["rhythm"].tolist() == [RHYTHMS[index] for index in probabilities.argmax(-1)]
    np.testing.assert_allclose(table["probability"].astype(float), probabilities.max(-1), atol=1e-4)


@pytest.mark.parametrize("name", ["a", "a.hea", ""])
def test_a_wfdb_record_or_folder_gives_what_the_model_gives(name: str, model: Path, tmp_path: Path) -> None:
    header = write_wfdb(tmp_path / "w", "a", {"V": -SIGNAL_MV, "II": SIGNAL_MV}, 360)
    table = predicted(model, f"input={header.parent / name}", "step_s=4")
    written_mv = np.rint(SIGNAL_MV * 1000) / 1000
    check(table, ecg_tl.load_classifier(model).predict(written_mv, 360, step_s=4)[0].numpy())
    assert table["start_s"].tolist() == [4.0 * number for number in range(8)]


@pytest.mark.parametrize(
    ("kind", "unit"), [("npy", "mV"), ("npy", "uV"), ("csv", "mV"), ("leads", "mV"), ("table", "mV")]
)
def test_plain_numbers_give_what_the_model_gives(kind: str, unit: str, model: Path, tmp_path: Path) -> None:
    """One recording as NPY or CSV, a CSV of several leads with a header, and a table of a row a recording."""
    signal = SIGNAL_MV * (1000 if unit == "uV" else 1)
    path = tmp_path / ("x.npy" if kind in ("npy", "table") else "x.csv")
    if kind == "table":
        np.save(path, np.stack([signal, signal]))
    elif kind == "npy":
        np.save(path, signal)
    else:
        pd.DataFrame({"V1": -signal, "II": signal} if kind == "leads" else {"II": signal}).to_csv(path, index=False)
    table = predicted(model, f"input={path}", "rate_hz=360", f"unit={unit}", "lead=II")
    expected = ecg_tl.load_classifier(model).predict(SIGNAL_MV, 360)[0].numpy()
    check(table, np.concatenate([expected, expected]) if kind == "table" else expected)
    assert table["record"].unique().tolist() == (["0", "1"] if kind == "table" else ["x"])


@pytest.mark.parametrize("name", ["x.csv", "bare.csv", "x.npy"])
def test_a_column_of_a_file_is_one_recording(name: str, model: Path, tmp_path: Path) -> None:
    columns = np.stack([np.arange(SIGNAL_MV.size) / 360, SIGNAL_MV], axis=1)
    np.save(tmp_path / "x.npy", columns)
    pd.DataFrame(columns, columns=["time", "ecg"]).to_csv(tmp_path / "x.csv", index=False)
    pd.DataFrame(columns).to_csv(tmp_path / "bare.csv", index=False, header=False)
    table = predicted(model, f"input={tmp_path / name}", "rate_hz=360", "unit=mV", "lead=II", "column=2")
    check(table, ecg_tl.load_classifier(model).predict(SIGNAL_MV, 360)[0].numpy())
    assert set(table["record"]) == {Path(name).stem}


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("narrow.csv", (), "narrow.csv: taken for a table, whose rows of 2 samples are shorter than 8.192 s; if it is"),
        ("narrow.npy", (), "say which column is the lead with column=1, or 2"),
        ("wide.csv", ("column=2",), "column=2: {root}/wide.csv is a table of a row a recording; leave column out"),
        ("wide.npy", ("column=2",), "column=2: {root}/wide.npy is a table of a row a recording; leave column out"),
        ("named.csv", ("column=2",), "column=2: {root}/named.csv is a table of a row a recording; leave column out"),
    ],
)
def test_a_column_and_a_table_are_not_taken_for_each_other(
    name: str, words: tuple[str, ...], message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = np.stack([SIGNAL_MV, SIGNAL_MV], axis=1)
    np.save(tmp_path / "narrow.npy", narrow)
    np.save(tmp_path / "wide.npy", narrow.T)
    pd.DataFrame(narrow, columns=["time", "ecg"]).to_csv(tmp_path / "narrow.csv", index=False)
    pd.DataFrame(narrow.T).to_csv(tmp_path / "wide.csv", index=False, header=False)
    pd.DataFrame({"record": ["a", "b", "c"], "ecg": [1, 2, 3]}).to_csv(tmp_path / "named.csv", index=False)
    refused("predict", f"model={model}", f"input={tmp_path / name}", "rate_hz=360", "unit=mV", "lead=II", *words)
    assert message.format(root=tmp_path) in capsys.readouterr().err


def test_a_store_gives_what_the_model_gives(model: Path, tmp_path: Path) -> None:
    store = labelled_store(tmp_path / "s.h5", records=7)
    table = predicted(model, f"input={store.path}", "batch_size=3")
    windows = torch.from_numpy(normalise(centre_window(np.asarray(store.ecg), 2048)))
    with torch.no_grad():
        check(table, ecg_tl.load_classifier(model)(windows).softmax(-1).numpy())
    assert table["record"].tolist() == store.record.tolist()
    assert set(table["start_s"]) == {0.904}  # the middle 2,048 of 2,500 samples


def test_batches_side_by_side_keep_their_order_and_are_not_read_far_ahead() -> None:
    """The first batch waits for a later one to be done."""
    read: list[int] = []
    finished: list[int] = []
    later = threading.Event()

    class First(torch.nn.Module):
        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            number = len(windows)
            if number == 1:
                later.wait(10)
            finished.append(number)
            later.set()
            return torch.eye(4)[number - 1].repeat(number, 1) * 50

    def given() -> Iterator[Window]:
        for number in range(400):
            read.append(number)
            fit = number == 3 or (number > 3 and number % 4 < 3)
            yield Window(
                "a", float(number), SIGNAL_MV[:2048].astype(np.float32) if fit else None, None if fit else "nan"
            )

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        predictions = predict(First(), given(), 4, "cpu", "32-true")
        first = next(predictions)
        assert len(read) <= 2 * 2 * 4
        rest = list(predictions)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert finished[0] == 3
    assert finished.count(1) == 1
    assert [each.start_s for each in [first, *rest]] == [float(number) for number in range(400)]
    for each in [first, *rest]:
        if each.probabilities is not None:
            assert each.probabilities.argmax() == (0 if each.start_s == 3 else 2)
    assert sum(each.probabilities is None for each in [first, *rest]) == 3 + 99


def test_unfit_windows_say_why_and_leave_the_others_alone(model: Path, tmp_path: Path) -> None:
    broken_mv = SIGNAL_MV.copy()
    broken_mv[360 * 10 : 360 * 12] = 0.2
    broken_mv[360 * 18] = np.nan
    write_wfdb(tmp_path / "w", "a", {"II": broken_mv}, 360)
    write_wfdb(tmp_path / "w", "b", {"II": SIGNAL_MV[:2000]}, 360)
    table = predicted(model, f"input={tmp_path / 'w'}")
    assert table["reason"].tolist() == ["", "flat", "nan", "", "too short"]
    unfit = table[table["reason"] != ""]
    assert set(unfit["rhythm"]) == {"unusable"}
    assert set(unfit[["probability", *RHYTHMS]].to_numpy().ravel()) == {""}


def test_a_bad_record_of_a_folder_is_listed_and_the_others_are_predicted(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One without the lead, one cut short, one whose header is nonsense, one in mmHg, and a good one last."""
    for name in ("b", "e"):
        write_wfdb(tmp_path / "w", name, {"II": SIGNAL_MV}, 360)
    write_wfdb(tmp_path / "w", "a", {"V5": SIGNAL_MV}, 360)
    write_wfdb(tmp_path / "w", "d", {"II": SIGNAL_MV}, 360, unit="mmHg")
    (tmp_path / "w" / "b.dat").write_bytes((tmp_path / "w" / "b.dat").read_bytes()[:-100])
    (tmp_path / "w" / "c.hea").write_text("nonsense")
    table = predicted(model, f"input={tmp_path / 'w'}")
    out = dict(zip(table["record"], table["reason"], strict=True))
    assert out == {"a": "no lead II", "b": "unreadable", "c": "unreadable", "d": "unit mmHg", "e": ""}
    check(table[table["record"] == "e"], ecg_tl.load_classifier(model).predict(SIGNAL_MV, 360)[0].numpy())
    capsys.readouterr()
    for name, message in (("b", "b: cannot be read from sample"), ("c", "c.hea: cannot be read, or says no rate")):
        refused("predict", f"model={model}", f"input={tmp_path / 'w' / name}")
        assert message in capsys.readouterr().err
    refused("predict", f"model={model}", f"input={tmp_path / 'w'}", "lead=I")
    assert "w: none of 5 records can be used; the first: " in (error := capsys.readouterr().err)
    assert "a: no lead I, only V5; set lead to one of them" in error


@pytest.mark.parametrize("shape", ["one lead", "a column", "by column", "a row"])
def test_a_long_npy_is_never_in_memory_whole(shape: str, tmp_path: Path) -> None:
    """Three hours, 22 MB a lead, of which two windows 200 s apart and 16 s on either side are wanted at once."""
    signal = np.tile(ecg_mv(np.random.default_rng(0), 60, 256).astype(np.float64), 180)
    two = np.stack([-signal, signal], axis=1)
    numbers = {"one lead": signal, "a column": two, "by column": np.asfortranarray(two), "a row": two.T}[shape]
    np.save(path := tmp_path / "x.npy", numbers)
    tracemalloc.start()
    given = open_input(path, Said(256, "mV", "II", 2 if "column" in shape else None), "II")
    found = [window.ecg for window in given.windows(51200)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < signal.nbytes / 2
    held = Signal("x", "II", 256, signal.size, lambda first, last: signal[first:last].astype(np.float32))
    expected = [to_units(cut.ecg_mv) for cut in windows(held, 51200)]
    assert len(expected) == 53
    np.testing.assert_array_equal(found[-53:], expected)


def test_a_record_that_ends_early_keeps_what_came_before(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path / "w", "a", {"II": np.tile(SIGNAL_MV, 32)}, 360)
    header.with_suffix(".dat").write_bytes(header.with_suffix(".dat").read_bytes()[:-200])
    found = list(open_input(tmp_path / "w", Said(), "II").windows(2048))
    assert [window.unfit for window in found] == [None] * 146 + ["unreadable"]
    assert found[-1].start_s == pytest.approx(146 * 8.192)


def test_json_says_the_same_as_csv(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wfdb(tmp_path / "w", "a", {"II": WITH_A_GAP_MV}, 360)
    table = predicted(model, f"input={tmp_path / 'w'}")
    capsys.readouterr()
    run("predict", f"model={model}", f"input={tmp_path / 'w'}", "format=json", "trainer.precision=32-true")
    entries = json.loads(capsys.readouterr().out)
    assert [entry["rhythm"] for entry in entries] == table["rhythm"].tolist()
    assert entries[1] == {
        "record": "a",
        "start_s": 8.192,
        "rhythm": "unusable",
        "probability": None,
        "probabilities": None,
        "reason": "nan",
    }
    assert entries[0]["probabilities"] == {name: float(table[name][0]) for name in RHYTHMS}


def test_the_strip_figure_names_what_was_found(model: Path, tmp_path: Path) -> None:
    write_wfdb(tmp_path / "w", "rec7", {"II": WITH_A_GAP_MV}, 360)
    table = predicted(model, f"input={tmp_path / 'w'}", f"figure={tmp_path / 'strip.png'}")
    assert (tmp_path / "strip.png").stat().st_size > 1000
    drawn = (tmp_path / "strip.svg").read_text()
    for word in ("rec7", "probability", "time (s)", *table["rhythm"].unique()):
        assert f"<!-- {word} -->" in drawn
    for rhythm in set(RHYTHMS) - set(table["rhythm"]):
        assert f"<!-- {rhythm} -->" not in drawn


@pytest.mark.parametrize(
    ("step_s", "length_s", "told"),
    [(2.0, 2.0, "time (s)"), (8.192, 8.192, "time (s)"), (60.0, 8.192, "time (s; 8.192 s looked at every 60 s)")],
)
def test_the_strip_figure_shows_no_more_than_was_looked_at(
    step_s: float, length_s: float, told: str, tmp_path: Path
) -> None:
    line = Timeline([0.0, step_s], [1, 1], [0.5, 0.75])
    figure = unsaved(strip_figure, tmp_path / "f", timelines={"a": line}, rhythms=RHYTHMS, step_s=step_s)
    strip, probability = figure.axes
    bars = [path.get_extents() for path in strip.collections[0].get_paths()]
    lines = [(start[0], end[0]) for start, end in probability.collections[0].get_segments()]
    for drawn in ([(bar.x0, bar.x1) for bar in bars], lines):
        np.testing.assert_allclose(drawn, [(0, length_s), (step_s, step_s + length_s)])
    assert strip.get_xlim() == probability.get_xlim() == (0, pytest.approx(step_s + length_s))
    assert probability.get_xlabel() == told


def test_the_strip_figure_of_a_day_drops_no_probability(tmp_path: Path) -> None:
    starts_s = np.arange(0, 86_400, 60.0).tolist()
    line = Timeline(starts_s, [0] * len(starts_s), [0.5] * len(starts_s))
    figure = unsaved(strip_figure, tmp_path / "f", timelines={"a": line}, rhythms=RHYTHMS, step_s=60.0)
    probability = figure.axes[1]
    figure.draw_without_rendering()
    pixels = probability.get_window_extent().width * STYLE["savefig.dpi"] / figure.dpi
    segments = np.array(probability.collections[0].get_segments())
    assert np.ptp(segments[:, :, 0], axis=1).min() / np.ptp(probability.get_xlim()) * pixels >= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("input={root}/w", "lead=aVL"), "a: no lead aVL, only II; set lead"),
        (("input={root}/w", "rate_hz=250"), "rate_hz=250.0: {root}/w says that itself; leave rate_hz out"),
        (("input={root}/x.npy",), "rate_hz: {root}/x.npy does not say it; give rate_hz=500"),
        (("input={root}/x.npy", "rate_hz=360"), "unit: {root}/x.npy does not say it; give unit=mV"),
        (("input={root}/x.npy", "rate_hz=360", "unit=mV"), "lead: {root}/x.npy does not say it; give lead=II"),
        (
            ("input={root}/x.npy", "rate_hz=360", "unit=uV", "lead=II"),
            "an ECG has 0.2 to 5; set unit or, if uV is right",
        ),
        (("input={root}/s.h5", "lead=V1"), "s.h5: holds lead II, and V1 was asked for; give lead=II"),
        (("input={root}/s.h5", "step_s=4"), "step_s: the rows of {root}/s.h5 are windows already"),
        (("input={root}/none",), "input={root}/none: no such record, folder or file"),
        (("input={root}/none.npy", "rate_hz=9"), "input={root}/none.npy: no such record, folder or file"),
        (("input={root}/w", "out={root}/x.npy"), "x.npy exists; remove it"),
        (("input={root}/w", "out={root}/p.json"), "its name says another format than format=csv"),
        (("input={root}/many", "figure={root}/f"), "figure: 13 recordings, and a figure shows 1 to 12"),
        (("input={root}/w", "model={root}/encoder"), "encoder: an encoder; load it as one"),
        (("input={root}/w", "figure={root}/f.pdf"), "figure={root}/f.pdf: drawn as .png and .svg; name one of them"),
        (("input={root}/w", "figure={root}/old.png"), "figure={root}/old.png: {root}/old.svg exists; remove it or"),
        (("input={root}/bare",), "input={root}/bare: a folder without recordings (.hea, .csv, .npy)"),
        (
            ("input={root}/two", "rate_hz=360", "unit=mV", "lead=II", "trust_unit=true"),
            "column: say which of 2 is lead II; {root}/two/a.npy",
        ),
        (("input={root}/gain0",), "gain0: gain 0 of lead II is no voltage; mend its header"),
        (("input={root}/w", "step_s=inf"), "step_s=inf: must be a number above 0"),
        (("input={root}/w", "step_s=nan"), "step_s=nan: must be a number above 0"),
        (("input={root}/no.npy", "rate_hz=360", "unit=mV", "lead=II"), "no.npy: cannot be used (empty); mend it"),
        (("input={root}/png.csv", "rate_hz=360", "unit=mV", "lead=II"), "png.csv: not a CSV in UTF-8"),
    ],
)
def test_what_is_unclear_is_refused_and_leaves_nothing(
    words: tuple[str, ...], message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wfdb(tmp_path / "w", "a", {"II": SIGNAL_MV}, 360)
    np.save(tmp_path / "x.npy", SIGNAL_MV)
    np.save(tmp_path / "no.npy", SIGNAL_MV[:0])
    (tmp_path / "old.svg").touch()
    (tmp_path / "bare").mkdir()
    (tmp_path / "two").mkdir()
    np.save(tmp_path / "two" / "a.npy", np.ones((4000, 2)))
    header = write_wfdb(tmp_path, "gain0", {"II": SIGNAL_MV}, 360)
    header.write_text(header.read_text().replace(" 1000(0)/mV", " 0(0)/mV"))
    assert " 0(0)/mV" in header.read_text()
    (tmp_path / "png.csv").write_bytes(b"\x89PNG\xff\xfe\n")
    labelled_store(tmp_path / "s.h5", records=3)
    if "many" in words[0]:
        wfdb_records(tmp_path / "many", records=13)
    save_bundle(tmp_path / "encoder", Encoder(Architecture(width=2)), None, {"lead": "II"})
    before = sorted(tmp_path.iterdir())
    refused("predict", f"model={model}", f"out={tmp_path / 'p.csv'}", *(word.format(root=tmp_path) for word in words))
    assert message.format(root=tmp_path) in (error := capsys.readouterr().err)
    assert "source." not in error
    assert sorted(tmp_path.iterdir()) == before


def test_the_folder_that_one_is_in_can_be_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_wfdb(tmp_path / "w", "a", {"II": SIGNAL_MV}, 360).parent)
    assert set(predicted(model, "input=.")["record"]) == {"a"}


def test_what_is_no_classifier_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").touch()
    refused("predict", f"model={tmp_path / 'onnx'}", f"input={tmp_path}")
    assert "holds model.onnx, which is for other programs; export with format=safetensors" in capsys.readouterr().err
    refused("predict", "model=ecg-tl-small", f"input={tmp_path}")
    assert "ecg-tl-small: an encoder; load it as one" in capsys.readouterr().err


def test_a_model_that_does_not_say_its_lead_is_refused(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = model / "bundle.json"
    said = json.loads(described.read_text())
    del said["lead"]
    described.write_text(json.dumps(said))
    refused("predict", f"model={model}", "input=none")
    assert f"{described}: does not say lead; export a run again" in capsys.readouterr().err
