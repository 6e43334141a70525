"""What a source says of its files: how many, and one checksum over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def provenance(source_format: str, folder: Path, files: Iterable[Path]) -> dict[str, Any]:
    """Count the files and sum them up: SHA-256 of what `sha256sum` prints for them, sorted, seen from folder.

    A file outside of the folder goes by its bare name.
    """
    names = {path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name: path for path in files}
    digest = hashlib.sha256()
    for name, path in sorted(names.items()):
        with path.open("rb") as file:
            digest.update(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n".encode())
    return {"format": source_format, "files": len(names), "checksum": digest.hexdigest()}
