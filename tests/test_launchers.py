"""The same eight cells through every launcher, as commands of their own. Slow: `python -m pytest -m slow`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import run
from tests.fabricate import icu_store, labelled_store
from tests.test_study import TINY

ROOT = Path(__file__).resolve().parents[1]
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
    "ray": (("hydra/launcher=ray_cluster",), "ray"),
}


def records(study_folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(study_folder)): re.sub(r'"seconds": [\d.]+', "", path.read_text())
        for path in study_folder.glob("runs/*/*/*/*")
        if path.suffix in (".json", ".csv")
    }


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
    place = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
    done = subprocess.run(command, cwd=root, env=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit", "ray"])
def test_every_launcher_makes_the_same_records(launcher: str, root: Path) -> None:
    pytest.importorskip(LAUNCHERS[launcher][1])
    pytest.importorskip(f"hydra_plugins.hydra_{launcher}_launcher")
    sweep(root, launcher)
    made = records(root / launcher / "s")
    assert sum(name.endswith("record.json") for name in made) == 8
    assert made == records(root / "basic" / "s")
