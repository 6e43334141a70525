"""The README.md beside a bundle: what the model is, was made from and is not for, from its bundle.json alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ecg_tl.records import write_whole

_NOT_FOR = (
    "Research only. It is no medical device: not for diagnosis, monitoring or any decision about a patient. It has "
    "seen the recordings named above and no others; another device, lead, age or illness may be beyond it, and nobody "
    "has tested that here."
)


def write_card(folder: Path, description: dict[str, Any], name: str | None = None) -> Path:
    """Write folder/README.md for the bundle.json that `description` is; one that is there stays.

    name: what the model is called, by default as its folder is.
    """
    path = folder / "README.md"
    return path if path.is_file() else write_whole(path, card(name or folder.name, description))


def card(name: str, description: dict[str, Any]) -> str:
    """Describe an encoder or a classifier in Markdown, with the front matter that model hubs read."""
    parts = _classifier(description) if "rhythms" in description else _encoder(description)
    front = ("---", "library_name: ecg_tl", "tags: [ecg]", "---")
    licence = description.get("licence_note") or "None is stated here."
    closing = ("## Licence and attribution", licence, "## What it is not for", _NOT_FOR)
    return "\n".join(front) + "\n\n" + "\n\n".join((f"# {name}", *parts, *closing)) + "\n"


def _takes(description: dict[str, Any]) -> str:
    architecture = description["architecture"]
    assumed = " and ".join(description.get("assumed", ()))
    doubt = f" Assumed, since the weights came without a word of it: {assumed}." if assumed else ""
    return (
        f"Network: `{architecture['kind']}`, width {architecture['width']}, {architecture['latent']} latent features, "
        f"kernels {architecture['kernel']} and {architecture['late_kernel']}. It takes windows of "
        f"{description['window']:,} samples at {description['rate_hz']:g} Hz of lead {description['lead']}, in mV, "
        f"filtered ({description['filter']['baseline']}, {description['filter']['cutoff_hz']:g} Hz, order "
        f"{description['filter']['order']}) and brought to {description['normalisation']}; "
        f"`ecg_tl` does all of this.{doubt}"
    )


def _code(*lines: str) -> str:
    return "\n".join(("```python", *lines, "```"))


def _onnx(description: dict[str, Any]) -> Iterator[str]:
    if "onnx" in description:
        yield (
            f"This copy is ONNX: `model.onnx` takes `windows` (batch, {description['window']}) float32, prepared as "
            f"above (`ecg_tl.inference.windows_of_signal` does it), and gives `{description['onnx']['output']}`."
        )


def _encoder(description: dict[str, Any]) -> Iterator[str]:
    yield "An encoder of ECGs: each window of 8.192 s becomes a few features that a small labelled set can use."
    yield _takes(description)
    yield from _onnx(description)
    yield _code(
        "import ecg_tl",
        'encoder = ecg_tl.load_encoder("PATH_OR_NAME")',
        "features = encoder.embed(ecg_mv, rate_hz=500.0)  # (B, windows, features)",
    )
    yield "## What it was made from"
    if "n_train" in description:
        yield (
            f"{description['n_train']:,} windows, {description['n_test']:,} of other patients held out; "
            f"{description['epochs']} epochs, seed {description['seed']}, {description['precision']} on "
            f"{description['device']}. Checksum of the corpus: `{description['corpus_sha256']}`."
        )
        yield _recordings(description["corpus"])
        yield "## How good it is"
        yield (
            f"It gives held-out patients' windows back with a squared error (SSE) of {description['test_sse']:.0f} a "
            f"window; giving back nothing costs {description['window']:,}."
        )
    else:
        yield _recordings(description["corpus"])
        yield "How well it gives windows back was not measured."


def _classifier(description: dict[str, Any]) -> Iterator[str]:
    rhythms = description["rhythms"]
    yield f"A classifier of ECG windows of 8.192 s into {len(rhythms)} rhythms: {', '.join(rhythms)}."
    yield _takes(description)
    yield from _onnx(description)
    yield _code(
        "import ecg_tl",
        'classifier = ecg_tl.load_classifier("PATH")',
        "probabilities = classifier.predict(ecg_mv, rate_hz=500.0)  # (B, windows, rhythms)",
    )
    protocol = description["protocol"]
    low, high = description["selected_f1_interval"]
    yield "## How good it is"
    yield (
        f"Weighted F1 {description['selected_f1']:.3f} (95 % interval {low:.3f} to {high:.3f}, bootstrap over the test "
        f"patients) on {protocol['n_test']:,} test records of patients it was not trained on, at epoch "
        f"{protocol['selected_epoch']}, which was chosen on records outside of the training draw. The best test F1 of "
        f"any epoch, which flatters, was {description['best_f1']:.3f}. The interval says nothing of other hospitals or "
        f"devices."
    )
    per_rhythm = zip(
        rhythms,
        description["selected_f1_per_rhythm"],
        description["support_per_rhythm"],
        strict=True,
    )
    yield _table(("Rhythm", "F1", "Test records"), ((name, f"{f1:.3f}", f"{n:,}") for name, f1, n in per_rhythm))
    yield "## What it was made from"
    yield (
        f"init={description['init']}, fraction={description['fraction']:g}, seed={description['seed']}: "
        f"{protocol['n_train']:,} draws of training records, {protocol['epochs']} epochs, batch size "
        f"{protocol['batch_size']}, learning rate {protocol['learning_rate']:g}; {description['precision']} on "
        f"{description['device']}. Checksum of the labelled set: `{description['data_sha256']}`."
    )
    yield _recordings(description["data"])
    if description["encoder_sha256"]:
        seen = description["test_rows_in_corpus"]
        yield f"It began with the encoder `{description['encoder_sha256']}`. " + (
            "Whether that had seen test records is not known."
            if seen is None
            else f"Of the test records, that had seen {seen}."
        )


def _recordings(source: dict[str, Any]) -> str:
    """Name what a store was made of: a table of the parts of a merged one, else all that its source says."""
    if "parts" not in source:
        return _json(source)
    parts = source["parts"].values()
    head = ("Format", "Files", "Lead", "Checksum of the files")
    return _table(
        head,
        (
            (part["format"], str(part.get("files", "")), ", ".join(part["leads"]), f"`{part.get('checksum', '')}`")
            for part in parts
        ),
    )


def _json(source: Any) -> str:
    return "\n".join(("```json", json.dumps(source, indent=1), "```"))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ("---",) * len(tuple(head)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
