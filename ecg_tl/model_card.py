"""The README.md beside a bundle: what the model is, was made from and is not for, from its bundle.json alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ecg_tl.records import write_whole
from ecg_tl.waveform import WINDOW

_NOT_FOR = (
    "Research only. It is no medical device: not for diagnosis, monitoring or any decision about a patient. It has "
    "seen the recordings named above and no others; another device, lead, age or illness may be beyond it, and nobody "
    "has tested that here."
)


_FRONT = "---\nlibrary_name: ecg_tl\n"

_WINDOWS = ("window", "rate_hz", "lead", "filter", "normalisation")
_SCORES = ("selected_f1", "selected_f1_interval", "selected_f1_per_rhythm", "support_per_rhythm", "best_f1", "protocol")
_TRAINING = ("init", "fraction", "seed", "protocol", "precision", "device", "data_sha256", "data")
_PRETRAINING = ("n_train", "n_test", "epochs", "seed", "precision", "device", "corpus", "corpus_sha256", "test_sse")
"""What a description needs for a section of the card; without, the section says that nothing is known."""


def write_card(folder: Path, text: str) -> Path:
    """Write folder/README.md; a card of another model of ecg_tl is replaced, somebody's own text stays."""
    path = folder / "README.md"
    own = path.is_file() and not path.read_bytes().startswith(_FRONT.encode())
    return path if own else write_whole(path, text)


def card(name: str, description: dict[str, Any]) -> str:
    """Describe an encoder or a classifier in Markdown, with the front matter that model hubs read.

    description: a bundle.json; sections whose entries it lacks say so.
    """
    parts = _classifier(description) if "rhythms" in description else _encoder(description)
    licence = description.get("licence_note") or "None is stated here."
    closing = ("## Licence and attribution", licence, "## What it is not for", _NOT_FOR)
    return f"{_FRONT}tags: [ecg]\n---\n\n" + "\n\n".join((f"# {name}", *parts, *closing)) + "\n"


def _takes(description: dict[str, Any]) -> str:
    architecture = description["architecture"]
    assumed = " and ".join(description.get("assumed", ()))
    doubt = f" Assumed, since the weights came without a word of it: {assumed}." if assumed else ""
    network = (
        f"Network: `{architecture['kind']}`, width {architecture['width']}, {architecture['latent']} latent features, "
        f"kernels {architecture['kernel']} and {architecture['late_kernel']}."
    )
    if not _has(description, _WINDOWS):
        return f"{network} How its windows of lead {description.get('lead', 'unknown')} were prepared is not stated."
    return (
        f"{network} It takes windows of "
        f"{description['window']:,} samples at {description['rate_hz']:g} Hz of lead {description['lead']}, in mV, "
        f"filtered ({description['filter']['baseline']}, {description['filter']['cutoff_hz']:g} Hz, order "
        f"{description['filter']['order']}) and brought to {description['normalisation']}; "
        f"`ecg_tl` does all of this.{doubt}"
    )


def _has(description: dict[str, Any], entries: Iterable[str]) -> bool:
    return all(entry in description for entry in entries)


def _code(*lines: str) -> str:
    return "\n".join(("```python", *lines, "```"))


def _use(description: dict[str, Any], *in_torch: str) -> Iterator[str]:
    """Show how it is used: of a copy in ONNX by onnxruntime, else by the lines given."""
    if "onnx" not in description:
        yield _code("import ecg_tl", *in_torch)
        return
    output = description["onnx"]["output"]
    yield (
        f"This copy is ONNX: `model.onnx` takes `windows` (batch, {WINDOW}) float32, prepared as above, and gives "
        f"`{output}`."
    )
    yield _code(
        "import onnxruntime",
        "from ecg_tl.inference import windows_of_signal",
        'session = onnxruntime.InferenceSession("PATH/model.onnx")',
        f"windows = windows_of_signal(ecg_mv, rate_hz=500.0)[0]  # (windows, {WINDOW})",
        f'({output},) = session.run(["{output}"], {{"windows": windows.numpy()}})',
    )


def _encoder(description: dict[str, Any]) -> Iterator[str]:
    yield "An encoder of ECGs: each window of 8.192 s becomes a few features that a small labelled set can use."
    yield _takes(description)
    yield from _use(
        description,
        'encoder = ecg_tl.load_encoder("PATH_OR_NAME")',
        "features = encoder.embed(ecg_mv, rate_hz=500.0)  # (B, windows, features)",
    )
    yield "## What it was made from"
    if _has(description, _PRETRAINING):
        yield (
            f"{description['n_train']:,} windows, {description['n_test']:,} of other patients held out; "
            f"{description['epochs']} epochs, seed {description['seed']}, {description['precision']} on "
            f"{description['device']}. Checksum of the corpus: `{description['corpus_sha256']}`."
        )
        yield _recordings(description["corpus"])
        yield "## How good it is"
        yield (
            f"It gives held-out patients' windows back with a squared error (SSE) of {description['test_sse']:.0f} a "
            f"window; giving back nothing costs {WINDOW:,}."
        )
    else:
        yield _recordings(description["corpus"]) if "corpus" in description else "That is not stated."
        yield "How well it gives windows back was not measured."


def _classifier(description: dict[str, Any]) -> Iterator[str]:
    rhythms = description["rhythms"]
    yield f"A classifier of ECG windows of 8.192 s into {len(rhythms)} rhythms: {', '.join(rhythms)}."
    yield _takes(description)
    yield from _use(
        description,
        'classifier = ecg_tl.load_classifier("PATH")',
        "probabilities = classifier.predict(ecg_mv, rate_hz=500.0)  # (B, windows, rhythms)",
    )
    yield "## How good it is"
    yield from _scores(description) if _has(description, _SCORES) else ("That is not stated.",)
    yield "## What it was made from"
    yield from _training(description) if _has(description, _TRAINING) else ("That is not stated.",)


def _scores(description: dict[str, Any]) -> Iterator[str]:
    protocol = description["protocol"]
    low, high = description["selected_f1_interval"]
    yield (
        f"Weighted F1 {description['selected_f1']:.3f} (95 % interval {low:.3f} to {high:.3f}, bootstrap over the test "
        f"patients) on {protocol['n_test']:,} test records of patients it was not trained on, at epoch "
        f"{protocol['selected_epoch']}, which was chosen on records outside of the training draw. The best test F1 of "
        f"any epoch, which flatters, was {description['best_f1']:.3f}. The interval says nothing of other hospitals or "
        f"devices."
    )
    per_rhythm = zip(
        description["rhythms"],
        description["selected_f1_per_rhythm"],
        description["support_per_rhythm"],
        strict=True,
    )
    yield _table(("Rhythm", "F1", "Test records"), ((name, f"{f1:.3f}", f"{n:,}") for name, f1, n in per_rhythm))


def _training(description: dict[str, Any]) -> Iterator[str]:
    protocol = description["protocol"]
    yield (
        f"init={description['init']}, fraction={description['fraction']:g}, seed={description['seed']}: "
        f"{protocol['n_train']:,} draws of training records, {protocol['epochs']} epochs, batch size "
        f"{protocol['batch_size']}, learning rate {protocol['learning_rate']:g}; {description['precision']} on "
        f"{description['device']}. Checksum of the labelled set: `{description['data_sha256']}`."
    )
    yield _recordings(description["data"])
    if description.get("encoder_sha256"):
        seen = description.get("test_rows_in_corpus")
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
