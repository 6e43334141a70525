"""The same eight cells through every launcher, as commands of their own. Slow: `python -m pytest -m slow`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.commands import refused, run
from tests.fabricate import icu_store, labelled_store
from tests.test_study import TINY

ROOT = Path(__file__).resolve().parents[1]
# what submitit asks of a cluster: sbatch runs the tasks of the array one after the other, srun what it is given
CLUSTER = {
    "sbatch": """
        echo "Submitted batch job 7"
        sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1" > last
        (for task in $(seq 0 $(cat last)); do
            SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task SLURM_PROCID=0 SLURM_LOCALID=0 \\
            SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here SLURM_NODEID=0 SLURM_CPUS_PER_TASK=1 \\
            SLURM_JOB_NAME=ecg_tl \\
            sh "$1"
        done; touch ended) > jobs.log 2>&1 &
    """,
    "srun": """
        while [ "${1#-}" != "$1" ]; do case "$1" in --unbuffered) shift;; --*=*) shift;; *) shift 2;; esac; done
        exec "$@"
    """,
    "sacct": """
        echo "JobID|State|NodeList"
        state=RUNNING; [ -e ended ] && state=COMPLETED
        for task in 0 1 2 3 4 5 6 7; do echo "7_$task|$state|here"; done
    """,
}
LAUNCHERS = {
    "basic": ((), "hydra"),
    "joblib": (("hydra/launcher=local",), "joblib"),
    "submitit": (
        (
            "hydra/launcher=submitit_local",
            "hydra.launcher.cpus_per_task=1",
            "hydra.launcher.timeout_min=10",
            "hydra.launcher.submitit_folder=jobs/%j",
        ),
        "submitit",
    ),
    "slurm": (("hydra/launcher=slurm", "hydra.launcher.partition=all", "gpus_per_cell=1"), "submitit"),
    "ray": (("hydra/launcher=ray_cluster",), "ray"),
}


def records(study_folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(study_folder)): re.sub(r'"seconds": [\d.]+', "", path.read_text())
        for path in study_folder.glob("runs/*/*/*/*")
        if path.suffix in (".json", ".csv")
    }


def cluster(root: Path) -> Path:
    """A folder with the commands of a SLURM cluster of one machine."""
    folder = root / "bin"
    folder.mkdir(exist_ok=True)
    for name, script in CLUSTER.items():
        (folder / name).write_text(f"#!/bin/sh\n{textwrap.dedent(script)}")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both stores, an encoder, and what the cells become one after the other in one process."""
    root = tmp_path_factory.mktemp("launchers")
    labelled_store(root / "data.h5", records=60)
    icu_store(root / "icu.h5", patients=8, windows_per_patient=6)
    run("pretrain", f"outputs={root}", "study=s", *TINY, f"corpus.path={root / 'icu.h5'}", "epochs=2", "logger=csv")
    sweep(root, "basic")
    return root


def sweep(root: Path, launcher: str) -> str:
    words = (
        *TINY,
        f"data.path={root / 'data.h5'}",
        f"encoder={root / 's' / 'encoder'}",
        f"outputs={root / launcher}",
        "study=s",
        "trainer.threads=1",
        "logger=csv",
        "epochs=3",
        "init=random,transfer",
        "fraction=1,0.5",
        "seed=0,1",
    )
    command = [sys.executable, "-m", "ecg_tl.train", "-m", *words, *LAUNCHERS[launcher][0]]
    path = f"{cluster(root)}{os.pathsep}{os.environ['PATH']}"
    place = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
    done = subprocess.run(command, cwd=root, env=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("launcher", ["joblib", "submitit", "slurm", "ray"])
def test_every_launcher_makes_the_same_records(launcher: str, root: Path) -> None:
    plugin = LAUNCHERS[launcher][1]
    pytest.importorskip(plugin)
    pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher")
    sweep(root, launcher)
    made = records(root / launcher / "s")
    assert sum(name.endswith("record.json") for name in made) == 8
    assert made == records(root / "basic" / "s")
    if launcher == "slurm":
        (script,) = (root / launcher / "s" / ".submitit").rglob("7_submission.sh")
        asked = {line.removeprefix("#SBATCH ") for line in script.read_text().splitlines()}
        assert {"--gpus-per-node=1", "--partition=all", "--array=0-7%8", "--job-name=ecg_tl"} <= asked


def test_slurm_is_refused_where_no_jobs_can_be_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ecg_tl.overrides.find_spec", lambda _: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    refused("train", "-m", "hydra/launcher=slurm", "seed=0,1", f"outputs={tmp_path}")
    assert "hydra/launcher=slurm: no srun here; give the command on a machine that submits" in capsys.readouterr().err


def test_a_share_of_a_gpu_is_refused_on_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    monkeypatch.setenv("PATH", str(cluster(tmp_path)))
    refused("train", "-m", "hydra/launcher=slurm", "seed=0,1", f"outputs={tmp_path}", "gpus_per_cell=0.25")
    assert "gpus_per_cell=0.25: SLURM lends a job whole GPUs; give 1, or " in capsys.readouterr().err
