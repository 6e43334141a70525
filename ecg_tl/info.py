"""What a prepared store holds, in words: its rows, where they came from, whether they are whole, and Table 1."""

from __future__ import annotations

from pathlib import Path

from ecg_tl.cohorts import cohort_of, cohort_of_diagnostics, table1
from ecg_tl.rendering import to_markdown
from ecg_tl.rows import EXCLUDED_PER_RHYTHM, SETTINGS, summarise
from ecg_tl.store import Store, open_store, verify_content


def info(path: Path) -> str:
    """Describe the store at `path`, reading every sample once to verify its checksum; of Diagnostics.xlsx, Table 1.

    A changed store is described too, and said to be so. FileNotFoundError and ValueError as `open_store`.
    """
    if path.suffix == ".xlsx":
        return to_markdown(table1({"Shaoxing": cohort_of_diagnostics(path)}))
    store = open_store(path)
    parts = [
        f"{store.path}: {'labelled' if store.labelled else 'unlabelled'} store",
        summarise(store).removesuffix(f"\nwritten to {store.path}"),
        f"rate: {store.rate_hz:g} Hz, {store.length:,} samples a row, {store.mv_per_unit:g} mV a unit",
        "filter: " + _listed(store.filter),
        *_source(store),
        _content(store),
        "",
        to_markdown(table1({store.path.stem: cohort_of(store)})),
    ]
    return "\n".join(parts)


def _source(store: Store) -> list[str]:
    """Say what a store was made of; of a merged one, a line a part, which goes before its patients' names."""
    shown = {key: value for key, value in store.source.items() if key not in (EXCLUDED_PER_RHYTHM, SETTINGS, "parts")}
    lines = [
        f"  {name}: {sum(patient.startswith(f'{name}/') for patient in store.patient):,} rows, "
        f"{part.get('files', '?')} files, lead {', '.join(part['leads'])}"
        for name, part in store.source.get("parts", {}).items()
    ]
    return ["source: " + _listed(shown), *lines]


def _listed(values: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _content(store: Store) -> str:
    try:
        verify_content(store)
    except ValueError as error:
        return f"content: NOT what was prepared: {error}"
    return f"content: SHA-256 {store.content_sha256}, verified"
