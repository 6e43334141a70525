from __future__ import annotations

import contextlib
import math
import multiprocessing
import random
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ecg_tl import pretrain, train
from ecg_tl.bundle import load_bundle
from ecg_tl.resume import Resume, random_state, set_random_state
from tests.commands import run
from tests.fabricate import icu_store, labelled_store

# the released network has dropout, so that going on without the generators' states would show
NETWORK = ("model=released", "model.width=2", "model.kernel=3", "model.late_kernel=3", "trainer.precision=32-true")
WORDS = (*NETWORK, "study=s", "batch_size=16", "logger=csv")
CELL = Path("s/runs/random/1/0")


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk: these tests count on a checkpoint after every epoch."""
    monkeypatch.setattr("ecg_tl.resume.SLOW_S", math.inf)


class Killed(BaseException):
    """What nothing on the way may catch, as nothing catches SIGKILL."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both stores, and what the commands make of them when nothing interrupts."""
    root = tmp_path_factory.mktemp("resume")
    labelled_store(root / "data.h5", records=60)
    icu_store(root / "icu.h5", patients=8, windows_per_patient=6)
    run("pretrain", *pretraining(root, root / "whole"))
    run("train", *training(root, root / "whole"))
    return root


def pretraining(root: Path, outputs: Path) -> tuple[str, ...]:
    # a rate at which nothing improves, so that training stops early
    return (*WORDS, f"corpus.path={root / 'icu.h5'}", f"outputs={outputs}", "epochs=9", "patience=2", "learning_rate=1")


def training(root: Path, outputs: Path) -> tuple[str, ...]:
    return (*WORDS, f"data.path={root / 'data.h5'}", f"outputs={outputs}", "init=random", "epochs=4")


def results(folder: Path) -> dict[str, str]:
    """Read what a run leaves, without its seconds."""
    paths = [path for path in folder.rglob("*") if path.suffix in (".json", ".csv", ".safetensors", ".ckpt")]
    return {
        str(path.relative_to(folder)): re.sub(r'"seconds": [\d.]+', "", path.read_bytes().decode("latin1"))
        for path in paths
    }


def kill_at(monkeypatch: pytest.MonkeyPatch, epoch: int, *, saved: bool) -> None:
    """Let the process die at the end of an epoch, before or after that epoch's checkpoint is written."""
    leave = Resume.on_train_epoch_end

    def die(self: Resume, trainer: Any, module: Any) -> None:
        if saved or trainer.current_epoch + 1 != epoch:
            leave(self, trainer, module)
        if trainer.current_epoch + 1 == epoch:
            raise Killed

    monkeypatch.setattr(Resume, "on_train_epoch_end", die)


def die(*_: Any, **__: Any) -> None:
    raise Killed


def test_a_cell_killed_at_several_epochs_and_before_its_record_becomes_what_it_would_have_been(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = training(root, tmp_path)
    for epoch, saved in ((2, False), (2, True), (3, False)):
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, epoch, saved=saved)
            with pytest.raises(Killed):
                run("train", *words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "write_record", die)
        with pytest.raises(Killed):
            run("train", *words)
    assert not (tmp_path / CELL / "record.json").exists()
    run("train", *words)
    assert re.findall(r"after epoch (\d)", capsys.readouterr().out) == ["1", "2", "2", "4"]
    assert results(tmp_path / CELL) == results(root / "whole" / CELL)
    assert [path.name for path in (tmp_path / CELL / "checkpoints").iterdir()] == ["selected.ckpt"]


def give(entry: str, words: tuple[str, ...], said: Path) -> None:
    """A command in a process of its own, which writes what it says to a file."""
    torch.set_num_threads(1)
    with said.open("a") as out, contextlib.redirect_stdout(out):
        run(entry, *words)


def run_apart(entry: str, words: tuple[str, ...], said: Path, moment_s: float | None = None) -> int | None:
    """Give a command to a process and kill that with SIGKILL after moment_s; returns its exit code, -9 if killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_resume"])
    process = context.Process(target=give, args=(entry, words, said))
    process.start()
    process.join(moment_s)
    process.kill()
    process.join()
    return process.exitcode


def test_a_process_killed_at_ten_random_moments_leaves_what_one_left_alone_does(root: Path, tmp_path: Path) -> None:
    """Whatever the moments turn out to be: a run that ends before its moment is compared, and another begun."""
    run_apart("train", training(root, tmp_path / "first"), tmp_path / "warm")  # the process that others are forked from
    began_s = time.perf_counter()
    assert run_apart("train", training(root, tmp_path / "alone"), tmp_path / "said") == 0
    alone_s = time.perf_counter() - began_s
    expected = results(tmp_path / "alone" / CELL)
    assert expected == results(root / "whole" / CELL)
    moments = np.random.default_rng(0).uniform(0.1 * alone_s, 1.1 * alone_s, 60)
    kills = study = 0
    for moment_s in moments:
        ended = run_apart("train", training(root, tmp_path / str(study)), tmp_path / "said", moment_s)
        assert ended in (0, -9)
        kills += ended == -9
        if kills >= 10 and ended == -9:
            ended = run_apart("train", training(root, tmp_path / str(study)), tmp_path / "said")
        if ended == 0:
            assert results(tmp_path / str(study) / CELL) == expected
            study += 1
            if kills >= 10:
                break
    assert kills >= 10
    assert "goes on after epoch" in (tmp_path / "said").read_text()


def test_pretraining_that_stopped_early_and_died_before_its_bundle_does_not_train_on(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = pretraining(root, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 1, saved=True)
        with pytest.raises(Killed):
            run("pretrain", *words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "save_bundle", die)
        with pytest.raises(Killed):
            run("pretrain", *words)
    run("pretrain", *words)
    out = capsys.readouterr().out
    first, second = re.findall(r"goes on after epoch (\d)", out)
    assert (first, int(second) < 9) == ("1", True)
    assert f"stopped after epoch {second} of 9: no better on held-out patients for 2 epochs" in out
    made, whole = results(tmp_path / "s" / "encoder"), results(root / "whole" / "s" / "encoder")
    assert made == whole
    assert f'"epochs": {second},\n "stopped_early": "no better' in made["bundle.json"]
    assert (tmp_path / "s" / "encoder" / "figure4.png").is_file()


@pytest.mark.filterwarnings("error:Checkpoint directory")
def test_pretraining_killed_between_epochs_goes_on_with_the_windows_of_the_next(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learning = ("epochs=3", "learning_rate=0.003")
    run("pretrain", *pretraining(root, tmp_path / "whole"), *learning)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 2, saved=True)
        with pytest.raises(Killed):
            run("pretrain", *pretraining(root, tmp_path / "killed"), *learning)
    run("pretrain", *pretraining(root, tmp_path / "killed"), *learning)
    whole, killed = (load_bundle(tmp_path / name / "s" / "encoder") for name in ("whole", "killed"))
    assert killed.sha256 == whole.sha256
    assert killed.description["epochs"] == 3
    without, after = (line for line in capsys.readouterr().out.splitlines() if "epoch 3/3" in line)
    assert after == without


def test_another_run_in_the_same_folder_begins_anew(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 2, saved=True)
        with pytest.raises(Killed):
            run("train", *training(root, tmp_path), "learning_rate=0.1")
    run("train", *training(root, tmp_path))
    assert "random/1/0: begun anew, not where it was interrupted (learning_rate: 0.1 -> 0.005)" in (
        capsys.readouterr().out
    )
    assert results(tmp_path / CELL) == results(root / "whole" / CELL)


def test_overwrite_does_a_cell_again_and_keeps_the_old_record_until_the_new_one_is_there(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root / "whole" / CELL, tmp_path / CELL)
    old = (tmp_path / CELL / "record.json").read_text()
    words = (*training(root, tmp_path), "epochs=3")
    with pytest.raises(SystemExit):
        run("train", *words)
    assert "(epochs: 4 -> 3); give study=ANOTHER_NAME, or overwrite=true" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 1, saved=True)
        with pytest.raises(Killed):
            run("train", *words, "overwrite=true")
    assert (tmp_path / "s" / "replaced" / "random" / "1" / "0" / "record.json").read_text() == old
    run("train", *words, "overwrite=true")
    assert '"epochs": 3' in (tmp_path / CELL / "record.json").read_text()
    assert not list((tmp_path / "s" / "replaced").rglob("record.json"))
    capsys.readouterr()
    run("train", *words, "overwrite=true")
    assert "done already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a checkpoint", "cannot be read"),
        (b"", "cannot be read"),
        ({"state_dict": {}}, "cannot be read: 'callbacks'"),
        ({"callbacks": {"Resume": {"identity": {"epochs": 3}, "epochs": 2}}}, "epochs: 3 -> 4, folder: None -> "),
    ],
    ids=["text", "empty", "foreign", "other settings"],
)
def test_a_checkpoint_that_does_not_fit_is_named_and_removed(
    content: Any, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resume = Resume(tmp_path, {"epochs": 4}, 0.0)
    resume.path.parent.mkdir()
    if isinstance(content, bytes):
        resume.path.write_bytes(content)
    else:
        torch.save(content, resume.path)
    assert resume.ready("cell") is None
    assert reason in capsys.readouterr().out
    assert not resume.path.exists()


def test_a_checkpoint_cut_short_is_named_and_one_that_fits_is_given(tmp_path: Path) -> None:
    resume = Resume(tmp_path, {"epochs": 4}, 0.0)
    resume.path.parent.mkdir()
    torch.save({"callbacks": {"Resume": resume.state_dict()}}, resume.path)
    assert resume.ready("cell") == resume.path
    resume.path.write_bytes(resume.path.read_bytes()[:-100])
    assert resume.ready("cell") is None


def test_random_generators_go_on_where_they_were() -> None:
    def draw() -> tuple[float, float, float]:
        return float(torch.rand(1)), float(np.random.random()), random.random()  # noqa: NPY002

    state = random_state()
    first = draw()
    assert draw() != first
    set_random_state(state)
    assert draw() == first


def test_seconds_are_those_of_all_attempts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: 105.0)
    first = Resume(tmp_path, {}, 100.0)
    second = Resume(tmp_path, {}, 103.0)
    second.load_state_dict(first.state_dict())
    assert second.seconds == 5 + 2


@pytest.mark.parametrize(("save_s", "saved"), [(0.05, [1, 2, 3, 4, 5, 6]), (1.0, [1, 4]), (0.2, [1, 2, 3, 4, 5, 6])])
def test_large_checkpoints_take_a_tenth_of_the_time_at_most(
    save_s: float, saved: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Epochs of four seconds."""
    clock, epochs = [100.0], []
    monkeypatch.setattr("ecg_tl.resume.SLOW_S", 0.1)
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    resume = Resume(tmp_path, {}, 0.0)

    class Trainer:
        current_epoch, should_stop = 0, False
        strategy = SimpleNamespace(broadcast=lambda value: value)

        def save_checkpoint(self, path: Path) -> None:
            assert path == resume.path
            clock[0] += save_s
            epochs.append(self.current_epoch + 1)

    trainer: Any = Trainer()
    for trainer.current_epoch in range(6):
        clock[0] += 4
        resume.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    assert epochs == saved
    assert resume.epochs == 6
