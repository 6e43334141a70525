"""What an offline run would send: its .wandb file, a log framed as LevelDB's, of W&B's own protobuf records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

_BLOCK, _FILE_HEADER, _HEADER = 32768, 7, 7  # bytes
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def records_of(path: Path) -> Iterator[Record]:
    content = path.read_bytes()
    assert content[:4] == b":W&B"
    at, parts = _FILE_HEADER, b""
    while at < len(content):
        if _BLOCK - at % _BLOCK < _HEADER:  # a block's end too short for a header is filled up
            at += _BLOCK - at % _BLOCK
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        assert kind in (_FULL, _FIRST, _MIDDLE, _LAST)
        parts = (b"" if kind in (_FULL, _FIRST) else parts) + content[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
        if kind in (_FULL, _LAST):
            yield Record.FromString(parts)


@dataclass
class OfflineRun:
    """Everything that a run logged: its identity, config, an entry of history a step, summary, artifacts by name."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, Any] = field(default_factory=dict)


def read_offline_run(folder: Path) -> OfflineRun:
    (path,) = folder.glob("run-*.wandb")
    read = OfflineRun()
    for record in records_of(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            read.run = record.run
            read.config |= _items(record.run.config.update)
        elif kind == "config":
            read.config |= _items(record.config.update)
        elif kind == "history":
            read.history.append(_items(record.history.item))
        elif kind == "summary":
            read.summary |= _items(record.summary.update)
        elif kind == "artifact":
            read.artifacts[record.artifact.name] = record.artifact
    return read


def _items(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
