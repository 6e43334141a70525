"""Which cells were asked of a study, so that what is missing can be told from what nobody wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ecg_tl.locks import held
from ecg_tl.records import Cell, write_whole


def _path(study_folder: Path) -> Path:
    return study_folder / "asked.json"


def note_asked(study_folder: Path, cells: Iterable[Cell]) -> None:
    """Add cells to those that were asked of a study before."""
    with held(_path(study_folder), wait=True):
        every = sorted({*read_asked(study_folder), *cells})
        lines = ",\n".join(json.dumps(cell._asdict()) for cell in every)
        write_whole(_path(study_folder), f"[\n{lines}\n]\n")


def read_asked(study_folder: Path) -> list[Cell]:
    """Read the cells that sweeps asked of a study, none if there was no sweep. ValueError names a damaged file."""
    path = _path(study_folder)
    if not path.is_file():
        return []
    try:
        return [Cell(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a list of cells ({error}); remove it, the next sweep writes it anew") from error
