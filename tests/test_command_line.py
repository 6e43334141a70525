from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ecg_tl import command_line, overrides
from ecg_tl.checks import nearest
from ecg_tl.config import TrainConfig
from ecg_tl.identity import flatten
from tests.commands import ENTRIES, refused, run
from tests.fabricate import labelled_store


def told(monkeypatch: pytest.MonkeyPatch, entry: str, *words: str) -> list[Any]:
    """Run an entry's command line with a task that only collects the configs it is given."""
    configs: list[Any] = []
    monkeypatch.setattr(sys, "argv", [f"ecg_tl.{entry}", *words])
    command_line.run(entry, configs.append)
    return configs


REFUSED = {
    ("train", "fractoin=1"): "fractoin: no such key; did you mean fraction?",
    ("train", "model.widht=8"): "model.widht: no such key; did you mean model.width?",
    ("train", "+foo=1"): "foo: no such key; did you mean",
    ("train", "++sede=1"): "sede: no such key; did you mean seed?",
    ("train", "init=transfr"): "image, random, transfer; did you mean transfer?",
    ("train", "experiment=dmo"): "experiment=dmo: not one of default, demo, paper, public; did you mean demo?",
    ("train", "-m", "init=glob(*)"): "init=glob(*): glob is not taken here; name the values",
    ("train", "hydra/launcher=local"): "hydra/launcher=local: runs the cells of a sweep; add -m",
    ("train", "fraction=0"): "fraction=0: must lie above 0 and at most at 1",
    ("train", "fraction=1.5"): "fraction=1.5: must lie above 0 and at most at 1",
    ("train", "fraction=nan"): "fraction=nan: must lie above 0",
    ("train", "seed=-1"): "seed=-1: must be at least 0",
    ("train", "epochs=many"): "error: epochs=many: give a whole number\n",
    ("train", "-m", "epochs=3,1.5"): "error: epochs=1.5: give a whole number\n",
    ("train", "fraction=half"): "error: fraction=half: give a number\n",
    ("train", "seed=null"): "error: seed=null: give a whole number\n",
    ("train", "trainer.threads=all"): "error: trainer.threads=all: give a whole number or null\n",
    ("train", "study=[a,b]"): "error: study=[a,b]: give a text\n",
    ("train", "source=wfdb"): "error: source: no such key; did you mean ",
    ("train", "-m", "hydra/launcher=lokal"): "lokal: not one of local, ray_cluster, slurm; did you mean local?\n",
    ("train", "hydra.launcher.partition=a"): "choose the launcher by hydra/launcher=NAME\n",
    ("predict", "trust_unit=perhaps"): "error: trust_unit=perhaps: give true or false\n",
    ("prepare", "audit=a.h5"): "error: audit=a.h5: give a list, as [A,B] or null\n",
    (
        "prepare",
        "source=shaoxing_figshare",
        "source.lead=II",
    ): "error: source.lead: source=shaoxing_figshare has no such option; it has path, window_s\n",
    ("train", "epochs=0"): "epochs=0: must be at least 1",
    ("train", "learning_rate=0"): "learning_rate=0.0: must be a number above 0",
    ("train", "learning_rate=inf"): "learning_rate=inf: must be a number above 0",
    ("train", "model.width=0"): "model.width=0: must be at least 1",
    ("train", "model.kernel=4"): "model.kernel=4: must be odd",
    ("train", "model.head=poled"): "model.head=poled: not one of pooled, latent; did you mean pooled?",
    ("train", "init.weights=imagnet"): "init.weights=imagnet: not one of imagenet, random, auto",
    ("train", "study=a/b"): "study='a/b': names a folder",
    ("train", "fraction=1,0.5"): "fraction=1,0.5: several values make a sweep; add -m",
    ("train", "-m", "seed=0,1", "fraction=1,2"): "fraction=2: must lie above 0",
    ("train", "-m", "init=random,imag"): "init=imag: not one of frozen, frozen_random, image, random, transfer; did",
    ("train", "foo"): "foo: not of the form key=value; write KEY=VALUE, without spaces around =\n",
    ("train", "fraction = 0.5"): "form key=value; write fraction=0.5, without spaces around =\n",
    ("train", "data.path=/a b=c,d/x,1.h5"): """and all of it in others: 'data.path="/a b=c,d/x,1.h5"'\n""",
    ("train", "data.path=/a,b/x.h5"): """add -m, or quote what is one value: 'data.path="/a,b/x.h5"'\n""",
    ("train", "seed=range(a)"): "seed=A,B,C, or 0, 1 and 2 as 'seed=range(3)'\n",
    ("prepare", "merge=[a b=c.h5]"): """put each value in quotes, and all of it in others: 'merge=["A","B"]'\n""",
    ("train", "trainer.precision=bf16"): "trainer.precision=bf16: not one of auto, 32-true, bf16-mixed",
    ("pretrain", "corpus.patients=1"): "corpus.patients=1: must be at least 2",
    ("pretrain", "schedule=cosine"): "schedule=cosine: not one of one_cycle, constant",
    ("prepare", "source=wfdb", "out=a.h5"): "source.path: has no default; give source.path=VALUE",
    ("prepare", "source=wfdb", "source.path=x"): "out: give exactly one of out=FILE.h5",
    ("prepare",): "out=FILE.h5 (of source=NAME, or merge=[A.h5,B.h5] with it), raw=FILE.h5, info=FILE.h5 and audit=",
    ("prepare", "out=a.csv"): "out=a.csv: an HDF5 file",
    ("prepare", "source=wfdb", "source.path=x", "out=a.h5", "source.leed=II"): "did you mean source.lead?",
    (
        "prepare",
        "source=wfdb_icu",
        "source.path=x",
        "out=a.h5",
        "source.windows_per_patient=some",
    ): "give a number or all",
    ("train", "--study", "mine"): "error: --study: settings are given without dashes: study=mine\n",
    ("train", "-m", "--study=mine", "seed=0,1"): "--study=mine: settings are given without dashes: study=mine\n",
    ("train", "seed=0", "--batch-size", "8"): "--batch-size: settings are given without dashes: batch_size=8\n",
    ("train", "--model.width", "seed=0"): "settings are given without dashes: model.width=VALUE\n",
    ("tables", "trails=x.csv"): "trails: no such key; did you mean trials?",
}


@pytest.mark.parametrize(("words", "message"), REFUSED.items(), ids=[" ".join(words) for words in REFUSED])
def test_a_bad_command_line_is_one_line_before_anything_is_written(
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        told(monkeypatch, *words)
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert message in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/a b=c,d/x,1.h5", "/données/x.h5", """/it's/"x".h5""", "/a(1)/{x}.h5"])
def test_a_value_quoted_as_it_is_told_arrives(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused("train", f"data.path={path}")
    (word,) = shlex.split(capsys.readouterr().err.partition("in others: ")[2])
    (config,) = told(monkeypatch, "train", word)
    assert config.data.path == path


def test_defaults_are_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = told(monkeypatch, "train")
    assert isinstance(config, TrainConfig)
    assert (config.epochs, config.learning_rate, config.fraction, config.data.test_fraction) == (150, 0.005, 1, 0.2)
    assert (config.model.width, config.batch_size, config.init.name, config.model.head) == (
        16,
        64,
        "transfer",
        "pooled",
    )


def test_the_papers_experiment_reads_the_latent_at_width_64(monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = told(monkeypatch, "train", "experiment=paper")
    assert (config.study, config.model.width, config.model.head, config.epochs) == ("paper", 64, "latent", 150)
    (config,) = told(monkeypatch, "pretrain", "experiment=paper")
    assert (config.learning_rate, config.schedule, config.model.width) == (0.001, "constant", 64)


def test_an_experiment_gives_pretraining_and_training_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    (pretraining,) = told(monkeypatch, "pretrain", "experiment=demo")
    (training,) = told(monkeypatch, "train", "experiment=demo", "model.width=4")
    assert pretraining.study == training.study == "demo"
    assert pretraining.model.kernel == training.model.kernel
    assert training.model.width == 4


def test_a_sweep_gives_every_cell_of_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = told(monkeypatch, "train", "-m", "init=transfer,random,image", "fraction=1,0.5,0.25", "seed=range(2)")
    cells = {(config.init.name, config.fraction, config.seed) for config in configs}
    assert len(configs) == len(cells) == 18


@pytest.mark.parametrize("error", [ValueError("a.h5: is\nnot good"), FileNotFoundError("a.h5: is not good")])
def test_a_users_mistake_is_one_line_and_exit_1(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["ecg_tl.tables"])
    with pytest.raises(SystemExit) as stopped:
        command_line.run("tables", fail)
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "error: a.h5: is not good\n"


NOWHERE = {
    (
        "train",
        "init=random",
        "outputs=/proc/x",
    ): "/proc/x: No such file or directory; name a place that exists and where",
    (
        "train",
        "init=random",
        "outputs={}/taken",
    ): "{}/taken/data: Not a directory; a file is where a folder is wanted; name another",
    ("prepare", "out=/proc/x.h5", "source.records=55"): "/proc/x.h5: No such file or directory; name a place",
    ("prepare", "out={}/taken/x.h5"): "{}/taken: File exists; a folder is wanted there; name another place",
    ("export", "encoder=ecg-tl-small", "out=/proc/x"): "/proc/x: No such file or directory; name a place",
}


@pytest.mark.parametrize(("words", "message"), NOWHERE.items(), ids=[" ".join(words) for words in NOWHERE])
def test_a_place_that_cannot_be_written_is_named_with_what_to_do(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    refused(*(word.format(tmp_path) for word in words))
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message.format(tmp_path)}")
    assert error.count("\n") == 1


@pytest.mark.parametrize("hidden", [".x.csv.8373", ".x.csv.8373.partial", ".x.csv.lock", ".x.csv.partial"])
def test_a_file_is_called_by_the_name_that_it_will_have(
    hidden: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: Any) -> None:
        raise OSError(28, "No space left on device", f"there/{hidden}")

    monkeypatch.setattr(sys, "argv", ["ecg_tl.tables"])
    with pytest.raises(SystemExit):
        command_line.run("tables", full)
    told = capsys.readouterr().err
    assert told == "error: there/x.csv: No space left on device; make room there, or name another place\n"


@pytest.mark.parametrize(
    ("launcher", "plugin"),
    [("basic", None), ("joblib", "joblib"), ("local", "joblib"), ("submitit_local", "submitit"), ("ray", "ray")],
)
def test_launchers_of_plugins_are_taken_too(launcher: str, plugin: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if plugin:
        pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher")
    monkeypatch.setattr(command_line, "_hydra", lambda *_: None)
    told(monkeypatch, "train", "-m", f"hydra/launcher={launcher}", "seed=0,1")


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_shows_every_key_of_an_entry_and_nothing_of_hydras(entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(entry, "--help")
    what, command, *rest = capsys.readouterr().out.replace("\n\n", "\n").splitlines()
    words = " ".join(rest).split()
    assert what[0].isupper()
    assert what.endswith(".")
    assert command.startswith(f"    python -m ecg_tl.{entry} ")
    assert "schema_" not in " ".join(rest)
    assert not [word for word in words if word.startswith("hydra")]
    assert rest[-1].startswith("--cfg job ")
    shown = {word.partition("=")[0] for word in words if "=" in word}
    hidden = {"init.name", "logger.name", "model.kind", "trainer.accelerator", "source.name"}  # the choice says them
    settings = dict(flatten(command_line.defaults(entry)))
    assert {key.replace("model.path", "model") for key in settings.keys() - hidden} <= shown


def test_help_shows_what_a_group_can_be_with_the_options_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    run("prepare", "source=wfdb", "-h")
    told = capsys.readouterr().out
    assert "\nsource=synthetic  (or csv, hdf5_icu, ptbxl, " in told
    assert "\n  source=ptbxl source.path=... source.lead=II source.records_hz=500 " in told
    run("train", "--help")
    told = capsys.readouterr().out
    assert "\nepochs=150\n" in told
    assert "\nexperiment=default  (or demo, paper, public)\n" in told
    assert "source" not in told


def test_ctrl_c_is_one_line_and_exit_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["ecg_tl.tables"])
    with pytest.raises(SystemExit) as stopped:
        command_line.run("tables", interrupt)
    assert stopped.value.code == 130
    assert capsys.readouterr().err.startswith("interrupted: ")


def test_our_own_fault_is_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: Any) -> None:
        raise AssertionError("ours")

    monkeypatch.setattr(sys, "argv", ["ecg_tl.tables"])
    with pytest.raises(SystemExit):
        command_line.run("tables", fail)
    assert "AssertionError" in capsys.readouterr().err


def test_nearest_finds_the_word_that_was_meant() -> None:
    assert nearest("learnign_rate", ["epochs", "learning_rate", "seed"]) == "learning_rate"


def test_the_module_runs_as_the_readme_says(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ecg_tl.tables", "study=none"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: outputs/none/runs: no finished run")
    assert not list(tmp_path.iterdir())


def test_a_reader_that_has_read_enough_ends_a_command_quietly(tmp_path: Path) -> None:
    store = labelled_store(tmp_path / "s.h5", records=5)
    command = [sys.executable, "-m", "ecg_tl.prepare", f"info={store.path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert said == b""
    assert process.returncode == 1


def test_another_broken_pipe_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def task(_: object) -> None:
        raise BrokenPipeError("a pipe of somebody else's")

    monkeypatch.setattr(sys, "argv", ["ecg_tl.prepare", "info=x"])
    with pytest.raises(SystemExit):
        command_line.run("prepare", task)
    assert "error: a pipe of somebody else's" in capsys.readouterr().err


def test_a_training_that_is_told_to_end_does_not_pass_for_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(_: object) -> None:
        raise SIGTERMException

    monkeypatch.setattr(sys, "argv", ["ecg_tl.train", "init=random"])
    with pytest.raises(SystemExit) as stopped:
        command_line.run("train", task)
    assert stopped.value.code == 143
    assert "the same command again goes on from there" in capsys.readouterr().err


def test_a_cluster_may_have_the_gpus_that_this_machine_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "srun").write_text("")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(overrides, "find_spec", lambda _: True)
    monkeypatch.setattr(command_line, "_hydra", lambda *_: None)
    store = labelled_store(tmp_path / "s.h5", records=30)
    words = ("-m", "trainer=gpu", "init=random", "seed=0,1", f"data.path={store.path}", f"outputs={tmp_path}")
    refused("train", *words)
    assert "trainer.accelerator=gpu: torch sees no CUDA device" in capsys.readouterr().err
    refused("train", *words, "hydra/launcher=slurm")
    assert "error: 2 of 2 cells failed" in capsys.readouterr().err  # they were handed to the launcher, here to nobody
