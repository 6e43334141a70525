from __future__ import annotations

from typing import Any

from ecg_tl.bundle import takes
from ecg_tl.model_card import card
from ecg_tl.waveform import FILTER

DESCRIPTION: dict[str, Any] = {
    "architecture": {"kind": "residual", "width": 16, "latent": 60, "kernel": 19, "late_kernel": 9},
    **takes("II", FILTER),
    "corpus": {"format": "wfdb_icu", "files": 32},
    "corpus_sha256": "c" * 64,
    "n_train": 6400,
    "n_test": 2026,
    "epochs": 15,
    "seed": 0,
    "precision": "32-true",
    "device": "a processor",
    "test_sse": 512.4,
    "licence_note": "Open Data Commons Attribution",
}


def test_the_card_of_an_encoder_says_what_it_takes_was_made_from_and_costs() -> None:
    text = card("mine", DESCRIPTION)
    for expected in (
        "# mine",
        "2,048 samples at 250 Hz of lead II, in mV",
        "6,400 windows, 2,026 of other patients held out; 15 epochs, seed 0, 32-true on a processor",
        '"format": "wfdb_icu"',
        "(SSE) of 512 a window",
        "Open Data Commons Attribution",
        "Research only",
    ):
        assert expected in text


def test_a_merged_corpus_is_a_table_of_its_parts() -> None:
    parts = {
        "wfdb_icu-1111": {"format": "wfdb_icu", "files": 32, "leads": ["MLII", "V1"], "checksum": "1111"},
        "synthetic-2222": {"format": "synthetic_icu", "leads": ["II"]},
    }
    text = card("mine", DESCRIPTION | {"corpus": {"format": "merged", "parts": parts}})
    assert "| wfdb_icu | 32 | MLII, V1 | `1111` |" in text
    assert "| synthetic_icu |  | II |" in text
