"""How well an encoder gives back the windows of each set of recordings in a merged corpus, held-out patients alone.

python docs/encoder_by_source.py corpus.h5 outputs/STUDY/encoder [--names NAME=TITLE ...]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from ecg_tl.bundle import load_bundle
from ecg_tl.identity import read_config
from ecg_tl.networks import Decoder, Encoder
from ecg_tl.splits import split_by_group
from ecg_tl.store import open_store, verify_content
from ecg_tl.waveform import WINDOW, normalise


def main(corpus: Path, folder: Path, titles: dict[str, str]) -> None:
    """Print a Markdown table: a row a set of recordings."""
    store, bundle, config = open_store(corpus), load_bundle(folder), read_config(folder / "config.yaml")
    verify_content(store)
    if store.content_sha256 != bundle.description["corpus_sha256"]:
        raise SystemExit(f"error: {corpus}: not the corpus of {folder}")
    train, test = split_by_group(store.patient, config["corpus"]["test_fraction"], config["split_seed"])
    encoder, decoder = Encoder(bundle.architecture), Decoder(bundle.architecture)
    encoder.load_state_dict(bundle.encoder_state)
    decoder.load_state_dict(bundle.decoder_state)
    encoder.eval(), decoder.eval()
    errors = np.empty(len(test))
    with torch.inference_mode():
        for start in range(0, len(test), 64):
            windows = torch.from_numpy(normalise(store.ecg[np.sort(test)[start : start + 64]]))
            errors[start : start + 64] = (decoder(encoder(windows)) - windows).square().sum(1).numpy()
    test = np.sort(test)
    part = np.array([name.partition("/")[0] for name in store.patient])
    print("| recordings | patients | windows trained on | windows held out | SSE of those, mean | median |")
    print("| :--- | ---: | ---: | ---: | ---: | ---: |")
    for name in sorted(set(part), key=lambda name: -Counter(part)[name]):
        held_out = errors[part[test] == name]
        cells = (
            titles.get(name, name),
            f"{len(set(store.patient[part == name])):,}",
            f"{(part[train] == name).sum():,}",
            f"{len(held_out):,}",
            *((f"{held_out.mean():.0f}", f"{np.median(held_out):.0f}") if len(held_out) else ("", "")),
        )
        print("| " + " | ".join(cells) + " |")
    cells = ("all", f"{len(set(store.patient)):,}", f"{len(train):,}", f"{len(test):,}")
    print("| " + " | ".join((*cells, f"{errors.mean():.0f}", f"{np.median(errors):.0f}")) + " |")
    print(f"\nGiving back nothing costs {WINDOW}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--names", nargs="*", default=[], help="how to print a part: wfdb_icu-1234abcd=MIT-BIH")
    arguments = parser.parse_args()
    main(arguments.corpus, arguments.encoder, dict(name.split("=", 1) for name in arguments.names))
